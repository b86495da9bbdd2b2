//! Pooled connections of deadpool-redis, to whichever server is primary.
//!
//! Owns one pool of deadpool-redis at a time, for one address, and its replacement when the primary has moved; which
//! server that is, the route knows. Its manager dials TCP and Unix sockets by itself, with our login and time-outs, and
//! tests a connection with `UNWATCH` and `PING` before it is used again.

use super::failed;
use crate::dial::{name_client, refused};
use crate::options::Topology;
use crate::route::Route;
use crate::settings::{Address, Settings};
use deadpool_redis::{Hook, HookError, Manager, Pool, PoolError, Runtime, Status};
use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult};
use signalr_core::BackplaneError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) struct Standard {
    settings: Arc<Settings>,
    route: Arc<Route>,
    current: Mutex<Option<(Address, Pool)>>,
}

impl Standard {
    /// Whether deadpool-redis' manager reaches this server, and its test of connections is allowed.
    pub(super) fn can_serve(settings: &Settings) -> bool {
        let commands = &settings.commands;
        let tests = [(&commands.ping, "PING"), (&commands.unwatch, "UNWATCH")];
        settings.transport.is_plain() && tests.iter().all(|(known, name)| known.as_deref() == Some(*name))
    }

    pub(super) fn new(settings: Settings, route: Arc<Route>) -> Self {
        Self { settings: Arc::new(settings), route, current: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Address, Pool)>> {
        // Nothing in here panics between two states.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection, and where it leads.
    pub(super) async fn get(&self) -> Result<(deadpool_redis::Connection, Address), BackplaneError> {
        let (mut address, pool) = self.current().await?;
        let mut got = pool.get().await;
        // Replaced in between.
        if matches!(got, Err(PoolError::Closed)) {
            let (newer, pool) = self.current().await?;
            (address, got) = (newer, pool.get().await);
        }
        match got {
            Ok(conn) => Ok((conn, address)),
            Err(error) => Err(self.explain(&address, error)),
        }
    }

    /// The pool for the server that is primary now.
    pub(super) async fn current(&self) -> Result<(Address, Pool), BackplaneError> {
        let address = self.address().await?;
        let mut current = self.lock();
        if let Some((known, pool)) = &*current {
            if *known == address {
                return Ok((address, pool.clone()));
            }
            // Connections to the old server end as soon as they are given back.
            pool.close();
        }
        let pool = self.build(&address).map_err(failed)?;
        *current = Some((address.clone(), pool.clone()));
        Ok((address, pool))
    }

    pub(super) fn status(&self) -> Status {
        let none = Status { max_size: self.settings.pool_size, size: 0, available: 0, waiting: 0 };
        self.lock().as_ref().map_or(none, |(_, pool)| pool.status())
    }

    async fn address(&self) -> Result<Address, BackplaneError> {
        if matches!(self.settings.topology, Topology::Standalone | Topology::Cluster) {
            return Ok(Address { host: self.settings.host.clone(), port: self.settings.port });
        }
        if let Some(address) = self.route.primary() {
            return Ok(address);
        }
        let found = self.route.connect(&self.settings, None);
        match tokio::time::timeout(self.settings.connect_timeout, found).await {
            Ok(found) => found.map(|(_, address)| address),
            Err(_) => Err(failed("the primary was not found in time")),
        }
    }

    fn build(&self, address: &Address) -> Result<Pool, Box<dyn std::error::Error>> {
        let settings = &self.settings;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.connect_timeout))
            .set_response_timeout(Some(settings.request_timeout));
        let manager = Manager::new_with_config(info(settings, address)?, config)?;
        Ok(Pool::builder(manager)
            .max_size(settings.pool_size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(settings.request_timeout))
            .create_timeout(Some(settings.connect_timeout))
            .recycle_timeout(Some(settings.request_timeout))
            .post_create(self.introduction())
            .build()?)
    }

    /// What a new connection has to say and to hear first, as on the backplane's own.
    fn introduction(&self) -> Hook {
        let (settings, route) = (self.settings.clone(), self.route.clone());
        Hook::async_fn(move |conn, _| {
            let (settings, route) = (settings.clone(), route.clone());
            Box::pin(async move {
                if let Some(name) = &settings.client_name {
                    name_client(conn, name).await;
                }
                if route.is_primary(conn).await {
                    Ok(())
                } else {
                    Err(HookError::message("the primary is being looked for"))
                }
            })
        })
    }

    fn explain(&self, address: &Address, error: PoolError) -> BackplaneError {
        match error {
            PoolError::Backend(error) => refused(&self.settings.at(&address.host, address.port), &error),
            other => failed(other),
        }
    }
}

/// Port 0 stands for a Unix socket, with its path as the host.
fn info(settings: &Settings, address: &Address) -> RedisResult<ConnectionInfo> {
    let place = match address.port {
        0 => ConnectionAddr::Unix(address.host.clone().into()),
        port => ConnectionAddr::Tcp(address.host.clone(), port),
    };
    let info = place.into_connection_info()?.set_redis_settings(settings.login.clone());
    Ok(info.set_tcp_settings(settings.transport.tcp()))
}
