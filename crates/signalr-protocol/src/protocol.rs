//! The names of the hub protocols and the one place where a message is split, parsed or written.
//!
//! Owns the choice between JSON and MessagePack; does not know either format: `json` and `msgpack` do.

use crate::arguments::ArgumentList;
use crate::error::{EncodeError, ProtocolError};
use crate::message::Message;
use serde::Serialize;

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

    /// Finds a protocol by its name, ignoring ASCII case as the reference does.
    pub fn by_name(name: &str) -> Option<Protocol> {
        Self::ALL.into_iter().find(|p| p.name().eq_ignore_ascii_case(name))
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

/// A protocol with its settings: splits, parses and writes messages. Small and `Copy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubProtocol {
    kind: Protocol,
    compression: Compression,
}

impl HubProtocol {
    /// The protocol with default settings.
    pub const fn new(kind: Protocol) -> Self {
        Self { kind, compression: Compression::None }
    }

    /// Sets how payloads are compressed when written; only MessagePack looks at it.
    #[must_use]
    pub const fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Which protocol this is.
    pub const fn kind(self) -> Protocol {
        self.kind
    }

    /// How payloads are compressed when written.
    pub const fn compression(self) -> Compression {
        self.compression
    }

    /// Finds the first whole message in `input`: its body, without framing, and how many bytes it takes together
    /// with its framing. `None` means that more bytes are needed; nothing is consumed then.
    ///
    /// # Errors
    /// MessagePack only: a length prefix above 2 GB - 1. Sizes below that are the caller's to limit.
    pub fn split<'a>(&self, input: &'a [u8]) -> Result<Option<(&'a [u8], usize)>, ProtocolError> {
        let _ = input;
        todo!("by protocol")
    }

    /// Reads one message body, as [`HubProtocol::split`] gave it.
    ///
    /// # Errors
    /// The peer broke the protocol; the connection must be closed with the error's text.
    pub fn parse<'a>(&self, body: &'a [u8]) -> Result<Message<'a>, ProtocolError> {
        let _ = body;
        todo!("by protocol")
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
        let _ = (out, invocation_id, target, arguments);
        todo!("by protocol")
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
        let _ = (out, invocation_id, item);
        todo!("by protocol")
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
        let _ = (out, invocation_id, result);
        todo!("by protocol")
    }

    /// Appends a Completion with neither result nor error: the end of a stream.
    pub fn write_completion_void(&self, out: &mut Vec<u8>, invocation_id: &str) {
        let _ = (out, invocation_id);
        todo!("by protocol")
    }

    /// Appends a Completion that carries an error. An empty text is written as the reference does: JSON leaves it
    /// out, MessagePack writes it.
    pub fn write_completion_error(&self, out: &mut Vec<u8>, invocation_id: &str, error: &str) {
        let _ = (out, invocation_id, error);
        todo!("by protocol")
    }

    /// Appends a Ping.
    pub fn write_ping(&self, out: &mut Vec<u8>) {
        let _ = out;
        todo!("by protocol")
    }

    /// Appends a Close.
    pub fn write_close(&self, out: &mut Vec<u8>, error: Option<&str>, allow_reconnect: bool) {
        let _ = (out, error, allow_reconnect);
        todo!("by protocol")
    }
}
