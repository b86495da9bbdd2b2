//! Writes MessagePack hub messages, framed.
//!
//! Owns the layout of every message (B-5.2): six items for invocations, three for Close, kinds for completions.
//! Envelopes are written by hand; payloads go through rmp-serde, structs as maps with their declared names, which is
//! what MessagePack-CSharp's default resolver reads. Output goes to the end of the caller's buffer.

use crate::arguments::{ArgumentList, PayloadWriter};
use crate::error::EncodeError;
use crate::framing::binary::Frame;
use crate::message::{Headers, Invocation, Message};
use crate::protocol::{Compression, InvocationParts, Protocol};
use crate::style::{PayloadForm, PayloadStyle};
use crate::styled::Styled;
use serde::Serialize;
use std::borrow::Cow;

/// Types 1 and 4. On an error `out` holds a part of the message; the caller cuts it off.
pub(crate) fn write_invocation(
    out: &mut Vec<u8>,
    form: PayloadForm,
    parts: &InvocationParts<'_>,
    arguments: &dyn ArgumentList,
) -> Result<(), EncodeError> {
    let frame = Frame::begin(out);
    out.extend_from_slice(&[0x96, if parts.streaming { 4 } else { 1 }]);
    put_headers(out, parts.headers);
    put_optional_str(out, parts.invocation_id.filter(|id| !id.is_empty() || parts.streaming));
    put_str(out, parts.target);
    write_arguments(out, form, arguments)?;
    put_stream_ids(out, parts.stream_ids);
    end(frame, out)
}

pub(crate) fn write_stream_item<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    form: PayloadForm,
    invocation_id: &str,
    item: &T,
) -> Result<(), EncodeError> {
    let frame = Frame::begin(out);
    out.extend_from_slice(&[0x94, 2, NO_HEADERS]);
    put_str(out, invocation_id);
    write_value(out, form, item)?;
    end(frame, out)
}

pub(crate) fn write_completion_result<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    form: PayloadForm,
    invocation_id: &str,
    result: &T,
) -> Result<(), EncodeError> {
    let frame = Frame::begin(out);
    out.extend_from_slice(&[0x95, 3, NO_HEADERS]);
    put_str(out, invocation_id);
    out.push(KIND_RESULT);
    write_value(out, form, result)?;
    end(frame, out)
}

pub(crate) fn write_completion_void(out: &mut Vec<u8>, invocation_id: &str) {
    framed(out, |out| {
        out.extend_from_slice(&[0x94, 3, NO_HEADERS]);
        put_str(out, invocation_id);
        out.push(KIND_VOID);
    });
}

pub(crate) fn write_completion_error(out: &mut Vec<u8>, invocation_id: &str, error: &str) {
    framed(out, |out| {
        out.extend_from_slice(&[0x95, 3, NO_HEADERS]);
        put_str(out, invocation_id);
        out.push(KIND_ERROR);
        put_str(out, error);
    });
}

pub(crate) fn write_cancel_invocation(out: &mut Vec<u8>, invocation_id: &str) {
    framed(out, |out| {
        out.extend_from_slice(&[0x93, 5, NO_HEADERS]);
        put_str(out, invocation_id);
    });
}

pub(crate) fn write_ping(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x02, 0x91, 0x06]);
}

/// An empty error is written as nil, as by the reference.
pub(crate) fn write_close(out: &mut Vec<u8>, error: Option<&str>, allow_reconnect: bool) {
    framed(out, |out| {
        out.extend_from_slice(&[0x93, 7]);
        put_optional_str(out, error.filter(|error| !error.is_empty()));
        out.push(if allow_reconnect { 0xc3 } else { 0xc2 });
    });
}

pub(crate) fn write_ack(out: &mut Vec<u8>, sequence_id: i64) {
    framed(out, |out| {
        out.extend_from_slice(&[0x92, 8]);
        put_int(out, sequence_id);
    });
}

pub(crate) fn write_sequence(out: &mut Vec<u8>, sequence_id: i64) {
    framed(out, |out| {
        out.extend_from_slice(&[0x92, 9]);
        put_int(out, sequence_id);
    });
}

