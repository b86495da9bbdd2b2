//! The publisher: what everything is published on, one connection or, in a Cluster, one to each owner of slots.
//!
//! Owns dialling without an end, and trials after failures. The life of one connection is [`session`]'s; what Redis'
//! answers mean is read in [`replies`]; what is done regularly (the probe, counting the fleet, replays) is in
//! [`upkeep`], how long replays wait in [`grace`]. Order and outage rules are the lane's; which connection a channel takes is the fan's.

mod grace;
mod replies;
mod session;
mod upkeep;

use crate::backoff::Backoff;
use crate::breaker::{Breaker, Change};
use crate::engine::Shared;
use crate::fan::Fan;
use crate::health::Role;
use crate::pipe::Asker;
use crate::pulse::STEP;
use crate::settings::Address;
use grace::Grace;
use redis::{ErrorKind, ServerErrorKind};
use session::Session;
use signalr_core::{BackplaneError, BackplaneErrorKind};
use std::sync::Arc;
use tokio::time::{Interval, MissedTickBehavior};

/// Keeps a connection for publishing, for ever.
pub(crate) async fn supervise(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(shared.settings.retry);
    let mut breaker = Breaker::default();
    let mut grace = Grace::default();
    loop {
        let error = match reach(&shared).await {
            Ok((fan, address)) => {
                backoff.reset();
                grace.connected();
                Session::new(&shared, fan, &mut breaker, &mut grace).run(address).await
            }
            Err(error) => {
                shared.health.lost(Role::Publisher, error.clone());
                error
            }
        };
        tracing::debug!(%error, "the publisher starts anew");
        tell(&shared, breaker.failed());
        shared.life.rest(breaker.pause(backoff.pause())).await;
    }
}

/// The connections, and where the one is that may have to be left.
async fn reach(shared: &Shared) -> Result<(Fan, Option<Address>), BackplaneError> {
    if shared.settings.cluster.is_some() {
        return Ok((shared.cluster.dial_masters(&shared.settings).await?, None));
    }
    let (link, address) = shared.route.connect(&shared.settings, None).await?;
    let pipe = link.into_pipe(&shared.settings).await.ok_or_else(|| lost("the connection was closed"))?;
    Ok((Fan::single(&shared.settings, pipe), Some(address)))
}

/// Ready when the primary is elsewhere; never in a Cluster, which has several.
async fn left(shared: &Shared, address: Option<&Address>, conn: Asker) -> BackplaneError {
    match address {
        Some(address) => shared.route.moved(&shared.settings, address, Some(conn)).await,
        None => std::future::pending().await,
    }
}

fn tell(shared: &Shared, change: Option<Change>) {
    if let Some(change) = change {
        shared.health.breaker(change);
    }
}

/// Steps that are never made up for: see `pulse`.
pub(crate) fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(STEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

pub(crate) fn lost(why: &'static str) -> BackplaneError {
    BackplaneError::new(BackplaneErrorKind::Unavailable, format!("the connection to Redis was lost: {why}"))
}

/// Whether an error says that this is the wrong server, or one that is not ready.
pub(crate) fn is_useless(error: &redis::RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly};
    let ErrorKind::Server(kind) = error.kind() else { return false };
    matches!(kind, BusyLoading | ClusterDown | MasterDown | Moved | ReadOnly)
}

fn refusal(error: &redis::RedisError) -> BackplaneError {
    if is_useless(error) {
        return BackplaneError::new(
            BackplaneErrorKind::Unavailable,
            format!("Redis takes no messages now: {error}; another server is being looked for"),
        );
    }
    let text = format!("Redis refuses to publish: {error}; check the rights of the user");
    BackplaneError::new(BackplaneErrorKind::Refused, text)
}
