//! A hub from outside: for background tasks, other parts of a program and other hubs.

use crate::clients::HubClients;
use crate::groups::Groups;
use signalr_core::{ConnectionId, Events, HubLifetimeManager};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

/// Sends to a hub's clients from anywhere (the reference's `IHubContext`). Cheap to clone; made for long use.
pub struct HubContext<H> {
    manager: Arc<HubLifetimeManager>,
    hub: PhantomData<fn() -> H>,
}

impl<H> HubContext<H> {
    /// The context of a manager. `H` only names it.
    pub fn new(manager: Arc<HubLifetimeManager>) -> Self {
        Self { manager, hub: PhantomData }
    }

    /// Clients to send to.
    pub fn clients(&self) -> HubClients {
        HubClients::new(self.manager.clone())
    }

    /// Group membership.
    pub fn groups(&self) -> Groups {
        Groups::new(self.manager.clone())
    }

    /// The ids of the connections on this server, in no particular order.
    pub fn connection_ids(&self) -> Vec<ConnectionId> {
        self.manager.connection_ids()
    }

    /// How the backplane is; `None` without one.
    pub fn backplane_state(&self) -> Option<Events> {
        self.manager.backplane_state()
    }
}

impl<H> Clone for HubContext<H> {
    fn clone(&self) -> Self {
        Self::new(self.manager.clone())
    }
}

impl<H> fmt::Debug for HubContext<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HubContext").field(&self.manager.name()).finish()
    }
}

/// A [`HubContext`] that does not exist yet: made before the server, given to the hub's own state, live once the server
/// is built.
pub struct HubHandle<H> {
    context: Arc<OnceLock<HubContext<H>>>,
}

impl<H> HubHandle<H> {
    /// A handle without a context.
    pub fn new() -> Self {
        Self { context: Arc::new(OnceLock::new()) }
    }

    /// The context; `None` until the server is built.
    pub fn context(&self) -> Option<HubContext<H>> {
        self.context.get().cloned()
    }

    /// Makes the handle live. Called by the server's builder; only the first call counts.
    pub fn connect(&self, context: HubContext<H>) {
        // A handle given to two servers keeps the first.
        let _ = self.context.set(context);
    }
}

impl<H> Default for HubHandle<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H> Clone for HubHandle<H> {
    fn clone(&self) -> Self {
        Self { context: self.context.clone() }
    }
}

impl<H> fmt::Debug for HubHandle<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HubHandle").field(&self.context.get()).finish()
    }
}
