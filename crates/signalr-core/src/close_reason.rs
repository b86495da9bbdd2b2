//! The one table of why a connection ends: what the client is told, whether it may come back, and under which label it
//! is counted.
//!
//! The texts are the reference's (B-7.8). The hub writes the Close message; the transport its own close frame.

/// Why a connection is closed from this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client ended the transport.
    ClientGone,
    /// The client sent a Close message.
    ClientClosed,
    /// Hub code ended the connection.
    Aborted,
    /// The handshake did not come in time, or asked for something unknown.
    HandshakeFailed,
    /// The hub's connect event failed.
    ConnectFailed,
    /// The client broke the hub protocol or sent too large a message.
    ProtocolError,
    /// The client was silent for too long.
    ClientTimeout,
    /// A negotiated connection was never used, or not used again in time.
    Inactive,
    /// The slow-client rule.
    SlowClient,
    /// A write made no progress for the send time-out.
    SendTimeout,
    /// The client is away and more waits for it than its buffer may hold (stateful reconnect).
    ResumeBufferFull,
    /// The user's ticket ran out.
    AuthExpired,
    /// The server is shutting down.
    ServerShutdown,
    /// The backplane could not take the connection.
    BackplaneFailed,
    /// A message could not be written for this client.
    WriteFailed,
    /// Another server sent a message without a form for this client's protocol.
    ProtocolUnavailable,
}

impl CloseReason {
    /// Whether the client is invited to reconnect by itself (`allowReconnect` in the Close message).
    pub const fn allow_reconnect(self) -> bool {
        !matches!(
            self,
            Self::Aborted
                | Self::ClientClosed
                | Self::ConnectFailed
                | Self::HandshakeFailed
                | Self::BackplaneFailed
        )
    }

    /// Whether the Close message carries an error text.
    pub const fn is_error(self) -> bool {
        matches!(
            self,
            Self::ConnectFailed
                | Self::ProtocolError
                | Self::ClientTimeout
                | Self::WriteFailed
                | Self::ProtocolUnavailable
        )
    }

    /// Whether what is queued is thrown away: the client does not read, so waiting for it is pointless.
    pub const fn drops_output(self) -> bool {
        matches!(self, Self::SlowClient | Self::SendTimeout | Self::ResumeBufferFull)
    }

    /// The value of the metric attribute `signalr.connection.status` (B-11.1).
    pub const fn status(self) -> &'static str {
        match self {
            Self::Inactive | Self::ClientTimeout => "timeout",
            Self::ServerShutdown => "app_shutdown",
            _ => "normal_closure",
        }
    }

    /// A short name for logs and for the metric that counts closes by reason.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ClientGone => "client_gone",
            Self::ClientClosed => "client_closed",
            Self::Aborted => "aborted",
            Self::HandshakeFailed => "handshake_failed",
            Self::ConnectFailed => "connect_failed",
            Self::ProtocolError => "protocol_error",
            Self::ClientTimeout => "client_timeout",
            Self::Inactive => "inactive",
            Self::SlowClient => "slow_client",
            Self::SendTimeout => "send_timeout",
            Self::ResumeBufferFull => "resume_buffer_full",
            Self::AuthExpired => "auth_expired",
            Self::ServerShutdown => "server_shutdown",
            Self::BackplaneFailed => "backplane_failed",
            Self::WriteFailed => "write_failed",
            Self::ProtocolUnavailable => "protocol_unavailable",
        }
    }
}
