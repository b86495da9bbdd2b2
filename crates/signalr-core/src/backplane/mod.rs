//! The contract between a hub's lifetime manager and what joins several servers.
//!
//! Owns the traits, topics and messages. Implemented by the backplane crates; driven by
//! [`HubLifetimeManager`](crate::HubLifetimeManager). What every backplane needs alike (group commands and their acks,
//! client results across servers, exclusions, origin tags) is **not** a backplane's work: the manager does it over
//! topics.

mod error;
mod message;
mod state;
mod ticket;
mod topic;

pub use error::{BackplaneError, BackplaneErrorKind};
pub use message::{BackplaneMessage, GroupAction, GroupCommand, InvocationMessage, Payloads};
pub use state::{BackplaneState, Events, StateSender};
pub use ticket::{Outcome, Ticket, TicketSender};
pub use topic::Topic;

use async_trait::async_trait;
use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// What a hub brings when it joins.
#[derive(Clone)]
#[non_exhaustive]
pub struct HubJoin {
    /// The hub's wire name; servers with equal names form one fleet.
    pub name: Cow<'static, str>,
    /// Where messages go.
    pub sink: Arc<dyn BackplaneSink>,
}

impl HubJoin {
    /// A hub of this name, whose messages go to `sink`.
    pub fn new(name: impl Into<Cow<'static, str>>, sink: Arc<dyn BackplaneSink>) -> Self {
        Self { name: name.into(), sink }
    }
}

/// Joins several servers into one. One value serves all hubs of a server.
///
/// Delivery is at most once: what is published while a server is cut off is lost for it, and the backplane says so
/// ([`BackplaneState`], [`Outcome`]), never in silence.
#[async_trait]
pub trait Backplane: Send + Sync + 'static {
    /// Joins a hub. When it returns, the hub's own topics (all, groups, its ack and return topics) are in force, unless
    /// the backplane is down under a policy that accepts that.
    ///
    /// Called once per hub, before any connection. Not cancel safe: a dropped future may leave the hub half joined.
    ///
    /// # Errors
    /// A wrong configuration, or a backplane that is down under a policy that refuses that.
    async fn join(&self, hub: HubJoin) -> Result<Arc<dyn BackplaneHub>, BackplaneError>;
}

/// Where a backplane puts what it receives. Implemented by the lifetime manager.
pub trait BackplaneSink: Send + Sync + 'static {
    /// One message. Messages of one topic must be handed over in the order of their publication, and one at a time;
    /// different topics may be handed over side by side.
    ///
    /// Never blocks and never waits: sends are pushes to outboxes, commands go to a worker. May be called from any
    /// thread, also from inside [`BackplaneHub::publish`].
    fn deliver(&self, topic: &Topic, message: BackplaneMessage);
}

/// The future of a subscription: see [`BackplaneHub::subscribe`].
pub type Subscribing<'a> = Pin<Box<dyn Future<Output = Result<Subscribed, BackplaneError>> + Send + 'a>>;

/// Whether a subscription receives already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscribed {
    /// Everything published from now on arrives.
    InForce,
    /// The backplane is down under a policy that accepts that; in force before it is reported up again.
    Pending,
}

/// One hub's membership in a backplane.
#[async_trait]
pub trait BackplaneHub: Send + Sync + 'static {
    /// This server's name for this hub: unique in the fleet, new for every join. Names its ack and return topics and
    /// tags the origin of messages.
    fn node(&self) -> &str;

    /// Publishes to every subscriber of the topic, this server included.
    ///
    /// Takes its place in the order **before it returns**: two calls one after the other arrive in that order at every
    /// subscriber of both. Never blocks. The ticket tells the outcome and may be dropped.
    fn publish(&self, topic: &Topic, message: BackplaneMessage) -> Ticket;

    /// Wants these topics. Level-triggered and idempotent: the wish is on record when this call returns, before the
    /// future is first polled, and dropping the future does not undo it. The future is ready when the topics are in
    /// force, or pending under a policy that accepts that.
    ///
    /// # Errors
    /// The wish could not be fulfilled in time; it stays on record until [`unsubscribe`](Self::unsubscribe).
    fn subscribe(&self, topics: &[Topic]) -> Subscribing<'_>;

    /// Takes wishes back. Never waits; messages that are on their way may still arrive.
    fn unsubscribe(&self, topics: &[Topic]);

    /// Whether a send to one connection takes the way of all others, through [`publish`](Self::publish), although the
    /// connection is on this server, so that it stays in order with them. Default `false`: it is delivered at once, as
    /// in the reference, and may overtake what is still on its way. Asked at every such send; *ours*.
    ///
    /// A backplane that says `true` must keep the order between topics, of one sender, at this server.
    fn orders_direct(&self) -> bool {
        false
    }

    /// How many servers would receive a message to this topic; `None` when the backplane cannot know. Cancel safe.
    async fn receivers(&self, topic: &Topic) -> Option<u64>;

    /// How the backplane is, now and from now on.
    fn state(&self) -> Events;

    /// Ready when all messages to this hub's topics whose publication had been confirmed to anybody before this call were
    /// delivered here, as far as the backplane can know; or after a time that it bounds itself, a few seconds at most. A
    /// server calls it before it tells its clients to go elsewhere, so that they miss nothing of what was said to them.
    ///
    /// Default: at once, for backplanes that confirm nothing before it is delivered everywhere. Cancel safe; *ours*.
    async fn caught_up(&self) {}

    /// Leaves: what was published is flushed as far as possible, then topics are given back. Nothing is delivered
    /// afterwards.
    async fn leave(&self);
}
