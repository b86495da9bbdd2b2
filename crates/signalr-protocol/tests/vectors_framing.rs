//! Runs `vectors/framing.json`: where messages begin and end, in both protocols.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed entry")]

mod support;

use serde_json::{Value, json};
use signalr_protocol::{HubProtocol, Protocol};
use support::{Outcome, Vectors, from_base64, input, text};

#[test]
fn framing() {
    Vectors::load("framing.json").run(|section, entry| match section {
        "text_frames" => text_frames(entry),
        "varints" => varint(entry),
        _ => binary(entry),
    });
}

/// Every payload, the bytes they took, and the error that ended it.
fn split_all(protocol: Protocol, input: &[u8]) -> (Vec<Vec<u8>>, usize, Option<(String, String)>) {
    let protocol = HubProtocol::new(protocol);
    let (mut payloads, mut consumed) = (Vec::new(), 0);
    loop {
        match protocol.split(&input[consumed..]) {
            Ok(Some((body, length))) => {
                payloads.push(body.to_vec());
                consumed += length;
            }
            Ok(None) => return (payloads, consumed, None),
            Err(e) => return (payloads, consumed, Some((e.kind().name().into(), e.text().into()))),
        }
    }
}

fn text_frames(entry: &Value) -> Outcome {
    let input = text(entry, "text").as_bytes();
    let (payloads, consumed, _) = split_all(Protocol::Json, input);
    let payloads: Vec<_> = payloads.into_iter().map(|p| String::from_utf8(p).unwrap()).collect();
    let rest = String::from_utf8_lossy(&input[consumed..]);
    equal(&json!({ "payloads": payloads, "rest": rest }), &entry["expected"])
}

fn binary(entry: &Value) -> Outcome {
    let input = input(entry);
    let expected = &entry["expected"];
    let (payloads, consumed, error) = split_all(Protocol::MessagePack, &input);
    if let Some((kind, text)) = error {
        return equal(&json!({ "error_type": kind, "error": text }), expected);
    }
    let parsed = expected["parsed"].as_bool().unwrap_or(true);
    if parsed == payloads.is_empty() {
        return Outcome::Failed(format!("{} payloads", payloads.len()));
    }
    if expected["consumed"].as_u64().is_some_and(|n| n != consumed as u64) {
        return Outcome::Failed(format!("{consumed} bytes consumed"));
    }
    let wanted: Vec<Vec<u8>> = match (&expected["payload_b64"], &expected["payloads_b64"]) {
        (Value::String(one), _) => vec![from_base64(one)],
        (_, Value::Array(many)) => many.iter().map(|p| from_base64(p.as_str().unwrap())).collect(),
        _ => Vec::new(),
    };
    if payloads == wanted { Outcome::Strict } else { Outcome::Failed(format!("payloads {payloads:?}")) }
}

/// The prefix alone is incomplete, and with that many bytes behind it, it is a whole frame.
fn varint(entry: &Value) -> Outcome {
    let prefix = input(entry);
    let value = entry["value"].as_u64().unwrap() as usize;
    let protocol = HubProtocol::new(Protocol::MessagePack);
    if value > 0 && protocol.split(&prefix) != Ok(None) {
        return Outcome::Failed("a prefix without its body is not incomplete".into());
    }
    if value > 1 << 22 {
        return Outcome::NotApplicable(format!(
            "the prefix is read and asks for more; a frame of {value} bytes is not built"
        ));
    }
    let mut frame = prefix.clone();
    frame.resize(prefix.len() + value, 0);
    match protocol.split(&frame) {
        Ok(Some((body, length))) if body.len() == value && length == frame.len() => Outcome::Strict,
        other => Outcome::Failed(format!("{:?}", other.map(|f| f.map(|(b, l)| (b.len(), l))))),
    }
}

fn equal(actual: &Value, expected: &Value) -> Outcome {
    if actual == expected {
        Outcome::Strict
    } else {
        Outcome::Failed(format!("{actual} instead of {expected}"))
    }
}