/// Any message with its payload spans as they are; the caller has checked that they are MessagePack and that the
/// type is known.
pub(crate) fn write_message(out: &mut Vec<u8>, message: &Message<'_>) {
    match message {
        Message::Invocation(invocation) => put_call(out, 1, invocation),
        Message::StreamInvocation(invocation) => put_call(out, 4, invocation),
        Message::StreamItem { headers, invocation_id, item } => framed(out, |out| {
            put_start(out, 0x94, 2, headers, invocation_id);
            out.extend_from_slice(item.bytes());
        }),
        Message::Completion { headers, invocation_id, error, result } => framed(out, |out| {
            let items = if error.is_none() && result.is_none() { 0x94 } else { 0x95 };
            put_start(out, items, 3, headers, invocation_id);
            match (error, result) {
                (Some(error), _) => {
                    out.push(KIND_ERROR);
                    put_str(out, error);
                }
                (None, Some(result)) => {
                    out.push(KIND_RESULT);
                    out.extend_from_slice(result.bytes());
                }
                (None, None) => out.push(KIND_VOID),
            }
        }),
        Message::CancelInvocation { headers, invocation_id } => {
            framed(out, |out| put_start(out, 0x93, 5, headers, invocation_id));
        }
        Message::Ping => write_ping(out),
        Message::Close { error, allow_reconnect } => write_close(out, error.as_deref(), *allow_reconnect),
        Message::Ack { sequence_id } => write_ack(out, *sequence_id),
        Message::Sequence { sequence_id } => write_sequence(out, *sequence_id),
        Message::Unknown { .. } => {}
    }
}

/// One payload value, compressed if asked for.
pub(crate) fn write_value<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    form: PayloadForm,
    value: &T,
) -> Result<(), EncodeError> {
    if form.compression == Compression::None {
        return serialize(out, form.style, value);
    }
    write_compressed(out, form, value)
}

/// The argument array alone.
pub(crate) fn write_arguments(
    out: &mut Vec<u8>,
    form: PayloadForm,
    arguments: &dyn ArgumentList,
) -> Result<(), EncodeError> {
    let count = arguments.count();
    put_array_len(out, count);
    let mut writer = PayloadWriter::new(out, Protocol::MessagePack, form);
    arguments.write(&mut writer)?;
    if writer.written() == count {
        return Ok(());
    }
    let reason = format!("the argument list says that it has {count} values and wrote {}", writer.written());
    Err(EncodeError::new(NAME, reason))
}

fn serialize<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    style: PayloadStyle,
    value: &T,
) -> Result<(), EncodeError> {
    let mut serializer = rmp_serde::Serializer::new(out).with_struct_map();
    if style == PayloadStyle::SERDE {
        value.serialize(&mut serializer)
    } else {
        Styled(value, style).serialize(&mut serializer)
    }
    .map_err(|error| EncodeError::new(NAME, error))
}

#[cfg(feature = "lz4")]
fn write_compressed<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    form: PayloadForm,
    value: &T,
) -> Result<(), EncodeError> {
    let start = out.len();
    serialize(out, form.style, value)?;
    if let Some(compressed) = super::lz4::compress(&out[start..], form.compression) {
        out.truncate(start);
        out.extend_from_slice(&compressed);
    }
    Ok(())
}

#[cfg(not(feature = "lz4"))]
fn write_compressed<T: Serialize + ?Sized>(
    _: &mut Vec<u8>,
    _: PayloadForm,
    _: &T,
) -> Result<(), EncodeError> {
    Err(EncodeError::new(NAME, "compression needs the feature `lz4` of signalr-protocol"))
}

fn put_call(out: &mut Vec<u8>, kind: u8, invocation: &Invocation<'_>) {
    framed(out, |out| {
        out.extend_from_slice(&[0x96, kind]);
        put_headers(out, Some(&invocation.headers));
        put_optional_str(out, invocation.invocation_id.as_deref());
        put_str(out, &invocation.target);
        out.extend_from_slice(invocation.arguments.bytes());
        put_stream_ids(out, invocation.stream_ids.as_deref());
    });
}

fn put_start(out: &mut Vec<u8>, items: u8, kind: u8, headers: &Headers<'_>, invocation_id: &str) {
    out.extend_from_slice(&[items, kind]);
    put_headers(out, Some(headers));
    put_str(out, invocation_id);
}

fn put_headers(out: &mut Vec<u8>, headers: Option<&Headers<'_>>) {
    let pairs = headers.map_or(&[][..], |headers| &headers.0);
    put_len(out, pairs.len(), 0x80, 0xde);
    for (name, value) in pairs {
        put_str(out, name);
        put_str(out, value);
    }
}

