//! The names of the hub protocols and the one place where a message is split, parsed or written.
//!
//! Owns the choice between JSON and MessagePack; does not know either format: `json` and `msgpack` do.

use crate::arguments::ArgumentList;
use crate::error::{EncodeError, ProtocolError};
use crate::message::{Headers, Message};
use crate::payload::Payload;
use crate::style::{PayloadForm, PayloadStyle};
use crate::{json, msgpack};
use serde::Serialize;
use std::borrow::Cow;

/// A hub protocol that a client can ask for in its handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Protocol {
    /// `json`, version 2, text.
    Json,
    /// `messagepack`, version 2, binary.
    MessagePack,
}

/// Whether a transport or a protocol carries text or arbitrary bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferFormat {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

impl Protocol {
    /// How many protocols there are: the size of a table indexed by [`Protocol::index`].
    pub const COUNT: usize = 2;
    /// Every protocol, in the reference's order of registration: JSON, MessagePack.
    pub const ALL: [Protocol; Self::COUNT] = [Protocol::Json, Protocol::MessagePack];

    /// A small number for tables, below [`Protocol::COUNT`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Json => "json",
            Protocol::MessagePack => "messagepack",
        }
    }

    /// The highest version that is understood. A client may ask for any version up to it.
    pub const fn version(self) -> i32 {
        2
    }

    /// What the transport must be able to carry.
    pub const fn transfer_format(self) -> TransferFormat {
        match self {
            Protocol::Json => TransferFormat::Text,
            Protocol::MessagePack => TransferFormat::Binary,
        }
    }

    /// Whether this build can speak it: MessagePack needs the feature `messagepack`.
    pub const fn is_available(self) -> bool {
        match self {
            Protocol::Json => true,
            Protocol::MessagePack => cfg!(feature = "messagepack"),
        }
    }

    /// Finds a protocol that this build can speak by its name, ignoring ASCII case as the reference does.
    pub fn by_name(name: &str) -> Option<Protocol> {
        Self::ALL.into_iter().find(|p| p.is_available() && p.name().eq_ignore_ascii_case(name))
    }
}

/// How MessagePack arguments and results are compressed when written. Reading accepts every form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// MessagePack-CSharp's `Lz4BlockArray` (extension 98). Needs the feature `lz4`.
    Lz4BlockArray,
    /// MessagePack-CSharp's `Lz4Block` (extension 99). Needs the feature `lz4`.
    Lz4Block,
}

impl Compression {
    /// Whether this build can write it: LZ4 needs the feature `lz4`.
    pub const fn is_available(self) -> bool {
        matches!(self, Self::None) || cfg!(feature = "lz4")
    }
}

/// A protocol with its settings: splits, parses and writes messages. Small and `Copy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubProtocol {
    kind: Protocol,
    form: PayloadForm,
}

impl HubProtocol {
    /// The protocol with default settings.
    pub const fn new(kind: Protocol) -> Self {
        Self { kind, form: PayloadForm { compression: Compression::None, style: PayloadStyle::SERDE } }
    }

    /// Sets how payloads are compressed when written; only MessagePack looks at it.
    #[must_use]
    pub const fn with_compression(mut self, compression: Compression) -> Self {
        self.form.compression = compression;
        self
    }

    /// Sets the form of payloads, read and written. Default: as serde has it.
    #[must_use]
    pub const fn with_style(mut self, style: PayloadStyle) -> Self {
        self.form.style = style;
        self
    }

    /// The form of payloads.
    pub const fn style(self) -> PayloadStyle {
        self.form.style
    }

    /// Which protocol this is.
    pub const fn kind(self) -> Protocol {
        self.kind
    }

    /// How payloads are compressed when written.
    pub const fn compression(self) -> Compression {
        self.form.compression
    }

