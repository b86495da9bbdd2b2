//! Bad days that every single Redis knows: it is killed, it hangs, its network breaks.
//!
//! Owns the faults, on the Redis that it is given. The fleet and its account are `faulty_fleet`.

use std::time::Duration;

use anyhow::Result;
use signalr_integration_tests::redis::Redis;

use super::faulty_fleet::{Account, Fleet, Node, passing};

/// Long enough for every time-out to have struck, short enough to wait for.
pub(crate) const OUTAGE: Duration = Duration::from_secs(5);

/// Redis vanishes, and is back after this time with nothing in it.
pub(crate) async fn killed(mut redis: Redis, fault: &str, time: Duration) -> Result<()> {
    let fleet = Fleet::start(&redis).await?;
    let recovery = fleet
        .suffer(async {
            redis.kill().await?;
            passing(time).await?;
            redis.restart().await
        })
        .await?;
    fleet.settle(fault, Account::BySenderAndRedis, recovery).await
}

/// Redis does nothing, and then goes on as if nothing had been.
pub(crate) async fn hangs(redis: Redis, fault: &str) -> Result<()> {
    let fleet = Fleet::start(&redis).await?;
    let hanging = async {
        redis.pause().await?;
        passing(OUTAGE).await?;
        redis.resume().await
    };
    let recovery = fleet.suffer(hanging).await?;
    fleet.settle(fault, Account::BySender, recovery).await
}

/// The rules of relays are broken for a while, until the first server has noticed at least.
pub(crate) async fn network(
    redis: Redis,
    fault: &str,
    account: Account,
    break_it: impl Fn(&[Node]),
) -> Result<()> {
    let fleet = Fleet::start(&redis).await?;
    let suffering = async {
        break_it(&fleet.nodes);
        fleet.nodes[0].suffers().await?;
        passing(OUTAGE).await?;
        fleet.nodes.iter().for_each(|node| node.relay.heal());
        Ok(())
    };
    let recovery = fleet.suffer(suffering).await?;
    fleet.settle(fault, account, recovery).await
}
