//! Starts a Redis of one of the kinds of `topology`, says where it is, and keeps it until this process ends.
//!
//! Owns the line of JSON that it prints: `redis` (for servers of ours), `reference` (a connection string of
//! StackExchange.Redis), `variables` (environment of both), `processes` (name, address, pid). Whoever ends it ends its
//! process group, because a killed process cannot end its children.

use anyhow::{Context, Result};
use serde_json::json;
use signalr_integration_tests::topology::{Kind, Topology};

#[tokio::main]
async fn main() -> Result<()> {
    let kind = std::env::args().nth(1).context("usage: redis-topology KIND")?;
    let topology = Topology::start(Kind::named(&kind)?).await?;
    let variables: serde_json::Map<_, _> =
        topology.variables().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let processes: Vec<_> = topology
        .processes()?
        .into_iter()
        .map(|(name, address, pid)| json!({ "name": name, "address": address, "pid": pid }))
        .collect();
    println!(
        "{}",
        json!({
            "redis": topology.url(),
            "reference": topology.connection_string(),
            "variables": variables,
            "processes": processes,
        })
    );
    std::future::pending::<()>().await;
    drop(topology);
    Ok(())
}
