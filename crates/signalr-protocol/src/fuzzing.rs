//! Bodies of the fuzz targets in `fuzz/`, called by property tests too. Not for users: anything here may change.

mod json;
#[cfg(feature = "messagepack")]
mod messagepack;

pub use json::{handshake, json_parse, negotiate, text_split};
#[cfg(feature = "lz4")]
pub use messagepack::lz4_decode;
#[cfg(feature = "messagepack")]
pub use messagepack::{binary_split, msgpack_arguments, msgpack_parse};
