//! A connection for publishing that two may reach: its publisher, and whoever has something to say while nothing is on
//! its way.
//!
//! Owns the lock between them. The order of messages is the lane's, which lets nobody in here while something waits;
//! reading, and all that cannot be done at once, is the publisher's.

use crate::pipe::Pipe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone)]
pub(crate) struct Outlet(Arc<Mutex<Pipe>>);

impl Outlet {
    pub(crate) fn new(pipe: Pipe) -> Self {
        Self(Arc::new(Mutex::new(pipe)))
    }

    /// For the publisher.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Pipe> {
        // A panic in a poll ends the publisher, and with it the connection.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For others: the connection, if it lives, nobody is at it and nothing is on its way.
    pub(crate) fn idle(&self) -> Option<MutexGuard<'_, Pipe>> {
        self.0.try_lock().ok().filter(|pipe| pipe.is_idle())
    }
}
