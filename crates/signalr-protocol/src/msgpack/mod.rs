//! The MessagePack hub protocol (B-5): bytes to messages and back.
//!
//! Joins the parts and owns none of them: `cursor` reads bounded bytes, `parse` envelopes, `decode` (with `access` and `decode_error`) payloads, `write`
//! everything that is sent, `lz4` the compressed form of payloads. Frames are in `framing::binary`.

mod access;
mod cursor;
mod decode;
mod decode_error;
#[cfg(feature = "lz4")]
pub(crate) mod lz4;
mod parse;
mod write;

pub(crate) use crate::framing::binary::split;
pub(crate) use decode::{ArgumentReader, decode_value};
pub(crate) use parse::{check_value, parse};
pub(crate) use write::{
    write_ack, write_arguments, write_cancel_invocation, write_close, write_completion_error,
    write_completion_result, write_completion_void, write_invocation, write_message, write_ping,
    write_sequence, write_stream_item, write_value,
};
