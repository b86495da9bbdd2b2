//! Values whose form .NET fixes: dates, GUIDs, byte strings, time spans, decimals, characters.
//!
//! Owns types and serde helper modules with which one Rust field is right in both protocols. A module goes into
//! `#[serde(with = "signalr_protocol::values::timestamp")]`; a type is used directly and works inside `Option`, `Vec`
//! and as a hub method's parameter. The protocol is told apart by serde's `is_human_readable`, which only JSON
//! answers with `true`.
//!
//! | .NET | type, module | JSON | MessagePack |
//! | --- | --- | --- | --- |
//! | `DateTime` | [`Timestamp`], [`timestamp`] (`SystemTime`) | ISO 8601 with `Z` | timestamp extension (-1) |
//! | `DateTimeOffset` | [`OffsetDate`] | ISO 8601 with offset | `[local clock as timestamp, minutes]` |
//! | `TimeSpan` | [`TimeSpan`], [`time_span`] (`Duration`) | `[-][d.]hh:mm:ss[.fffffff]` | integer, 100 ns ticks |
//! | `Guid` | [`Guid`], [`guid`] (`[u8; 16]`), `uuid` (feature `uuid`) | 36 characters | 36 characters |
//! | `byte[]` | [`Binary`], [`bytes`](mod@bytes) (`Vec<u8>`, ...) | base64 | bin; str is read too |
//! | `decimal` | [`Decimal`] | number, digits kept | string |
//! | `char` | [`character`] (`char`) | string of one character | integer, UTF-16 unit |
//!
//! Not here: names of struct members and enums of unit variants. [`PayloadStyle`](crate::PayloadStyle) gives them the form
//! that ASP.NET Core has in each protocol; without it they are as serde has them, variants by name.
//! `Uri` and `Version` are strings. Types of other crates choose their form themselves, often text in JSON and something
//! of their own in MessagePack (`uuid` writes raw bytes, `chrono` text): convert dates and GUIDs to the types here. What one member holds never decides the form of another.

pub mod bytes;
pub mod character;
mod date;
mod decimal;
mod extension;
pub mod guid;
mod name;
mod offset_date;
pub mod time_span;
pub mod timestamp;
#[cfg(feature = "uuid")]
pub mod uuid;

pub use bytes::Binary;
pub use decimal::{Decimal, DecimalError};
pub use guid::{Guid, GuidError};
pub use name::dotnet_name;
pub use offset_date::OffsetDate;
pub use time_span::TimeSpan;
pub use timestamp::Timestamp;
