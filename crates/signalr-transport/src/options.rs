//! What can be set for one endpoint (B-10.2).

use crate::authenticate::Authenticate;
use signalr_core::{ConnectionOptions, OutboxLimits, Policy, TransportKind};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Chooses a WebSocket sub-protocol from what the client offers.
pub type SubProtocolSelector = dyn Fn(&[&str]) -> Option<String> + Send + Sync;

/// The settings of one endpoint. Each setter says default, unit and cost.
#[derive(Clone)]
pub struct EndpointOptions {
    pub(crate) transports: Vec<TransportKind>,
    pub(crate) connection: Arc<ConnectionOptions>,
    pub(crate) close_timeout: Duration,
    pub(crate) poll_timeout: Duration,
    pub(crate) application_buffer: usize,
    pub(crate) minimum_protocol_version: i32,
    pub(crate) stateful_reconnects: bool,
    pub(crate) send_buffer: Option<usize>,
    pub(crate) max_websocket_message: Option<u64>,
    pub(crate) authenticate: Option<Arc<dyn Authenticate>>,
    pub(crate) policies: Vec<Arc<dyn Policy>>,
    pub(crate) refuse_changed_user: bool,
    pub(crate) select_sub_protocol: Option<Arc<SubProtocolSelector>>,
}

impl Default for EndpointOptions {
    fn default() -> Self {
        Self {
            transports: vec![
                TransportKind::WebSockets,
                TransportKind::ServerSentEvents,
                TransportKind::LongPolling,
            ],
            connection: Arc::default(),
            close_timeout: Duration::from_secs(5),
            poll_timeout: Duration::from_secs(90),
            application_buffer: 64 * 1024,
            minimum_protocol_version: 0,
            stateful_reconnects: false,
            send_buffer: Some(256 * 1024),
            max_websocket_message: None,
            authenticate: None,
            policies: Vec::new(),
            refuse_changed_user: false,
            select_sub_protocol: None,
        }
    }
}

