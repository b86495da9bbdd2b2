//! The Rust client against the program under test, over real sockets.

use anyhow::Result;
use signalr_integration_tests::server::Server;

#[path = "support/rust_client.rs"]
mod script;

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_gets_along_with_our_server() -> Result<()> {
    let server = Server::start(&["--detailed-errors"]).await?;
    script::play(&server).await?;
    server.stop().await
}
