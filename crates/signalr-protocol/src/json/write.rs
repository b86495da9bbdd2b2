//! JSON hub messages as text, each followed by its record separator (B-4.1).
//!
//! Owns the envelope's property order and what is left out. Values are written by `format`, names and texts by
//! `escape`. Everything is appended to the caller's buffer; an error may leave a part of a message behind, which
//! `HubProtocol` takes off again.

use super::escape::write_string;
use super::format::write_value;
use crate::arguments::{ArgumentList, PayloadWriter};
use crate::error::EncodeError;
use crate::framing::text::RECORD_SEPARATOR;
use crate::message::{Headers, Invocation, Message};
use crate::protocol::{InvocationParts, Protocol};
use crate::style::PayloadStyle;
use serde::Serialize;

pub(crate) fn write_invocation(
    out: &mut Vec<u8>,
    style: PayloadStyle,
    parts: &InvocationParts<'_>,
    arguments: &dyn ArgumentList,
) -> Result<(), EncodeError> {
    begin_invocation(out, parts);
    write_arguments(out, style, arguments)?;
    end_invocation(out, parts);
    Ok(())
}

pub(crate) fn write_arguments(
    out: &mut Vec<u8>,
    style: PayloadStyle,
    arguments: &dyn ArgumentList,
) -> Result<(), EncodeError> {
    out.push(b'[');
    arguments.write(&mut PayloadWriter::new(out, Protocol::Json, style.into()))?;
    out.push(b']');
    Ok(())
}

pub(crate) fn write_stream_item<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    style: PayloadStyle,
    invocation_id: &str,
    item: &T,
) -> Result<(), EncodeError> {
    begin(out, b'2', None, Some(invocation_id));
    out.extend_from_slice(b",\"item\":");
    write_value(out, style, item)?;
    end(out);
    Ok(())
}

pub(crate) fn write_completion_result<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    style: PayloadStyle,
    invocation_id: &str,
    result: &T,
) -> Result<(), EncodeError> {
    begin(out, b'3', None, Some(invocation_id));
    out.extend_from_slice(b",\"result\":");
    write_value(out, style, result)?;
    end(out);
    Ok(())
}

pub(crate) fn write_completion_void(out: &mut Vec<u8>, invocation_id: &str) {
    begin(out, b'3', None, Some(invocation_id));
    end(out);
}

pub(crate) fn write_completion_error(out: &mut Vec<u8>, invocation_id: &str, error: &str) {
    begin(out, b'3', None, Some(invocation_id));
    completion_error(out, error);
    end(out);
}

pub(crate) fn write_cancel_invocation(out: &mut Vec<u8>, invocation_id: &str) {
    begin(out, b'5', None, Some(invocation_id));
    end(out);
}

pub(crate) fn write_ping(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":6}\x1e");
}

pub(crate) fn write_close(out: &mut Vec<u8>, error: Option<&str>, allow_reconnect: bool) {
    out.extend_from_slice(b"{\"type\":7");
    if let Some(error) = error {
        property(out, "error", error);
    }
    if allow_reconnect {
        out.extend_from_slice(b",\"allowReconnect\":true");
    }
    end(out);
}

pub(crate) fn write_ack(out: &mut Vec<u8>, sequence_id: i64) {
    write_sequence_id(out, b'8', sequence_id);
}

pub(crate) fn write_sequence(out: &mut Vec<u8>, sequence_id: i64) {
    write_sequence_id(out, b'9', sequence_id);
}

/// Any message with its payload spans as they are; the caller has checked that they are JSON and that the type is
/// known.
pub(crate) fn write_message(out: &mut Vec<u8>, message: &Message<'_>) {
    match message {
        Message::Invocation(invocation) => raw_invocation(out, invocation, false),
        Message::StreamInvocation(invocation) => raw_invocation(out, invocation, true),
        Message::StreamItem { headers, invocation_id, item } => {
            begin(out, b'2', Some(headers), Some(invocation_id));
            out.extend_from_slice(b",\"item\":");
            out.extend_from_slice(item.bytes());
            end(out);
        }
        Message::Completion { headers, invocation_id, error, result } => {
            begin(out, b'3', Some(headers), Some(invocation_id));
            if let Some(error) = error {
                completion_error(out, error);
            } else if let Some(result) = result {
                out.extend_from_slice(b",\"result\":");
                out.extend_from_slice(result.bytes());
            }
            end(out);
        }
        Message::CancelInvocation { headers, invocation_id } => {
            begin(out, b'5', Some(headers), Some(invocation_id));
            end(out);
        }
        Message::Ping => write_ping(out),
        Message::Close { error, allow_reconnect } => write_close(out, error.as_deref(), *allow_reconnect),
        Message::Ack { sequence_id } => write_ack(out, *sequence_id),
        Message::Sequence { sequence_id } => write_sequence(out, *sequence_id),
        Message::Unknown { .. } => {}
    }
}