impl EndpointOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which transports may be used. Default: WebSockets, Server-Sent Events and long polling. With none the
    /// endpoint refuses everybody.
    pub fn transports(mut self, transports: impl IntoIterator<Item = TransportKind>) -> Self {
        self.transports = transports.into_iter().collect();
        self
    }

    /// Limits of what may wait for a client, and the send time-out. Default: [`OutboxLimits::default`]. Memory per
    /// slow client grows up to the hard limit.
    pub fn outbox(mut self, limits: OutboxLimits) -> Self {
        let mut connection = *self.connection;
        connection.outbox = limits;
        self.connection = Arc::new(connection);
        self
    }

    /// How long a write may make no progress before the connection is ended, whatever is queued. Default 10 s, as the
    /// reference's. Checked once per second. Zero would end every connection that has to wait at all.
    pub fn send_timeout(self, timeout: Duration) -> Self {
        let mut limits = self.connection.outbox;
        limits.send_timeout = timeout;
        self.outbox(limits)
    }

    /// How long a WebSocket's closing may take: writing what is left, and waiting for the client's Close. Default 5 s.
    /// A client that does not answer holds its socket for so long.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// How long a long poll waits for data before it is answered empty. Default 90 s. A client then polls again; proxies
    /// that give up sooner need a smaller value.
    pub fn poll_timeout(mut self, timeout: Duration) -> Self {
        self.poll_timeout = timeout;
        self
    }

    /// Bytes from the client that may wait for the application before the client is slowed down: a POST then waits, a
    /// WebSocket is not read. Default 64 KiB; 0 for no limit.
    pub fn application_max_buffer_size(mut self, bytes: usize) -> Self {
        self.application_buffer = bytes;
        let mut connection = *self.connection;
        connection.read_ahead = if bytes == 0 { usize::MAX } else { bytes };
        self.connection = Arc::new(connection);
        self
    }

    /// Bytes that may wait for the client before those who send to it alone have to wait: the outbox's
    /// [`soft`](OutboxLimits::soft) limit. Default 1 MiB, where the reference has 64 KiB and makes everybody wait; 0 for
    /// no limit, then only the hard one counts.
    pub fn transport_max_buffer_size(self, bytes: usize) -> Self {
        let mut limits = self.connection.outbox;
        limits.soft = if bytes == 0 { limits.hard } else { bytes };
        limits.hard = limits.hard.max(limits.soft);
        self.outbox(limits)
    }

    /// The lowest negotiate version that is accepted. Default 0. A value above 1 refuses every client.
    pub fn minimum_protocol_version(mut self, version: i32) -> Self {
        self.minimum_protocol_version = version;
        self
    }

    /// Whether clients that ask for it at negotiate may replace a broken WebSocket without losing their connection:
    /// messages that they have not confirmed are kept and sent again, and the hub notices nothing. Default false, as in
    /// the reference. A client may be away for the server's disconnect time-out; how much is kept for it is the hub's
    /// `stateful_reconnect_buffer_size`. Every reconnect must reach this server. The counter `signalr.server.absences` says
    /// how absences end: `resumed`, or why not.
    pub fn allow_stateful_reconnects(mut self, allow: bool) -> Self {
        self.stateful_reconnects = allow;
        self
    }

    /// The kernel's send buffer per connection (`SO_SNDBUF`) in bytes; `None` leaves it to the kernel. Default
    /// 256 KiB. It bounds what a client that does not read pins in the kernel, which would be some MiB otherwise; a
    /// small value slows large messages to distant clients.
    pub fn send_buffer(mut self, bytes: Option<usize>) -> Self {
        self.send_buffer = bytes;
        self
    }

    /// The largest WebSocket message in bytes, all fragments together; above it the connection is closed with 1009.
    /// Default `None`, as in the reference: messages pass through in pieces and cost no memory here, and the hub has
    /// its own limit.
    pub fn max_websocket_message(mut self, bytes: Option<u64>) -> Self {
        self.max_websocket_message = bytes;
        self
    }

    /// Who the user of a request is. Default: everybody is anonymous and may connect. Asked before every request:
    /// negotiate, connect, each poll, POST, DELETE.
    pub fn authenticate(mut self, authenticate: impl Authenticate) -> Self {
        self.authenticate = Some(Arc::new(authenticate));
        self
    }

    /// Adds a policy that every request must satisfy; see [`authenticated`](crate::authenticated) for the usual one.
    /// Default: none. An anonymous request that it does not allow gets status 401, one of a known user 403.
    pub fn authorize(mut self, policy: impl Policy) -> Self {
        self.policies.push(Arc::new(policy));
        self
    }

    /// Whether a connection is closed when its user's ticket ([`User::expires`](signalr_core::User)) runs out. The
    /// client gets a Close message that allows it to reconnect. Checked once per second; the ticket of the latest poll
    /// or socket counts. Default false, as in the reference.
    pub fn close_on_authentication_expiration(mut self, close: bool) -> Self {
        let mut connection = *self.connection;
        connection.close_on_authentication_expiration = close;
        self.connection = Arc::new(connection);
        self
    }

    /// Whether a request for a connection is refused with 403 when its user is another than the one who opened the
    /// connection. Default false, as in the reference: it is served, and logged as a warning. True keeps out whoever
    /// got hold of a connection token without the user's credentials; leave it off when a user's name identifier may
    /// change while connected.
    pub fn refuse_changed_user(mut self, refuse: bool) -> Self {
        self.refuse_changed_user = refuse;
        self
    }

    /// Chooses a WebSocket sub-protocol among those that the client offers. Default: none is chosen, and the reply
    /// names none, whatever the client asked for. Text that is no token is ignored.
    pub fn sub_protocol(
        mut self,
        select: impl Fn(&[&str]) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.select_sub_protocol = Some(Arc::new(select));
        self
    }

    /// Finds settings that cannot work.
    ///
    /// # Errors
    /// The first of them.
    pub fn check(&self) -> Result<(), EndpointOptionError> {
        use EndpointOptionError::{SendBuffer, SoftAboveHard, Zero};
        let limits = &self.connection.outbox;
        let times = [
            ("send_timeout", limits.send_timeout, "use `Duration::MAX` for no time-out"),
            ("poll_timeout", self.poll_timeout, "every poll would be answered at once"),
            ("close_timeout", self.close_timeout, "no client could answer the Close"),
        ];
        if let Some((option, _, instead)) = times.into_iter().find(|(_, time, _)| time.is_zero()) {
            return Err(Zero { option, instead });
        }
        if self.max_websocket_message == Some(0) {
            return Err(Zero { option: "max_websocket_message", instead: "use `None` for no limit" });
        }
        if self.send_buffer.is_some_and(|bytes| i32::try_from(bytes).map_or(true, |bytes| bytes == 0)) {
            return Err(SendBuffer);
        }
        if limits.soft > limits.hard {
            return Err(SoftAboveHard { soft: limits.soft, hard: limits.hard });
        }
        Ok(())
    }

    /// The kinds that are enabled and that this version has, in the order of the reference.
    pub(crate) fn offered(&self) -> impl Iterator<Item = TransportKind> {
        BUILT.into_iter().filter(|kind| self.transports.contains(kind))
    }
}

