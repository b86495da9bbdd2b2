//! One server's way into the fleet.
//!
//! Owns the join and the switch that cuts the server off. Topics and order are the bus's.

use crate::bus::MemoryBus;
use crate::member::{Member, unavailable};
use crate::node::Node;
use async_trait::async_trait;
use signalr_core::{Backplane, BackplaneError, BackplaneHub, HubJoin, Topic, new_id};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// One server's backplane. Made by [`MemoryBus::backplane`]; serves all hubs of that server.
///
/// It is up from the start. A test can cut it off: then publishing fails with a transient error, nothing arrives, and
/// new subscriptions are refused or, with [`MemoryBackplane::accept_while_down`], pending. Cheap to clone: all clones
/// are the same server, so one can be kept as the switch of an outage.
#[derive(Clone)]
pub struct MemoryBackplane {
    bus: MemoryBus,
    server: Arc<Mutex<Server>>,
}

struct Server {
    reachable: bool,
    accept_while_down: bool,
    nodes: Vec<Weak<Node>>,
}

impl MemoryBackplane {
    pub(crate) fn new(bus: MemoryBus) -> Self {
        let server = Server { reachable: true, accept_while_down: false, nodes: Vec::new() };
        Self { bus, server: Arc::new(Mutex::new(server)) }
    }

    /// Joins and subscriptions succeed while the server is cut off; they are in force when it is back. Default: they
    /// fail with a transient error. Counts for hubs that join from now on.
    #[must_use]
    pub fn accept_while_down(self) -> Self {
        self.lock().accept_while_down = true;
        self
    }

    /// Cuts this server off: what is published elsewhere is lost for it, and it cannot publish.
    pub fn cut_off(&self) {
        self.set_reachable(false);
    }

    /// Ends the cut. All wishes are in force before the state is `Up`.
    pub fn restore(&self) {
        self.set_reachable(true);
    }

    fn set_reachable(&self, reachable: bool) {
        let mut server = self.lock();
        server.reachable = reachable;
        server.nodes.retain(|node| match node.upgrade() {
            Some(node) => {
                node.set_reachable(reachable);
                true
            }
            None => false,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Server> {
        // Nothing in here panics between two states.
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Backplane for MemoryBackplane {
    async fn join(&self, hub: HubJoin) -> Result<Arc<dyn BackplaneHub>, BackplaneError> {
        let (node, accept_while_down) = {
            let mut server = self.lock();
            if !server.reachable && !server.accept_while_down {
                return Err(unavailable());
            }
            let node = Node::new(format!("memory_{}", new_id()), server.reachable);
            server.nodes.push(Arc::downgrade(&node));
            (node, server.accept_while_down)
        };
        let worker = tokio::spawn(node.clone().work(hub.sink));
        let bus = self.bus.hub(&hub.name);
        let name: Arc<str> = node.name().into();
        bus.subscribe(&node, &[Topic::All, Topic::Groups, Topic::Ack(name.clone()), Topic::Return(name)]);
        Ok(Arc::new(Member {
            hub: bus,
            node,
            worker: tokio::sync::Mutex::new(Some(worker)),
            accept_while_down,
        }))
    }
}

impl fmt::Debug for MemoryBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackplane").field("reachable", &self.lock().reachable).finish_non_exhaustive()
    }
}
