//! Properties of the JSON protocol, the handshake and negotiation: whatever the bytes, whatever the cuts.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed property")]

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use signalr_protocol::{
    Arguments, Headers, HubProtocol, Invocation, Message, Payload, Protocol, ProtocolErrorKind, fuzzing,
};
use std::borrow::Cow;
use std::time::{Duration, Instant};

const JSON: HubProtocol = HubProtocol::new(Protocol::Json);

/// A message with its payload as text of its own.
#[derive(Debug, Clone)]
struct Sample {
    kind: u8,
    headers: Vec<(String, String)>,
    id: String,
    text: String,
    values: Vec<Value>,
    stream_ids: Option<Vec<String>>,
    number: i64,
    flag: bool,
}

impl Sample {
    fn payload(&self) -> String {
        match self.kind {
            1 | 4 => serde_json::to_string(&self.values).unwrap(),
            _ => serde_json::to_string(&self.values.first()).unwrap(),
        }
    }

    fn message<'a>(&'a self, payload: &'a str) -> Message<'a> {
        let headers = Headers(self.headers.iter().map(|(n, v)| (n.into(), v.into())).collect());
        let invocation_id = Cow::Borrowed(self.id.as_str());
        let text = Cow::Borrowed(self.text.as_str());
        let payload = payload.as_bytes();
        let invocation = |headers, id: Option<Cow<'a, str>>| Invocation {
            headers,
            invocation_id: id,
            target: text.clone(),
            arguments: Arguments::new(Protocol::Json, payload),
            stream_ids: self.stream_ids.as_ref().map(|ids| ids.iter().map(Cow::from).collect()),
            deferred: None,
        };
        match self.kind {
            1 => Message::Invocation(invocation(headers, self.flag.then_some(invocation_id))),
            2 => Message::StreamItem { headers, invocation_id, item: Payload::new(Protocol::Json, payload) },
            3 if self.flag => Message::Completion { headers, invocation_id, error: Some(text), result: None },
            3 => Message::Completion {
                headers,
                invocation_id,
                error: None,
                result: Some(Payload::new(Protocol::Json, payload)),
            },
            4 => Message::StreamInvocation(invocation(headers, Some(invocation_id))),
            5 => Message::CancelInvocation { headers, invocation_id },
            6 => Message::Ping,
            7 => Message::Close { error: Some(text), allow_reconnect: self.flag },
            8 => Message::Ack { sequence_id: self.number },
            _ => Message::Sequence { sequence_id: self.number },
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Text that is not empty: ids, targets and errors must not be.
fn name() -> impl Strategy<Value = String> {
    any::<String>().prop_filter("empty", |text| !text.is_empty())
}

prop_compose! {
    fn sample()(
        kind in 1u8..=9,
        headers in vec((any::<String>(), any::<String>()), 0..3),
        id in name(),
        text in name(),
        values in vec(value(), 0..4),
        stream_ids in proptest::option::of(vec(any::<String>(), 0..3)),
        number in any::<i64>(),
        flag in any::<bool>(),
    ) -> Sample {
        Sample { kind, headers, id, text, values, stream_ids, number, flag }
    }
}

/// Text made of what JSON and the envelope are made of, so that more than the first byte is looked at.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[\\[\\]{}:,\"\\\\ \u{1e}]",
        "-?[0-9]{1,3}(\\.[0-9]{1,2})?([eE][+-]?[0-9]{1,3})?",
        "(true|false|null|\\\\u[0-9a-fD]{4}|\\\\n|é|😀)",
        "\"(type|invocationId|target|arguments|headers|item|result|error|streamIds|sequenceId|a)\":",
        "\"[a-z]{0,3}\"",
        Just("{\"type\":1,\"target\":\"t\",\"arguments\":[".to_owned()),
        Just("{\"type\":3,\"invocationId\":\"1\",\"result\":".to_owned()),
        Just("{\"protocol\":\"json\",\"version\":1".to_owned()),
        Just("{\"connectionId\":\"a\",\"availableTransports\":[".to_owned()),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Equal, with floats as exact as serde_json reads them by default.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) if x.is_f64() && y.is_f64() => {
            let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
            x == y || (x - y).abs() <= x.abs() * 1e-15
        }
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| alike(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(name, x)| y.get(name).is_some_and(|y| alike(x, y)))
        }
        _ => a == b,
    }
}

fn every_body(data: &[u8]) {
    fuzzing::json_parse(data);
    fuzzing::handshake(data);
    fuzzing::negotiate(data);
    fuzzing::text_split(data);
}

