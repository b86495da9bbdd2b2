//! Reads the envelope of a MessagePack hub message.
//!
//! Owns the order of the items, what is required and the reference's error texts (B-5.3). Arguments, items and
//! results stay spans; they are read by `decode` once their type is known. Comes from `framing::binary`, goes to the
//! dispatcher.

use super::cursor::{Cursor, Fault};
use crate::error::{ProtocolError, ProtocolErrorKind};
use crate::message::{Headers, Invocation, Message};
use crate::payload::{Arguments, Payload};
use crate::protocol::Protocol;
use std::borrow::Cow;
use std::collections::HashSet;

/// Reads one body. Items after the known ones and bytes after the array are ignored, as by the reference.
pub(crate) fn parse(body: &[u8]) -> Result<Message<'_>, ProtocolError> {
    let mut cursor = Cursor::new(body);
    let items = cursor.array_len()?;
    let kind = int32(&mut cursor, "Reading 'messageType' as Int32 failed.")?;
    match kind {
        1 => invocation(&mut cursor, items),
        2 => stream_item(&mut cursor),
        3 => completion(&mut cursor),
        4 => stream_invocation(&mut cursor, items),
        5 => {
            let headers = headers(&mut cursor)?;
            let invocation_id =
                required_id(&mut cursor, "Null or empty invocation ID for CancelInvocation message.")?;
            Ok(Message::CancelInvocation { headers, invocation_id })
        }
        6 => Ok(Message::Ping),
        7 => close(&mut cursor, items),
        8 => Ok(Message::Ack { sequence_id: sequence_id(&mut cursor)? }),
        9 => Ok(Message::Sequence { sequence_id: sequence_id(&mut cursor)? }),
        other => Ok(Message::Unknown { kind: i64::from(other) }),
    }
}

#[inline]
fn invocation<'a>(cursor: &mut Cursor<'a>, items: usize) -> Result<Message<'a>, ProtocolError> {
    let headers = headers(cursor)?;
    let invocation_id = string(cursor, READ_ID)?.filter(|id| !id.is_empty());
    let target = required(cursor, READ_TARGET, "Null or empty target for Invocation message.")?;
    let Tail { arguments, stream_ids, deferred } = tail(cursor, items);
    Ok(Message::Invocation(Invocation { headers, invocation_id, target, arguments, stream_ids, deferred }))
}

fn stream_invocation<'a>(cursor: &mut Cursor<'a>, items: usize) -> Result<Message<'a>, ProtocolError> {
    let headers = headers(cursor)?;
    let invocation_id =
        Some(required_id(cursor, "Null or empty invocation ID for StreamInvocation message.")?);
    let target = required(cursor, READ_TARGET, "Null or empty target for StreamInvocation message.")?;
    let Tail { arguments, stream_ids, deferred } = tail(cursor, items);
    Ok(Message::StreamInvocation(Invocation {
        headers,
        invocation_id,
        target,
        arguments,
        stream_ids,
        deferred,
    }))
}

/// What follows the target in types 1 and 4.
struct Tail<'a> {
    arguments: Arguments<'a>,
    stream_ids: Option<Vec<Cow<'a, str>>>,
    deferred: Option<ProtocolError>,
}

/// Reads arguments and stream ids. The reference binds the arguments before it looks at the stream ids, so that
/// faults of the latter only count when binding succeeds.
#[inline]
fn tail<'a>(cursor: &mut Cursor<'a>, items: usize) -> Tail<'a> {
    let start = cursor.rest();
    let (mut stream_ids, mut deferred) = (None, None);
    let arguments = match cursor.array_len() {
        Err(_) => Arguments::broken(Protocol::MessagePack, ARGUMENTS_LENGTH),
        // An argument that is no MessagePack: the span keeps the rest of the body, where decoding will find the
        // same fault, after it has compared the counts.
        Ok(count) if cursor.skip(count).is_err() => Arguments::new(Protocol::MessagePack, start),
        Ok(_) => {
            let span = &start[..start.len() - cursor.rest().len()];
            if items > 5 {
                match read_stream_ids(cursor) {
                    Ok(ids) => stream_ids = ids,
                    Err(error) => deferred = Some(error),
                }
            }
            Arguments::new(Protocol::MessagePack, span)
        }
    };
    Tail { arguments, stream_ids, deferred }
}

fn read_stream_ids<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Vec<Cow<'a, str>>>, ProtocolError> {
    let count = cursor
        .array_len()
        .map_err(|_| ProtocolError::invalid_data("Reading array length for 'streamIds' failed."))?;
    if count == 0 {
        return Ok(None);
    }
    let mut ids = Vec::with_capacity(count.min(PREALLOCATE));
    for _ in 0..count {
        match cursor.text()? {
            Some(id) if !id.is_empty() => ids.push(id),
            _ => return Err(ProtocolError::invalid_data("Null or empty value in streamIds received.")),
        }
    }
    Ok(Some(ids))
}

fn stream_item<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, ProtocolError> {
    let headers = headers(cursor)?;
    let invocation_id = required_id(cursor, "Null or empty invocation ID for StreamItem message.")?;
    Ok(Message::StreamItem { headers, invocation_id, item: payload(cursor) })
}

