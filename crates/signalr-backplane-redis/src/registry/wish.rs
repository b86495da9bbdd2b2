//! Waiting for channels to come into force.
//!
//! Owns the count of what is still missing. Who counts down, and when, is decided by the registry.

use signalr_core::Subscribed;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Channels that somebody waits for.
#[derive(Default)]
pub(crate) struct Wish {
    left: AtomicUsize,
    lost: AtomicBool,
    changed: Notify,
}

impl Wish {
    /// One more channel is waited for.
    pub(super) fn expect(&self) {
        self.left.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn fulfil(&self) {
        self.left.fetch_sub(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(super) fn outcome(&self) -> Option<Subscribed> {
        if self.lost.load(Ordering::Acquire) {
            return Some(Subscribed::Pending);
        }
        (self.left.load(Ordering::Acquire) == 0).then_some(Subscribed::InForce)
    }

    /// Ready when all channels are in force, or the connection is lost. Cancel safe.
    pub(crate) async fn settled(&self) -> Subscribed {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            changed.await;
        }
    }
}
