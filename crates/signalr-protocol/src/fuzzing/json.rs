//! What must hold for any bytes taken as JSON messages, handshakes or negotiate documents.
//!
//! A body panics when something does not hold; that is what its callers look for. Nothing else may call it.

use crate::handshake::{self, HandshakeRequest};
use crate::message::{Invocation, Message};
use crate::negotiate::{NegotiateRequest, NegotiateResponse};
use crate::payload::Payload;
use crate::protocol::{HubProtocol, Protocol};
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::BTreeMap;

/// JSON hub messages, whole or cut off: split, parsed, bound, and written so that they read the same again.
pub fn json_parse(data: &[u8]) {
    let protocol = HubProtocol::new(Protocol::Json);
    let mut rest = data;
    while let Ok(Some((body, length))) = protocol.split(rest) {
        assert_eq!(length, body.len() + 1, "a record is its body and one separator");
        json_message(protocol, body);
        rest = &rest[length..];
    }
    json_message(protocol, rest);
}

/// Both sides of a handshake.
pub fn handshake(data: &[u8]) {
    if let Ok(Some((body, length))) = handshake::split(data, Some(data.len() / 2)) {
        assert!(length <= data.len() / 2, "nothing behind the limit is searched");
        assert!(length > body.len(), "a record has a separator");
    }
    if let Ok(request) = HandshakeRequest::parse(data) {
        let mut out = Vec::new();
        handshake::write_request(&mut out, &request.protocol, request.version);
        let again = HandshakeRequest::parse(&out[..out.len() - 1]);
        assert_eq!(again.as_ref(), Ok(&request), "a written request is read the same");
        let _ = request.choose(&Protocol::ALL, false);
    }
    if let Ok(Some(error)) = handshake::parse_response(data) {
        let mut out = Vec::new();
        handshake::write_error(&mut out, &error);
        let again = handshake::parse_response(&out[..out.len() - 1]);
        assert_eq!(again, Ok(Some(error)), "a written response is read the same");
    }
}

/// The negotiate query and document.
pub fn negotiate(data: &[u8]) {
    if let Ok(query) = str::from_utf8(data)
        && let Ok(request) = NegotiateRequest::from_query(query, 0)
    {
        assert!((0..=1).contains(&request.version), "only known versions are agreed on");
    }
    if let Ok(response) = NegotiateResponse::parse(data) {
        let mut out = Vec::new();
        response.write(&mut out);
        // Empty members count as given when read and are left out when written, both as the reference does it.
        let empty =
            [&response.connection_id, &response.url].into_iter().any(|text| text.as_deref() == Some(""));
        assert!(NegotiateResponse::parse(&out).is_ok() || empty);
    }
}

/// Text frames: what is split off, put together again, is the input.
pub fn text_split(data: &[u8]) {
    let protocol = HubProtocol::new(Protocol::Json);
    let mut joined = Vec::new();
    let mut rest = data;
    while let Ok(Some((body, length))) = protocol.split(rest) {
        assert!(!body.contains(&0x1e), "a body has no separator in it");
        joined.extend_from_slice(body);
        joined.push(0x1e);
        rest = &rest[length..];
    }
    assert!(!rest.contains(&0x1e), "nothing whole is left over");
    joined.extend_from_slice(rest);
    assert_eq!(joined, data);
}

fn json_message(protocol: HubProtocol, body: &[u8]) {
    let general = crate::json::parse_any(body);
    assert_eq!(protocol.parse(body), general, "the short way and the general one agree");
    let Ok(message) = general else { return };
    match &message {
        Message::Invocation(invocation) | Message::StreamInvocation(invocation) => bind(invocation),
        Message::StreamItem { item, .. } => decode(*item),
        Message::Completion { result: Some(result), .. } => decode(*result),
        _ => {}
    }
    let mut out = Vec::new();
    if protocol.write_message(&mut out, &message).is_err() {
        assert!(matches!(message, Message::Unknown { .. }), "every known message can be written");
        return;
    }
    assert_eq!(out.pop(), Some(0x1e), "a message ends with its separator");
    assert_eq!(protocol.split(&out), Ok(None), "one message is one frame");
    let again = protocol.parse(&out);
    assert!(again.as_ref().is_ok_and(|again| same(again, &message)), "{message:?} was read as {again:?}");
}

fn bind(invocation: &Invocation<'_>) {
    let arguments = invocation.arguments;
    let _ = arguments.decode::<()>();
    let _ = arguments.decode::<(serde_json::Value,)>();
    let _ = arguments.decode::<(String, i64)>();
    let _ = arguments.decode::<(f32, Option<u8>, char)>();
    let _ = arguments.to_owned().as_arguments().decode::<(Vec<Option<f64>>, BTreeMap<i32, bool>)>();
}

fn decode(payload: Payload<'_>) {
    fn as_type<T: DeserializeOwned>(payload: Payload<'_>) {
        let _ = payload.decode::<T>();
    }
    as_type::<serde_json::Value>(payload);
    as_type::<Box<serde_json::value::RawValue>>(payload);
    as_type::<(u64, String)>(payload);
    as_type::<Result<BTreeMap<String, i128>, f64>>(payload);
    assert!(payload.decode::<IgnoredAny>().is_ok(), "a span is one well-formed value");
}

/// Equal, but for what writing leaves out: empty errors, and arguments that were said before.
fn same(a: &Message<'_>, b: &Message<'_>) -> bool {
    match (a, b) {
        (Message::Invocation(a), Message::Invocation(b))
        | (Message::StreamInvocation(a), Message::StreamInvocation(b)) => {
            (&a.headers, &a.invocation_id, &a.target, &a.stream_ids, &a.deferred)
                == (&b.headers, &b.invocation_id, &b.target, &b.stream_ids, &b.deferred)
                && a.arguments.bytes() == b.arguments.bytes()
        }
        (Message::Completion { error: None, .. }, Message::Completion { error: Some(error), .. }) => {
            error.is_empty()
        }
        _ => a == b,
    }
}
