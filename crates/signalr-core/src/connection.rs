//! One connection as everybody but its own task sees it: identity, outbox, and the wish to end it.
//!
//! Owns what is shared between senders, tables and the connection's task. Made by transports; the application's half
//! is a [`ConnectionDriver`](crate::ConnectionDriver), the pump a [`Session`](crate::Session).

mod memberships;
mod resume;

use crate::clock::Instant;
use crate::close_reason::CloseReason;
use crate::connect_info::{ConnectInfo, User};
use crate::framing::Framing;
use crate::ids::ConnectionId;
use crate::metric;
use crate::outbox::{DirectWriter, Flushed, Outbox, OutboxLimits, Pushed, Stall};
use crate::turn::Turn;
use bytes::Bytes;
use memberships::Memberships;
use signalr_protocol::{Protocol, TransferFormat};
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

const NO_PROTOCOL: u8 = u8::MAX;
const NO_DEADLINE: u64 = u64::MAX;
/// How many system calls a sender makes for somebody else's connection.
const SENDER_ROUNDS: usize = 1;

/// Settings that all connections of an endpoint share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// The outbox's limits and the slow-client rule.
    pub outbox: OutboxLimits,
    /// Whether a connection is closed when its user's ticket runs out. Default false, as in the reference.
    pub close_on_authentication_expiration: bool,
    /// Bytes that are read ahead of a busy driver. Default 64 KiB. A smaller value slows the peer down sooner; with 0 a
    /// peer that leaves while the driver is busy is noticed late.
    pub read_ahead: usize,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            outbox: OutboxLimits::default(),
            close_on_authentication_expiration: false,
            read_ahead: 64 * 1024,
        }
    }
}

/// The shared half of a connection.
///
/// Sends never block. Everything pushed leaves in the order of the pushes, or not at all once the connection has
/// ended; what is thrown away then is counted in `signalr.server.dropped_bytes`.
pub struct Connection {
    id: ConnectionId,
    info: Arc<ConnectInfo>,
    /// From the request that resumed the connection last.
    latest: Mutex<Option<Arc<ConnectInfo>>>,
    framing: &'static dyn Framing,
    options: Arc<ConnectionOptions>,
    outbox: Outbox,
    protocol: AtomicU8,
    binary: AtomicBool,
    user_id: OnceLock<Box<str>>,
    created: Instant,
    deadline: AtomicU64,
    tick_due: AtomicBool,
    /// When the user's ticket runs out, in the form of `deadline`.
    expires: AtomicU64,
    user_changed: AtomicBool,
    resume_offered: AtomicBool,
    ending: Mutex<Ending>,
    groups: Mutex<Memberships>,
}

#[derive(Default)]
struct Ending {
    requested: Option<CloseReason>,
    ended: bool,
    token: Option<CancellationToken>,
}

impl Connection {
    /// A connection that is not in any table yet. `writer` is the socket, when it can be written to directly.
    pub fn new(
        id: ConnectionId,
        info: ConnectInfo,
        framing: &'static dyn Framing,
        options: Arc<ConnectionOptions>,
        writer: Option<Arc<dyn DirectWriter>>,
    ) -> Arc<Self> {
        let outbox = Outbox::new();
        outbox.set_writer(writer);
        let expires = AtomicU64::new(millis_left(info.user.as_deref()));
        Arc::new(Self {
            id,
            info: Arc::new(info),
            latest: Mutex::new(None),
            framing,
            options,
            outbox,
            protocol: AtomicU8::new(NO_PROTOCOL),
            binary: AtomicBool::new(false),
            user_id: OnceLock::new(),
            created: Instant::now(),
            deadline: AtomicU64::new(NO_DEADLINE),
            tick_due: AtomicBool::new(false),
            expires,
            user_changed: AtomicBool::new(false),
            resume_offered: AtomicBool::new(false),
            ending: Mutex::new(Ending::default()),
            groups: Mutex::default(),
        })
    }

    /// The public id. Never a secret: the token that opens the connection is another one.
    pub fn id(&self) -> &ConnectionId {
        &self.id
    }

    /// How the connection came to be.
    pub fn info(&self) -> &ConnectInfo {
        &self.info
    }

