//! What can go wrong with a send, a group change or a question to a client.

use crate::backplane::BackplaneError;
use crate::ids::ConnectionId;
use signalr_protocol::EncodeError;
use std::time::Duration;

/// A send did not happen, or not for everybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// An argument cannot be serialised. Nothing was sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The backplane did not take the message; by its policy members on this server may have been served.
    #[error(transparent)]
    Backplane(#[from] BackplaneError),
    /// The one client that this was for does not read: no room came up within the send time-out. Nothing was sent.
    #[error("connection '{0}' did not read for the whole send time-out; the message was not queued")]
    ClientTooSlow(ConnectionId),
    /// One of several groups has no name (B-8.1). Nothing was sent.
    #[error("Cannot send to an empty group name.")]
    EmptyGroupName,
}

/// A connection could not be put into a group, or taken out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// No server has the connection: it has ended, or the id is wrong.
    #[error("connection '{0}' is on no server; the group was not changed")]
    NotFound(ConnectionId),
    /// The server that has the connection did not answer in time. Whether the group was changed is not known; the call
    /// may be repeated.
    #[error("no server confirmed the group change within {0:?}; it may be repeated")]
    TimedOut(Duration),
    /// The backplane failed; a local change was taken back.
    #[error(transparent)]
    Backplane(#[from] BackplaneError),
}

/// A client did not give a result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// There is no such connection.
    #[error("Connection '{0}' does not exist.")]
    NotFound(ConnectionId),
    /// The connection ended before it answered.
    #[error("Connection '{0}' disconnected.")]
    Disconnected(ConnectionId),
    /// No answer in time. Default limit 30 s.
    #[error("the client did not answer within {0:?}")]
    TimedOut(Duration),
    /// The question could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl From<EncodeError> for InvokeError {
    fn from(error: EncodeError) -> Self {
        Self::Send(error.into())
    }
}

impl From<BackplaneError> for InvokeError {
    fn from(error: BackplaneError) -> Self {
        Self::Send(error.into())
    }
}
