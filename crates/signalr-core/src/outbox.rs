//! The queue between senders and one connection's socket, with the socket's write half under the same lock.
//!
//! Owns order, byte counts, the slow-client rule and waiting for room. Does not frame, does not decide who receives,
//! does not close sockets. Frames come from [`Connection`](crate::Connection); bytes leave through a
//! [`DirectWriter`] or through [`Outbox::write_with`].

mod resume;

use crate::clock::Instant;
use crate::replay::Replay;
use bytes::Bytes;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What one system call carries at most.
const MAX_SLICES: usize = 64;
const MAX_BATCH: usize = 64 * 1024;
/// Small frames of one connection share a buffer up to this size.
const SHARED_BUFFER: usize = 16 * 1024;
/// The queue keeps room for this many frames while idle.
const IDLE_CAPACITY: usize = 4;

/// A socket that can be written to without waiting. Implemented by transports whose bytes need no further work.
pub trait DirectWriter: Send + Sync {
    /// Writes what fits now. `WouldBlock` when nothing does. Called under the outbox's lock by any thread; must not
    /// block and must not call back into the connection.
    ///
    /// # Errors
    /// The socket's own error; the connection is then ended.
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

/// When a client counts as slow, and how long a sender waits for it. Part of
/// [`ConnectionOptions`](crate::ConnectionOptions).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxLimits {
    /// Queued bytes above which a client that also makes no progress for [`stall`](Self::stall) is slow, and above
    /// which sends to a single client wait. Default 1 MiB.
    pub soft: usize,
    /// Queued bytes above which a client is slow at once. Default 16 MiB.
    pub hard: usize,
    /// How long a write may make no progress before the client is slow, above `soft`. Default 2 s.
    pub stall: Duration,
    /// How long a send to a single client waits for room, and after which a stuck write ends the connection whatever
    /// is queued (the reference's `TransportSendTimeout`). Default 10 s.
    pub send_timeout: Duration,
    /// What happens to a slow client.
    pub policy: SlowClientPolicy,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self {
            soft: 1 << 20,
            hard: 16 << 20,
            stall: Duration::from_secs(2),
            send_timeout: Duration::from_secs(10),
            policy: SlowClientPolicy::Disconnect,
        }
    }
}

/// What happens to a slow client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SlowClientPolicy {
    /// Its connection is ended, counted and logged.
    #[default]
    Disconnect,
}

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Queued, and nobody has promised to write yet: the caller must see to it.
    First,
    /// Queued; somebody will write.
    Queued,
    /// The client is slow by the rule; nothing was queued.
    Slow,
    /// The client is away and its buffer is full; nothing was queued.
    Overflow,
    /// The connection has ended; nothing was queued.
    Closed,
}

/// What a flush left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing: all is written.
    Empty,
    /// The socket is full: wait until it is writable.
    Blocked,
    /// More could be written; the budget of this turn is used up.
    More,
    /// The client must acknowledge what it has first (stateful reconnect). The connection's own task reads that
    /// acknowledgement, so it has nothing to wait for.
    Paused,
}

/// Bytes that leave together. With stateful reconnect each `Shared` chunk is one message that counts, and `Owned` ones
/// are frames that do not; without it the difference is only who made the bytes.
enum Chunk {
    Shared(Bytes),
    Owned(Vec<u8>),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Chunk::Shared(bytes) => bytes,
            Chunk::Owned(bytes) => bytes,
        }
    }
}

#[derive(Default)]
struct Inner {
    queue: Vec<Chunk>,
    /// How much of the queue's front is written: whole chunks, and bytes of the next one.
    done: usize,
    offset: usize,
    queued: usize,
    /// Somebody has promised to flush: the current turn, or the connection's task.
    promised: bool,
    closed: bool,
    stalled_since: Option<Instant>,
    task: Option<Waker>,
    room: Vec<Waker>,
    writer: Option<Arc<dyn DirectWriter>>,
    /// There only with stateful reconnect.
    replay: Option<Box<Replay>>,
}

