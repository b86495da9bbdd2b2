//! From HTTP requests to connections: negotiate, the connection table, WebSockets on raw streams, Server-Sent Events and
//! long polling.
//!
//! This crate knows `http` types and streams of bytes. It knows no hub, only
//! [`ConnectionHandler`](signalr_core::ConnectionHandler), and no web framework: one hands in the parts of a request
//! and the raw stream after an upgrade.
//!
//! # How to use it from a web framework
//!
//! 1. Build a [`Server`] with an endpoint per path.
//! 2. For each request call [`Server::respond`]. `None` means that the path belongs to somebody else.
//! 3. Send a [`Reply::Answer`] as it is, and a [`Reply::Events`] with its body piece by piece, without delay. For a
//!    [`Reply::Upload`] hand the request's body to the ticket and send what it returns. For a [`Reply::Upgrade`] send
//!    the ticket's response, take the raw stream from the HTTP server together with the bytes that came too early, and
//!    spawn [`UpgradeTicket::run_tcp`] or [`UpgradeTicket::run`]. Over HTTP/2, mark WebSocket requests with
//!    [`ExtendedConnect`].
//! 4. At the end call [`Server::stop`].
//!
//! # Guarantees
//!
//! * An idle WebSocket connection has one small future and no buffer.
//! * Nothing that a peer sends makes this crate panic or allocate more than a small multiple of what was sent.
//! * Wrong requests get the reference's answers: status, text and headers.
//! * A token opens one connection, once, and nothing but the table knows it. It is never logged.

mod answer;
mod authenticate;
mod exchange;
#[doc(hidden)]
pub mod fuzzing;
mod limits;
mod metric;
mod options;
mod respond;
mod seat;
mod server;
mod table;
mod ticket;
mod ws;

pub use authenticate::{Authenticate, Authentication, Denied, bearer_token};
pub use exchange::{EventStream, UploadTicket};
pub use limits::{Limits, forwarded_address, peer_address};
pub use options::{EndpointOptionError, EndpointOptions, SubProtocolSelector};
pub use respond::{PeerAddress, Reply};
pub use server::{Server, ServerBuilder, StopSummary, UPGRADE_IMPOSSIBLE};
pub use signalr_core::{Caller, Policy, authenticated};
pub use ticket::UpgradeTicket;
pub use ws::{CloseCode, ExtendedConnect, WEBSOCKET, WebSocketFraming};
