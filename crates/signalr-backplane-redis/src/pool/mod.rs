//! Connections for occasional work with keys: an application's own, and later presence and audit.
//!
//! Owns the choice of who makes them. deadpool-redis does wherever its manager can ([`standard`]); where connections
//! need what it does not have (TLS judged by ourselves, an application's own streams, a server without `PING` or
//! `UNWATCH`) they are dialled as the backplane's own are, and pooled by the same deadpool ([`dialled`]). Nothing of the
//! backplane's own traffic goes through a pool: each checkout costs a round trip, so it is far slower than the publisher.

mod dialled;
mod standard;

use crate::route::Route;
use crate::settings::{Address, Settings};
use deadpool::managed::{Object, Status};
use dialled::Dialled;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisFuture, Value};
use signalr_core::{BackplaneError, BackplaneErrorKind};
use standard::Standard;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Connections to the same Redis as the backplane's. Clones share them.
#[derive(Clone)]
pub struct RedisPool {
    served: Arc<Served>,
    route: Arc<Route>,
}

enum Served {
    Standard(Standard),
    Dialled(Dialled),
}

/// A connection of a [`RedisPool`], which gets it back when this is dropped. Takes commands of the `redis` crate, each of
/// which is given the async time-out of the options.
///
/// With Sentinel or several endpoints an answer that only a replica gives (`READONLY`, `MASTERDOWN`) makes the backplane
/// look for the primary at once, as far as commands are sent on this value and not on a clone of what it derefs to.
pub struct PooledConnection {
    held: Held,
    route: Arc<Route>,
    address: Address,
}

enum Held {
    Standard(deadpool_redis::Connection),
    // The object is what goes back to the pool.
    Dialled(
        MultiplexedConnection,
        #[expect(dead_code, reason = "kept for its drop")] Object<dialled::Manager>,
    ),
}

impl RedisPool {
    pub(crate) fn new(settings: Settings, route: Arc<Route>) -> Result<Self, BackplaneError> {
        let served = if Standard::can_serve(&settings) {
            Served::Standard(Standard::new(settings, route.clone()))
        } else {
            Served::Dialled(Dialled::new(settings, route.clone())?)
        };
        Ok(Self { served: Arc::new(served), route })
    }

    /// A connection: one that is idle and answers, else a new one, else the next that is given back. Waits at most as long
    /// as the async and the connect time-out say. Cancel safe.
    ///
    /// # Errors
    /// Redis cannot be reached or refuses the login, or no connection became free in time.
    pub async fn get(&self) -> Result<PooledConnection, BackplaneError> {
        let (held, address) = match &*self.served {
            Served::Standard(pool) => {
                let (conn, address) = pool.get().await?;
                (Held::Standard(conn), address)
            }
            Served::Dialled(pool) => {
                let (conn, object) = pool.get().await?;
                let address = object.1.clone();
                (Held::Dialled(conn, object), address)
            }
        };
        Ok(PooledConnection { held, route: self.route.clone(), address })
    }

    /// The pool of deadpool-redis behind this one, for libraries that take such a pool. `None` where connections are dialled
    /// by the backplane itself: with TLS, with a connection factory, and when the command map lacks `PING` or `UNWATCH`.
    ///
    /// With Sentinel or several endpoints it leads to the server that is primary now, and is closed soon after that has
    /// changed: ask for it again then.
    ///
    /// # Errors
    /// The primary is not known and cannot be found.
    pub async fn deadpool(&self) -> Result<Option<deadpool_redis::Pool>, BackplaneError> {
        match &*self.served {
            Served::Standard(pool) => pool.current().await.map(|(_, pool)| Some(pool)),
            Served::Dialled(_) => Ok(None),
        }
    }

    /// How many connections there are, are idle and are waited for.
    pub fn status(&self) -> Status {
        match &*self.served {
            Served::Standard(pool) => pool.status(),
            Served::Dialled(pool) => pool.status(),
        }
    }
}

impl fmt::Debug for RedisPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPool").field("status", &self.status()).finish()
    }
}

impl PooledConnection {
    fn heed(&self, code: Option<&str>) {
        if code.is_some_and(|code| OF_REPLICAS.contains(&code)) {
            self.route.doubt(&self.address);
        }
    }
}

impl Deref for PooledConnection {
    type Target = MultiplexedConnection;

    fn deref(&self) -> &MultiplexedConnection {
        match &self.held {
            Held::Standard(conn) => conn,
            Held::Dialled(conn, _) => conn,
        }
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut MultiplexedConnection {
        match &mut self.held {
            Held::Standard(conn) => conn,
            Held::Dialled(conn, _) => conn,
        }
    }
}

impl ConnectionLike for PooledConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let answer = (**self).req_packed_command(command).await;
            match &answer {
                Ok(value) => self.heed(refusal(value)),
                Err(error) => self.heed(error.code()),
            }
            answer
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let answer = (**self).req_packed_commands(commands, offset, count).await;
            match &answer {
                Ok(values) => values.iter().for_each(|value| self.heed(refusal(value))),
                Err(error) => self.heed(error.code()),
            }
            answer
        })
    }

    fn get_db(&self) -> i64 {
        (**self).get_db()
    }
}

impl fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection").finish_non_exhaustive()
    }
}

fn refusal(value: &Value) -> Option<&str> {
    match value {
        Value::ServerError(error) => Some(error.code()),
        _ => None,
    }
}

/// Codes of answers that a primary never gives.
const OF_REPLICAS: [&str; 2] = ["READONLY", "MASTERDOWN"];

/// An error that is none of Redis' own.
fn failed(why: impl fmt::Display) -> BackplaneError {
    BackplaneError::new(BackplaneErrorKind::Unavailable, format!("no connection of the pool: {why}"))
}
