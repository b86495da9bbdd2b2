//! A SignalR client: first for tests of servers, later a product.
//!
//! It negotiates, opens a WebSocket, does the handshake and speaks either hub protocol. It is complete for calls,
//! sends, streams both ways, client methods and client results. **Not here yet:** TLS (hand a TLS stream to
//! [`ClientBuilder::connect_over`]), SSE and long polling, automatic and stateful reconnect.
//!
//! # Guarantees
//!
//! * What is sent leaves in the order of the calls; what is received is handed over in the order of arrival.
//! * Nothing grows without a bound. A consumer that does not take its messages ([`Messages`], [`ItemStream`]) makes
//!   the client stop reading, which slows the server down; pings go on.
//! * Tokens and message contents are never logged.
//!
//! # Example
//!
//! ```no_run
//! use signalr_client::{ClientError, HubClient};
//! use signalr_client::Protocol;
//!
//! # async fn run() -> Result<(), ClientError> {
//! let mut builder = HubClient::builder("http://127.0.0.1:5000/chat").protocol(Protocol::MessagePack);
//! let mut messages = builder.messages::<(String, String)>("ReceiveMessage");
//! let client = builder.connect().await?;
//! client.send("SendMessage", ("me", "hello")).await?;
//! if let Some((user, text)) = messages.next().await.transpose()? {
//!     println!("{user}: {text}");
//! }
//! client.stop().await;
//! # Ok(())
//! # }
//! ```

mod builder;
mod client;
mod driver;
mod error;
mod handlers;
mod http;
mod negotiate;
#[cfg(test)]
mod script;
mod stream;
mod upload;
mod url;
mod websocket;

pub use builder::ClientBuilder;
pub use client::HubClient;
pub use error::{ClientError, CloseCause, Closed};
pub use handlers::Messages;
pub use signalr_protocol::{ArgumentList, DynamicArguments, FromArguments, Protocol};
pub use stream::ItemStream;
pub use upload::{PendingCall, Upload};
