//! A primary, a replica and three Sentinels: the primary changes.

use std::time::Duration;

use anyhow::{Result, ensure};
use signalr_integration_tests::redis::{Ports, Redis, Setup};
use signalr_integration_tests::topology::{Kind, Topology, is_primary};

use super::faulty_fleet::{Account, Fleet, eventually, passing};
use super::{OUTAGE, demoted};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_is_killed() -> Result<()> {
    super::check_killed_primary("primary killed", Kind::Sentinel, 0).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_hangs_and_comes_back() -> Result<()> {
    super::check_hanging_primary("primary stopped", Kind::Sentinel, 0).await
}

/// No sender waits for the primary to wake up, and five seconds after the promotion all is well.
/// Acceptance scenario 1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_sleeps_for_a_minute() -> Result<()> {
    let redis = Topology::start(Kind::Sentinel).await?;
    let fleet = Fleet::on(&redis).await?;
    let asleep = async {
        redis.servers[0].do_nothing(60).await?;
        eventually("the replica to be promoted", || redis.promoted(0)).await
    };
    let recovery = fleet.suffer(asleep).await?;
    let slowest = fleet.slowest();
    fleet.settle("DEBUG SLEEP 60", Account::ByGap, recovery).await?;
    println!("the slowest send took {slowest:?}");
    ensure!(slowest < Duration::from_secs(10), "a send waited for {slowest:?}");
    ensure!(recovery < Duration::from_secs(5), "it took {recovery:?} after the promotion");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_is_changed_by_hand() -> Result<()> {
    let redis = Topology::start(Kind::Sentinel).await?;
    let fleet = Fleet::on(&redis).await?;
    let failover = async {
        redis.sentinels[0].ask("SENTINEL FAILOVER mymaster").await?;
        eventually("the replica to be promoted", || redis.promoted(0)).await?;
        demoted(&redis, 0).await
    };
    let recovery = fleet.suffer(failover).await?;
    fleet.settle("changed by hand", Account::ByGap, recovery).await
}

/// The dial after the failover is refused, and then somebody else's Redis answers at the old address, as a primary that no
/// Sentinel can demote.
/// Acceptance scenario 3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_redis_answers_at_the_old_address() -> Result<()> {
    let mut redis = Topology::start(Kind::Sentinel).await?;
    let fleet = Fleet::on(&redis).await?;
    let port = redis.servers[0].port();
    let killed = async {
        redis.servers[0].kill().await?;
        for node in &fleet.nodes {
            // Its dials are refused: nobody listens there.
            node.suffers().await?;
        }
        eventually("the replica to be promoted", || redis.promoted(0)).await
    };
    let recovery = fleet.suffer(killed).await?;
    let words = ["--rename-command", "REPLICAOF", "", "--rename-command", "SLAVEOF", ""];
    let setup = Setup { arguments: words.map(str::to_owned).into(), ..Setup::default() };
    let ports = Ports { plain: port, tls: None };
    let mut stranger = None;
    let tempted = async {
        let found = eventually("the old port to be free", || async {
            Ok(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok())
        });
        found.await?;
        let started = stranger.insert(Redis::start_on(ports, setup).await?);
        let started = started.as_ref().ok_or_else(|| anyhow::anyhow!("the old port is taken"))?;
        // Everybody must find the way anew while both answer.
        for kind in ["pubsub", "normal"] {
            redis.servers[1].command(&format!("CLIENT KILL TYPE {kind}")).await?;
        }
        passing(OUTAGE).await?;
        ensure!(is_primary(started).await == Some(true), "the stranger was made to follow");
        let channels = started.ask("PUBSUB CHANNELS").await?;
        ensure!(!channels.contains("Peer.ScaleHub"), "somebody listens to the stranger: {channels}");
        Ok(())
    };
    fleet.suffer_more(tempted).await?;
    fleet.settle("old address answers", Account::ByGap, recovery).await
}
