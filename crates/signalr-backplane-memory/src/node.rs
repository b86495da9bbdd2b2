//! One server's hub as the bus sees it: a queue, whether it can be reached, and the task that delivers.
//!
//! Owns the order from queue to sink, and the queue's bound. Never holds a lock while it delivers, so a sink may do
//! whatever it likes.

use signalr_core::{BackplaneMessage, BackplaneSink, BackplaneState, Events, StateSender, Topic, Turn};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Bytes that a queue holds; what comes on top is dropped.
const QUEUE: usize = 64 << 20;
/// Messages between two looks at the runtime's other tasks.
const BATCH: usize = 64;

/// A message on its way, shared by all its receivers.
pub(crate) type Parcel = Arc<(Topic, BackplaneMessage)>;

pub(crate) struct Node {
    name: String,
    queue: Mutex<Queue>,
    wake: Notify,
    state: StateSender,
}

struct Queue {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    /// How many were queued, were taken out, and were delivered so far.
    queued: u64,
    taken: u64,
    delivered: u64,
    reachable: bool,
    open: bool,
    crashed: bool,
    overflowed: bool,
}

impl Node {
    pub(crate) fn new(name: String, reachable: bool) -> Arc<Self> {
        let queue = Queue {
            parcels: VecDeque::new(),
            bytes: 0,
            queued: 0,
            taken: 0,
            delivered: 0,
            reachable,
            open: true,
            crashed: false,
            overflowed: false,
        };
        let (state, _) = Events::new(queue.state());
        Arc::new(Self { name, queue: Mutex::new(queue), wake: Notify::new(), state })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn events(&self) -> Events {
        self.state.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing in here panics between two states.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the queue, and the state that follows from it, as one step.
    fn change<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.lock();
        let result = change(&mut queue);
        self.state.set(queue.state());
        result
    }

    /// Queues a message; false when the server cannot be reached or has no room.
    pub(crate) fn push(&self, parcel: Parcel) -> bool {
        let size = parcel.1.weight();
        let queued = self.change(|queue| {
            if !queue.reachable || !queue.open {
                return false;
            }
            if queue.bytes + size > QUEUE {
                queue.overflowed = true;
                return false;
            }
            queue.bytes += size;
            queue.queued += 1;
            queue.parcels.push_back(parcel);
            true
        });
        if queued {
            self.wake.notify_one();
        } else if self.is_reachable() {
            tracing::warn!(node = self.name, "a message was dropped: this server does not keep up");
        }
        queued
    }

    pub(crate) fn set_reachable(&self, reachable: bool) {
        self.change(|queue| queue.reachable = reachable);
    }

    pub(crate) fn is_reachable(&self) -> bool {
        let queue = self.lock();
        queue.reachable && queue.open
    }

    pub(crate) fn is_open(&self) -> bool {
        self.lock().open
    }

    /// Takes nothing more; what is queued is still delivered.
    pub(crate) fn close(&self) {
        self.change(|queue| queue.open = false);
        self.wake.notify_one();
    }

    /// Throws away what is queued: nothing more is delivered.
    pub(crate) fn crash(&self) {
        self.change(|queue| {
            queue.open = false;
            queue.crashed = true;
            queue.parcels.clear();
        });
        self.wake.notify_one();
    }

    fn take(&self) -> Option<Parcel> {
        let mut queue = self.lock();
        // There is one worker, and it comes for the next when it is done with the last.
        queue.delivered = queue.taken;
        if queue.crashed {
            return None;
        }
        let parcel = queue.parcels.pop_front()?;
        queue.taken += 1;
        queue.bytes -= parcel.1.weight();
        Some(parcel)
    }

    /// How many messages were queued so far.
    pub(crate) fn queued(&self) -> u64 {
        self.lock().queued
    }

    /// Whether so many messages were delivered, or will never be.
    pub(crate) fn has_delivered(&self, count: u64) -> bool {
        let queue = self.lock();
        queue.delivered >= count || queue.crashed
    }

    /// Delivers until the node is closed and its queue empty.
    pub(crate) async fn work(self: Arc<Self>, sink: Arc<dyn BackplaneSink>) {
        loop {
            if self.deliver_batch(&*sink) {
                tokio::task::yield_now().await;
                continue;
            }
            let closed = self.change(|queue| {
                let empty = queue.parcels.is_empty();
                queue.overflowed &= !empty;
                empty && !queue.open
            });
            if closed {
                return;
            }
            self.wake.notified().await;
        }
    }

    /// Delivers some; false when there was nothing.
    fn deliver_batch(&self, sink: &dyn BackplaneSink) -> bool {
        let _turn = Turn::enter();
        for count in 0..BATCH {
            let Some(parcel) = self.take() else { return count > 0 };
            let (topic, message) = Arc::unwrap_or_clone(parcel);
            sink.deliver(&topic, message);
        }
        true
    }
}

impl Queue {
    fn state(&self) -> BackplaneState {
        match (self.open && self.reachable, self.overflowed) {
            (false, _) => BackplaneState::Down,
            (true, true) => BackplaneState::Degraded,
            (true, false) => BackplaneState::Up,
        }
    }
}
