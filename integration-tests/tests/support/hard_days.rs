//! Redis' hardest day: it does nothing for a minute.
//!
//! Owns the fault. The fleet and its account are `faulty_fleet`.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use signalr_integration_tests::redis::Redis;

use super::faulty_fleet::{Account, Fleet, eventually, passing};

/// Nobody who sends waits for Redis, all the time that it takes; then all is as it was.
/// Acceptance scenario 1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_does_nothing_for_a_minute() -> Result<()> {
    let redis = Redis::start().await?;
    let fleet = Fleet::start(&redis).await?;
    let fault = async {
        redis.do_nothing(60).await?;
        for node in &fleet.nodes {
            node.suffers().await?;
        }
        let (since, before) = (Instant::now(), fleet.said());
        passing(SLEEP_AT_LEAST).await?;
        ensure!(!redis.answers().await, "Redis was to sleep for a minute");
        for (stream, (before, now)) in before.iter().zip(fleet.said()).enumerate() {
            let said = now - before;
            ensure!(said > ENOUGH_SAID, "{stream} could say {said} things only in {:?}", since.elapsed());
        }
        eventually("Redis to awake", || async { Ok(redis.answers().await) }).await
    };
    let recovery = fleet.suffer(fault).await?;
    fleet.settle("DEBUG SLEEP 60", Account::BySender, recovery).await
}

/// Of the minute; noticing it took a while.
const SLEEP_AT_LEAST: Duration = Duration::from_secs(45);
/// By one client in that time. On an idle machine it is ten times as much.
const ENOUGH_SAID: u64 = 300;