fn put_stream_ids(out: &mut Vec<u8>, ids: Option<&[Cow<'_, str>]>) {
    let ids = ids.unwrap_or_default();
    put_array_len(out, ids.len());
    for id in ids {
        put_str(out, id);
    }
}

fn put_optional_str(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => put_str(out, text),
        None => out.push(0xc0),
    }
}

fn put_str(out: &mut Vec<u8>, text: &str) {
    match text.len() {
        length @ 0..32 => out.push(0xa0 | length as u8),
        length @ 32..0x100 => out.extend_from_slice(&[0xd9, length as u8]),
        length => put_sized(out, length, 0xda),
    }
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn put_array_len(out: &mut Vec<u8>, length: usize) {
    put_len(out, length, 0x90, 0xdc);
}

/// The header of an array or a map: up to 15 items in one byte.
fn put_len(out: &mut Vec<u8>, length: usize, short: u8, long: u8) {
    if length < 16 {
        out.push(short | length as u8);
    } else {
        put_sized(out, length, long);
    }
}

/// A length in two bytes after `code`, or in four after the next code. Nothing here is longer than 2 GB: the frame
/// would be refused.
fn put_sized(out: &mut Vec<u8>, length: usize, code: u8) {
    if let Ok(length) = u16::try_from(length) {
        out.push(code);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(code + 1);
        out.extend_from_slice(&(length as u32).to_be_bytes());
    }
}

/// An integer in its shortest form.
pub(super) fn put_int(out: &mut Vec<u8>, value: i64) {
    match value {
        -32..0x80 => out.push(value as u8),
        0x80..0x100 => out.extend_from_slice(&[0xcc, value as u8]),
        0x100..0x1_0000 => put_number(out, 0xcd, (value as u16).to_be_bytes()),
        0x1_0000..0x1_0000_0000 => put_number(out, 0xce, (value as u32).to_be_bytes()),
        0x1_0000_0000.. => put_number(out, 0xcf, value.to_be_bytes()),
        -0x80..-32 => out.extend_from_slice(&[0xd0, value as u8]),
        -0x8000..-0x80 => put_number(out, 0xd1, (value as i16).to_be_bytes()),
        -0x8000_0000..-0x8000 => put_number(out, 0xd2, (value as i32).to_be_bytes()),
        _ => put_number(out, 0xd3, value.to_be_bytes()),
    }
}

fn put_number<const N: usize>(out: &mut Vec<u8>, code: u8, bytes: [u8; N]) {
    out.push(code);
    out.extend_from_slice(&bytes);
}

fn framed(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let frame = Frame::begin(out);
    body(out);
    // A body over 2 GB is taken away again: there is no way to send it, and nobody to tell.
    let _ = frame.end(out);
}

fn end(frame: Frame, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if frame.end(out) { Ok(()) } else { Err(EncodeError::new(NAME, "the message is larger than 2 GB")) }
}

const NAME: &str = Protocol::MessagePack.name();
const NO_HEADERS: u8 = 0x80;
const KIND_ERROR: u8 = 1;
const KIND_VOID: u8 = 2;
const KIND_RESULT: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HubProtocol;
    use crate::msgpack::cursor::Cursor;

    #[test]
    fn integers_take_their_shortest_form() {
        let edges = [0, 127, 128, 255, 256, 65_535, 65_536, 0xffff_ffff, 0x1_0000_0000, i64::MAX];
        for value in edges.into_iter().flat_map(|n| [n, -n, -n - 1]) {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            put_int(&mut ours, value);
            rmp::encode::write_sint(&mut theirs, value).expect("writes");
            assert_eq!(ours, theirs, "{value}");
            assert_eq!(Cursor::new(&ours).integer().expect("reads").to_i64(), Some(value));
        }
    }

    #[test]
    fn a_list_that_miscounts_is_refused_and_leaves_nothing() {
        struct Liar;
        impl ArgumentList for Liar {
            fn count(&self) -> usize {
                2
            }
            fn write(&self, writer: &mut PayloadWriter<'_>) -> Result<(), EncodeError> {
                writer.value(&1)
            }
        }
        let mut out = vec![7];
        assert!(
            HubProtocol::new(Protocol::MessagePack).write_invocation(&mut out, None, "T", &Liar).is_err()
        );
        assert_eq!(out, [7]);
    }
}
