//! What a test client did not get, with enough of what it got instead to see why.

use signalr_protocol::{BindError, EncodeError, ProtocolError};
use std::time::Duration;

/// A wait that failed, or an answer that was not the expected one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// Nothing came within the client's patience.
    #[error("no {wanted} came within {patience:?}; unread bytes: {unread}")]
    Silence {
        /// What was waited for.
        wanted: &'static str,
        /// For how long, in tokio's time.
        patience: Duration,
        /// How many bytes are there that do not make a message yet.
        unread: usize,
    },
    /// The server ended the connection, so nothing more can come.
    #[error("the connection ended while waiting for {wanted}; unread bytes: {unread}")]
    Ended {
        /// What was waited for.
        wanted: &'static str,
        /// How many bytes are there that do not make a message.
        unread: usize,
    },
    /// Something else came.
    #[error("expected {wanted}, received {received}")]
    Unexpected {
        /// What was waited for.
        wanted: String,
        /// What came.
        received: String,
    },
    /// The server refused the handshake with this text.
    #[error("the handshake was refused: {0}")]
    HandshakeRefused(String),
    /// The call was answered with this error.
    #[error("the call failed: {0}")]
    Completion(String),
    /// The server sent what is no message of the protocol.
    #[error("the server broke the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// A received value does not fit the type that the test asked for.
    #[error("a received value does not fit: {}", .0.detail.as_deref().unwrap_or(&.0.text))]
    Bind(#[from] BindError),
    /// A value that the test sends cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The connection's task panicked: the handler is at fault.
    #[error("the connection's task panicked")]
    Panicked,
}
