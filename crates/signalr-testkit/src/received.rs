//! Messages that a test client received: whole, unread, owned.
//!
//! Owns the bytes of one message and its reading. Splitting is the client's work.

use crate::error::TestError;
use signalr_protocol::{BindError, FromArguments, HubProtocol, Message, OwnedArguments, ProtocolError};
use std::fmt;

/// One message without its framing.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    protocol: HubProtocol,
    body: Vec<u8>,
}

impl Received {
    pub(crate) fn new(protocol: HubProtocol, body: &[u8]) -> Self {
        Self { protocol, body: body.to_vec() }
    }

    /// The body as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as text; bytes that are no UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is no message of the connection's protocol.
    pub fn message(&self) -> Result<Message<'_>, ProtocolError> {
        self.protocol.parse(&self.body)
    }

    /// Reads it as an Invocation.
    ///
    /// # Errors
    /// It is no message, or another one.
    pub fn invocation(&self) -> Result<ReceivedInvocation, TestError> {
        match self.message()? {
            Message::Invocation(call) => Ok(ReceivedInvocation {
                target: call.target.into_owned(),
                invocation_id: call.invocation_id.map(|id| id.into_owned()),
                arguments: call.arguments.to_owned(),
            }),
            _ => Err(self.unexpected("an Invocation")),
        }
    }

    pub(crate) fn unexpected(&self, wanted: impl Into<String>) -> TestError {
        TestError::Unexpected { wanted: wanted.into(), received: format!("{self:?}") }
    }

    pub(crate) fn is_ping(&self) -> bool {
        matches!(self.message(), Ok(Message::Ping))
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Ok(message) => message.fmt(f),
            Err(_) => write!(f, "unreadable {:?}", self.text()),
        }
    }
}

/// A call of a client method.
#[derive(Debug, Clone)]
pub struct ReceivedInvocation {
    /// The method.
    pub target: String,
    /// Present when the server wants an answer.
    pub invocation_id: Option<String>,
    arguments: OwnedArguments,
}

impl ReceivedInvocation {
    /// The arguments as a tuple.
    ///
    /// # Errors
    /// Their number or types do not fit.
    pub fn arguments<T: FromArguments>(&self) -> Result<T, BindError> {
        self.arguments.as_arguments().decode()
    }
}
