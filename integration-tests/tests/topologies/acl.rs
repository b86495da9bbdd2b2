//! One Redis for one user with few rights.

use anyhow::Result;
use signalr_integration_tests::topology::{Kind, Topology};

use super::OUTAGE;
use super::faulty_fleet::{Account, Fleet, passing};

/// Somebody changes the password and cuts those who came in by the old one; later it is right again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_password_is_wrong_for_a_while() -> Result<()> {
    let redis = Topology::start(Kind::Acl).await?;
    let fleet = Fleet::on(&redis).await?;
    let rotation = async {
        redis.rotate_password(Some("another")).await?;
        for node in &fleet.nodes {
            node.suffers().await?;
        }
        passing(OUTAGE).await?;
        for node in &fleet.nodes {
            anyhow::ensure!(node.backplane().await?["state"] != "Up", "it came in by a wrong password");
        }
        redis.rotate_password(None).await
    };
    let recovery = fleet.suffer(rotation).await?;
    fleet.settle("password wrong 5 s", Account::ByGap, recovery).await
}