    /// Finds the first whole message in `input`: its body, without framing, and how many bytes it takes together
    /// with its framing. `None` means that more bytes are needed; nothing is consumed then.
    ///
    /// # Errors
    /// MessagePack only: a length prefix above 2 GB - 1. Sizes below that are the caller's to limit.
    pub fn split<'a>(&self, input: &'a [u8]) -> Result<Option<(&'a [u8], usize)>, ProtocolError> {
        match self.kind {
            Protocol::Json => Ok(json::split(input)),
            Protocol::MessagePack => msgpack::split(input),
        }
    }

    /// Reads one message body, as [`HubProtocol::split`] gave it.
    ///
    /// # Errors
    /// The peer broke the protocol; the connection must be closed with the error's text.
    pub fn parse<'a>(&self, body: &'a [u8]) -> Result<Message<'a>, ProtocolError> {
        let mut message = match self.kind {
            Protocol::Json => json::parse(body),
            Protocol::MessagePack => msgpack::parse(body),
        }?;
        if self.form.style != PayloadStyle::SERDE {
            message.set_style(self.form.style);
        }
        Ok(message)
    }

    /// Appends an Invocation. `invocation_id` is given only when the peer is to answer.
    ///
    /// # Errors
    /// An argument cannot be serialised; `out` is as it was.
    pub fn write_invocation(
        &self,
        out: &mut Vec<u8>,
        invocation_id: Option<&str>,
        target: &str,
        arguments: &dyn ArgumentList,
    ) -> Result<(), EncodeError> {
        self.write_invocation_with(out, &InvocationParts::new(invocation_id, target), arguments)
    }

    /// Appends a StreamInvocation.
    ///
    /// # Errors
    /// An argument cannot be serialised; `out` is as it was.
    pub fn write_stream_invocation(
        &self,
        out: &mut Vec<u8>,
        invocation_id: &str,
        target: &str,
        arguments: &dyn ArgumentList,
    ) -> Result<(), EncodeError> {
        let parts = InvocationParts { streaming: true, ..InvocationParts::new(Some(invocation_id), target) };
        self.write_invocation_with(out, &parts, arguments)
    }

    /// Appends an Invocation or StreamInvocation with everything that one may carry.
    ///
    /// # Errors
    /// An argument cannot be serialised; `out` is as it was.
    pub fn write_invocation_with(
        &self,
        out: &mut Vec<u8>,
        parts: &InvocationParts<'_>,
        arguments: &dyn ArgumentList,
    ) -> Result<(), EncodeError> {
        undo_on_error(out, |out| match self.kind {
            Protocol::Json => json::write_invocation(out, self.form.style, parts, arguments),
            Protocol::MessagePack => msgpack::write_invocation(out, self.form, parts, arguments),
        })
    }

    /// Appends a StreamItem.
    ///
    /// # Errors
    /// The item cannot be serialised; `out` is as it was.
    pub fn write_stream_item<T: Serialize + ?Sized>(
        &self,
        out: &mut Vec<u8>,
        invocation_id: &str,
        item: &T,
    ) -> Result<(), EncodeError> {
        undo_on_error(out, |out| match self.kind {
            Protocol::Json => json::write_stream_item(out, self.form.style, invocation_id, item),
            Protocol::MessagePack => msgpack::write_stream_item(out, self.form, invocation_id, item),
        })
    }

    /// Appends a Completion that carries a result. `&()` writes the null result of a method that returns nothing.
    ///
    /// # Errors
    /// The result cannot be serialised; `out` is as it was.
    pub fn write_completion_result<T: Serialize + ?Sized>(
        &self,
        out: &mut Vec<u8>,
        invocation_id: &str,
        result: &T,
    ) -> Result<(), EncodeError> {
        undo_on_error(out, |out| match self.kind {
            Protocol::Json => json::write_completion_result(out, self.form.style, invocation_id, result),
            Protocol::MessagePack => msgpack::write_completion_result(out, self.form, invocation_id, result),
        })
    }

    /// Appends a Completion whose result is already encoded: a client result that another server asked for.
    ///
    /// # Errors
    /// The result is in the format of the other protocol or not one whole value; `out` is as it was.
    pub fn write_completion_raw(
        &self,
        out: &mut Vec<u8>,
        invocation_id: &str,
        result: Payload<'_>,
    ) -> Result<(), EncodeError> {
        self.write_message(
            out,
            &Message::Completion {
                headers: Headers::default(),
                invocation_id: invocation_id.into(),
                error: None,
                result: Some(result),
            },
        )
    }

    /// Appends a Completion with neither result nor error: the end of a stream.
    pub fn write_completion_void(&self, out: &mut Vec<u8>, invocation_id: &str) {
        match self.kind {
            Protocol::Json => json::write_completion_void(out, invocation_id),
            Protocol::MessagePack => msgpack::write_completion_void(out, invocation_id),
        }
    }

    /// Appends a Completion that carries an error. An empty text is written as the reference does: JSON leaves it
    /// out, MessagePack writes it.
    pub fn write_completion_error(&self, out: &mut Vec<u8>, invocation_id: &str, error: &str) {
        match self.kind {
            Protocol::Json => json::write_completion_error(out, invocation_id, error),
            Protocol::MessagePack => msgpack::write_completion_error(out, invocation_id, error),
        }
    }

    /// Appends a CancelInvocation.
    pub fn write_cancel_invocation(&self, out: &mut Vec<u8>, invocation_id: &str) {
        match self.kind {
            Protocol::Json => json::write_cancel_invocation(out, invocation_id),
            Protocol::MessagePack => msgpack::write_cancel_invocation(out, invocation_id),
        }
    }

    /// Appends a Ping.
    pub fn write_ping(&self, out: &mut Vec<u8>) {
        match self.kind {
            Protocol::Json => json::write_ping(out),
            Protocol::MessagePack => msgpack::write_ping(out),
        }
    }

    /// Appends a Close.
    pub fn write_close(&self, out: &mut Vec<u8>, error: Option<&str>, allow_reconnect: bool) {
        match self.kind {
            Protocol::Json => json::write_close(out, error, allow_reconnect),
            Protocol::MessagePack => msgpack::write_close(out, error, allow_reconnect),
        }
    }

    /// Appends an Ack (stateful reconnect).
    pub fn write_ack(&self, out: &mut Vec<u8>, sequence_id: i64) {
        match self.kind {
            Protocol::Json => json::write_ack(out, sequence_id),
            Protocol::MessagePack => msgpack::write_ack(out, sequence_id),
        }
    }

    /// Appends a Sequence (stateful reconnect).
    pub fn write_sequence(&self, out: &mut Vec<u8>, sequence_id: i64) {
        match self.kind {
            Protocol::Json => json::write_sequence(out, sequence_id),
            Protocol::MessagePack => msgpack::write_sequence(out, sequence_id),
        }
    }

    /// Appends a message as it was read, payloads unchanged. Headers and stream ids are written too.
    ///
    /// # Errors
    /// A payload is in the format of the other protocol or not one whole value, or the message is
    /// [`Message::Unknown`]; `out` is as it was.
    pub fn write_message(&self, out: &mut Vec<u8>, message: &Message<'_>) -> Result<(), EncodeError> {
        check_writable(self.kind, message)?;
        match self.kind {
            Protocol::Json => json::write_message(out, message),
            Protocol::MessagePack => msgpack::write_message(out, message),
        }
        Ok(())
    }

    /// Appends one value in the protocol's payload format: bytes for a [`Payload`].
    ///
    /// # Errors
    /// The value cannot be serialised; `out` is as it was.
    pub fn write_value<T: Serialize + ?Sized>(
        &self,
        out: &mut Vec<u8>,
        value: &T,
    ) -> Result<(), EncodeError> {
        undo_on_error(out, |out| match self.kind {
            Protocol::Json => json::write_value(out, self.form.style, value),
            Protocol::MessagePack => msgpack::write_value(out, self.form, value),
        })
    }

    /// Appends an argument array in the protocol's payload format: bytes for an [`crate::Arguments`].
    ///
    /// # Errors
    /// An argument cannot be serialised; `out` is as it was.
    pub fn write_arguments(
        &self,
        out: &mut Vec<u8>,
        arguments: &dyn ArgumentList,
    ) -> Result<(), EncodeError> {
        undo_on_error(out, |out| match self.kind {
            Protocol::Json => json::write_arguments(out, self.form.style, arguments),
            Protocol::MessagePack => msgpack::write_arguments(out, self.form, arguments),
        })
    }
}

