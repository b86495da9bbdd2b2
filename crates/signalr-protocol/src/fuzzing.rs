//! Bodies of the fuzz targets in `fuzz/`, called by property tests too. Not for users: anything here may change.

#[cfg(feature = "messagepack")]
mod messagepack;

#[cfg(feature = "lz4")]
pub use messagepack::lz4_decode;
#[cfg(feature = "messagepack")]
pub use messagepack::{binary_split, msgpack_arguments, msgpack_parse};