    /// The user identifier, fixed at the handshake.
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.get().map(AsRef::as_ref)
    }

    /// Sets the user identifier; only the first call counts.
    pub fn set_user_id(&self, id: &str) {
        // A second handshake does not exist, so a value that is already there is the same one.
        let _ = self.user_id.set(id.into());
    }

    /// Whether a later request for this connection (a poll, a post, a new socket) comes from the user who opened it,
    /// judged by the name-identifier claim. That it does not is logged, once per connection; what hub code sees does
    /// not change (B-2.10).
    pub fn is_of_user(&self, user: Option<&User>) -> bool {
        let is_same = self.info.user.as_deref().and_then(User::id) == user.and_then(User::id);
        if !is_same && !self.user_changed.swap(true, Ordering::Relaxed) {
            tracing::warn!(connection = %self.id, "a request comes from another user than the connection's");
        }
        is_same
    }

    /// The ticket of a later request takes the place of the last one: its end counts from now on.
    pub fn renew_ticket(&self, user: Option<&User>) {
        let age = to_millis(self.created.elapsed());
        self.expires.store(age.saturating_add(millis_left(user)), Ordering::Relaxed);
    }

    /// The hub protocol, once the handshake has chosen it.
    pub fn protocol(&self) -> Option<Protocol> {
        Protocol::ALL.get(self.protocol.load(Ordering::Acquire) as usize).copied()
    }

    /// Fixes the hub protocol, and with it the transfer format of everything pushed from now on.
    pub fn set_protocol(&self, protocol: Protocol) {
        self.binary.store(protocol.transfer_format() == TransferFormat::Binary, Ordering::Release);
        self.protocol.store(protocol.index() as u8, Ordering::Release);
    }

    /// Sets the transfer format of everything pushed from now on, for protocols that are not hub protocols.
    pub fn set_format(&self, format: TransferFormat) {
        self.binary.store(format == TransferFormat::Binary, Ordering::Release);
    }

    /// The format of what is pushed now: text until a protocol is chosen.
    pub fn format(&self) -> TransferFormat {
        if self.binary.load(Ordering::Acquire) { TransferFormat::Binary } else { TransferFormat::Text }
    }

    /// What all connections of the endpoint share.
    pub fn options(&self) -> &ConnectionOptions {
        &self.options
    }

    /// How the transport frames.
    pub fn framing(&self) -> &'static dyn Framing {
        self.framing
    }

    // Sending

    /// Frames a whole hub message and pushes it; several at once only where stateful reconnect is off. Never waits.
    pub fn send_payload(self: &Arc<Self>, payload: &[u8]) {
        if payload.is_empty() {
            return;
        }
        let format = self.format();
        let pushed =
            self.outbox.push_with(&self.options.outbox, |out| self.framing.append(out, payload, format));
        self.settle(pushed, payload.len());
    }

    /// Pushes bytes that are framed already; they are shared, not copied. Never waits.
    pub fn send_frame(self: &Arc<Self>, frame: Bytes) {
        let length = frame.len();
        if length > 0 {
            let pushed = self.outbox.push(frame, &self.options.outbox);
            self.settle(pushed, length);
        }
    }

    /// Waits until the client has room for more: its queue is at or below the soft limit, or it has ended. True when
    /// there is room; false when the send time-out passed first. Nobody waits for a client that is away.
    ///
    /// Cancel safe: nothing is lost by dropping the future.
    pub async fn ready(&self) -> bool {
        let limits = &self.options.outbox;
        if self.has_room() {
            return true;
        }
        tokio::time::timeout(limits.send_timeout, poll_fn(|cx| self.outbox.poll_room(limits, cx)))
            .await
            .is_ok()
    }

    /// Whether the client has room for more now.
    pub fn has_room(&self) -> bool {
        self.outbox.queued() <= self.options.outbox.soft
    }

    /// Bytes that wait for the socket.
    pub fn queued_bytes(&self) -> usize {
        self.outbox.queued()
    }

    fn settle(self: &Arc<Self>, pushed: Pushed, length: usize) {
        match pushed {
            Pushed::Queued => {}
            Pushed::First => {
                if !Turn::remember(self) {
                    self.outbox.wake_task();
                }
            }
            Pushed::Slow => {
                metric::dropped_bytes(length);
                self.give_up(CloseReason::SlowClient);
            }
            Pushed::Overflow => {
                metric::dropped_bytes(length);
                self.give_up(CloseReason::ResumeBufferFull);
            }
            Pushed::Closed => metric::dropped_bytes(length),
        }
    }

    fn give_up(&self, reason: CloseReason) {
        self.end_absence(reason.label());
        let dropped = self.outbox.discard();
        metric::dropped_bytes(dropped);
        metric::slow_client(reason);
        tracing::warn!(connection = %self.id, reason = reason.label(), dropped_bytes = dropped,
            "the client does not take what is sent to it: its connection is ended");
        self.request_close(reason);
    }

    pub(crate) fn flush_for_sender(&self, inline: bool) {
        let flushed = inline.then(|| self.outbox.flush(SENDER_ROUNDS, &self.options.outbox)).flatten();
        // Anything but a clean sweep is the owner's business: waiting for the socket, or seeing its error.
        if !matches!(flushed, Some(Ok(Flushed::Empty | Flushed::Paused))) {
            self.outbox.wake_task();
        }
    }

    // For transports

    /// Writes what is queued to the direct writer, in at most `rounds` system calls of up to 64 frames and 64 KiB.
    ///
    /// # Errors
    /// The socket's own error, or `Unsupported` when there is no direct writer.
    pub fn flush(&self, rounds: usize) -> io::Result<Flushed> {
        self.outbox.flush(rounds, &self.options.outbox).unwrap_or(Err(io::ErrorKind::Unsupported.into()))
    }

    /// Hands what is queued to `write`, as [`Connection::flush`] does, for transports without a direct writer.
    ///
    /// # Errors
    /// What `write` returns, except `WouldBlock`.
    pub fn flush_with(
        &self,
        rounds: usize,
        write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<Flushed> {
        self.outbox.write_with(rounds, &self.options.outbox, write)
    }

    /// Whose task drives this connection: it is woken when there is something to write, when time has come, and when
    /// somebody wants the connection closed.
    pub fn set_task(&self, waker: &Waker) {
        self.outbox.set_task(waker);
    }

    /// Stops taking pushes and drops what is queued, except the rest of a frame that is half written. What is left is
    /// still flushed; a transport's own good-bye may follow it.
    pub fn discard_unsent(&self) {
        metric::dropped_bytes(self.outbox.discard_unsent());
    }

    /// Wakes the task that drives this connection.
    pub fn wake(&self) {
        self.outbox.wake_task();
    }

    /// Takes the direct writer away and stops taking pushes: the socket is gone.
    pub fn detach(&self) {
        self.disarm_resume();
        metric::dropped_bytes(self.outbox.discard());
        self.outbox.set_writer(None);
        self.mark_ended();
    }

    // Time

    /// When the driver wants its next tick; `None` for never. Replaces the last wish.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        let millis = deadline.map_or(NO_DEADLINE, |at| to_millis(at.saturating_duration_since(self.created)));
        self.deadline.store(millis, Ordering::Relaxed);
    }

    /// One beat of the server's heart: wakes the task when its deadline has come, and ends a client that is stuck.
    pub fn beat(&self, now: Instant) {
        let age = to_millis(now.saturating_duration_since(self.created));
        if self.options.close_on_authentication_expiration && age >= self.expires.load(Ordering::Relaxed) {
            self.request_close(CloseReason::AuthExpired);
        }
        if age >= self.deadline.load(Ordering::Relaxed) {
            self.deadline.store(NO_DEADLINE, Ordering::Relaxed);
            self.tick_due.store(true, Ordering::Release);
            self.outbox.wake_task();
        }
        match self.outbox.is_slow(&self.options.outbox, now) {
            Some(Stall::Slow) => self.give_up(CloseReason::SlowClient),
            Some(Stall::Stuck) => self.give_up(CloseReason::SendTimeout),
            None => {}
        }
    }

    pub(crate) fn take_tick(&self) -> bool {
        self.tick_due.load(Ordering::Relaxed) && self.tick_due.swap(false, Ordering::Acquire)
    }

    // Ending

    fn ending(&self) -> MutexGuard<'_, Ending> {
        // Only plain assignments happen under this lock.
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the connection to be closed. The first reason wins; later calls do nothing.
    pub fn request_close(&self, reason: CloseReason) {
        let first = {
            let mut ending = self.ending();
            let first = ending.requested.is_none() && !ending.ended;
            ending.requested.get_or_insert(reason);
            first
        };
        if first {
            self.outbox.wake_task();
        }
    }

    /// Ends the connection from hub code; the client is told not to come back by itself.
    pub fn abort(&self) {
        self.request_close(CloseReason::Aborted);
    }

    /// The reason that was asked for, if any.
    pub fn close_requested(&self) -> Option<CloseReason> {
        self.ending().requested
    }

    /// Fires when the connection has ended, or is about to: after the client left and before the hub's disconnect
    /// event.
    pub fn ended_token(&self) -> CancellationToken {
        let mut ending = self.ending();
        let ended = ending.ended;
        let token = ending.token.get_or_insert_with(CancellationToken::new).clone();
        if ended {
            token.cancel();
        }
        token
    }

    /// Whether the connection has ended.
    pub fn is_ended(&self) -> bool {
        self.ending().ended
    }

    /// Says that the connection has ended: fires the token and takes no more pushes. What is queued is still written.
    pub fn mark_ended(&self) {
        self.disarm_resume();
        let token = {
            let mut ending = self.ending();
            ending.ended = true;
            ending.token.clone()
        };
        self.outbox.close();
        if let Some(token) = token {
            token.cancel();
        }
    }

    // Groups: the manager's bookkeeping

    pub(crate) fn groups(&self) -> MutexGuard<'_, Memberships> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("transport", &self.info.transport)
            .field("protocol", &self.protocol())
            .finish_non_exhaustive()
    }
}

/// Milliseconds until a user's ticket runs out, by the wall clock; zero when it has, `NO_DEADLINE` when it never does.
fn millis_left(user: Option<&User>) -> u64 {
    user.and_then(|user| user.expires)
        .map_or(NO_DEADLINE, |at| to_millis(at.duration_since(SystemTime::now()).unwrap_or_default()))
}

fn to_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NO_DEADLINE - 1)
}
