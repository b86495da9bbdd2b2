//! The MessagePack hub protocol (B-5): bytes to messages and back.

#![expect(clippy::todo, reason = "skeleton, being filled")]

use crate::arguments::ArgumentList;
use crate::error::{BindError, EncodeError, ProtocolError};
use crate::message::Message;
use crate::protocol::{Compression, InvocationParts};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads the argument array value by value; the count is checked before the first.
pub(crate) struct ArgumentReader<'a> {
    span: &'a [u8],
}

impl<'a> ArgumentReader<'a> {
    pub(crate) fn new(span: &'a [u8], expected: usize) -> Result<Self, BindError> {
        let _ = expected;
        Ok(Self { span })
    }

    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<T, BindError> {
        let _ = self.span;
        todo!()
    }

    pub(crate) fn finish(self) -> Result<(), BindError> {
        Ok(())
    }
}

pub(crate) fn split(input: &[u8]) -> Result<Option<(&[u8], usize)>, ProtocolError> {
    let _ = input;
    todo!()
}

pub(crate) fn parse(body: &[u8]) -> Result<Message<'_>, ProtocolError> {
    let _ = body;
    todo!()
}

/// Types 1 and 4; use `PayloadWriter::new(out, Protocol::MessagePack, compression)` for the arguments.
pub(crate) fn write_invocation(
    out: &mut Vec<u8>,
    compression: Compression,
    parts: &InvocationParts<'_>,
    arguments: &dyn ArgumentList,
) -> Result<(), EncodeError> {
    let _ = (out, compression, parts, arguments);
    todo!()
}

pub(crate) fn write_stream_item<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    compression: Compression,
    invocation_id: &str,
    item: &T,
) -> Result<(), EncodeError> {
    let _ = (out, compression, invocation_id, item);
    todo!()
}

pub(crate) fn write_completion_result<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    compression: Compression,
    invocation_id: &str,
    result: &T,
) -> Result<(), EncodeError> {
    let _ = (out, compression, invocation_id, result);
    todo!()
}

pub(crate) fn write_completion_void(out: &mut Vec<u8>, invocation_id: &str) {
    let _ = (out, invocation_id);
    todo!()
}

pub(crate) fn write_completion_error(out: &mut Vec<u8>, invocation_id: &str, error: &str) {
    let _ = (out, invocation_id, error);
    todo!()
}

pub(crate) fn write_cancel_invocation(out: &mut Vec<u8>, invocation_id: &str) {
    let _ = (out, invocation_id);
    todo!()
}

pub(crate) fn write_ping(out: &mut Vec<u8>) {
    let _ = out;
    todo!()
}

pub(crate) fn write_close(out: &mut Vec<u8>, error: Option<&str>, allow_reconnect: bool) {
    let _ = (out, error, allow_reconnect);
    todo!()
}

pub(crate) fn write_ack(out: &mut Vec<u8>, sequence_id: i64) {
    let _ = (out, sequence_id);
    todo!()
}

pub(crate) fn write_sequence(out: &mut Vec<u8>, sequence_id: i64) {
    let _ = (out, sequence_id);
    todo!()
}

/// Any message with its payload spans as they are; the caller has checked that they are MessagePack and that the
/// type is known.
pub(crate) fn write_message(out: &mut Vec<u8>, message: &Message<'_>) {
    let _ = (out, message);
    todo!()
}

/// One payload value, compressed if asked for.
pub(crate) fn write_value<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    compression: Compression,
    value: &T,
) -> Result<(), EncodeError> {
    let _ = (out, compression, value);
    todo!()
}

/// The argument array alone.
pub(crate) fn write_arguments(
    out: &mut Vec<u8>,
    compression: Compression,
    arguments: &dyn ArgumentList,
) -> Result<(), EncodeError> {
    let _ = (out, compression, arguments);
    todo!()
}

pub(crate) fn decode_value<T: DeserializeOwned>(span: &[u8]) -> Result<T, BindError> {
    let _ = span;
    todo!()
}