pub(crate) struct Outbox {
    inner: Mutex<Inner>,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self { inner: Mutex::new(Inner::default()) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics between two states, so a poisoned lock still guards a sound queue.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_writer(&self, writer: Option<Arc<dyn DirectWriter>>) {
        self.lock().writer = writer;
    }

    pub(crate) fn set_task(&self, waker: &Waker) {
        let mut inner = self.lock();
        if !inner.task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            inner.task = Some(waker.clone());
        }
    }

    pub(crate) fn wake_task(&self) {
        let task = self.lock().task.clone();
        if let Some(task) = task {
            task.wake();
        }
    }

    pub(crate) fn push(&self, frame: Bytes, limits: &OutboxLimits) -> Pushed {
        let mut inner = self.lock();
        if let Some(refused) = inner.refuses(frame.len(), limits) {
            return refused;
        }
        inner.queued += frame.len();
        inner.queue.push(Chunk::Shared(frame));
        inner.promise()
    }

    /// Pushes a frame that `write` appends to a buffer; small frames share one allocation.
    pub(crate) fn push_with(&self, limits: &OutboxLimits, write: impl FnOnce(&mut Vec<u8>)) -> Pushed {
        let mut inner = self.lock();
        if let Some(refused) = inner.refuses(0, limits) {
            return refused;
        }
        if inner.replay.is_some() {
            let mut frame = Vec::new();
            write(&mut frame);
            inner.queued += frame.len();
            inner.queue.push(Chunk::Shared(frame.into()));
        } else {
            inner.append(write);
        }
        inner.promise()
    }

    /// Writes with `write` until all is written, the socket is full, or `rounds` system calls were made. Clears the
    /// promise unless something is left.
    pub(crate) fn write_with(
        &self,
        rounds: usize,
        limits: &OutboxLimits,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<Flushed> {
        let mut inner = self.lock();
        inner.flush(rounds, limits, &mut write)
    }

    /// As [`Outbox::write_with`] into the direct writer; `None` when there is none.
    pub(crate) fn flush(&self, rounds: usize, limits: &OutboxLimits) -> Option<io::Result<Flushed>> {
        let mut inner = self.lock();
        let writer = inner.writer.clone()?;
        Some(inner.flush(rounds, limits, &mut |slices| writer.try_write(slices)))
    }

    /// Whether the client is slow now, without a push: asked by the heartbeat.
    pub(crate) fn is_slow(&self, limits: &OutboxLimits, now: Instant) -> Option<Stall> {
        let inner = self.lock();
        let longer = |since: Option<Instant>, time| {
            since.is_some_and(|since| now.saturating_duration_since(since) >= time)
        };
        let paused_since = inner.replay.as_ref().and_then(|replay| replay.paused_since());
        if inner.queued > limits.soft && longer(inner.stalled_since.or(paused_since), limits.stall) {
            Some(Stall::Slow)
        } else if longer(inner.stalled_since, limits.send_timeout) {
            Some(Stall::Stuck)
        } else {
            None
        }
    }

    pub(crate) fn poll_room(&self, limits: &OutboxLimits, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.closed || inner.queued <= limits.soft || inner.is_away() {
            return Poll::Ready(());
        }
        inner.wait_for_room(cx);
        Poll::Pending
    }

    pub(crate) fn queued(&self) -> usize {
        self.lock().queued
    }

    /// Nothing more is taken; what is queued is still written.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.close();
    }

    /// Takes nothing more and throws away what is queued, except the rest of a chunk that is half written: the peer
    /// could not tell where the next frame begins. Returns how many bytes were dropped.
    pub(crate) fn discard_unsent(&self) -> usize {
        let mut inner = self.lock();
        let before = inner.queued;
        inner.close();
        if inner.offset == 0 {
            inner.clear();
        } else {
            let kept = inner.done + 1;
            inner.queue.truncate(kept);
            inner.queued = inner.queue[kept - 1].bytes().len() - inner.offset;
        }
        before - inner.queued
    }

