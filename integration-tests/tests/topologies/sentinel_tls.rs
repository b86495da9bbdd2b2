//! Sentinels and servers that want certificates.

use anyhow::Result;
use signalr_integration_tests::topology::Kind;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_is_killed() -> Result<()> {
    super::check_killed_primary("primary killed, TLS", Kind::SentinelTls, 0).await
}
