//! Messages as they are read: borrowed from the received bytes, payloads unread.
//!
//! Owns the shape that both protocols share. Where they come from: `json::parse`, `msgpack::parse`.

use crate::error::ProtocolError;
use crate::payload::{Arguments, Payload};
use crate::style::PayloadStyle;
use std::borrow::Cow;

/// One parsed hub message.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// Type 1: call a method; answered only when it has an id.
    Invocation(Invocation<'a>),
    /// Type 2: one item of a stream.
    StreamItem {
        /// Message headers.
        headers: Headers<'a>,
        /// The stream's id.
        invocation_id: Cow<'a, str>,
        /// The item, unread.
        item: Payload<'a>,
    },
    /// Type 3: the end of an invocation or a stream.
    Completion {
        /// Message headers.
        headers: Headers<'a>,
        /// The id of what has ended.
        invocation_id: Cow<'a, str>,
        /// Why it failed, if it did.
        error: Option<Cow<'a, str>>,
        /// The result, unread; present also when it is null.
        result: Option<Payload<'a>>,
    },
    /// Type 4: call a method that answers with a stream.
    StreamInvocation(Invocation<'a>),
    /// Type 5: stop a stream.
    CancelInvocation {
        /// Message headers.
        headers: Headers<'a>,
        /// The stream's id.
        invocation_id: Cow<'a, str>,
    },
    /// Type 6: a sign of life.
    Ping,
    /// Type 7: the peer ends the connection.
    Close {
        /// Why, if it is an error.
        error: Option<Cow<'a, str>>,
        /// Whether the peer may come back by itself.
        allow_reconnect: bool,
    },
    /// Type 8: everything up to this number has arrived (stateful reconnect).
    Ack {
        /// The number.
        sequence_id: i64,
    },
    /// Type 9: the number of the first message that follows (stateful reconnect).
    Sequence {
        /// The number.
        sequence_id: i64,
    },
    /// A type that this version does not know. It is to be skipped; the connection goes on (ours: the reference
    /// stalls under a size limit).
    Unknown {
        /// The type.
        kind: i64,
    },
}

impl Message<'_> {
    /// Sets the form in which its payload will be read.
    pub(crate) fn set_style(&mut self, style: PayloadStyle) {
        match self {
            Self::Invocation(call) | Self::StreamInvocation(call) => {
                call.arguments = call.arguments.with_style(style);
            }
            Self::StreamItem { item, .. } => *item = item.with_style(style),
            Self::Completion { result: Some(result), .. } => *result = result.with_style(style),
            _ => {}
        }
    }
}

/// The body of types 1 and 4.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation<'a> {
    /// Message headers; only trace context is looked at.
    pub headers: Headers<'a>,
    /// Absent for a call that wants no answer. Never empty.
    pub invocation_id: Option<Cow<'a, str>>,
    /// The method, as the client spelled it.
    pub target: Cow<'a, str>,
    /// The arguments, unread.
    pub arguments: Arguments<'a>,
    /// Ids of streams that the client will send, in order of the method's stream parameters.
    pub stream_ids: Option<Vec<Cow<'a, str>>>,
    /// A fault of the envelope that the reference notices only after the arguments have been bound: to be raised
    /// when binding succeeds, to be forgotten when it fails.
    pub deferred: Option<ProtocolError>,
}

/// Message headers, in order of arrival; the last of two equal names wins.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Headers<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Headers<'_> {
    /// The value of a header; names are compared exactly.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_ref())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
