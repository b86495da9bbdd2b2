//! A hub's membership: what the lifetime manager holds.
//!
//! Owns the contract's face. Order and outages are the lane's, subscriptions the registry's.

use crate::engine::Engine;
use crate::member::Member;
use crate::parcel::{invalid, left, unavailable};
use async_trait::async_trait;
use signalr_core::{
    BackplaneError, BackplaneErrorKind, BackplaneHub, BackplaneMessage, Events, Subscribed, Subscribing,
    Ticket, Topic,
};
use std::sync::Arc;

pub(crate) struct RedisHub {
    engine: Arc<Engine>,
    member: Arc<Member>,
}

impl RedisHub {
    pub(crate) fn new(engine: Arc<Engine>, member: Arc<Member>) -> Self {
        Self { engine, member }
    }

    fn channels(&self, topics: &[Topic]) -> Result<Vec<String>, BackplaneError> {
        let channels = self.member.codec().channels();
        topics.iter().map(|topic| channels.name(topic).map_err(invalid)).collect()
    }
}

#[async_trait]
impl BackplaneHub for RedisHub {
    fn node(&self) -> &str {
        self.member.node()
    }

    fn publish(&self, topic: &Topic, message: BackplaneMessage) -> Ticket {
        self.engine.shared.lane.publish(&self.member, topic, message)
    }

    fn subscribe(&self, topics: &[Topic]) -> Subscribing<'_> {
        let shared = &self.engine.shared;
        if self.member.has_left() {
            return Box::pin(std::future::ready(Err(left())));
        }
        let wish = match self.channels(topics) {
            Ok(channels) => shared.registry.want(&self.member, channels),
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        Box::pin(async move {
            let settled = tokio::time::timeout(shared.settings.request_timeout, wish.settled()).await;
            match settled {
                Err(_) => Err(unconfirmed()),
                Ok(Subscribed::Pending) if !shared.settings.accepts_pending() => Err(unavailable()),
                Ok(outcome) => Ok(outcome),
            }
        })
    }

    fn unsubscribe(&self, topics: &[Topic]) {
        // A topic that has no name cannot have been subscribed to.
        if let Ok(channels) = self.channels(topics) {
            self.engine.shared.registry.unwant(&self.member, &channels);
        }
    }

    fn orders_direct(&self) -> bool {
        self.engine.shared.settings.ordered_direct
    }

    async fn receivers(&self, topic: &Topic) -> Option<u64> {
        let channel = self.member.codec().channels().name(topic).ok()?;
        if self.member.has_left() {
            return None;
        }
        self.engine.shared.count_receivers(&[&channel]).await?.first().copied()
    }

    fn state(&self) -> Events {
        self.engine.shared.health.state()
    }

    async fn caught_up(&self) {
        let shared = &self.engine.shared;
        let all = async {
            shared.marker().await;
            while self.member.inbox().is_delivering() {
                tokio::task::yield_now().await;
            }
        };
        // A Redis that hangs is noticed in the same time.
        if tokio::time::timeout(shared.settings.probe_timeout, all).await.is_err() {
            tracing::warn!("what Redis has confirmed may not have arrived here yet");
        }
    }

    async fn leave(&self) {
        self.member.leave();
        let patience = self.engine.shared.settings.request_timeout;
        // What cannot be written in time is as lost as in any outage.
        let _ = tokio::time::timeout(patience, self.member.flushed()).await;
        self.engine.shared.registry.part(&self.member);
        while !self.member.inbox().close() {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for RedisHub {
    /// A server that vanishes.
    fn drop(&mut self) {
        self.member.leave();
        self.engine.shared.registry.part(&self.member);
        self.member.inbox().close();
    }
}

fn unconfirmed() -> BackplaneError {
    let text = "Redis did not confirm the subscription in time; it stays on record, try again";
    BackplaneError::new(BackplaneErrorKind::TimedOut, text)
}
