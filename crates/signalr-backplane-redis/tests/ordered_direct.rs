//! The option `ordered_direct`: sends to single connections of the same server take the way of all others.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod support;

use signalr_backplane_redis::RedisBackplane;
use signalr_core::Backplane;
use signalr_testkit::conformance::{Fleet, a_direct_send_keeps_its_place as rule};
use std::sync::Arc;
use support::RedisServer;
use support::fleet::RedisFleet;

struct OrderedFleet(RedisServer);

#[async_trait::async_trait]
impl Fleet for OrderedFleet {
    async fn server(&self) -> Arc<dyn Backplane> {
        let url = format!("{}?ordered_direct=true", self.0.url());
        Arc::new(RedisBackplane::connect(&url).await.unwrap())
    }
}

/// What is wrong with such a fleet, if anything.
async fn fault(redis: RedisServer) -> Option<String> {
    rule(&OrderedFleet(redis)).await.err().map(|broken| broken.to_string())
}

#[tokio::test]
async fn direct_sends_stay_in_order_with_all_others() {
    assert_eq!(fault(RedisServer::start()).await, None);
}

/// Local members are served without Redis, in the same order.
#[tokio::test]
async fn direct_sends_stay_in_order_without_redis_too() {
    let mut redis = RedisServer::start();
    redis.kill();
    assert_eq!(fault(redis).await, None);
}

/// What the option is for: without it direct sends overtake, which is also how the rule shows that it can fail.
#[tokio::test]
async fn without_the_option_direct_sends_overtake() {
    let broken = rule(&RedisFleet::start()).await.unwrap_err();
    assert!(broken.to_string().contains("texts of"), "{broken}");
}
