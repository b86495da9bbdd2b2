//! Where a connection's next socket is handed in (stateful reconnect, B-6.5).
//!
//! Owns one place for one socket. The request that brings it runs elsewhere; the connection's own task takes it at its
//! next poll, whether it still has a socket or not.

use super::io::Io;
use signalr_core::{ConnectInfo, DirectWriter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A socket of any kind: the next one may come over another protocol than the first.
pub(crate) type AnyIo = Box<dyn Io + Send>;

/// A socket whose upgrade is done, and the request that asked for it.
pub(crate) struct Newcomer<I> {
    pub(crate) io: I,
    pub(crate) writer: Option<Arc<dyn DirectWriter>>,
    /// Bytes that came with the upgrade request.
    pub(crate) early: Vec<u8>,
    pub(crate) info: ConnectInfo,
}

/// The place. Shared by the table and the connection's task.
pub(crate) struct Doorway<I>(Mutex<Door<I>>);

struct Door<I> {
    newcomer: Option<Newcomer<I>>,
    closed: bool,
}

impl<I> Doorway<I> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Door { newcomer: None, closed: false }))
    }

    fn lock(&self) -> MutexGuard<'_, Door<I>> {
        // Nothing but moves happens under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a socket; the caller wakes the task. One that is still waiting is dropped, and so is this one when the
    /// connection has ended.
    pub(crate) fn hand_in(&self, newcomer: Newcomer<I>) {
        let dropped = {
            let mut door = self.lock();
            if door.closed { Some(newcomer) } else { door.newcomer.replace(newcomer) }
        };
        drop(dropped);
    }

    pub(crate) fn take(&self) -> Option<Newcomer<I>> {
        self.lock().newcomer.take()
    }

    /// The connection has ended: what waits is dropped.
    pub(crate) fn close(&self) {
        let dropped = {
            let mut door = self.lock();
            door.closed = true;
            door.newcomer.take()
        };
        drop(dropped);
    }
}