fn raw_invocation(out: &mut Vec<u8>, invocation: &Invocation<'_>, streaming: bool) {
    let parts = InvocationParts {
        streaming,
        headers: Some(&invocation.headers),
        invocation_id: invocation.invocation_id.as_deref(),
        target: &invocation.target,
        stream_ids: invocation.stream_ids.as_deref(),
    };
    begin_invocation(out, &parts);
    out.extend_from_slice(invocation.arguments.bytes());
    end_invocation(out, &parts);
}

fn begin_invocation(out: &mut Vec<u8>, parts: &InvocationParts<'_>) {
    begin(out, if parts.streaming { b'4' } else { b'1' }, parts.headers, parts.invocation_id);
    property(out, "target", parts.target);
    out.extend_from_slice(b",\"arguments\":");
}

fn end_invocation(out: &mut Vec<u8>, parts: &InvocationParts<'_>) {
    if let Some(ids) = parts.stream_ids {
        out.extend_from_slice(b",\"streamIds\":[");
        for (index, id) in ids.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_string(out, id);
        }
        out.push(b']');
    }
    end(out);
}

/// The type, headers unless empty, the id unless empty.
fn begin(out: &mut Vec<u8>, kind: u8, headers: Option<&Headers<'_>>, invocation_id: Option<&str>) {
    out.extend_from_slice(b"{\"type\":");
    out.push(kind);
    if let Some(headers) = headers.filter(|h| !h.is_empty()) {
        write_headers(out, headers);
    }
    if let Some(id) = invocation_id.filter(|id| !id.is_empty()) {
        property(out, "invocationId", id);
    }
}

fn write_headers(out: &mut Vec<u8>, headers: &Headers<'_>) {
    let mut separator = b'{';
    out.extend_from_slice(b",\"headers\":");
    for (name, value) in &headers.0 {
        out.push(separator);
        write_string(out, name);
        out.push(b':');
        write_string(out, value);
        separator = b',';
    }
    out.push(b'}');
}

fn completion_error(out: &mut Vec<u8>, error: &str) {
    if !error.is_empty() {
        property(out, "error", error);
    }
}

fn write_sequence_id(out: &mut Vec<u8>, kind: u8, sequence_id: i64) {
    begin(out, kind, None, None);
    out.extend_from_slice(b",\"sequenceId\":");
    out.extend_from_slice(itoa::Buffer::new().format(sequence_id).as_bytes());
    end(out);
}

fn property(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    write_string(out, value);
}

fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'}', RECORD_SEPARATOR]);
}

#[cfg(test)]
mod tests {
    use crate::{Headers, HubProtocol, InvocationParts, Protocol};

    const JSON: HubProtocol = HubProtocol::new(Protocol::Json);

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn properties_stand_in_the_reference_order() {
        let headers = Headers(vec![("a".into(), "b".into())]);
        let parts = InvocationParts {
            streaming: true,
            headers: Some(&headers),
            stream_ids: Some(&["s".into()]),
            ..InvocationParts::new(Some("1"), "Method")
        };
        assert_eq!(
            written(|out| JSON.write_invocation_with(out, &parts, &(42, "x")).unwrap()),
            "{\"type\":4,\"headers\":{\"a\":\"b\"},\"invocationId\":\"1\",\"target\":\"Method\",\"arguments\":[42,\"x\"],\"streamIds\":[\"s\"]}\x1e"
        );
    }

    #[test]
    fn a_void_result_is_null_and_an_empty_error_is_nothing() {
        assert_eq!(
            written(|out| JSON.write_completion_result(out, "1", &()).unwrap()),
            "{\"type\":3,\"invocationId\":\"1\",\"result\":null}\x1e"
        );
        assert_eq!(
            written(|out| JSON.write_completion_error(out, "1", "")),
            "{\"type\":3,\"invocationId\":\"1\"}\x1e"
        );
    }

    #[test]
    fn a_failed_message_leaves_nothing_behind() {
        let bad = std::collections::HashMap::from([(vec![1], 2)]);
        let mut out = b"before".to_vec();
        assert!(JSON.write_invocation(&mut out, None, "m", &(1, bad)).is_err());
        assert_eq!(out, b"before");
    }
}
