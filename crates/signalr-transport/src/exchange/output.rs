//! From the application to GETs: which request takes what the outbox holds, and what it is told when there is nothing.
//!
//! Owns the single place for a GET, the time between polls, and the end as requests see it. Bytes are never kept here:
//! a GET takes them from the connection's outbox at the moment when it sends them, so that one which vanishes loses
//! nothing that still waits.

use signalr_core::{Connection, Flushed, Instant, WorkEnd};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;

/// What one GET takes at once: so many batches of 64 KiB.
const BATCHES: usize = 16;

pub(crate) struct Output {
    state: Mutex<State>,
    /// A GET has left its place, or the task is over.
    left: Notify,
}

struct State {
    get: Option<Get>,
    next: u64,
    phase: Phase,
    /// Since when no GET is there, where that counts.
    away: Option<Instant>,
    expired: bool,
    terminated: bool,
}

struct Get {
    number: u64,
    /// Set while it waits; taken when it is woken.
    waker: Option<Waker>,
    /// A newer one wants the place.
    replaced: bool,
}

/// The application as GETs see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// The application has finished; the outbox may hold its last words.
    Ended(WorkEnd),
    /// A GET has told the client that it has finished.
    Told,
    /// The task is gone.
    Over,
}

/// What a GET gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Bytes(Vec<u8>),
    /// A newer GET takes over.
    Replaced,
    /// Nothing will come any more.
    Finished,
    /// Nothing will come any more, because the application failed.
    Failed,
}

/// Why a GET cannot have the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// Another one has it.
    Taken,
    /// The connection is as good as gone.
    Disposed,
}

/// What the task learns about its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientState {
    pub(super) get: bool,
    /// No GET came within the disconnect time-out.
    pub(super) expired: bool,
    /// The client said that it is done.
    pub(super) terminated: bool,
    /// The client knows that the application has finished.
    pub(super) told: bool,
}

impl Output {
    pub(super) fn new() -> Self {
        let state = State {
            get: None,
            next: 0,
            phase: Phase::Running,
            away: None,
            expired: false,
            terminated: false,
        };
        Self { state: Mutex::new(state), left: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No state is left half-changed by anything under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // For GETs

    /// Takes the place for the first GET of a connection; its number.
    pub(super) fn enter(&self) -> u64 {
        self.lock().put()
    }

    /// Ends the GET that has the place and takes it. Of several that wait for the same one, the first wins.
    pub(super) async fn take_over(&self) -> Result<u64, NoPlace> {
        let mut old = None;
        loop {
            let left = self.left.notified();
            let mut left = std::pin::pin!(left);
            left.as_mut().enable();
            {
                let mut state = self.lock();
                state.admit()?;
                let Some(get) = &mut state.get else { return Ok(state.put()) };
                if *old.get_or_insert(get.number) != get.number {
                    return Err(NoPlace::Taken);
                }
                get.replaced = true;
                wake(&mut get.waker);
            }
            left.await;
        }
    }

    /// Takes what there is for this GET, or waits.
    pub(super) fn poll_take(
        &self,
        number: u64,
        connection: &Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Taken> {
        let mut state = self.lock();
        let phase = state.phase;
        let Some(get) = state.get.as_mut().filter(|get| get.number == number) else {
            return Poll::Ready(Taken::Finished);
        };
        let mut bytes = Vec::new();
        // Copying into memory has no errors.
        let _ = connection.flush_with(BATCHES, |slices| {
            slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
            Ok(slices.iter().map(|slice| slice.len()).sum())
        });
        if !bytes.is_empty() {
            get.waker = None;
            return Poll::Ready(Taken::Bytes(bytes));
        }
        match phase {
            Phase::Ended(WorkEnd::Failed) => return Poll::Ready(Taken::Failed),
            Phase::Ended(_) => {
                state.phase = Phase::Told;
                return Poll::Ready(Taken::Finished);
            }
            Phase::Told | Phase::Over => return Poll::Ready(Taken::Finished),
            Phase::Running if get.replaced => return Poll::Ready(Taken::Replaced),
            Phase::Running => get.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// The GET is done, or its client has vanished. With `expect_more` the time until the next one counts from now.
    pub(super) fn leave(&self, number: u64, expect_more: bool) {
        let mut state = self.lock();
        if state.get.as_ref().is_some_and(|get| get.number == number) {
            state.get = None;
            state.away = expect_more.then(Instant::now);
            drop(state);
            self.left.notify_waiters();
        }
    }

    /// A GET was answered that never had the place: the next one is expected from now on.
    pub(super) fn expect(&self) {
        self.lock().away = Some(Instant::now());
    }

    /// Waits until the task is gone.
    pub(super) async fn wait_over(&self) {
        loop {
            let left = self.left.notified();
            let mut left = std::pin::pin!(left);
            left.as_mut().enable();
            if self.lock().phase == Phase::Over {
                return;
            }
            left.await;
        }
    }

    // For the table

    pub(super) fn expire(&self, now: Instant, patience: Duration) -> bool {
        let mut state = self.lock();
        let expired = state.away.is_some_and(|since| now.saturating_duration_since(since) > patience);
        state.expired |= expired;
        expired
    }

    pub(super) fn terminate(&self) {
        self.lock().terminated = true;
    }

    // For the task

    pub(super) fn client(&self) -> ClientState {
        let state = self.lock();
        ClientState {
            get: state.get.is_some(),
            expired: state.expired,
            terminated: state.terminated,
            told: state.phase == Phase::Told,
        }
    }

    /// Wakes the GET when there is something for it. One that should have been ready and is still busy with writing
    /// starts the outbox's clock for clients that do not read, where `may_stall`.
    pub(super) fn tend(&self, connection: &Connection, may_stall: bool) {
        let mut state = self.lock();
        let ended = state.phase != Phase::Running;
        let Some(get) = &mut state.get else { return };
        let queued = connection.queued_bytes() > 0;
        if !queued && !ended {
            return;
        }
        if !wake(&mut get.waker) && queued && may_stall {
            let _: io::Result<Flushed> = connection.flush_with(1, |_| Err(io::ErrorKind::WouldBlock.into()));
        }
    }

    /// The application has finished.
    pub(super) fn ended(&self, end: WorkEnd) {
        let mut state = self.lock();
        if state.phase == Phase::Running {
            state.phase = Phase::Ended(end);
        }
    }

    /// The task is gone.
    pub(super) fn over(&self) {
        let mut state = self.lock();
        state.phase = Phase::Over;
        if let Some(get) = &mut state.get {
            wake(&mut get.waker);
        }
        drop(state);
        self.left.notify_waiters();
    }
}

impl State {
    fn admit(&self) -> Result<(), NoPlace> {
        let disposed = self.terminated || self.expired || self.phase == Phase::Over;
        if disposed { Err(NoPlace::Disposed) } else { Ok(()) }
    }

    fn put(&mut self) -> u64 {
        self.next += 1;
        self.away = None;
        self.get = Some(Get { number: self.next, waker: None, replaced: false });
        self.next
    }
}

/// True when there was somebody to wake.
fn wake(waker: &mut Option<Waker>) -> bool {
    waker.take().map(Waker::wake).is_some()
}
