//! The JSON hub protocol (B-4): text to messages and back.
//!
//! `scan` reads tokens, `parse` and `message` the envelope (`fast` its usual form), `de` (with `access`, `keys` and `decode_error`) and `decode` the payloads; `write`, `whole`, `format` and
//! `escape` go the other way. Framing is `framing::text`.

mod access;
mod de;
mod decode;
mod decode_error;
mod escape;
mod fast;
mod format;
mod keys;
mod message;
mod parse;
pub(crate) mod scan;
mod whole;
mod write;

pub(crate) use crate::framing::text::split;
pub(crate) use decode::{ArgumentReader, check_value, decode_value};
pub(crate) use escape::write_string;
pub(crate) use format::write_value;
pub(crate) use parse::{int32, mismatch, open_object, parse, parse_any, string, text_fault};
pub(crate) use write::{
    write_ack, write_arguments, write_cancel_invocation, write_close, write_completion_error,
    write_completion_result, write_completion_void, write_invocation, write_message, write_ping,
    write_sequence, write_stream_item,
};
