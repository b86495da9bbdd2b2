//! Pooled connections of deadpool-redis, to whichever server is primary.
//!
//! Owns one pool of deadpool-redis at a time, for one address and one login, and its replacement when the primary has moved
//! or turns out to have no `HELLO`; which server is primary, the route knows. Its manager dials TCP and Unix sockets by
//! itself, with our login and time-outs, and tests a connection with `UNWATCH` and `PING` before it is used again.

use super::failed;
use crate::dial::{knows_no_hello, name_client, refused};
use crate::options::Topology;
use crate::route::Route;
use crate::settings::{Address, Settings};
use deadpool_redis::{Hook, HookError, Manager, Pool, PoolError, Runtime, Status};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
    RedisResult,
};
use signalr_core::BackplaneError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) struct Standard {
    settings: Arc<Settings>,
    route: Arc<Route>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// The server that was last found to have no `HELLO`.
    silent: Option<Address>,
}

struct Current {
    address: Address,
    hello: bool,
    pool: Pool,
}

/// How often a pool may be replaced while one connection is asked of it.
const REPLACEMENTS: usize = 3;

impl Standard {
    /// Whether deadpool-redis' manager reaches this server, and its test of connections is allowed.
    pub(super) fn can_serve(settings: &Settings) -> bool {
        let commands = &settings.commands;
        let tests = [(&commands.ping, "PING"), (&commands.unwatch, "UNWATCH")];
        settings.transport.is_plain() && tests.iter().all(|(known, name)| known.as_deref() == Some(*name))
    }

    pub(super) fn new(settings: Settings, route: Arc<Route>) -> Self {
        Self { settings: Arc::new(settings), route, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics between two states.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection, and where it leads.
    pub(super) async fn get(&self) -> Result<(deadpool_redis::Connection, Address), BackplaneError> {
        for _ in 0..REPLACEMENTS {
            let (address, hello, pool) = self.choose().await?;
            match pool.get().await {
                Ok(conn) => return Ok((conn, address)),
                // Replaced in between.
                Err(PoolError::Closed) => {}
                Err(PoolError::Backend(error)) if hello && knows_no_hello(&error) => {
                    self.lock().silent = Some(address);
                }
                Err(error) => return Err(self.explain(&address, error)),
            }
        }
        Err(failed("the primary has moved again and again"))
    }

    /// The pool for the server that is primary now.
    pub(super) async fn current(&self) -> Result<Pool, BackplaneError> {
        let (_, hello, pool) = self.choose().await?;
        if !hello || pool.status().size > 0 {
            return Ok(pool);
        }
        // Nobody else would find out that there is no HELLO; that there is no server, whoever uses the pool will.
        let _ = self.get().await;
        Ok(self.choose().await?.2)
    }

    /// The pool for the server that is primary now, where that is, and whether its login begins with `HELLO`.
    async fn choose(&self) -> Result<(Address, bool, Pool), BackplaneError> {
        let address = self.address().await?;
        let mut state = self.lock();
        let hello = self.settings.hello && state.silent.as_ref() != Some(&address);
        if let Some(current) = &state.current {
            if current.address == address && current.hello == hello {
                return Ok((address, hello, current.pool.clone()));
            }
            // Connections to the old server end as soon as they are given back.
            current.pool.close();
        }
        let settings = self.settings.at(&address.host, address.port);
        let login = if hello { settings.login } else { settings.login_without_hello()? };
        let pool = self.build(&address, login).map_err(failed)?;
        state.current = Some(Current { address: address.clone(), hello, pool: pool.clone() });
        Ok((address, hello, pool))
    }

    pub(super) fn status(&self) -> Status {
        let none = Status { max_size: self.settings.pool_size, size: 0, available: 0, waiting: 0 };
        self.lock().current.as_ref().map_or(none, |current| current.pool.status())
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

    fn build(
        &self,
        address: &Address,
        login: RedisConnectionInfo,
    ) -> Result<Pool, Box<dyn std::error::Error>> {
        let settings = &self.settings;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.connect_timeout))
            .set_response_timeout(Some(settings.request_timeout));
        let manager = Manager::new_with_config(info(settings, address, login)?, config)?;
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
fn info(settings: &Settings, address: &Address, login: RedisConnectionInfo) -> RedisResult<ConnectionInfo> {
    let place = match address.port {
        0 => ConnectionAddr::Unix(address.host.clone().into()),
        port => ConnectionAddr::Tcp(address.host.clone(), port),
    };
    let info = place.into_connection_info()?.set_redis_settings(login);
    Ok(info.set_tcp_settings(settings.transport.tcp()))
}
