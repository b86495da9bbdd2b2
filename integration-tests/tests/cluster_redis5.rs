//! A real Redis 5, which knows neither RESP3 nor users: the contract of backplanes, keys, and bad days as in `cluster_faults`.
//!
//! Needs its program, named by `SIGNALR_REDIS5`.

#![expect(clippy::unwrap_used, reason = "a fleet of the suite has no way to fail but loudly")]

#[path = "support/common_days.rs"]
mod common_days;
#[path = "support/faulty_fleet.rs"]
mod faulty_fleet;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use common_days::{hangs, killed, network};
use faulty_fleet::Account;
use signalr::core::Backplane;
use signalr::redis::RedisBackplane;
use signalr::redis::deadpool_redis::redis::cmd;
use signalr_integration_tests::redis::{Redis, Setup};
use signalr_integration_tests::relay::{Line, Way};
use signalr_integration_tests::topology::redis5;
use signalr_testkit::conformance::Fleet;

/// Behind a password, which such a server knows without a user's name.
struct Closed(Redis);

impl Closed {
    async fn start() -> Self {
        Self(start(&["--requirepass", PASSWORD]).await.unwrap())
    }

    async fn node(&self) -> RedisBackplane {
        RedisBackplane::connect(&format!("redis://:{PASSWORD}@{}", self.0.address())).await.unwrap()
    }
}

#[async_trait::async_trait]
impl Fleet for Closed {
    async fn server(&self) -> Arc<dyn Backplane> {
        Arc::new(self.node().await)
    }
}

signalr_testkit::backplane_conformance!(Closed::start().await);

#[tokio::test]
async fn it_is_redis_5_and_serves_keys() -> Result<()> {
    let fleet = Closed::start().await;
    let node = fleet.node().await;
    let mut connection = node.pool().get().await?;
    let about: String = cmd("INFO").arg("server").query_async(&mut connection).await?;
    ensure!(about.contains("redis_version:5."), "{about}");
    let unknown = cmd("HELLO").arg(3).exec_async(&mut connection).await.unwrap_err().to_string();
    ensure!(unknown.contains("unknown command"), "{unknown}");
    cmd("SET").arg("key").arg(7).exec_async(&mut connection).await?;
    let read: u32 = cmd("GET").arg("key").query_async(&mut connection).await?;
    ensure!(read == 7, "{read}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_killed_and_back_after_a_second() -> Result<()> {
    killed(start(&[]).await?, "Redis 5 killed 1 s", Duration::from_secs(1)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_hangs() -> Result<()> {
    hangs(start(&[]).await?, "Redis 5 stopped 5 s").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_subscriber_is_cut() -> Result<()> {
    let cut = |nodes: &[faulty_fleet::Node]| nodes[0].relay.bar(Line::Subscriber);
    network(start(&[]).await?, "Redis 5, subscriber cut 5 s", Account::ByGap, cut).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_are_cut_while_publishes_pass() -> Result<()> {
    let freeze = |nodes: &[faulty_fleet::Node]| nodes[0].relay.freeze(&[Line::Publisher], &[Way::FromRedis]);
    network(start(&[]).await?, "Redis 5, replies cut 5 s", Account::BySender, freeze).await
}

async fn start(arguments: &[&str]) -> Result<Redis> {
    let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
    Redis::start_with(Setup { program: Some(redis5()?), arguments, ..Setup::default() }).await
}

const PASSWORD: &str = "open-sesame";
