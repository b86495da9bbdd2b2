//! SignalR's hub protocols as bytes in and messages out: JSON, MessagePack, the handshake, the negotiate
//! documents and the framing of both.
//!
//! No network, no clock, no tasks and no hubs live here: every function takes bytes and gives messages, or the
//! other way round. What comes in is **borrowed**: a [`Message`] points into the bytes that were received, and the
//! arguments of an invocation stay an unread span until the method that takes them is known
//! ([`Arguments::decode`]).
//!
//! # Decoding, in call order
//!
//! 1. [`HubProtocol::split`] finds one whole message in the input, or says that more bytes are needed.
//! 2. [`HubProtocol::parse`] reads its envelope into a [`Message`].
//! 3. [`Arguments::decode`] and [`Payload::decode`] turn spans into Rust values.
//!
//! # Encoding
//!
//! [`HubProtocol`] has one `write_*` method per message; each appends a complete, framed message to a buffer.
//!
//! # Limits
//!
//! No input makes this crate panic, loop or allocate more than a small multiple of the input's own length.

mod arguments;
mod error;
mod framing;
#[doc(hidden)]
pub mod fuzzing;
pub mod handshake;
mod json;
mod message;
#[cfg(feature = "messagepack")]
mod msgpack;
#[cfg(not(feature = "messagepack"))]
#[path = "msgpack_off.rs"]
mod msgpack;
pub mod negotiate;
mod payload;
mod protocol;
pub mod sse;
mod style;
mod styled;
pub mod values;

pub use arguments::{ArgumentList, ArgumentReader, DynamicArguments, FromArguments, PayloadWriter};
pub use error::{BindError, EncodeError, ProtocolError, ProtocolErrorKind};
pub use message::{Headers, Invocation, Message};
pub use payload::{Arguments, OwnedArguments, Payload};
pub use protocol::{Compression, HubProtocol, InvocationParts, Protocol, TransferFormat};
pub use style::{EnumStyle, NamingPolicy, PayloadStyle};
