//! Pooled connections to the nodes of a Redis Cluster.
//!
//! Owns a pool for each node, made when it is first asked for and given up when the node owns no slots any more. Who owns the
//! slot of a key is known by `cluster`; a node that knows better says so, which is followed by whoever holds the connection.

use super::{Held, Server, failed};
use crate::cluster::Cluster;
use crate::route::Route;
use crate::settings::{Address, Settings};
use deadpool_redis::Status;
use redis::Cmd;
use signalr_core::BackplaneError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) struct Nodes {
    settings: Settings,
    cluster: Arc<Cluster>,
    pools: Mutex<Pools>,
}

type Pools = HashMap<Address, Arc<Server>>;

impl Nodes {
    pub(super) fn new(settings: Settings, cluster: Arc<Cluster>) -> Self {
        Self { settings, cluster, pools: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Pools> {
        // Nothing in here panics between two states.
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to any node that owns slots and can be reached.
    pub(super) async fn any(&self) -> Result<(Held, Address), BackplaneError> {
        let mut error = failed("the Cluster has no node that owns slots");
        for address in self.cluster.owners(&self.settings).await? {
            match self.at(&address).await {
                Ok(connection) => return Ok(connection),
                Err(why) => error = why,
            }
        }
        Err(error)
    }

    /// A connection to the owner of a key's slot, as far as this process knows.
    pub(super) async fn of(&self, key: &[u8]) -> Result<(Held, Address), BackplaneError> {
        let owner = self.cluster.owner(&self.settings, key).await?;
        self.at(&owner.ok_or_else(|| failed("no node of the Cluster owns the slot of this key"))?).await
    }

    /// A connection to this node.
    pub(super) async fn at(&self, address: &Address) -> Result<(Held, Address), BackplaneError> {
        self.pool(address)?.get().await
    }

    /// What is said before a command for a slot that is on its way; `None` when it is disabled.
    pub(super) fn asking(&self) -> Option<Cmd> {
        self.settings.commands.asking.as_deref().map(redis::cmd)
    }

    /// Asks for the owners anew: a node has said that they are others. A failure shows in what is asked next.
    pub(super) async fn look_again(&self) {
        let _ = self.cluster.look(&self.settings).await;
    }

    pub(super) fn status(&self) -> Status {
        let none = Status { max_size: 0, size: 0, available: 0, waiting: 0 };
        self.lock().values().map(|pool| pool.status()).fold(none, |sum, status| Status {
            max_size: sum.max_size + status.max_size,
            size: sum.size + status.size,
            available: sum.available + status.available,
            waiting: sum.waiting + status.waiting,
        })
    }

    fn pool(&self, address: &Address) -> Result<Arc<Server>, BackplaneError> {
        let mut pools = self.lock();
        if let Some(pool) = pools.get(address) {
            return Ok(pool.clone());
        }
        // A good moment: it comes when a node is new, as after a failover.
        let owners = self.cluster.known_owners();
        pools.retain(|known, _| owners.contains(known));
        let mut settings = self.settings.at(&address.host, address.port);
        settings.endpoints = vec![address.clone()];
        let route = Arc::new(Route::new(&settings));
        let pool = Arc::new(Server::new(settings, route)?);
        pools.insert(address.clone(), pool.clone());
        Ok(pool)
    }
}
