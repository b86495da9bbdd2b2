//! A fleet of servers on a Redis that runs already, of whatever kind, with a prefix of its own; without one, on its own.

use super::fleet::RedisFleet;
use signalr_backplane_redis::{RedisBackplane, RedisOptions};
use signalr_core::Backplane;
use signalr_testkit::conformance::Fleet;
use std::env::var;
use std::fs::read_to_string;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

pub enum GivenFleet {
    Own(RedisFleet),
    Given(Box<RedisOptions>),
}

impl GivenFleet {
    /// `cargo xtask cluster` tells of a Redis by the same variables as servers.
    pub fn start() -> Self {
        static FLEETS: AtomicU32 = AtomicU32::new(0);
        match var("SIGNALR_CLUSTER_REDIS") {
            Ok(url) => {
                let number = FLEETS.fetch_add(1, Ordering::Relaxed);
                Self::Given(Box::new(options(&url, &format!("fleet{}.{number}:", std::process::id()))))
            }
            Err(_) => Self::Own(RedisFleet::start()),
        }
    }
}

fn options(url: &str, prefix: &str) -> RedisOptions {
    let mut options = RedisOptions::parse(url).expect("the address of Redis").to_builder();
    let file = |name| var(name).ok().map(|file| read_to_string(file).expect("a file with a certificate"));
    if let Some(authority) = file("PEER_REDIS_CA") {
        options = options.certificate_authority(authority);
    }
    if let (Some(certificate), Some(key)) = (file("PEER_REDIS_CERT"), file("PEER_REDIS_KEY")) {
        options = options.client_certificate(certificate, key);
    }
    options.channel_prefix(prefix).build().expect("options that fit")
}

#[async_trait::async_trait]
impl Fleet for GivenFleet {
    async fn server(&self) -> Arc<dyn Backplane> {
        match self {
            Self::Own(fleet) => fleet.server().await,
            Self::Given(options) => {
                Arc::new(RedisBackplane::new((**options).clone()).await.expect("the Redis that was given"))
            }
        }
    }

    /// A node of a Cluster counts its own clients only.
    fn tickets_count(&self) -> bool {
        !var("SIGNALR_CLUSTER_KIND").is_ok_and(|kind| kind.starts_with("cluster"))
    }
}