fn completion<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, ProtocolError> {
    let headers = headers(cursor)?;
    let invocation_id = required_id(cursor, "Null or empty invocation ID for Completion message.")?;
    let (error, result) = match int32(cursor, "Reading 'resultKind' as Int32 failed.")? {
        1 => (string(cursor, READ_ERROR)?, None),
        2 => (None, None),
        3 => (None, Some(payload(cursor))),
        _ => return Err(ProtocolError::invalid_data("Invalid invocation result kind.")),
    };
    Ok(Message::Completion { headers, invocation_id, error, result })
}

fn close<'a>(cursor: &mut Cursor<'a>, items: usize) -> Result<Message<'a>, ProtocolError> {
    let error = string(cursor, READ_ERROR)?;
    let allow_reconnect = match (items > 2).then(|| cursor.byte()) {
        None | Some(Ok(0xc2)) => false,
        Some(Ok(0xc3)) => true,
        Some(_) => return Err(ProtocolError::invalid_data("Reading 'allowReconnect' as Boolean failed.")),
    };
    Ok(Message::Close { error, allow_reconnect })
}

/// An item or a result. When it is missing or no MessagePack, the span holds what is there: decoding it fails, and
/// so does [`check_value`].
fn payload<'a>(cursor: &mut Cursor<'a>) -> Payload<'a> {
    let rest = cursor.rest();
    Payload::new(Protocol::MessagePack, cursor.value().unwrap_or(rest))
}

/// Whether a span holds exactly one value: for those that take it as it is, without a type.
pub(crate) fn check_value(span: &[u8]) -> Result<(), ProtocolError> {
    let mut cursor = Cursor::new(span);
    cursor.skip(1)?;
    match cursor.peek() {
        Err(_) => Ok(()),
        Ok(code) => Err(Fault::Code(code).into()),
    }
}

#[inline]
fn headers<'a>(cursor: &mut Cursor<'a>) -> Result<Headers<'a>, ProtocolError> {
    let count = cursor
        .map_len()
        .map_err(|_| ProtocolError::invalid_data("Reading map length for 'headers' failed."))?;
    if count == 0 {
        return Ok(Headers::default());
    }
    let mut pairs = Vec::with_capacity(count.min(PREALLOCATE));
    for index in 0..count {
        pairs.push(header(cursor, index)?);
    }
    reject_duplicates(&pairs)?;
    Ok(Headers(pairs))
}

fn header<'a>(cursor: &mut Cursor<'a>, index: usize) -> Result<(Cow<'a, str>, Cow<'a, str>), ProtocolError> {
    let mut part = |name: &str, empty: &'static str| match cursor.text() {
        Ok(Some(text)) if !text.is_empty() => Ok(text),
        Ok(_) => Err(ProtocolError::invalid_data(empty)),
        Err(_) => {
            Err(ProtocolError::invalid_data(format!("Reading 'headers[{index}].{name}' as String failed.")))
        }
    };
    let key = part("Key", "Null or empty key in header.")?;
    let value = part("Value", "Null or empty value in header.")?;
    Ok((key, value))
}

fn reject_duplicates(pairs: &[(Cow<'_, str>, Cow<'_, str>)]) -> Result<(), ProtocolError> {
    let mut seen = HashSet::new();
    let duplicate = if pairs.len() <= PREALLOCATE {
        (1..pairs.len()).find(|&n| pairs[..n].iter().any(|(key, _)| *key == pairs[n].0))
    } else {
        (0..pairs.len()).find(|&n| !seen.insert(pairs[n].0.as_ref()))
    };
    match duplicate {
        None => Ok(()),
        Some(n) => Err(ProtocolError::new(
            ProtocolErrorKind::InvalidData,
            format!("An item with the same key has already been added. Key: {}", pairs[n].0),
        )),
    }
}

fn sequence_id(cursor: &mut Cursor<'_>) -> Result<i64, ProtocolError> {
    let read = cursor.integer().ok().and_then(|value| value.to_i64());
    read.ok_or_else(|| ProtocolError::invalid_data("Reading 'sequenceId' as Int64 failed."))
}

fn int32(cursor: &mut Cursor<'_>, unreadable: &'static str) -> Result<i32, ProtocolError> {
    let read = cursor.integer().ok().and_then(|value| value.to_i32());
    read.ok_or_else(|| ProtocolError::invalid_data(unreadable))
}

#[inline]
fn string<'a>(
    cursor: &mut Cursor<'a>,
    unreadable: &'static str,
) -> Result<Option<Cow<'a, str>>, ProtocolError> {
    cursor.text().map_err(|_| ProtocolError::invalid_data(unreadable))
}

#[inline]
fn required<'a>(
    cursor: &mut Cursor<'a>,
    unreadable: &'static str,
    empty: &'static str,
) -> Result<Cow<'a, str>, ProtocolError> {
    match string(cursor, unreadable)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(ProtocolError::invalid_data(empty)),
    }
}

fn required_id<'a>(cursor: &mut Cursor<'a>, empty: &'static str) -> Result<Cow<'a, str>, ProtocolError> {
    required(cursor, READ_ID, empty)
}

/// Why arguments that are no array cannot be bound.
pub(crate) const ARGUMENTS_LENGTH: &str = "Reading array length for 'arguments' failed.";
const READ_ID: &str = "Reading 'invocationId' as String failed.";
const READ_TARGET: &str = "Reading 'target' as String failed.";
const READ_ERROR: &str = "Reading 'error' as String failed.";
/// Up to how many items a vector is made large enough at once.
const PREALLOCATE: usize = 16;
