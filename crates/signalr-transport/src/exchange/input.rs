//! From POSTs to the application: a bounded buffer of bytes (B-2.3, B-2.9).
//!
//! Owns back-pressure and the order of POSTs. Knows no HTTP; the pieces come from an
//! [`UploadTicket`](super::UploadTicket) and go to the connection's task.

use std::future::poll_fn;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// The buffer.
pub(crate) struct Input {
    state: Mutex<State>,
    /// POSTs of one connection go one after the other, in the order in which they came.
    pub(super) order: tokio::sync::Mutex<()>,
    room: usize,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    closed: bool,
    /// The POST that waits for room. There is at most one, because they go one after the other.
    waiting: Option<Waker>,
}

/// The connection takes no more bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed;

impl Input {
    pub(super) fn new(room: usize) -> Self {
        Self { state: Mutex::default(), order: tokio::sync::Mutex::new(()), room }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Only plain assignments and copies of bytes happen under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a piece, which may exceed the room by its own size, as in the reference.
    pub(super) fn push(&self, piece: &[u8]) -> Result<(), Closed> {
        let mut state = self.lock();
        if state.closed {
            return Err(Closed);
        }
        state.buffer.extend_from_slice(piece);
        Ok(())
    }

    /// Waits until the application has room for more.
    pub(super) async fn room(&self) -> Result<(), Closed> {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.closed {
                return Poll::Ready(Err(Closed));
            }
            if self.room == 0 || state.buffer.len() < self.room {
                return Poll::Ready(Ok(()));
            }
            state.waiting = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Everything that waits. None when that is nothing.
    pub(super) fn take(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        let buffer = mem::take(&mut state.buffer);
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        (!buffer.is_empty()).then_some(buffer)
    }

    /// Takes no more. What is there already can still be taken.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().buffer.is_empty()
    }
}
