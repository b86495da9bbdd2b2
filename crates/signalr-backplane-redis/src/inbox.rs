//! The order of deliveries to one hub's sink.
//!
//! Owns who delivers: messages come from the subscriber's connection and, during an outage, from publishers that serve
//! their own members; the sink gets them one at a time, in the order in which they were pushed. Whoever finds nobody
//! delivering does it, for others too; no lock is held meanwhile, so that a sink may publish.

use signalr_core::{BackplaneMessage, BackplaneSink, Topic};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that may wait while somebody else delivers; what comes on top is dropped.
const ROOM: usize = 64 << 20;

pub(crate) struct Inbox {
    sink: Arc<dyn BackplaneSink>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Topic, BackplaneMessage)>,
    /// Served locally, but behind echoes that are still to come.
    held: Option<VecDeque<(Topic, BackplaneMessage)>>,
    bytes: usize,
    delivering: bool,
    closed: bool,
}

/// A message found no room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

impl Inbox {
    pub(crate) fn new(sink: Arc<dyn BackplaneSink>) -> Self {
        Self { sink, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics between two states.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message from Redis takes its place in the order; [`Inbox::deliver`] must follow.
    pub(crate) fn push(&self, topic: Topic, message: BackplaneMessage) -> Result<(), Overflow> {
        self.place(topic, message, false)
    }

    /// A message of this server's own takes its place, behind the echoes that [`Inbox::hold`] waits for;
    /// [`Inbox::deliver`] must follow.
    pub(crate) fn push_own(&self, topic: Topic, message: BackplaneMessage) -> Result<(), Overflow> {
        self.place(topic, message, true)
    }

    /// Own messages wait from now on.
    pub(crate) fn hold(&self) {
        self.lock().held.get_or_insert_default();
    }

    /// Own messages need not wait any more; [`Inbox::deliver`] must follow.
    pub(crate) fn release(&self) {
        let mut state = self.lock();
        if let Some(mut held) = state.held.take() {
            state.waiting.append(&mut held);
        }
    }

    fn place(&self, topic: Topic, message: BackplaneMessage, own: bool) -> Result<(), Overflow> {
        let mut state = self.lock();
        if state.closed {
            return Ok(());
        }
        let size = message.weight();
        if state.bytes + size > ROOM {
            return Err(Overflow);
        }
        state.bytes += size;
        match &mut state.held {
            Some(held) if own => held.push_back((topic, message)),
            _ => state.waiting.push_back((topic, message)),
        }
        Ok(())
    }

    /// Bytes that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().bytes
    }

    /// Delivers what waits, unless somebody does already.
    pub(crate) fn deliver(&self) {
        if std::mem::replace(&mut self.lock().delivering, true) {
            return;
        }
        let done = Done(self);
        while let Some((topic, message)) = self.next() {
            self.sink.deliver(&topic, message);
        }
        std::mem::forget(done);
    }

    /// Whether somebody delivers now.
    pub(crate) fn is_delivering(&self) -> bool {
        self.lock().delivering
    }

    /// The next message; ends the delivery, as one step, when there is none.
    fn next(&self) -> Option<(Topic, BackplaneMessage)> {
        let mut state = self.lock();
        let Some((topic, message)) = state.waiting.pop_front() else {
            state.delivering = false;
            return None;
        };
        state.bytes -= message.weight();
        Some((topic, message))
    }

    /// Nothing is delivered any more once this returns true; ask again while it is false.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        state.held = None;
        state.bytes = 0;
        !state.delivering
    }
}

/// Lets others deliver after a sink has panicked.
struct Done<'a>(&'a Inbox);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.lock().delivering = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::sync::OnceLock;

    /// Writes down what comes, and pushes another message from inside the first one.
    #[derive(Default)]
    struct Nested {
        inbox: OnceLock<Arc<Inbox>>,
        log: Mutex<Vec<i32>>,
    }

    impl BackplaneSink for Nested {
        fn deliver(&self, _: &Topic, message: BackplaneMessage) {
            let BackplaneMessage::Ack { id } = message else { return };
            if id == 1 {
                let inbox = self.inbox.get().unwrap();
                inbox.push(Topic::All, BackplaneMessage::Ack { id: 3 }).unwrap();
                inbox.deliver();
            }
            self.log.lock().unwrap().push(id);
        }
    }

    #[test]
    fn a_sink_that_pushes_keeps_the_order() {
        let sink = Arc::<Nested>::default();
        let inbox = Arc::new(Inbox::new(sink.clone()));
        assert!(sink.inbox.set(inbox.clone()).is_ok());
        for id in [1, 2] {
            inbox.push(Topic::All, BackplaneMessage::Ack { id }).unwrap();
        }
        inbox.deliver();
        assert_eq!(*sink.log.lock().unwrap(), [1, 2, 3]);
        assert!(inbox.close());
        inbox.push(Topic::All, BackplaneMessage::Ack { id: 4 }).unwrap();
        inbox.deliver();
        assert_eq!(sink.log.lock().unwrap().len(), 3);
    }

    #[test]
    fn own_messages_stay_behind_the_echoes_they_wait_for() {
        let sink = Arc::<Nested>::default();
        let inbox = Inbox::new(sink.clone());
        let ack = |id| BackplaneMessage::Ack { id };
        inbox.hold();
        inbox.push_own(Topic::All, ack(10)).unwrap();
        inbox.push(Topic::All, ack(2)).unwrap();
        inbox.deliver();
        inbox.hold();
        inbox.push_own(Topic::All, ack(11)).unwrap();
        inbox.push(Topic::All, ack(3)).unwrap();
        inbox.deliver();
        inbox.release();
        inbox.push_own(Topic::All, ack(12)).unwrap();
        inbox.deliver();
        assert_eq!(*sink.log.lock().unwrap(), [2, 3, 10, 11, 12]);
    }

    #[test]
    fn there_is_room_for_so_much_only() {
        let inbox = Inbox::new(Arc::<Nested>::default());
        let body = Bytes::from(vec![0; 1 << 20]);
        let big = || BackplaneMessage::Fleet { kind: "big".into(), version: 1, body: body.clone() };
        let taken = (0..100).filter(|_| inbox.push(Topic::All, big()).is_ok()).count();
        assert_eq!(taken, 63);
    }
}
