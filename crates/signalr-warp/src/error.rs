//! What can go wrong before serving begins.

use std::io;
use std::net::SocketAddr;

/// Why a server cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on. Another process may have it, or it is not this machine's; choose another
    /// one, or port 0 for any free port.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The wanted address.
        address: SocketAddr,
        /// The system's own error.
        source: io::Error,
    },
    /// A listener that was handed in cannot be used.
    #[error("the listener cannot be used: {0}")]
    Listener(#[source] io::Error),
    /// The process cannot be told about SIGINT and SIGTERM. Give the end of the server with `Serving::until`.
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
}
