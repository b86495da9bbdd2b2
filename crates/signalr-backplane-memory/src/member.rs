//! A hub's membership: what the lifetime manager holds.
//!
//! Owns the rules of an outage and of leaving. The order is the bus's.

use crate::bus::HubBus;
use crate::node::Node;
use async_trait::async_trait;
use signalr_core::{
    BackplaneError, BackplaneErrorKind, BackplaneHub, BackplaneMessage, Events, Outcome, Subscribed,
    Subscribing, Ticket, Topic,
};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

pub(crate) struct Member {
    pub(crate) hub: Arc<HubBus>,
    pub(crate) node: Arc<Node>,
    pub(crate) worker: Mutex<Option<JoinHandle<()>>>,
    pub(crate) accept_while_down: bool,
}

impl Member {
    /// Why nothing can be done now, if so.
    fn obstacle(&self) -> Option<BackplaneError> {
        if !self.node.is_open() {
            return Some(left());
        }
        (!self.node.is_reachable()).then(unavailable)
    }
}

#[async_trait]
impl BackplaneHub for Member {
    fn node(&self) -> &str {
        self.node.name()
    }

    fn publish(&self, topic: &Topic, message: BackplaneMessage) -> Ticket {
        Ticket::known(match self.obstacle() {
            Some(error) => Err(error),
            None => Ok(Outcome::Receivers(self.hub.publish(topic, Arc::new((topic.clone(), message))))),
        })
    }

    fn subscribe(&self, topics: &[Topic]) -> Subscribing<'_> {
        // On record whatever the state: in force as soon as this server can be reached again.
        self.hub.subscribe(&self.node, topics);
        let outcome = match self.obstacle() {
            None => Ok(Subscribed::InForce),
            Some(error) if self.accept_while_down && error.is_transient() => Ok(Subscribed::Pending),
            Some(error) => Err(error),
        };
        Box::pin(std::future::ready(outcome))
    }

    fn unsubscribe(&self, topics: &[Topic]) {
        self.hub.unsubscribe(&self.node, topics);
    }

    async fn receivers(&self, topic: &Topic) -> Option<u64> {
        self.obstacle().is_none().then(|| self.hub.receivers(topic))
    }

    fn state(&self) -> Events {
        self.node.events()
    }

    async fn caught_up(&self) {
        let queued = self.node.queued();
        let gone = |worker: &Option<JoinHandle<()>>| worker.as_ref().is_none_or(JoinHandle::is_finished);
        while !self.node.has_delivered(queued) && !self.worker.try_lock().is_ok_and(|worker| gone(&worker)) {
            tokio::task::yield_now().await;
        }
    }

    async fn leave(&self) {
        self.hub.remove(&self.node);
        let mut worker = self.worker.lock().await;
        if let Some(handle) = worker.as_mut() {
            // A worker fails only by a panic of the sink; it delivers nothing more then either.
            let _ = handle.await;
            *worker = None;
        }
    }
}

impl Drop for Member {
    /// A server that vanishes.
    fn drop(&mut self) {
        self.node.crash();
        self.hub.remove(&self.node);
    }
}

pub(crate) fn unavailable() -> BackplaneError {
    let text = "this server is cut off from the fleet; restore it and try again";
    BackplaneError::new(BackplaneErrorKind::Unavailable, text)
}

fn left() -> BackplaneError {
    BackplaneError::new(BackplaneErrorKind::Left, "the hub has left the fleet; join again")
}
