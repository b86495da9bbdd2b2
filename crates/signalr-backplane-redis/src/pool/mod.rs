//! Connections for occasional work with keys: an application's own, and later presence and audit.
//!
//! Owns the choice of who makes them. deadpool-redis does wherever its manager can ([`standard`]); where connections
//! need what it does not have (TLS judged by ourselves, an application's own streams, a server without `PING` or
//! `UNWATCH`) they are dialled as the backplane's own are, and pooled by the same deadpool ([`dialled`]). In a Cluster there
//! is one such pool for each node ([`nodes`]). Nothing of the backplane's own traffic goes through a pool: each checkout costs
//! a round trip, so it is far slower than the publisher.

mod connection;
mod dialled;
mod nodes;
mod redirect;
mod standard;

use crate::engine::Shared;
use crate::route::Route;
use crate::settings::{Address, Settings};
pub use connection::PooledConnection;
use deadpool::managed::Status;

use connection::Held;
use dialled::Dialled;
use nodes::Nodes;
use signalr_core::{BackplaneError, BackplaneErrorKind};
use standard::Standard;
use std::fmt;
use std::sync::Arc;

/// Connections to the same Redis as the backplane's. Clones share them.
#[derive(Clone)]
pub struct RedisPool {
    served: Arc<Served>,
    route: Arc<Route>,
}

enum Served {
    Server(Server),
    Cluster(Box<Nodes>),
}

/// One server's connections.
enum Server {
    Standard(Standard),
    Dialled(Dialled),
}

impl RedisPool {
    pub(crate) fn new(shared: &Shared) -> Result<Self, BackplaneError> {
        let (settings, route) = (shared.settings.clone(), shared.route.clone());
        let served = if settings.cluster.is_some() {
            Served::Cluster(Box::new(Nodes::new(settings, shared.cluster.clone())))
        } else {
            Served::Server(Server::new(settings, route.clone())?)
        };
        Ok(Self { served: Arc::new(served), route })
    }

    /// A connection: one that is idle and answers, else a new one, else the next that is given back. Waits at most as long
    /// as the async and the connect time-out say. Cancel safe.
    ///
    /// In a Cluster it leads to one of the nodes that own slots. Commands with keys of other nodes work too, by a redirection;
    /// [`get_for`](Self::get_for) saves that.
    ///
    /// # Errors
    /// Redis cannot be reached or refuses the login, or no connection became free in time.
    pub async fn get(&self) -> Result<PooledConnection, BackplaneError> {
        match &*self.served {
            Served::Server(server) => Ok(self.connection(server.get().await?)),
            Served::Cluster(nodes) => Ok(self.connection(nodes.any().await?)),
        }
    }

    /// The same for work with this key, and with others of its hash slot, which a part of the key in braces chooses: in a
    /// Cluster it leads to the owner of the slot. Pipelines and transactions need that, because they are sent to one node as
    /// they are; if the slot moves meanwhile some of their answers are `MOVED` errors: ask here again and repeat what was
    /// not done. Elsewhere it is [`get`](Self::get).
    ///
    /// Each node has a pool of [`pool_size`](crate::options::RedisOptionsBuilder::pool_size).
    ///
    /// # Errors
    /// As of `get`; and no node owns the slot now.
    pub async fn get_for(&self, key: impl AsRef<[u8]> + Send) -> Result<PooledConnection, BackplaneError> {
        match &*self.served {
            Served::Server(_) => self.get().await,
            Served::Cluster(nodes) => Ok(self.connection(nodes.of(key.as_ref()).await?)),
        }
    }

    fn connection(&self, (held, address): (Held, Address)) -> PooledConnection {
        PooledConnection::new(held, address, self.served.clone(), self.route.clone())
    }

    /// The pool of deadpool-redis behind this one, for libraries that take such a pool. `None` where connections are dialled
    /// by the backplane itself: with TLS, with a connection factory, and when the command map lacks `PING` or `UNWATCH`; and in
    /// a Cluster, where there are several.
    ///
    /// With Sentinel or several endpoints it leads to the server that is primary now, and is closed soon after that has
    /// changed: ask for it again then. Also soon after the server was found to have no `HELLO` any more. A new pool is asked
    /// for one connection first, to learn whether it has.
    ///
    /// # Errors
    /// The primary is not known and cannot be found.
    pub async fn deadpool(&self) -> Result<Option<deadpool_redis::Pool>, BackplaneError> {
        match &*self.served {
            Served::Server(Server::Standard(pool)) => pool.current().await.map(Some),
            Served::Server(Server::Dialled(_)) | Served::Cluster(_) => Ok(None),
        }
    }

    /// How many connections there are, are idle and are waited for; in a Cluster on all nodes together.
    pub fn status(&self) -> Status {
        match &*self.served {
            Served::Server(server) => server.status(),
            Served::Cluster(nodes) => nodes.status(),
        }
    }
}

impl Server {
    fn new(settings: Settings, route: Arc<Route>) -> Result<Self, BackplaneError> {
        if Standard::can_serve(&settings) {
            return Ok(Self::Standard(Standard::new(settings, route)));
        }
        Ok(Self::Dialled(Dialled::new(settings, route)?))
    }

    async fn get(&self) -> Result<(Held, Address), BackplaneError> {
        match self {
            Self::Standard(pool) => {
                let (conn, address) = pool.get().await?;
                Ok((Held::Standard(conn), address))
            }
            Self::Dialled(pool) => {
                let (conn, object) = pool.get().await?;
                let address = object.1.clone();
                Ok((Held::Dialled(conn, object), address))
            }
        }
    }

    fn status(&self) -> Status {
        match self {
            Self::Standard(pool) => pool.status(),
            Self::Dialled(pool) => pool.status(),
        }
    }
}

impl fmt::Debug for RedisPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPool").field("status", &self.status()).finish()
    }
}

/// An error that is none of Redis' own.
fn failed(why: impl fmt::Display) -> BackplaneError {
    BackplaneError::new(BackplaneErrorKind::Unavailable, format!("no connection of the pool: {why}"))
}
