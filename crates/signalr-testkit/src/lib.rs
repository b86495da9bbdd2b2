//! Tools for tests of hubs, transports and backplanes, for this project and for those who build on it.
//!
//! * [`TestClient`] drives any [`ConnectionHandler`](signalr_core::ConnectionHandler) in memory: no sockets, no HTTP.
//!   It works under paused tokio time, so that time-outs are tested without waiting for them.
//! * [`conformance`] is the suite that every backplane must pass; [`backplane_conformance!`] makes tests of it.
//!
//! Nothing here sleeps in real time or opens a port. Every wait has a deadline in tokio's time
//! ([`TestClientBuilder::patience`]), and a wait that fails says what was missing.
//!
//! # Example
//!
//! ```
//! use signalr_core::{CloseReason, Connection, ConnectionDriver, ConnectionHandler, InputEnd, WorkEnd};
//! use signalr_testkit::TestClient;
//! use std::sync::Arc;
//! use std::task::{Context, Poll};
//!
//! struct Echo;
//!
//! struct EchoDriver(Arc<Connection>, bool);
//!
//! impl ConnectionHandler for Echo {
//!     fn open(&self, connection: &Arc<Connection>) -> Box<dyn ConnectionDriver> {
//!         Box::new(EchoDriver(connection.clone(), false))
//!     }
//! }
//!
//! impl ConnectionDriver for EchoDriver {
//!     fn on_bytes(&mut self, input: &[u8], _: &mut Context<'_>) -> usize {
//!         self.0.send_payload(input);
//!         input.len()
//!     }
//!     fn wants_input(&self) -> bool {
//!         true
//!     }
//!     fn poll_work(&mut self, _: &mut Context<'_>) -> Poll<WorkEnd> {
//!         if self.1 { Poll::Ready(WorkEnd::Normal) } else { Poll::Pending }
//!     }
//!     fn on_tick(&mut self, _: signalr_core::Instant) {}
//!     fn on_input_end(&mut self, _: InputEnd, _: usize) {
//!         self.1 = true;
//!     }
//!     fn on_close_request(&mut self, _: CloseReason) {
//!         self.1 = true;
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), signalr_testkit::TestError> {
//! let mut client = TestClient::connect(Arc::new(Echo));
//! client.send_text("hello");
//! assert_eq!(client.read(5).await?, b"hello");
//! client.close();
//! assert_eq!(client.ended().await?, WorkEnd::Normal);
//! # Ok(())
//! # }
//! ```

pub mod conformance;

mod builder;
mod client;
mod error;
mod pipe;
mod pump;
mod received;

pub use builder::TestClientBuilder;
pub use client::TestClient;
pub use error::TestError;
pub use received::{Received, ReceivedInvocation};
