//! A fleet of servers on one Redis of its own.

use super::RedisServer;
use signalr_backplane_redis::RedisBackplane;
use signalr_core::Backplane;
use signalr_testkit::conformance::Fleet;
use std::sync::Arc;

pub struct RedisFleet(pub RedisServer);

impl RedisFleet {
    pub fn start() -> Self {
        Self(RedisServer::start())
    }

    /// The Redis knows no `HELLO`, so that RESP2 is spoken.
    pub fn without_hello() -> Self {
        Self(RedisServer::without_hello(&[]))
    }

    pub async fn node(&self) -> RedisBackplane {
        Self::node_at(&self.0.url()).await
    }

    /// One that takes another way.
    pub async fn node_at(url: &str) -> RedisBackplane {
        RedisBackplane::connect(url).await.expect("the address of Redis")
    }
}

#[async_trait::async_trait]
impl Fleet for RedisFleet {
    async fn server(&self) -> Arc<dyn Backplane> {
        Arc::new(self.node().await)
    }
}
