//! The hub lifetime manager: who is connected, and every send, group change and question to a client.
//!
//! Owns the local tables and the decision between local delivery and the backplane. Without a backplane it is purely
//! local, at no cost. With one, group commands, acks and client results across servers are done here, over topics, so
//! that every backplane has them.

mod asked;
mod crowd;
mod error;
mod groups;
mod invoke;
mod send;
mod sink;
mod tables;
mod wait;

pub use error::{GroupError, InvokeError, SendError};
pub use invoke::{Completed, RawResult};
pub use send::Target;

use crate::backplane::{Backplane, BackplaneError, BackplaneHub, Events, HubJoin, Topic};
use crate::connection::Connection;
use crate::ids::ConnectionId;
use crate::outgoing::ProtocolSet;
use invoke::PendingResults;
use signalr_protocol::Protocol;
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tables::Tables;
use wait::Waits;

/// What is promised about order when there is a backplane. Without one, the two are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DeliveryOrder {
    /// Every message to all, a group or a user goes through the backplane, local members included: all members on all
    /// servers see one order per topic. The reference's way.
    #[default]
    Ordered,
    /// Local members at once, the others through the backplane: lower latency, but servers may see different orders.
    LocalFirst,
}

/// Settings of a manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManagerOptions {
    /// The protocols that the fleet offers: each published message is written in all of them.
    pub protocols: ProtocolSet,
    /// What is promised about order.
    pub order: DeliveryOrder,
    /// How long a group change for a connection elsewhere waits for its ack. Default 30 s.
    pub group_timeout: Duration,
    /// How long a client may take to answer. Default 30 s.
    pub result_timeout: Duration,
}

impl Default for ManagerOptions {
    fn default() -> Self {
        Self {
            protocols: ProtocolSet::default(),
            order: DeliveryOrder::default(),
            group_timeout: Duration::from_secs(30),
            result_timeout: Duration::from_secs(30),
        }
    }
}

/// One hub's connections on this server, and its way to those on others.
///
/// # Guarantees
/// * Messages of one sender to one target arrive in the order of the calls.
/// * Delivery is at most once per connection.
/// * A send never waits for a client, except a send to one single client that is full.
pub struct HubLifetimeManager {
    name: Cow<'static, str>,
    options: ManagerOptions,
    tables: RwLock<Tables>,
    speakers: [AtomicUsize; Protocol::COUNT],
    backplane: OnceLock<Arc<dyn BackplaneHub>>,
    acks: Waits<i32, ()>,
    results: PendingResults,
}

impl HubLifetimeManager {
    /// A manager for the hub of this wire name, without a backplane.
    pub fn new(name: impl Into<Cow<'static, str>>, options: ManagerOptions) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            options,
            tables: RwLock::default(),
            speakers: Default::default(),
            backplane: OnceLock::new(),
            acks: Waits::default(),
            results: PendingResults::default(),
        })
    }

    /// Joins a backplane; once, before the first connection.
    ///
    /// # Errors
    /// What the backplane says.
    pub async fn join(self: &Arc<Self>, backplane: &dyn Backplane) -> Result<(), BackplaneError> {
        let sink = sink::Sink::start(self);
        let hub = backplane.join(HubJoin::new(self.name.clone(), sink)).await?;
        // A second join would be a second fleet for one hub: the first one stays.
        let _ = self.backplane.set(hub);
        Ok(())
    }

    /// Waits until what other servers are known to have sent is on its way to the clients here; see
    /// [`BackplaneHub::caught_up`]. At once without a backplane. Cancel safe.
    pub async fn caught_up(&self) {
        if let Some(hub) = self.backplane.get() {
            hub.caught_up().await;
        }
    }

    /// Leaves the backplane: flushes what was published, then nothing more is delivered.
    pub async fn leave(&self) {
        if let Some(hub) = self.backplane.get() {
            hub.leave().await;
        }
    }

    /// The hub's wire name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings.
    pub fn options(&self) -> &ManagerOptions {
        &self.options
    }

    /// How the backplane is; `None` without one.
    pub fn backplane_state(&self) -> Option<Events> {
        self.backplane.get().map(|hub| hub.state())
    }

    /// The connection of this id, when it is on this server.
    pub fn connection(&self, id: &str) -> Option<Arc<Connection>> {
        self.read().connections.get(id).cloned()
    }

    /// How many connections this server has.
    pub fn connection_count(&self) -> usize {
        self.read().connections.len()
    }

    /// The ids of the connections on this server, in no particular order.
    pub fn connection_ids(&self) -> Vec<ConnectionId> {
        self.read().connections.keys().cloned().collect()
    }

    /// Adds a connection whose handshake is done. With a backplane it waits until its topics are in force.
    ///
    /// Cancel safe when followed by [`HubLifetimeManager::disconnect`].
    ///
    /// # Errors
    /// The backplane cannot subscribe; the connection must be ended, and [`HubLifetimeManager::disconnect`] called.
    pub async fn connect(&self, connection: &Arc<Connection>) -> Result<(), BackplaneError> {
        let subscribing = {
            let mut tables = self.write();
            tables.add(connection);
            if let Some(protocol) = connection.protocol() {
                self.speakers[protocol.index()].fetch_add(1, Ordering::Relaxed);
            }
            // The wish is put on record under the lock, so that it cannot pass a last member's farewell.
            self.backplane.get().map(|hub| {
                let mut topics = vec![Topic::Connection(connection.id().clone())];
                topics.extend(connection.user_id().filter(|user| !user.is_empty()).map(Topic::user));
                hub.subscribe(&topics)
            })
        };
        match subscribing {
            Some(subscribing) => subscribing.await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Removes a connection: from its groups, from its user, from the table; questions to it fail. Safe to call for one
    /// that was never added, or twice.
    pub fn disconnect(&self, connection: &Arc<Connection>) {
        {
            let mut tables = self.write();
            let Some(emptied) = tables.remove(connection) else { return };
            if let Some(protocol) = connection.protocol() {
                self.speakers[protocol.index()].fetch_sub(1, Ordering::Relaxed);
            }
            if let Some(hub) = self.backplane.get() {
                let mut topics = vec![Topic::Connection(connection.id().clone())];
                topics.extend(emptied.groups.into_iter().map(Topic::Group));
                topics.extend(emptied.user.map(Topic::User));
                hub.unsubscribe(&topics);
            }
        }
        self.fail_results(connection.id());
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        // A panic under this lock could only come from an allocation; the tables are sound at every step.
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn speaks(&self, protocol: Protocol) -> bool {
        self.speakers[protocol.index()].load(Ordering::Relaxed) > 0
    }
}

impl fmt::Debug for HubLifetimeManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubLifetimeManager").field("name", &self.name).finish_non_exhaustive()
    }
}
