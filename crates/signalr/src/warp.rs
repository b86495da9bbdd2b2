//! Serving with warp: an accept loop with a graceful end, or the endpoints as a filter. All of `signalr-warp`.
//!
//! Owns nothing but the error type of [`serve`], which is that of a program's `main`.

pub use signalr_warp::*;

use crate::Server;
use std::net::SocketAddr;

/// Serves until SIGINT or SIGTERM, then stops gracefully: no new connections, a Close message to every client that
/// invites it to reconnect, and an end after a deadline. [`Serving`] offers more choice.
///
/// # Errors
/// The address cannot be served ([`ServeError`]).
pub async fn serve(server: Server, address: impl Into<SocketAddr>) -> crate::Result<()> {
    Ok(signalr_warp::serve(server, address).await?)
}
