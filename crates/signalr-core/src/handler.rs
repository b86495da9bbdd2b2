//! The line between transports and applications: bytes and time go in, work is polled, bytes come out by the
//! connection's outbox.
//!
//! Owns the two traits. Implemented above by the hub's state machine, or by any other protocol; driven below by
//! [`Session`](crate::Session).

use crate::clock::Instant;
use crate::close_reason::CloseReason;
use crate::connection::Connection;
use crate::policy::Policy;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The application behind an endpoint: makes one [`ConnectionDriver`] for each connection.
///
/// A driver may speak any protocol. The hub protocol is one; an endpoint that answers each byte with itself is
/// another.
pub trait ConnectionHandler: Send + Sync + 'static {
    /// Called once when a transport has been connected, on the connection's task. Must not block.
    fn open(&self, connection: &Arc<Connection>) -> Box<dyn ConnectionDriver>;

    /// What transports ask about every request before it is served; all must allow it. Default: everybody may connect.
    fn policies(&self) -> &[Arc<dyn Policy>] {
        &[]
    }
}

/// The application's half of one connection, as a state machine without I/O.
///
/// All methods run on the connection's own task, one at a time, and must not block. Output is pushed to the
/// connection ([`Connection::send_payload`]). The order of calls is: any number of `on_bytes`, `on_tick` and
/// `poll_work`, at most one `on_input_end` or `on_close_request` each, then `poll_work` until it is ready. After that
/// nothing is called any more. Dropping a driver cancels whatever it was doing.
pub trait ConnectionDriver: Send {
    /// Bytes from the peer. Returns how many were used up; the rest is offered again together with what comes next,
    /// or as soon as [`wants_input`](Self::wants_input) is true again after a `poll_work`.
    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> usize;

    /// False while no more bytes can be taken: the transport stops reading, and the peer is slowed down.
    fn wants_input(&self) -> bool;

    /// Drives the running work. Ready when the application is finished with this connection; the transport then
    /// writes what is left in the outbox and closes.
    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<WorkEnd>;

    /// The time that was asked for with [`Connection::set_deadline`] has come. Called from the heartbeat, so up to one
    /// second late.
    fn on_tick(&mut self, now: Instant);

    /// Nothing more will come from the peer. `unused` bytes of the last offer were not used up and are gone: the start
    /// of a message that never ended.
    fn on_input_end(&mut self, end: InputEnd, unused: usize);

    /// The peer is back on another socket (stateful reconnect). What was not used up of the old one's bytes is gone;
    /// the peer sends again what it has no acknowledgement for.
    fn on_resume(&mut self) {}

    /// Somebody asked for this connection to be closed: the server that shuts down, the slow-client rule, the
    /// application. The driver says good-bye and finishes its work.
    fn on_close_request(&mut self, reason: CloseReason);
}

/// Why input ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputEnd {
    /// The peer closed in an orderly way, or vanished: both are normal ends.
    Closed,
    /// Reading failed, or the peer broke the transport's own protocol.
    Failed,
}

/// How the application finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkEnd {
    /// As it should.
    Normal,
    /// With an error of its own: a WebSocket is closed with 1011.
    Failed,
}
