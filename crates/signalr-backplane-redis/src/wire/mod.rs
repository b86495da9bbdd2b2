//! What travels over Redis: channels and messages, byte for byte as ASP.NET Core has them (B-9.1, B-9.2, B-16).
//!
//! [`Channels`] names topics; [`Codec`] turns a message of core into a channel and bytes, and back. Everything is a pure
//! function: no connection, no clock. Input is never trusted: errors are typed, nothing panics, and nothing is allocated
//! beyond a small multiple of the input's length. Payloads of clients are slices of the input.
//!
//! # What is ours
//!
//! * The fifth item of an invocation, a string, is the origin tag: the node that has already served its own members.
//!   It is written only on messages that have one; ASP.NET Core ignores it. Items three and four are nil then, unless a
//!   client result is wanted.
//! * The channels `H:internal:fleet:KIND` carry messages of our own, an array of version and content. ASP.NET Core does
//!   not subscribe to them.

mod channels;
mod codec;
mod error;
mod messages;
mod reader;

pub use channels::Channels;
pub use codec::Codec;
pub use error::WireError;
pub use messages::{AckMessage, CompletionMessage, FleetMessage, GroupCommandMessage, Invocation};