proptest! {
    #[test]
    fn what_is_written_is_read_the_same(sample in sample()) {
        let payload = sample.payload();
        let message = sample.message(&payload);
        let mut out = Vec::new();
        JSON.write_message(&mut out, &message).unwrap();
        let (body, length) = JSON.split(&out).unwrap().unwrap();
        prop_assert_eq!(length, out.len());
        prop_assert_eq!(JSON.parse(body).unwrap(), message);
        // And it is JSON to others.
        prop_assert!(serde_json::from_slice::<Value>(body).is_ok());
    }

    #[test]
    fn any_split_of_the_bytes_gives_the_same_messages(
        samples in vec(sample(), 0..5),
        cuts in vec(1usize..40, 1..20),
    ) {
        let mut stream = Vec::new();
        let mut lengths = Vec::new();
        for sample in &samples {
            let before = stream.len();
            JSON.write_message(&mut stream, &sample.message(&sample.payload())).unwrap();
            lengths.push(stream.len() - before);
        }
        let mut buffer = Vec::new();
        let mut read = Vec::new();
        let mut rest = stream.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, later) = rest.split_at((*cut).min(rest.len()));
            buffer.extend_from_slice(piece);
            rest = later;
            while let Some((body, length)) = JSON.split(&buffer).unwrap() {
                let sample = &samples[read.len()];
                let payload = sample.payload();
                prop_assert_eq!(JSON.parse(body).unwrap(), sample.message(&payload));
                read.push(length);
                buffer.drain(..length);
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(read, lengths);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn any_bytes_are_survived(data in vec(any::<u8>(), 0..300)) {
        every_body(&data);
    }

    #[test]
    fn nearly_json_is_survived(text in nearly_json()) {
        every_body(text.as_bytes());
    }

    #[test]
    fn a_damaged_message_is_survived(sample in sample(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut out = Vec::new();
        JSON.write_message(&mut out, &sample.message(&sample.payload())).unwrap();
        let at = at.index(out.len());
        out[at] = byte;
        every_body(&out);
    }

    /// serde_json is the judge of what is JSON and of what it means, but for the last bit of a float.
    #[test]
    fn payloads_mean_what_serde_json_says(text in prop_oneof![nearly_json(), value().prop_map(|v| v.to_string())]) {
        let ours = Payload::new(Protocol::Json, text.as_bytes()).decode::<Value>();
        match serde_json::from_str::<Value>(&text) {
            Ok(value) => prop_assert!(alike(ours.as_ref().unwrap(), &value), "{:?} and {:?}", ours, value),
            Err(e) if e.to_string().contains("number out of range") => prop_assert!(ours.is_ok() || !e.is_data()),
            Err(_) => prop_assert!(ours.is_err()),
        }
    }

    #[test]
    fn values_come_back_as_they_were(
        double in any::<f64>(),
        single in any::<f32>(),
        text in any::<String>(),
        numbers in any::<(i64, u64, u8)>(),
        optional in any::<Option<bool>>(),
    ) {
        let value = (double, single, text, numbers, optional);
        let mut out = Vec::new();
        JSON.write_value(&mut out, &value).unwrap();
        let read = Payload::new(Protocol::Json, &out).decode::<(f64, f32, String, (i64, u64, u8), Option<bool>)>();
        prop_assert_eq!(read.unwrap(), value);
    }
}

#[test]
fn depth_bombs_are_refused_quickly() {
    let started = Instant::now();
    for bomb in ["[", "{\"a\":", "[{\"a\":["] {
        let deep = bomb.repeat(1 << 20);
        for message in [
            format!("{{\"type\":1,\"target\":\"t\",\"arguments\":[{deep}"),
            format!("{{\"type\":6,\"unknown\":{deep}"),
            deep.clone(),
        ] {
            let fault = JSON.parse(message.as_bytes()).unwrap_err();
            assert_eq!(fault.kind(), ProtocolErrorKind::InvalidData);
        }
        assert!(Payload::new(Protocol::Json, deep.as_bytes()).decode::<Value>().is_err());
    }
    assert!(started.elapsed() < Duration::from_secs(20));
}

/// Of 64 levels the envelope takes one and the array of arguments another.
#[test]
fn nesting_counts_what_is_around_a_payload() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let item = |n: usize| Payload::new(Protocol::Json, nested(n).as_bytes()).decode::<Value>().is_ok();
    assert!(item(63));
    assert!(!item(64));
    let argument =
        |n: usize| Arguments::new(Protocol::Json, nested(n + 1).as_bytes()).decode::<(Value,)>().is_ok();
    assert!(argument(62));
    assert!(!argument(63));
}

#[test]
fn endless_numbers_and_strings_are_read_once() {
    let digits = "9".repeat(1 << 20);
    let message = format!("{{\"type\":{digits}}}");
    assert_eq!(JSON.parse(message.as_bytes()).unwrap_err().kind(), ProtocolErrorKind::Format);
    let open = format!("{{\"type\":1,\"target\":\"{}", "\\\\".repeat(1 << 20));
    assert!(JSON.parse(open.as_bytes()).is_err());
}

#[test]
fn received_contents_stay_out_of_error_details() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Known {
        #[serde(rename = "known")]
        _known: Option<i32>,
    }
    let details = [
        Payload::new(Protocol::Json, b"\"hunter2\"").decode::<i32>().err(),
        Payload::new(Protocol::Json, b"\"hunter2\"").decode::<Result<i32, i32>>().err(),
        Payload::new(Protocol::Json, b"\"hunter2\"").decode::<char>().err(),
        Payload::new(Protocol::Json, b"{\"hunter2\":1}").decode::<Known>().err(),
        Payload::new(Protocol::Json, b"{\"hunter2\":1}").decode::<Result<i32, i32>>().err(),
    ];
    for error in details {
        let detail = error.unwrap().detail.unwrap();
        assert!(!detail.contains("hunter2"), "{detail}");
    }
}

#[test]
fn damaged_payloads_are_not_passed_on() {
    for damaged in ["", "1 2", "[", "\"\u{1e}\"", "1}\u{1e}{\"type\":7"] {
        let payload = Payload::new(Protocol::Json, damaged.as_bytes());
        let mut out = b"before".to_vec();
        assert!(JSON.write_completion_raw(&mut out, "1", payload).is_err(), "{damaged}");
        assert_eq!(out, b"before");
    }
}
