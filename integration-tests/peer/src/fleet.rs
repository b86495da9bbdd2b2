//! One fleet through Redis: what `--redis` and `--prefix` do.
//!
//! Owns joining and leaving. Text in, as the reference takes it; everything else is the backplane's.

use std::sync::Arc;

use anyhow::{Context, Result};
use signalr::redis::RedisBackplane;
use signalr_hub::HubEndpoint;

use crate::options::ServeOptions;

/// Lets the hubs join, if there is anything to join.
pub(crate) async fn join(options: &ServeOptions, hubs: &[Arc<HubEndpoint>]) -> Result<()> {
    let Some(redis) = &options.redis else { return Ok(()) };
    let backplane = RedisBackplane::connect(&with_prefix(redis, options.prefix.as_deref())).await?;
    for hub in hubs {
        let name = hub.definition().name();
        hub.join(&backplane).await.with_context(|| format!("hub {name} cannot join"))?;
    }
    Ok(())
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
