//! A Redis Cluster that wants certificates.

use anyhow::Result;
use signalr_integration_tests::topology::Kind;

use super::on_cluster::OWNER;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_is_killed() -> Result<()> {
    super::check_killed_primary("master killed, TLS", Kind::ClusterTls, OWNER).await
}
