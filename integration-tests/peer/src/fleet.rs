//! One fleet through Redis: what `--redis`, `--redis-ca` and its like, and `--prefix` do.
//!
//! Owns joining and leaving, and the report of what was lost. Text in, as the reference takes it; everything else is the
//! backplane's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use futures_util::future::join_all;
use serde_json::{Value, json};
use signalr::redis::{RedisBackplane, RedisEvent, RedisEvents, RedisOptions};
use signalr_hub::HubEndpoint;

use crate::options::ServeOptions;

/// Lets the hubs join, if there is anything to join.
pub(crate) async fn join(options: &ServeOptions, hubs: &[Arc<HubEndpoint>]) -> Result<()> {
    let Some(redis) = &options.redis else { return Ok(()) };
    let configuration = with_prefix(redis, options.prefix.as_deref());
    let backplane = RedisBackplane::new(with_certificates(&configuration, options)?).await?;
    tokio::spawn(watch(backplane.events()));
    for hub in hubs {
        let name = hub.definition().name();
        hub.join(&backplane).await.with_context(|| format!("hub {name} cannot join"))?;
    }
    BACKPLANE.get_or_init(|| backplane);
    Ok(())
}

/// The backplane's state and counts, for `/control/info`; null without one.
pub(crate) fn report() -> Value {
    let Some(backplane) = BACKPLANE.get() else { return Value::Null };
    let counts = backplane.counters();
    json!({
        "state": format!("{:?}", backplane.state().current()),
        "published": counts.published,
        "unknown": counts.unknown,
        "dropped": counts.dropped,
        "refused": counts.refused,
        "buffered": counts.buffered,
        "replayed": counts.replayed,
        "received": counts.received,
        "overflowed": counts.overflowed,
        "gaps": GAPS.load(Ordering::Relaxed),
        "outages": OUTAGES.load(Ordering::Relaxed),
    })
}

/// Counts what an application would act on.
async fn watch(mut events: RedisEvents) {
    while let Some(event) = events.next().await {
        match event {
            RedisEvent::SubscriberReplaced => GAPS.fetch_add(1, Ordering::Relaxed),
            RedisEvent::Restored { .. } => OUTAGES.fetch_add(1, Ordering::Relaxed),
            _ => continue,
        };
    }
}

/// What the fleet has said to clients here is on its way to them before they are told to go.
pub(crate) async fn catch_up(hubs: &[Arc<HubEndpoint>]) {
    join_all(hubs.iter().map(|hub| hub.manager().caught_up())).await;
}

/// What was published leaves before the process ends.
pub(crate) async fn leave(hubs: &[Arc<HubEndpoint>]) {
    for hub in hubs {
        hub.manager().leave().await;
    }
}

/// The configuration with the channel prefix as one more option.
fn with_prefix(redis: &str, prefix: Option<&str>) -> String {
    match prefix {
        None => redis.to_owned(),
        Some(prefix) if redis.contains("://") => {
            let separator = if redis.contains('?') { '&' } else { '?' };
            format!("{redis}{separator}channelPrefix={prefix}")
        }
        Some(prefix) => format!("{redis},channelPrefix={prefix}"),
    }
}

/// The files are read once, at the start.
fn with_certificates(configuration: &str, options: &ServeOptions) -> Result<RedisOptions> {
    let read = |file: &String| std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"));
    let mut redis = RedisOptions::parse(configuration)?.to_builder();
    if let Some(authority) = &options.redis_ca {
        redis = redis.certificate_authority(read(authority)?);
    }
    if let (Some(certificate), Some(key)) = (&options.redis_cert, &options.redis_key) {
        redis = redis.client_certificate(read(certificate)?, read(key)?);
    }
    Ok(redis.build()?)
}

static BACKPLANE: OnceLock<RedisBackplane> = OnceLock::new();
/// How often the subscriber was replaced.
static GAPS: AtomicU64 = AtomicU64::new(0);
/// How many outages are over.
static OUTAGES: AtomicU64 = AtomicU64::new(0);

#[cfg(test)]
mod tests {
    use super::with_prefix;

    #[test]
    fn the_prefix_is_one_more_option() {
        assert_eq!(with_prefix("localhost:1", None), "localhost:1");
        assert_eq!(with_prefix("localhost:1", Some("p")), "localhost:1,channelPrefix=p");
        assert_eq!(with_prefix("redis://h/0", Some("p")), "redis://h/0?channelPrefix=p");
        assert_eq!(with_prefix("redis://h?a=b", Some("p")), "redis://h?a=b&channelPrefix=p");
    }
}