/// Everything but the arguments of an Invocation or StreamInvocation that is to be written.
#[derive(Debug, Clone, Copy)]
pub struct InvocationParts<'a> {
    /// Whether it is a StreamInvocation.
    pub streaming: bool,
    /// Message headers; not written when empty.
    pub headers: Option<&'a Headers<'a>>,
    /// Present when the peer is to answer. Required by the peer for a StreamInvocation.
    pub invocation_id: Option<&'a str>,
    /// The method.
    pub target: &'a str,
    /// Ids of the streams that will follow. JSON writes `Some(&[])` as an empty list and leaves `None` out.
    pub stream_ids: Option<&'a [Cow<'a, str>]>,
}

impl<'a> InvocationParts<'a> {
    /// An Invocation without headers and streams.
    pub const fn new(invocation_id: Option<&'a str>, target: &'a str) -> Self {
        Self { streaming: false, headers: None, invocation_id, target, stream_ids: None }
    }
}

fn undo_on_error(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let before = out.len();
    let result = write(out);
    if result.is_err() {
        out.truncate(before);
    }
    result
}

fn check_writable(kind: Protocol, message: &Message<'_>) -> Result<(), EncodeError> {
    let payload = match message {
        Message::Invocation(i) | Message::StreamInvocation(i) => {
            if let Some(fault) = i.arguments.fault() {
                return Err(EncodeError::new(kind.name(), fault));
            }
            Some(Payload::new(i.arguments.protocol(), i.arguments.bytes()))
        }
        Message::StreamItem { item, .. } => Some(*item),
        Message::Completion { result, .. } => *result,
        Message::Unknown { kind: number } => {
            let reason = format_args!("messages of type {number} are unknown");
            return Err(EncodeError::new(kind.name(), reason));
        }
        _ => None,
    };
    match payload {
        Some(payload) if payload.protocol() != kind => {
            let other = payload.protocol().name();
            let reason = format_args!("the payload is {other}; decode it and write the value");
            Err(EncodeError::new(kind.name(), reason))
        }
        // A damaged value would damage the whole message, and make us the one that broke the protocol.
        Some(payload) => payload.check().map_err(|error| EncodeError::new(kind.name(), error)),
        None => Ok(()),
    }
}
