//! One Redis that wants certificates.

use anyhow::Result;
use signalr_integration_tests::topology::{Kind, Topology};

use super::OUTAGE;
use super::faulty_fleet::{Account, Fleet, passing};

/// Redis shows a certificate of somebody else's to whoever comes anew; later the right one again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_is_not_trusted_for_a_while() -> Result<()> {
    let redis = Topology::start(Kind::Tls).await?;
    let fleet = Fleet::on(&redis).await?;
    let distrust = async {
        show(&redis, "stranger").await?;
        for node in &fleet.nodes {
            node.suffers().await?;
        }
        passing(OUTAGE).await?;
        for node in &fleet.nodes {
            anyhow::ensure!(node.backplane().await?["state"] != "Up", "a strange certificate was trusted");
        }
        show(&redis, "server").await
    };
    let recovery = fleet.suffer(distrust).await?;
    fleet.settle("certificate strange 5 s", Account::ByGap, recovery).await
}

/// From now on Redis shows this certificate; whoever is there must come anew.
async fn show(redis: &Topology, name: &str) -> Result<()> {
    let (certificate, key) = redis.secrets()?.identity(name);
    let server = &redis.servers[0];
    server.command(&format!("CONFIG SET tls-cert-file {certificate} tls-key-file {key}")).await?;
    for kind in ["normal", "pubsub"] {
        server.command(&format!("CLIENT KILL TYPE {kind}")).await?;
    }
    Ok(())
}
