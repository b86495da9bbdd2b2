//! Errors of this crate, sorted by who is at fault: the peer that sent bytes, or the value that was to be written.

use std::borrow::Cow;

/// The peer broke the protocol. The connection that sent this must be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ProtocolError {
    kind: ProtocolErrorKind,
    text: Cow<'static, str>,
}

/// The short exception name under which the reference reports a fault; part of the detailed error text (B-7.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolErrorKind {
    /// `InvalidDataException`: the usual one.
    InvalidData,
    /// `FormatException`: a number out of range, a length over 2 GB.
    Format,
    /// `JsonReaderException`: malformed JSON in the handshake.
    JsonReader,
    /// `InvalidOperationException`.
    InvalidOperation,
    /// `KeyNotFoundException`.
    KeyNotFound,
    /// `EndOfStreamException`: MessagePack that ends too early.
    EndOfStream,
    /// `MessagePackSerializationException`: MessagePack of another type than expected.
    MessagePackSerialization,
}

impl ProtocolErrorKind {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidData => "InvalidDataException",
            Self::Format => "FormatException",
            Self::JsonReader => "JsonReaderException",
            Self::InvalidOperation => "InvalidOperationException",
            Self::KeyNotFound => "KeyNotFoundException",
            Self::EndOfStream => "EndOfStreamException",
            Self::MessagePackSerialization => "MessagePackSerializationException",
        }
    }
}

impl ProtocolError {
    /// An error of the usual kind.
    pub fn invalid_data(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProtocolErrorKind::InvalidData, text)
    }

    /// An error with the reference's exception name and text.
    pub fn new(kind: ProtocolErrorKind, text: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, text: text.into() }
    }

    /// Which kind of fault it is.
    pub fn kind(&self) -> ProtocolErrorKind {
        self.kind
    }

    /// The text that goes to the peer with detailed errors.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Received values do not fit what the method takes. The connection survives; the call is answered with an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
#[non_exhaustive]
pub struct BindError {
    /// What the peer is told with detailed errors; the reference's text (B-4.3).
    pub text: Cow<'static, str>,
    /// What did not fit, for logs: never sent.
    pub detail: Option<Box<str>>,
}

impl BindError {
    /// The text of an argument that does not convert.
    pub const CONVERSION: &'static str = "Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked.";

    /// An argument, item or result that does not convert.
    pub fn conversion(detail: impl std::fmt::Display) -> Self {
        Self { text: Cow::Borrowed(Self::CONVERSION), detail: Some(detail.to_string().into()) }
    }

    /// A wrong number of arguments.
    pub fn count(provided: usize, expected: usize) -> Self {
        let text = format!("Invocation provides {provided} argument(s) but target expects {expected}.");
        Self { text: text.into(), detail: None }
    }

    /// Another reason, with its text for the peer.
    pub fn other(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), detail: None }
    }
}

/// A value could not be serialised. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value cannot be written as {protocol}: {reason}")]
#[non_exhaustive]
pub struct EncodeError {
    /// The protocol's name.
    pub protocol: &'static str,
    /// What the serialiser said.
    pub reason: String,
}

impl EncodeError {
    /// An error of one protocol's serialiser.
    pub fn new(protocol: &'static str, reason: impl std::fmt::Display) -> Self {
        Self { protocol, reason: reason.to_string() }
    }
}
