//! Negotiation: what a client asks in its query and the document that it gets (B-1).
//!
//! Owns the rules and texts as pure functions: [`NegotiateRequest::from_query`] for servers,
//! [`NegotiateResponse::write`] for both kinds of servers (those that redirect too), [`NegotiateResponse::parse`] for
//! clients. Ids, HTTP and the table of connections belong to the transport.

mod document;
mod request;
mod response;

pub use document::{AvailableTransport, NegotiateResponse};
pub use request::{MAX_NEGOTIATE_VERSION, NegotiateError, NegotiateRequest, query_value};
