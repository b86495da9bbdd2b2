//! Pooled connections that are dialled as the backplane's own are.
//!
//! Owns the manager: what the command map disables is never sent. Used only where deadpool-redis' own manager cannot be.

use super::failed;
use crate::dial::Link;
use crate::route::Route;
use crate::settings::{Address, Settings};
use deadpool::Runtime;
use deadpool::managed::{Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, Status};
use redis::Pipeline;
use redis::aio::MultiplexedConnection;
use signalr_core::{BackplaneError, BackplaneErrorKind};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Dialled {
    pool: Pool<Manager>,
    patience: Duration,
}

impl Dialled {
    pub(super) fn new(settings: Settings, route: Arc<Route>) -> Result<Self, BackplaneError> {
        let (size, patience, dial) = (settings.pool_size, settings.request_timeout, settings.connect_timeout);
        let pool = Pool::builder(Manager { settings, route })
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(patience))
            .create_timeout(Some(dial))
            .recycle_timeout(Some(patience))
            .build();
        let impossible = |error| BackplaneError::new(BackplaneErrorKind::Config, format!("no pool: {error}"));
        Ok(Self { pool: pool.map_err(impossible)?, patience })
    }

    pub(super) async fn get(&self) -> Result<(MultiplexedConnection, Object<Manager>), BackplaneError> {
        let object = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            other => failed(other),
        })?;
        let mut conn = object.0.conn();
        conn.set_response_timeout(self.patience);
        Ok((conn, object))
    }

    pub(super) fn status(&self) -> Status {
        self.pool.status()
    }
}

/// Makes connections, and finds out whether one is still of use.
pub(super) struct Manager {
    settings: Settings,
    route: Arc<Route>,
}

impl deadpool::managed::Manager for Manager {
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
