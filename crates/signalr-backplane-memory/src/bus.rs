//! The fleet: which server's hub wants which topic, and the one order of everything that is published.
//!
//! Owns the subscriptions. Queues and delivery are `node`'s; what a server may do while it is cut off is `member`'s.

use crate::backplane::MemoryBackplane;
use crate::node::{Node, Parcel};
use signalr_core::Topic;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A fleet of servers in this process. Cheap to clone: all clones are the same fleet.
#[derive(Clone, Default)]
pub struct MemoryBus {
    hubs: Arc<Mutex<HashMap<String, Arc<HubBus>>>>,
}

impl MemoryBus {
    /// A fleet without servers.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more server of this fleet.
    pub fn backplane(&self) -> MemoryBackplane {
        MemoryBackplane::new(self.clone())
    }

    pub(crate) fn hub(&self, name: &str) -> Arc<HubBus> {
        // Nothing in here panics between two states.
        let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.entry(name.to_owned()).or_default().clone()
    }
}

impl fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBus").finish_non_exhaustive()
    }
}

/// One hub's part of the fleet.
#[derive(Default)]
pub(crate) struct HubBus {
    topics: Mutex<HashMap<Topic, Vec<Arc<Node>>>>,
}

impl HubBus {
    fn lock(&self) -> MutexGuard<'_, HashMap<Topic, Vec<Arc<Node>>>> {
        // Nothing in here panics between two states.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message for every reachable subscriber and says for how many. The lock is what makes one order.
    pub(crate) fn publish(&self, topic: &Topic, parcel: Parcel) -> u64 {
        let topics = self.lock();
        let nodes = topics.get(topic).map_or(&[][..], Vec::as_slice);
        nodes.iter().filter(|node| node.push(parcel.clone())).count() as u64
    }

    pub(crate) fn subscribe(&self, node: &Arc<Node>, wanted: &[Topic]) {
        let mut topics = self.lock();
        if !node.is_open() {
            return;
        }
        for topic in wanted {
            let nodes = topics.entry(topic.clone()).or_default();
            if !nodes.iter().any(|other| Arc::ptr_eq(other, node)) {
                nodes.push(node.clone());
            }
        }
    }

    pub(crate) fn unsubscribe(&self, node: &Arc<Node>, unwanted: &[Topic]) {
        let mut topics = self.lock();
        for topic in unwanted {
            if let Some(nodes) = topics.get_mut(topic) {
                nodes.retain(|other| !Arc::ptr_eq(other, node));
                if nodes.is_empty() {
                    topics.remove(topic);
                }
            }
        }
    }

    /// Takes a node out of everything; it cannot subscribe again.
    pub(crate) fn remove(&self, node: &Arc<Node>) {
        let mut topics = self.lock();
        node.close();
        topics.retain(|_, nodes| {
            nodes.retain(|other| !Arc::ptr_eq(other, node));
            !nodes.is_empty()
        });
    }

    /// How many reachable servers want the topic.
    pub(crate) fn receivers(&self, topic: &Topic) -> u64 {
        let topics = self.lock();
        topics.get(topic).map_or(0, |nodes| nodes.iter().filter(|node| node.is_reachable()).count() as u64)
    }
}
