//! Connections for occasional work with keys: an application's own, and later presence and audit.
//!
//! Owns the pool, which is deadpool's with a manager of ours: its connections are dialled as the backplane's own are, and
//! what the command map disables is never sent. Nothing of the backplane's own traffic goes through it: each checkout
//! costs a round trip, so it is far slower than the publisher.

use crate::dial::Link;
use crate::route::Route;
use crate::settings::{Address, Settings};
use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, Status};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisFuture, Value};
use signalr_core::{BackplaneError, BackplaneErrorKind};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Connections to the same Redis as the backplane's, reached in the same way. Clones share them.
#[derive(Clone)]
pub struct RedisPool(Pool<Dialler>);

/// A connection of a [`RedisPool`], which gets it back when this is dropped. Takes commands of the `redis` crate.
pub struct PooledConnection {
    object: Object<Dialler>,
    conn: MultiplexedConnection,
}

impl RedisPool {
    pub(crate) fn new(settings: Settings, route: Arc<Route>) -> Result<Self, BackplaneError> {
        let (size, wait, dial) = (settings.pool_size, settings.request_timeout, settings.connect_timeout);
        let pool = Pool::builder(Dialler { settings, route })
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(wait))
            .create_timeout(Some(dial))
            .recycle_timeout(Some(wait))
            .build();
        let failed = |error| BackplaneError::new(BackplaneErrorKind::Config, format!("no pool: {error}"));
        Ok(Self(pool.map_err(failed)?))
    }

    /// A connection: one that is idle and answers, else a new one, else the next that is given back. Waits at most as long
    /// as the async and the connect time-out say. Cancel safe.
    ///
    /// # Errors
    /// Redis cannot be reached or refuses the login, or no connection became free in time.
    pub async fn get(&self) -> Result<PooledConnection, BackplaneError> {
        let object = self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            other => BackplaneError::new(BackplaneErrorKind::Unavailable, other.to_string()),
        })?;
        let conn = object.0.conn();
        Ok(PooledConnection { object, conn })
    }

    /// How many connections there are, are idle and are waited for.
    pub fn status(&self) -> Status {
        self.0.status()
    }
}

impl fmt::Debug for RedisPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPool").field("status", &self.status()).finish()
    }
}

impl Deref for PooledConnection {
    type Target = MultiplexedConnection;

    fn deref(&self) -> &MultiplexedConnection {
        &self.conn
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut MultiplexedConnection {
        &mut self.conn
    }
}

impl ConnectionLike for PooledConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.conn.req_packed_command(command)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.conn.req_packed_commands(commands, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.conn.get_db()
    }
}

impl fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection").field("ended", &self.object.0.has_ended()).finish()
    }
}

/// Makes connections, and finds out whether one is still of use.
struct Dialler {
    settings: Settings,
    route: Arc<Route>,
}

impl Manager for Dialler {
    type Type = (Link, Address);
    type Error = BackplaneError;

    async fn create(&self) -> Result<Self::Type, BackplaneError> {
        self.route.connect(&self.settings, None).await
    }

    /// With a sign of life where one may be asked for; what the last user left watched is forgotten.
    async fn recycle(&self, (link, address): &mut Self::Type, _: &Metrics) -> RecycleResult<BackplaneError> {
        if link.has_ended() {
            return Err(RecycleError::message("the connection was closed"));
        }
        if self.route.primary().as_ref() != Some(address) {
            return Err(RecycleError::message("the primary has moved"));
        }
        let commands = &self.settings.commands;
        let mut pipeline = Pipeline::with_capacity(2);
        for command in [&commands.unwatch, &commands.ping].into_iter().flatten() {
            pipeline.cmd(command);
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        // A user without the right to one of them gets an answer all the same.
        match link.conn().send_packed_commands(&pipeline, 0, pipeline.len()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(RecycleError::message(error.to_string())),
        }
    }
}
