//! SignalR endpoints on warp: as a filter beside other routes, or with an accept loop of its own.
//!
//! This is the only crate that names warp. It adapts [`Server`](signalr_transport::Server) to HTTP: requests in,
//! answers out, raw streams after an upgrade. It knows no hub.
//!
//! ```no_run
//! # async fn example(server: signalr_transport::Server) -> Result<(), Box<dyn std::error::Error>> {
//! use signalr_warp::Serving;
//! use warp::Filter;
//!
//! let serving = Serving::bind(server, ([127, 0, 0, 1], 5000)).await?;
//! println!("http://{}", serving.local_addr());
//! serving.with_routes(warp::path::end().map(|| "hello")).run().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Which of the two
//!
//! * [`serve`] and [`Serving`]: a backlog of 4,096, time-outs for request heads, bodies, and for clients that take nothing of an
//!   answer, peer addresses, accept errors that neither end nor spin the server, and a graceful end. User routes are any
//!   warp filter.
//! * [`ServerExt::routes`]: a filter for an application that has its own `warp::serve`. It must call
//!   [`Server::stop`](signalr_transport::Server::stop) itself.
//!
//! # TLS and HTTP/2
//!
//! With feature `tls`, `Serving::with_tls` takes a certificate and a key in PEM, or a whole rustls configuration; HTTP/2 and
//! HTTP/1.1 are offered. WebSockets run over both: over HTTP/2 by the extended CONNECT of RFC 8441, as in the reference.
//! Without TLS, HTTP/2 is spoken to clients that begin with it if [`ServeOptions::http2_prior_knowledge`] is set.
//! An HTTP/2 connection whose client does not answer pings is ended.
//!
//! WebSockets do not use `warp::ws`: the raw stream is taken over, which costs a fortieth of the memory per connection.

mod body;
mod cors;
mod endpoint;
mod error;
mod http2;
mod http_connection;
mod listen;
mod patience;
mod routes;
mod serving;
mod signals;
#[cfg(feature = "tls")]
mod tls;
mod upgrade;

pub use cors::{Cors, CorsBuilder, CorsError};
pub use error::ServeError;
pub use routes::{EndpointReply, ServerExt};
pub use serving::{ServeOptions, Serving, serve};
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;
