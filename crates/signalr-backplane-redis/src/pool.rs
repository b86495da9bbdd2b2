//! Pooled connections for occasional work with keys: an application's own, and later presence and audit.
//!
//! Owns the pool's making. Nothing of the backplane's own traffic goes through it: each checkout costs a round trip, so
//! it is far slower than the publisher.

use crate::settings::Settings;
use deadpool_redis::{Manager, Pool, Runtime};
use redis::IntoConnectionInfo;
use signalr_core::{BackplaneError, BackplaneErrorKind};

/// A pool on the same Redis as the backplane. Connections are made when they are asked for.
pub(crate) fn pool(settings: &Settings) -> Result<Pool, BackplaneError> {
    let config = |error: &dyn std::fmt::Display| {
        BackplaneError::new(BackplaneErrorKind::Config, format!("no pool can be made: {error}"))
    };
    let address = (settings.host.as_str(), settings.port).into_connection_info();
    let info = address.map_err(|error| config(&error))?.set_redis_settings(settings.login.clone());
    let manager = Manager::new(info).map_err(|error| config(&error))?;
    Pool::builder(manager)
        .max_size(settings.pool_size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(settings.request_timeout))
        .create_timeout(Some(settings.connect_timeout))
        .recycle_timeout(Some(settings.request_timeout))
        .build()
        .map_err(|error| config(&error))
}
