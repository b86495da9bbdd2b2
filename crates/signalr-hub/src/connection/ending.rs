//! Why a conversation ends, what the client is told, and what the disconnect hook gets to see (B-7.8).
//!
//! Owns the one mapping from cause to Close message.

use crate::context::Context;
use crate::error::HubError;
use crate::reply::push_last;
use signalr_core::{CloseReason, InputEnd};
use signalr_protocol::{EncodeError, ProtocolError};

const CLOSED_WITH_ERROR: &str = "Connection closed with an error.";

pub(super) enum Ending {
    /// The client left, in whatever way.
    Gone,
    /// The client sent a Close message, with or without an error.
    ClientClosed(Option<String>),
    /// The connect hook failed.
    ConnectFailed(HubError),
    /// The client, or the connection, is at fault.
    Fault(HubError),
    /// Somebody on this side wants it.
    Requested(CloseReason),
}

impl Ending {
    pub(super) fn protocol(error: &ProtocolError) -> Self {
        Self::Fault(HubError::named(error.kind().name(), error.text().to_owned()))
    }

    pub(super) fn invalid_data(text: String) -> Self {
        Self::Fault(HubError::named("InvalidDataException", text))
    }

    pub(super) fn too_large(limit: usize) -> Self {
        Self::invalid_data(format!(
            "The maximum message size of {limit}B was exceeded. The message size can be configured in AddHubOptions."
        ))
    }

    pub(super) fn timed_out() -> Self {
        let text = "Client hasn't sent a message/ping within the configured ClientTimeoutInterval.";
        Self::Fault(HubError::named("OperationCanceledException", text))
    }

    pub(super) fn input(end: InputEnd, unused: usize) -> Self {
        match end {
            InputEnd::Closed if unused > 0 => {
                Self::invalid_data("Connection terminated while reading a message.".to_owned())
            }
            InputEnd::Failed => {
                Self::Fault(HubError::named("IOException", "The transport failed while reading."))
            }
            _ => Self::Gone,
        }
    }

    pub(super) fn requested(reason: CloseReason, fault: Option<EncodeError>) -> Self {
        match (reason, fault) {
            (CloseReason::WriteFailed, Some(fault)) => Self::Fault(fault.into()),
            (CloseReason::ProtocolUnavailable, _) => Self::Fault(HubError::named(
                "InvalidOperationException",
                "This message was received from another server that did not have the requested protocol available.",
            )),
            (reason, _) => Self::Requested(reason),
        }
    }

    /// What the disconnect hook gets.
    pub(super) fn into_error(self) -> Option<HubError> {
        match self {
            Self::Gone | Self::ClientClosed(None) => None,
            Self::ClientClosed(Some(text)) => Some(HubError::new(text)),
            Self::ConnectFailed(error) | Self::Fault(error) => Some(error),
            Self::Requested(CloseReason::SlowClient | CloseReason::SendTimeout) => Some(HubError::named(
                "OperationCanceledException",
                "The client does not read what is sent to it.",
            )),
            Self::Requested(CloseReason::ResumeBufferFull) => Some(HubError::named(
                "OperationCanceledException",
                "The client was away, and more waited for it than its buffer may hold.",
            )),
            Self::Requested(_) => None,
        }
    }
}

/// Pushes the Close message.
pub(super) fn say_good_bye(context: &Context, ending: &Ending) {
    let detailed = context.inner.options.detailed_errors;
    let (error, allow_reconnect) = match ending {
        Ending::Gone => (None, true),
        Ending::ClientClosed(_) => (None, false),
        Ending::ConnectFailed(error) => (Some(error.detail(CLOSED_WITH_ERROR, detailed)), false),
        Ending::Fault(error) => (Some(error.detail(CLOSED_WITH_ERROR, detailed)), true),
        Ending::Requested(reason) => (None, reason.allow_reconnect()),
    };
    // The Close message does not count, and after it nobody comes back.
    context.inner.connection.disarm_resume();
    let protocol = context.inner.protocol;
    // Writing a Close message cannot fail.
    let _ = push_last(context, |out| {
        protocol.write_close(out, error.as_deref(), allow_reconnect);
        Ok(())
    });
}
