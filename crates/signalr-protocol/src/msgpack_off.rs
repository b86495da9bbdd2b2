//! Stands in for `msgpack` when the feature `messagepack` is off. `Protocol::by_name` does not find the protocol
//! then, so that nothing here is reached unless code asks for it: reading and writing of values fail with a text
//! that names the feature, the other writers append nothing.

use crate::arguments::ArgumentList;
use crate::error::{BindError, EncodeError, ProtocolError};
use crate::message::Message;
use crate::protocol::InvocationParts;
use crate::style::{PayloadForm, PayloadStyle};
use serde::Serialize;
use serde::de::DeserializeOwned;

const OFF: &str = "the feature `messagepack` of signalr-protocol is off";

/// Refuses every argument array.
pub(crate) struct ArgumentReader<'a> {
    _span: &'a [u8],
}

impl<'a> ArgumentReader<'a> {
    pub(crate) fn new(_span: &'a [u8], _style: PayloadStyle, _expected: usize) -> Result<Self, BindError> {
        Err(BindError::other(OFF))
    }

    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<T, BindError> {
        Err(BindError::other(OFF))
    }

    pub(crate) fn finish(self) -> Result<(), BindError> {
        Err(BindError::other(OFF))
    }
}

pub(crate) fn split(_input: &[u8]) -> Result<Option<(&[u8], usize)>, ProtocolError> {
    Err(ProtocolError::invalid_data(OFF))
}

pub(crate) fn parse(_body: &[u8]) -> Result<Message<'_>, ProtocolError> {
    Err(ProtocolError::invalid_data(OFF))
}

pub(crate) fn write_invocation(
    _out: &mut Vec<u8>,
    _form: PayloadForm,
    _parts: &InvocationParts<'_>,
    _arguments: &dyn ArgumentList,
) -> Result<(), EncodeError> {
    Err(off())
}

pub(crate) fn write_stream_item<T: Serialize + ?Sized>(
    _out: &mut Vec<u8>,
    _form: PayloadForm,
    _invocation_id: &str,
    _item: &T,
) -> Result<(), EncodeError> {
    Err(off())
}

pub(crate) fn write_completion_result<T: Serialize + ?Sized>(
    _out: &mut Vec<u8>,
    _form: PayloadForm,
    _invocation_id: &str,
    _result: &T,
) -> Result<(), EncodeError> {
    Err(off())
}

pub(crate) fn write_completion_void(_out: &mut Vec<u8>, _invocation_id: &str) {}

pub(crate) fn write_completion_error(_out: &mut Vec<u8>, _invocation_id: &str, _error: &str) {}

pub(crate) fn write_cancel_invocation(_out: &mut Vec<u8>, _invocation_id: &str) {}

pub(crate) fn write_ping(_out: &mut Vec<u8>) {}

pub(crate) fn write_close(_out: &mut Vec<u8>, _error: Option<&str>, _allow_reconnect: bool) {}

pub(crate) fn write_ack(_out: &mut Vec<u8>, _sequence_id: i64) {}

pub(crate) fn write_sequence(_out: &mut Vec<u8>, _sequence_id: i64) {}

pub(crate) fn write_message(_out: &mut Vec<u8>, _message: &Message<'_>) {}

pub(crate) fn write_value<T: Serialize + ?Sized>(
    _out: &mut Vec<u8>,
    _form: PayloadForm,
    _value: &T,
) -> Result<(), EncodeError> {
    Err(off())
}

pub(crate) fn write_arguments(
    _out: &mut Vec<u8>,
    _form: PayloadForm,
    _arguments: &dyn ArgumentList,
) -> Result<(), EncodeError> {
    Err(off())
}

pub(crate) fn decode_value<T: DeserializeOwned>(
    _span: &[u8],
    _style: PayloadStyle,
    _what: &str,
) -> Result<T, BindError> {
    Err(BindError::other(OFF))
}

fn off() -> EncodeError {
    EncodeError::new("messagepack", OFF)
}

pub(crate) fn check_value(_span: &[u8]) -> Result<(), ProtocolError> {
    Err(ProtocolError::invalid_data(OFF))
}
