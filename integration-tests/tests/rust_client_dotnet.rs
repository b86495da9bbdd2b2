//! The Rust client against the reference: the same script as against our own server.

use anyhow::Result;
use signalr_integration_tests::dotnet;
use signalr_integration_tests::server::Server;

#[path = "support/rust_client.rs"]
mod script;

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_gets_along_with_the_reference() -> Result<()> {
    let Some(program) = dotnet::find("rust-client-dotnet")? else { return Ok(()) };
    let server = Server::start_program(&program, 0, &["--detailed-errors"]).await?;
    script::play(&server).await?;
    server.stop().await
}
