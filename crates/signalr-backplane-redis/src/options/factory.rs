//! An application's own way to make connections: the guide's `ConnectionFactory`.
//!
//! Owns the type that holds the application's function. It is called by `transport`, for every connection of the
//! backplane.

use super::endpoint::Endpoint;
use futures_util::future::BoxFuture;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// What a connection to Redis runs over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Made = BoxFuture<'static, io::Result<Box<dyn Stream>>>;

/// Makes streams to servers, in place of TCP: through a proxy, a tunnel, or in memory. Cheap to clone.
///
/// Set by [`RedisOptionsBuilder::connection_factory`](super::RedisOptionsBuilder::connection_factory).
#[derive(Clone)]
pub struct ConnectionFactory(Arc<dyn Fn(Endpoint) -> Made + Send + Sync>);

impl ConnectionFactory {
    /// A factory that calls this function with the server to reach, each time a connection is made.
    ///
    /// The future is dropped when the connect time-out passes. Its error counts as a server that cannot be reached, and
    /// its text appears in events and logs.
    pub fn new<F, Fut, S>(make: F) -> Self
    where
        F: Fn(Endpoint) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self(Arc::new(move |endpoint| {
            let made = make(endpoint);
            Box::pin(async move { Ok(Box::new(made.await?) as Box<dyn Stream>) })
        }))
    }

    pub(crate) fn make(&self, endpoint: Endpoint) -> Made {
        (self.0)(endpoint)
    }
}

impl fmt::Debug for ConnectionFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionFactory")
    }
}
