//! Everything that can go wrong for a client, sorted by what the caller can do about it.

use signalr_protocol::{BindError, EncodeError, ProtocolError};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A client's call, or its connecting, failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address or an option is wrong: correct it.
    #[error("{0}")]
    Config(String),
    /// The network failed while connecting: try again later.
    #[error("cannot connect: {0}")]
    Connect(Arc<io::Error>),
    /// The server answered a request with another status than expected: 401 and 403 ask for a token, 404 means that
    /// there is no hub at this path.
    #[error("the server answered {what} with status {status}")]
    Status {
        /// Which request.
        what: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// The server's answer cannot be understood: perhaps this is no SignalR server.
    #[error("the server's answer to {what} cannot be used: {reason}")]
    BadAnswer {
        /// Which request.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The server refused to negotiate, or the handshake, with this text.
    #[error("the server refused the connection: {0}")]
    Refused(String),
    /// A step of connecting took too long.
    #[error("{what} did not finish within {limit:?}")]
    TimedOut {
        /// Which step.
        what: &'static str,
        /// The limit that applied.
        limit: Duration,
    },
    /// An argument cannot be serialised. Nothing was sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// What the server sent does not fit the type that was asked for.
    #[error("a received value does not fit the type: {}", .0.detail.as_deref().unwrap_or(&.0.text))]
    Decode(#[from] BindError),
    /// The hub answered the call with this error.
    #[error("{0}")]
    Call(String),
    /// The connection has ended.
    #[error("the connection has ended: {0}")]
    Closed(#[from] Closed),
}

impl ClientError {
    pub(crate) fn bad_answer(what: &'static str, reason: impl fmt::Display) -> Self {
        Self::BadAnswer { what, reason: reason.to_string() }
    }

    pub(crate) fn io(error: io::Error) -> Self {
        Self::Connect(Arc::new(error))
    }

    /// Whether trying the same again later can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect(_) | Self::TimedOut { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            Self::Closed(closed) => closed.allow_reconnect,
            _ => false,
        }
    }
}

/// How a connection ended. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
#[non_exhaustive]
pub struct Closed {
    /// Who ended it and why.
    pub cause: CloseCause,
    /// Whether the server invited this client to come back; true also when the transport broke.
    pub allow_reconnect: bool,
}

/// Who ended a connection and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseCause {
    /// This client was stopped or dropped.
    Stopped,
    /// The server said good-bye; with the error it gave, if any.
    Server {
        /// The server's text.
        error: Option<String>,
    },
    /// The transport ended without a good-bye; with the WebSocket's close code, if there was a close frame.
    Transport {
        /// The close code: 1000 is an orderly end, 1011 an error of the server.
        code: Option<u16>,
    },
    /// Reading or writing failed.
    Io(io::ErrorKind),
    /// Nothing came from the server for the server time-out.
    ServerTimeout(Duration),
    /// The server broke a protocol.
    Protocol(String),
}

impl Closed {
    pub(crate) fn new(cause: CloseCause) -> Self {
        let allow_reconnect = !matches!(cause, CloseCause::Stopped | CloseCause::Protocol(_));
        Self { cause, allow_reconnect }
    }
}

impl From<ProtocolError> for Closed {
    fn from(error: ProtocolError) -> Self {
        Self::new(CloseCause::Protocol(error.to_string()))
    }
}

impl fmt::Display for CloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("the client was stopped"),
            Self::Server { error: Some(error) } => write!(f, "the server closed it: {error}"),
            Self::Server { error: None } => f.write_str("the server closed it"),
            Self::Transport { code: Some(code) } => write!(f, "the WebSocket was closed with code {code}"),
            Self::Transport { code: None } => f.write_str("the transport ended without a close"),
            Self::Io(kind) => write!(f, "{kind}"),
            Self::ServerTimeout(limit) => write!(f, "the server was silent for {limit:?}"),
            Self::Protocol(text) => write!(f, "the server broke the protocol: {text}"),
        }
    }
}