    /// Throws away what is queued and takes nothing more. Returns how many bytes were dropped.
    pub(crate) fn discard(&self) -> usize {
        let mut inner = self.lock();
        let dropped = inner.queued;
        inner.close();
        inner.clear();
        dropped
    }
}

/// Why the heartbeat finds a connection stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stall {
    Slow,
    Stuck,
}

impl Inner {
    fn refuses(&self, more: usize, limits: &OutboxLimits) -> Option<Pushed> {
        if self.closed {
            return Some(Pushed::Closed);
        }
        let mut stalled_since = self.stalled_since;
        if let Some(replay) = &self.replay {
            if replay.away_since().is_some() {
                return replay.overflows(self.queued).then_some(Pushed::Overflow);
            }
            stalled_since = stalled_since.or(replay.paused_since());
        }
        let queued = self.queued + more;
        if queued <= limits.soft {
            return None;
        }
        let stalled = stalled_since.is_some_and(|since| since.elapsed() >= limits.stall);
        (stalled || queued > limits.hard).then_some(Pushed::Slow)
    }

    /// Appends a frame to the buffer that small frames share.
    fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before;
        let after;
        match self.queue.last_mut() {
            Some(Chunk::Owned(buffer)) if buffer.len() < SHARED_BUFFER => {
                before = buffer.len();
                write(buffer);
                after = buffer.len();
            }
            _ => {
                let mut buffer = Vec::new();
                write(&mut buffer);
                before = 0;
                after = buffer.len();
                self.queue.push(Chunk::Owned(buffer));
            }
        }
        self.queued += after - before;
    }

    fn promise(&mut self) -> Pushed {
        if std::mem::replace(&mut self.promised, true) { Pushed::Queued } else { Pushed::First }
    }

    fn flush(
        &mut self,
        rounds: usize,
        limits: &OutboxLimits,
        write: &mut dyn FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<Flushed> {
        for _ in 0..rounds {
            if self.done == self.queue.len() {
                break;
            }
            let end = match &self.replay {
                None => self.queue.len(),
                Some(replay) => self.end_of_batch(replay),
            };
            if end == self.done {
                return Ok(self.pause());
            }
            match self.write_batch(end, write) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.advance(written, limits),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stalled_since.get_or_insert_with(Instant::now);
                    self.compact();
                    return Ok(Flushed::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.done < self.queue.len() {
            self.compact();
            return Ok(Flushed::More);
        }
        self.clear();
        self.promised = false;
        Ok(Flushed::Empty)
    }

    fn write_batch(
        &self,
        end: usize,
        write: &mut dyn FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if let [only] = &self.queue[self.done..end] {
            // The usual case of a quiet server, spared the array below.
            return write(&[IoSlice::new(&only.bytes()[self.offset..])]);
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut count = 0;
        let mut bytes = 0;
        let mut offset = self.offset;
        for chunk in &self.queue[self.done..end] {
            if count == MAX_SLICES || bytes >= MAX_BATCH {
                break;
            }
            let slice = &chunk.bytes()[offset..];
            offset = 0;
            bytes += slice.len();
            slices[count] = IoSlice::new(slice);
            count += 1;
        }
        write(&slices[..count])
    }

    fn advance(&mut self, mut written: usize, limits: &OutboxLimits) {
        self.stalled_since = None;
        self.queued -= written.min(self.queued);
        while written > 0 && self.done < self.queue.len() {
            let left = self.queue[self.done].bytes().len() - self.offset;
            if written < left {
                self.offset += written;
                break;
            }
            written -= left;
            self.offset = 0;
            // The chunk's memory is given back now, its place in the queue later.
            let chunk = std::mem::replace(&mut self.queue[self.done], Chunk::Owned(Vec::new()));
            self.done += 1;
            if let (Some(replay), Chunk::Shared(message)) = (&mut self.replay, chunk) {
                replay.keep(message);
            }
        }
        if self.queued <= limits.soft {
            self.wake_room();
        }
    }

    /// Forgets the places of written chunks, so that a queue that never runs empty does not grow.
    fn compact(&mut self) {
        if self.done >= MAX_SLICES && self.done * 2 >= self.queue.len() {
            self.queue.drain(..self.done);
            self.done = 0;
        }
    }

    fn clear(&mut self) {
        if self.queue.capacity() > IDLE_CAPACITY {
            self.queue = Vec::new();
        } else {
            self.queue.clear();
        }
        self.done = 0;
        self.offset = 0;
        self.queued = 0;
        self.stalled_since = None;
    }

    /// Takes nothing more, and keeps nothing for another socket.
    fn close(&mut self) {
        self.closed = true;
        self.replay = None;
        self.wake_room();
    }

    fn wait_for_room(&mut self, cx: &Context<'_>) {
        if !self.room.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.room.push(cx.waker().clone());
        }
    }

    fn wake_room(&mut self) {
        for waker in std::mem::take(&mut self.room) {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket that takes so many bytes per call, and blocks when it has none left.
    #[derive(Default)]
    struct Socket {
        room: usize,
        per_call: usize,
        written: Vec<u8>,
        calls: usize,
    }

    impl Socket {
        fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.calls += 1;
            let most = self.room.min(self.per_call);
            if most == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(most).collect();
            self.written.extend_from_slice(&bytes);
            self.room -= bytes.len();
            Ok(bytes.len())
        }
    }

    fn flush(outbox: &Outbox, socket: &mut Socket, rounds: usize) -> Flushed {
        outbox.write_with(rounds, &OutboxLimits::default(), |slices| socket.write(slices)).unwrap()
    }

    #[test]
    fn shared_and_own_frames_leave_in_order_whatever_the_socket_takes() {
        for per_call in [1, 2, 3, 7, 1000] {
            let outbox = Outbox::new();
            let limits = OutboxLimits::default();
            let mut expected = Vec::new();
            for n in 0..200u8 {
                let frame = vec![n; n as usize % 5 + 1];
                expected.extend_from_slice(&frame);
                if n % 3 == 0 {
                    outbox.push(frame.into(), &limits);
                } else {
                    outbox.push_with(&limits, |out| out.extend_from_slice(&frame));
                }
            }
            let mut socket = Socket { room: usize::MAX, per_call, ..Socket::default() };
            while flush(&outbox, &mut socket, 3) != Flushed::Empty {}
            assert_eq!(socket.written, expected);
            assert_eq!(outbox.queued(), 0);
        }
    }

    #[test]
    fn only_the_first_push_after_a_sweep_asks_to_be_written() {
        let outbox = Outbox::new();
        let limits = OutboxLimits::default();
        let push = || outbox.push(Bytes::from_static(b"x"), &limits);
        assert_eq!((push(), push()), (Pushed::First, Pushed::Queued));
        let mut socket = Socket { room: 1, per_call: 1, ..Socket::default() };
        assert_eq!(flush(&outbox, &mut socket, 8), Flushed::Blocked);
        // Blocked: the connection's task has promised to go on.
        assert_eq!(push(), Pushed::Queued);
        socket.room = 10;
        assert_eq!(flush(&outbox, &mut socket, 8), Flushed::Empty);
        assert_eq!(push(), Pushed::First);
    }

    #[test]
    fn a_burst_leaves_in_few_system_calls() {
        let outbox = Outbox::new();
        for _ in 0..640 {
            outbox.push(Bytes::from_static(b"0123456789"), &OutboxLimits::default());
        }
        let mut socket = Socket { room: usize::MAX, per_call: usize::MAX, ..Socket::default() };
        assert_eq!(flush(&outbox, &mut socket, 100), Flushed::Empty);
        assert_eq!((socket.calls, socket.written.len()), (10, 6400));
    }

    #[test]
    fn nothing_stays_allocated_while_idle_and_a_busy_queue_does_not_grow() {
        let outbox = Outbox::new();
        let limits = OutboxLimits::default();
        let mut socket = Socket { per_call: usize::MAX, ..Socket::default() };
        for _ in 0..10_000 {
            outbox.push(Bytes::from_static(b"0123456789"), &limits);
            outbox.push(Bytes::from_static(b"0123456789"), &limits);
            socket.room = 19;
            flush(&outbox, &mut socket, 1);
            if outbox.queued() > 500 {
                socket.room = 490;
                flush(&outbox, &mut socket, 1);
            }
        }
        assert!(outbox.lock().queue.capacity() < 2_000, "{}", outbox.lock().queue.capacity());
        socket.room = usize::MAX;
        while flush(&outbox, &mut socket, 1) != Flushed::Empty {}
        assert!(outbox.lock().queue.capacity() <= IDLE_CAPACITY);
        assert_eq!(socket.written.len(), 200_000);
    }

    #[test]
    fn a_closed_outbox_takes_nothing_and_still_writes_what_it_has() {
        let outbox = Outbox::new();
        let limits = OutboxLimits::default();
        outbox.push(Bytes::from_static(b"before"), &limits);
        outbox.close();
        assert_eq!(outbox.push(Bytes::from_static(b"after"), &limits), Pushed::Closed);
        let mut socket = Socket { room: usize::MAX, per_call: usize::MAX, ..Socket::default() };
        flush(&outbox, &mut socket, 1);
        assert_eq!(socket.written, b"before");
    }

    #[test]
    fn what_is_dropped_is_counted_and_half_a_frame_is_finished() {
        let outbox = Outbox::new();
        let limits = OutboxLimits::default();
        outbox.push(Bytes::from_static(b"abcdef"), &limits);
        outbox.push(Bytes::from_static(b"ghi"), &limits);
        let mut socket = Socket { room: 2, per_call: 2, ..Socket::default() };
        flush(&outbox, &mut socket, 4);
        assert_eq!(outbox.discard_unsent(), 3);
        socket = Socket { room: 100, per_call: 100, written: socket.written, calls: 0 };
        assert_eq!(flush(&outbox, &mut socket, 4), Flushed::Empty);
        assert_eq!(socket.written, b"abcdef");
        assert_eq!(outbox.discard(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_means_above_soft_and_stalled_or_above_hard() {
        let limits = OutboxLimits { soft: 10, hard: 100, ..OutboxLimits::default() };
        let frame = || Bytes::from_static(b"0123456789a");
        let outbox = Outbox::new();
        let mut full = Socket::default();
        // A loop that never lets the socket be tried is no stall: only the hard limit counts.
        (0..9).for_each(|_| assert_ne!(outbox.push(frame(), &limits), Pushed::Slow));
        assert_eq!(outbox.push(frame(), &limits), Pushed::Slow);
        assert_eq!(outbox.is_slow(&limits, Instant::now()), None);

        let outbox = Outbox::new();
        outbox.push(frame(), &limits);
        flush(&outbox, &mut full, 1);
        tokio::time::advance(limits.stall).await;
        assert_eq!(outbox.is_slow(&limits, Instant::now()), Some(Stall::Slow));
        assert_eq!(outbox.push(frame(), &limits), Pushed::Slow);
        // Any progress starts the clock anew.
        full.room = 1;
        full.per_call = 1;
        flush(&outbox, &mut full, 4);
        assert_eq!(outbox.push(frame(), &limits), Pushed::Queued);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_is_stuck_below_soft_is_found_after_the_send_time_out() {
        let limits = OutboxLimits::default();
        let outbox = Outbox::new();
        outbox.push(Bytes::from_static(b"x"), &limits);
        flush(&outbox, &mut Socket::default(), 1);
        tokio::time::advance(limits.send_timeout - Duration::from_millis(1)).await;
        assert_eq!(outbox.is_slow(&limits, Instant::now()), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(outbox.is_slow(&limits, Instant::now()), Some(Stall::Stuck));
    }
}
