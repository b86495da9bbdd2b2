//! Support for tests that start real servers as processes and talk to them over real sockets.
//!
//! * [`server`] starts a server program on a free port and ends exactly that process.
//! * [`socket`] is a WebSocket client that shows and sends exact bytes; [`http`] does the same for plain requests.
//! * [`relay`] stands between a server and its Redis and misbehaves on demand.
//! * [`fault_row`] is one row of the table of faults.
//! * [`dotnet`] finds the reference (`dotnet-peer`) and drives its .NET client.
//! * [`process`] stops and continues processes.
//! * [`redis`] starts a Redis of a test's own.
//! * [`topology`] starts Redis with Sentinels, as a Cluster, encrypted or with users.
//! * [`transcript`] plays a table of inputs against a server and compares what came back with the reference's answers.
//! * [`wire`] does the same for scripts of HTTP requests and WebSocket frames.
//!
//! Nothing here belongs to the product. Which server program is tested is the environment's choice
//! (`SIGNALR_PEER_BIN`), so that every test can be shown to be right against the reference itself.

pub mod dotnet;
pub mod fault_row;
pub mod http;
pub mod process;
pub mod redis;
pub mod relay;
pub mod server;
pub mod socket;
pub mod topology;
pub mod transcript;
pub mod wire;

use std::future::Future;
use std::time::Duration;

/// The longest that a test waits for anything that should happen at once.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a future at most [`PATIENCE`]; the error says what was waited for.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::time::timeout(PATIENCE, future)
        .await
        .map_err(|_| anyhow::anyhow!("waited {PATIENCE:?} in vain for {what}"))
}
