//! Finding out that all has arrived that was confirmed so far: a marker goes the same ways, and comes last.
//!
//! Owns the markers that are on their way. Each is published once on every connection of the publisher. A Redis server hands
//! on what is published in the order in which it came, a node of a Cluster to each other node too; so behind a marker nothing
//! can come from that server that it had confirmed before. Who receives them is the subscriber.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

#[derive(Default)]
pub(crate) struct Markers(Mutex<State>);

#[derive(Default)]
struct State {
    last: u64,
    awaited: HashMap<u64, Awaited>,
}

struct Awaited {
    /// How many of its copies are on their way.
    copies: usize,
    arrived: oneshot::Sender<()>,
}

/// One marker; forgotten when this is dropped.
pub(crate) struct Marker<'a> {
    markers: &'a Markers,
    number: u64,
    arrived: oneshot::Receiver<()>,
}

impl Markers {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics between two states.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new one, of so many copies.
    pub(crate) fn begin(&self, copies: usize) -> Marker<'_> {
        let (sender, arrived) = oneshot::channel();
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        if copies > 0 {
            state.awaited.insert(number, Awaited { copies, arrived: sender });
        }
        Marker { markers: self, number, arrived }
    }

    /// A copy has arrived; what is none is ignored.
    pub(crate) fn take(&self, payload: &[u8]) {
        // Nearly all payloads are empty.
        let text = std::str::from_utf8(payload).ok().filter(|text| !text.is_empty());
        if let Some(number) = text.and_then(|text| text.parse().ok()) {
            self.count(number);
        }
    }

    /// Nothing arrives any more of what is on its way.
    pub(crate) fn lost(&self) {
        self.lock().awaited.clear();
    }

    fn count(&self, number: u64) {
        let mut state = self.lock();
        let Some(awaited) = state.awaited.get_mut(&number) else { return };
        awaited.copies -= 1;
        if awaited.copies == 0
            && let Some(awaited) = state.awaited.remove(&number)
        {
            // Whoever waited may be gone.
            let _ = awaited.arrived.send(());
        }
    }
}

impl Marker<'_> {
    /// What a copy of it says.
    pub(crate) fn payload(&self) -> String {
        self.number.to_string()
    }

    /// A copy could not be published.
    pub(crate) fn failed(&self) {
        self.markers.count(self.number);
    }

    /// Ready when all copies have arrived, or none will. Cancel safe.
    pub(crate) async fn arrived(&mut self) {
        // Forgotten, or arrived before: the same to whoever waits.
        let _ = (&mut self.arrived).await;
    }
}

impl Drop for Marker<'_> {
    fn drop(&mut self) {
        self.markers.lock().awaited.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn has_arrived(marker: &mut Marker<'_>) -> bool {
        marker.arrived().now_or_never().is_some()
    }

    #[test]
    fn a_marker_has_arrived_when_all_its_copies_have() {
        let markers = Markers::default();
        let (mut one, mut two) = (markers.begin(2), markers.begin(3));
        for payload in [one.payload().as_bytes(), b"", b"x", b"99", two.payload().as_bytes()] {
            markers.take(payload);
        }
        assert!(!has_arrived(&mut one));
        markers.take(one.payload().as_bytes());
        assert!(has_arrived(&mut one));
        two.failed();
        assert!(!has_arrived(&mut two));
        two.failed();
        assert!(has_arrived(&mut two));
        markers.take(two.payload().as_bytes());
    }

    #[test]
    fn nobody_waits_for_what_cannot_come() {
        let markers = Markers::default();
        assert!(has_arrived(&mut markers.begin(0)));
        let mut marker = markers.begin(1);
        markers.lost();
        assert!(has_arrived(&mut marker));
        let forgotten = markers.begin(1);
        drop(forgotten);
        assert!(markers.lock().awaited.is_empty());
    }
}
