//! Bad days that only some kinds of Redis have, seen by clients: three servers talk all the time, as in `cluster_faults`.
//!
//! After every fault: nothing arrived twice, what is missing was said during the fault, and its number is what the senders
//! counted, or a server that could not hear has reported a gap. One module for each kind, by whose name
//! `cargo xtask cluster --redis KIND --run faults` picks its tests. The table of all faults is printed (`--nocapture`).

#[path = "support/faulty_fleet.rs"]
mod faulty_fleet;
#[path = "topologies/acl.rs"]
mod on_acl;
#[path = "topologies/cluster.rs"]
mod on_cluster;
#[path = "topologies/cluster_tls.rs"]
mod on_cluster_tls;
#[path = "topologies/sentinel.rs"]
mod on_sentinel;
#[path = "topologies/sentinel_acl.rs"]
mod on_sentinel_acl;
#[path = "topologies/sentinel_tls.rs"]
mod on_sentinel_tls;
#[path = "topologies/tls.rs"]
mod on_tls;

use std::time::Duration;

use anyhow::Result;
use faulty_fleet::{Account, Fleet, eventually};
use signalr_integration_tests::topology::{Kind, Topology, is_primary};

/// Long enough for every time-out to have struck, short enough to wait for.
const OUTAGE: Duration = Duration::from_secs(5);

/// A server with a replica is killed; the replica takes its place, and the old one follows it when it is back.
async fn check_killed_primary(fault: &str, kind: Kind, victim: usize) -> Result<()> {
    let mut redis = Topology::start(kind).await?;
    let fleet = Fleet::on(&redis).await?;
    let killed = async {
        redis.servers[victim].kill().await?;
        eventually("the replica to be promoted", || redis.promoted(victim)).await
    };
    let recovery = fleet.suffer(killed).await?;
    let back = async {
        redis.servers[victim].restart().await?;
        demoted(&redis, victim).await
    };
    fleet.suffer_more(back).await?;
    fleet.settle(fault, account_of(kind), recovery).await
}

/// The same with a server that hangs until then and does not know better when it goes on.
async fn check_hanging_primary(fault: &str, kind: Kind, victim: usize) -> Result<()> {
    let redis = Topology::start(kind).await?;
    let fleet = Fleet::on(&redis).await?;
    let hanging = async {
        redis.servers[victim].pause().await?;
        eventually("the replica to be promoted", || redis.promoted(victim)).await
    };
    let recovery = fleet.suffer(hanging).await?;
    let back = async {
        redis.servers[victim].resume().await?;
        demoted(&redis, victim).await
    };
    fleet.suffer_more(back).await?;
    fleet.settle(fault, account_of(kind), recovery).await
}

fn account_of(kind: Kind) -> Account {
    if kind.is_cluster() { Account::ByGapAndNode } else { Account::ByGap }
}

/// Waits until a server that is back follows another one.
async fn demoted(redis: &Topology, number: usize) -> Result<()> {
    let follows = || async { Ok(is_primary(&redis.servers[number]).await == Some(false)) };
    eventually("the old primary to follow", follows).await
}
