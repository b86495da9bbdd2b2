//! A hub that can be connected to: definition, options and lifetime manager together.
//!
//! Owns the wiring; each connection's conversation is in `connection`.

use crate::connection::HubConnection;
use crate::definition::{Hub, HubDefinition};
use crate::hub_context::HubContext;
use crate::options::HubOptions;
use signalr_core::{
    Backplane, BackplaneError, Connection, ConnectionDriver, ConnectionHandler, HubLifetimeManager, Policy,
};
use std::fmt;
use std::sync::Arc;

/// A served hub: what a transport connects clients to. Several paths may share one.
pub struct HubEndpoint {
    pub(crate) definition: HubDefinition,
    pub(crate) options: Arc<HubOptions>,
    pub(crate) manager: Arc<HubLifetimeManager>,
    policies: Vec<Arc<dyn Policy>>,
}

impl HubEndpoint {
    /// Serves a hub, without a backplane so far.
    pub fn new(hub: impl Hub, options: HubOptions) -> Arc<Self> {
        Self::of(hub.define(), options)
    }

    /// Serves a hub that is defined already.
    pub fn of(definition: HubDefinition, options: HubOptions) -> Arc<Self> {
        let manager = HubLifetimeManager::new(definition.name.clone(), options.manager());
        Self::assemble(definition, options, manager)
    }

    /// Serves a definition with the connections, groups and users of another endpoint, as one hub type at two paths
    /// needs. What the manager was made with (protocols, order, its time-outs) stays as it is.
    pub fn sharing(other: &Self, definition: HubDefinition, options: HubOptions) -> Arc<Self> {
        Self::assemble(definition, options, other.manager.clone())
    }

    fn assemble(
        definition: HubDefinition,
        options: HubOptions,
        manager: Arc<HubLifetimeManager>,
    ) -> Arc<Self> {
        let policies = definition.policies.iter().map(|policy| policy.resolve(&options)).collect();
        Arc::new(Self { definition, options: Arc::new(options), manager, policies })
    }

    /// Joins a backplane; before the first connection.
    ///
    /// # Errors
    /// What the backplane says.
    pub async fn join(&self, backplane: &dyn Backplane) -> Result<(), BackplaneError> {
        self.manager.join(backplane).await
    }

    /// The hub's description.
    pub fn definition(&self) -> &HubDefinition {
        &self.definition
    }

    /// The hub's lifetime manager.
    pub fn manager(&self) -> &Arc<HubLifetimeManager> {
        &self.manager
    }

    /// The hub from outside.
    pub fn context<H>(&self) -> HubContext<H> {
        HubContext::new(self.manager.clone())
    }
}

/// The handler of an endpoint, to give to a transport.
#[derive(Debug, Clone)]
pub(crate) struct Handler(Arc<HubEndpoint>);

impl HubEndpoint {
    /// The endpoint as a transport wants it.
    pub fn handler(self: &Arc<Self>) -> Arc<dyn ConnectionHandler> {
        Arc::new(Handler(self.clone()))
    }
}

impl ConnectionHandler for Handler {
    fn open(&self, connection: &Arc<Connection>) -> Box<dyn ConnectionDriver> {
        Box::new(HubConnection::new(self.0.clone(), connection.clone()))
    }

    fn policies(&self) -> &[Arc<dyn Policy>] {
        &self.0.policies
    }
}

impl fmt::Debug for HubEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubEndpoint").field("definition", &self.definition).finish_non_exhaustive()
    }
}
