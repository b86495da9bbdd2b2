//! A built server: its endpoints, and its hubs by type.
//!
//! Owns the look-up only. Requests and connections are the transport layer's, which this derefs to.

use signalr_hub::{HubContext, HubEndpoint};
use signalr_transport::Server as Endpoints;
use std::any::TypeId;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A server that is ready for requests. Cheap to clone; all clones are one server.
///
/// Give it to `signalr::warp::serve`, or mount it with `signalr::warp::ServerExt::routes`. It derefs to the transport
/// layer's server, which another web framework can be put in front of.
#[derive(Clone)]
pub struct Server {
    endpoints: Endpoints,
    hubs: Arc<Hubs>,
}

impl Server {
    pub(crate) fn new(endpoints: Endpoints, hubs: Hubs) -> Self {
        Self { endpoints, hubs: Arc::new(hubs) }
    }

    /// The hub of this type from outside: sends to its clients from anywhere. `None` when the server has no such hub.
    pub fn context<H: 'static>(&self) -> Option<HubContext<H>> {
        self.hubs.context()
    }
}

impl Deref for Server {
    type Target = Endpoints;

    fn deref(&self) -> &Endpoints {
        &self.endpoints
    }
}

impl From<Server> for Endpoints {
    fn from(server: Server) -> Self {
        server.endpoints
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.hubs.iter().map(|hub| hub.definition().name()).collect();
        f.debug_struct("Server").field("endpoints", &self.endpoints).field("hubs", &names).finish()
    }
}

/// One endpoint for each hub type, that of its first path.
#[derive(Default)]
pub(crate) struct Hubs(Vec<Arc<HubEndpoint>>);

impl Hubs {
    pub(crate) fn add(&mut self, hub: Arc<HubEndpoint>) {
        self.0.push(hub);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<HubEndpoint>> {
        self.0.iter()
    }

    pub(crate) fn context<H: 'static>(&self) -> Option<HubContext<H>> {
        self.iter().find(|hub| hub.definition().kind() == TypeId::of::<H>()).map(|hub| hub.context())
    }
}