/// A setting of an endpoint that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointOptionError {
    /// Zero where it has no sense.
    #[error("{option} is zero: {instead}")]
    Zero {
        /// The setter.
        option: &'static str,
        /// What to do.
        instead: &'static str,
    },
    /// A socket cannot have such a buffer.
    #[error("send_buffer must be from 1 to {} bytes; use `None` to leave it to the kernel", i32::MAX)]
    SendBuffer,
    /// The limits contradict each other.
    #[error("the outbox's soft limit of {soft} bytes is above its hard limit of {hard}; raise the hard one")]
    SoftAboveHard {
        /// [`OutboxLimits::soft`].
        soft: usize,
        /// [`OutboxLimits::hard`].
        hard: usize,
    },
}

/// What this version can do.
const BUILT: [TransportKind; 3] =
    [TransportKind::WebSockets, TransportKind::ServerSentEvents, TransportKind::LongPolling];

impl fmt::Debug for EndpointOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointOptions")
            .field("transports", &self.transports)
            .field("connection", &self.connection)
            .field("application_max_buffer_size", &self.application_buffer)
            .field("close_timeout", &self.close_timeout)
            .field("poll_timeout", &self.poll_timeout)
            .field("minimum_protocol_version", &self.minimum_protocol_version)
            .field("stateful_reconnects", &self.stateful_reconnects)
            .field("send_buffer", &self.send_buffer)
            .field("max_websocket_message", &self.max_websocket_message)
            .field("refuse_changed_user", &self.refuse_changed_user)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_found() {
        let ok = EndpointOptions::new;
        assert_eq!(ok().check(), Ok(()));
        assert_eq!(ok().send_timeout(Duration::MAX).check(), Ok(()));
        assert_eq!(ok().transport_max_buffer_size(0).application_max_buffer_size(0).check(), Ok(()));
        assert_eq!(ok().transport_max_buffer_size(100 << 20).check(), Ok(()), "the hard limit follows");
        assert_eq!(ok().transports([]).minimum_protocol_version(-1).check(), Ok(()));
        let mut crossed = OutboxLimits::default();
        crossed.hard = crossed.soft - 1;
        let wrong = [
            (ok().send_timeout(Duration::ZERO), "send_timeout is zero: use `Duration::MAX` for no time-out"),
            (ok().poll_timeout(Duration::ZERO), "poll_timeout is zero: every poll would be answered at once"),
            (ok().close_timeout(Duration::ZERO), "close_timeout is zero: no client could answer the Close"),
            (ok().max_websocket_message(Some(0)), "max_websocket_message is zero: use `None` for no limit"),
            (
                ok().send_buffer(Some(0)),
                "send_buffer must be from 1 to 2147483647 bytes; use `None` to leave it to the kernel",
            ),
            (
                ok().outbox(crossed),
                "the outbox's soft limit of 1048576 bytes is above its hard limit of 1048575; raise the hard one",
            ),
        ];
        for (options, text) in wrong {
            assert_eq!(options.check().unwrap_err().to_string(), text);
        }
    }
}
