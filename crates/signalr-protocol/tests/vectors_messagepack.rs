//! Runs every entry of `vectors/hub_protocol_messagepack.json`.
//!
//! The data is the answer of ASP.NET Core's MessagePack protocol (its fields are explained in the file). Looks up
//! targets, streams and pending results as the caller of this crate would; everything else is the crate's. Prints one
//! line per section and fails when an entry fails.
#![allow(clippy::expect_used, reason = "helpers of a test")]
#![cfg(feature = "messagepack")]

#[path = "support/messagepack.rs"]
mod support;

use rmpv::Value;
use signalr_protocol::{
    DynamicArguments, Headers, Invocation, InvocationParts, Message, Payload, Protocol, ProtocolError,
};
use std::borrow::Cow;
use support::{MESSAGEPACK, decode, decode_arguments, encode, framed, get, same, text, type_of, value};

const FILE: &str = "hub_protocol_messagepack.json";
const SECTIONS: [&str; 9] = [
    "round_trip",
    "invalid",
    "argument_binding_errors",
    "other",
    "boundaries",
    "values",
    "dotnet_values",
    "message_sizes",
    "spec_examples",
];

/// Entries that no Rust type can express, and why.
const NOT_APPLICABLE: [(&str, &str); 3] = [
    (
        "written: any array",
        "Rust has no boxed numbers: integers in lists of any type take their shortest form too",
    ),
    ("written: enum without a name", "a Rust enum has no values without a name"),
    (
        "object: duplicate members",
        "serde's derived structs refuse a member that comes twice: a binding failure",
    ),
];

#[test]
fn every_entry() {
    let file: Value = serde_json::from_str(include_str!("vectors/hub_protocol_messagepack.json"))
        .expect("the file is JSON");
    let lists = file.as_map().expect("an object").iter().filter(|(_, entries)| entries.is_array());
    assert_eq!(lists.count(), SECTIONS.len(), "a section was forgotten");
    let failed: usize = SECTIONS.iter().map(|section| run_section(&file, section)).sum();
    assert_eq!(failed, 0);
}

fn run_section(file: &Value, section: &str) -> usize {
    let (mut strict, mut quirk, mut dotnet) = (0, 0, 0);
    let (mut na, mut failed) = (Vec::new(), Vec::new());
    for entry in get(file, section).and_then(Value::as_array).expect("a section") {
        let name = text(entry, "name").expect("a name");
        if let Some((_, reason)) = NOT_APPLICABLE.iter().find(|(entry, _)| *entry == name) {
            na.push(format!("  {name}: {reason}"));
        } else if let Err(reason) = run(entry, section) {
            failed.push(format!("  {name}: {reason}"));
        } else if get(entry, "quirk").is_some() {
            quirk += 1;
        } else if section == "dotnet_values" {
            dotnet += 1;
        } else {
            strict += 1;
        }
    }
    let (na_count, failures) = (na.len(), failed.len());
    println!(
        "VECTORS file={FILE} section={section} strict={strict} quirk={quirk} dotnet={dotnet} na={na_count} failed={failures}"
    );
    for line in na.iter().chain(&failed) {
        println!("{line}");
    }
    failures
}

fn run(entry: &Value, section: &str) -> Result<(), String> {
    let directions: Vec<&str> = match get(entry, "directions").and_then(Value::as_array) {
        Some(list) => list.iter().filter_map(Value::as_str).collect(),
        None => vec!["parse"],
    };
    for direction in directions {
        match direction {
            "parse" => check(&read(entry, section), entry)?,
            "write" => write(entry)?,
            "parse raw" => check(&read(entry, section), entry)?,
            "write raw" => raw(entry)?,
            other => return Err(format!("direction {other} is unknown")),
        }
    }
    Ok(())
}

/// What became of some bytes.
#[derive(Debug)]
enum Outcome {
    Nothing { consumed: usize },
    Error(ProtocolError),
    BindingFailure { target: String, id: Option<String>, kind: &'static str, text: String },
    StreamFailure { id: String },
    Message(Box<Read>),
}

/// A message in the words of the vectors.
#[derive(Debug, Default)]
struct Read {
    message: &'static str,
    headers: Vec<(String, String)>,
    id: Option<String>,
    target: Option<String>,
    values: Option<Vec<Value>>,
    stream_ids: Vec<String>,
    kind: Option<u64>,
    error: Option<String>,
    /// The error is composed by the caller from the type's name; its beginning is fixed.
    conversion_failed: bool,
    allow_reconnect: bool,
    sequence_id: Option<i64>,
}

fn read(entry: &Value, section: &str) -> Outcome {
    let bytes = framed(entry);
    let (body, consumed) = match MESSAGEPACK.split(&bytes) {
        Ok(Some(found)) => found,
        Ok(None) => return Outcome::Nothing { consumed: 0 },
        Err(error) => return Outcome::Error(error),
    };
    match MESSAGEPACK.parse(body) {
        Err(error) => Outcome::Error(error),
        Ok(Message::Unknown { .. }) => Outcome::Nothing { consumed },
        Ok(message) => bind(message, entry, section),
    }
}

/// What the caller does with a message: finds out the types and decodes.
fn bind(message: Message<'_>, entry: &Value, section: &str) -> Outcome {
    let mut read = Read::default();
    let headers = |headers: &Headers<'_>| -> Vec<(String, String)> {
        headers.0.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    };
    match message {
        Message::Invocation(invocation) => return bind_call(&invocation, false, entry, section),
        Message::StreamInvocation(invocation) => return bind_call(&invocation, true, entry, section),
        Message::StreamItem { headers: h, invocation_id, item } => {
            let id = invocation_id.to_string();
            let Some(name) = type_name(entry, "item") else { return Outcome::StreamFailure { id } };
            let Ok(item) = decode(item, &name) else { return Outcome::StreamFailure { id } };
            read = Read {
                message: "StreamItem",
                headers: headers(&h),
                id: Some(id),
                values: Some(vec![item]),
                ..read
            };
        }
        Message::Completion { headers: h, invocation_id, error, result } => {
            read.kind = Some(if error.is_some() {
                1
            } else if result.is_some() {
                3
            } else {
                2
            });
            if let Some(result) = result {
                match (type_name(entry, "result"), result.check()) {
                    (None, Err(error)) => return Outcome::Error(error),
                    (Some(name), Err(error)) if name == "raw" => return Outcome::Error(error),
                    (None, Ok(())) => read.values = Some(vec![Value::Nil]),
                    (Some(name), _) => match decode(result, &name) {
                        Ok(value) => read.values = Some(vec![value]),
                        Err(_) => (read.kind, read.conversion_failed) = (Some(1), true),
                    },
                }
            }
            read.message = "Completion";
            read.headers = headers(&h);
            read.id = Some(invocation_id.to_string());
            read.error = error.map(Into::into);
        }
        Message::CancelInvocation { headers: h, invocation_id } => {
            read.message = "CancelInvocation";
            read.headers = headers(&h);
            read.id = Some(invocation_id.to_string());
        }
        Message::Ping => read.message = "Ping",
        Message::Close { error, allow_reconnect } => {
            read.message = "Close";
            read.error = error.map(Into::into);
            read.allow_reconnect = allow_reconnect;
        }
        Message::Ack { sequence_id } => (read.message, read.sequence_id) = ("Ack", Some(sequence_id)),
        Message::Sequence { sequence_id } => {
            (read.message, read.sequence_id) = ("Sequence", Some(sequence_id))
        }
        other => panic!("{other:?} is a new kind of message"),
    }
    Outcome::Message(Box::new(read))
}

fn bind_call(invocation: &Invocation<'_>, streaming: bool, entry: &Value, section: &str) -> Outcome {
    let id = invocation.invocation_id.as_deref().map(str::to_owned);
    let mut target = invocation.target.to_string();
    let types = match get(entry, "binder").and_then(|binder| get(binder, "targets")) {
        None => parameter_types(entry, section),
        Some(targets) => {
            let known = targets.as_map().expect("targets").iter();
            let mut known = known.filter_map(|(name, types)| Some((name.as_str()?, names(types))));
            let Some((name, types)) = known.find(|(name, _)| name.eq_ignore_ascii_case(&target)) else {
                let text = "Method does not exist.".to_owned();
                return Outcome::BindingFailure { target, id, kind: "HubException", text };
            };
            if !streaming {
                target = name.to_owned();
            }
            types
        }
    };
    let values = match decode_arguments(&invocation.arguments, &types) {
        Ok(values) => values,
        Err(error) => {
            let text = error.text.into_owned();
            return Outcome::BindingFailure { target, id, kind: "InvalidDataException", text };
        }
    };
    if let Some(error) = &invocation.deferred {
        return Outcome::Error(error.clone());
    }
    let pairs = invocation.headers.0.iter();
    Outcome::Message(Box::new(Read {
        message: if streaming { "StreamInvocation" } else { "Invocation" },
        headers: pairs.map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        id,
        target: Some(target),
        values: Some(values),
        stream_ids: invocation.stream_ids.iter().flatten().map(ToString::to_string).collect(),
        ..Read::default()
    }))
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().expect("type names").iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The types of the parameters: as named, or those of the expected values, or the one string of the sections that
/// describe faults.
fn parameter_types(entry: &Value, section: &str) -> Vec<String> {
    if let Some(parameters) = get(entry, "binder").and_then(|binder| get(binder, "parameters")) {
        return names(parameters);
    }
    match get(entry, "expected").and_then(|expected| get(expected, "arguments")).and_then(Value::as_array) {
        Some(values) => values.iter().map(|notation| type_of(&value(notation))).collect(),
        None => {
            assert!(
                ["invalid", "argument_binding_errors"].contains(&section),
                "types of {entry} are unknown"
            );
            vec!["string".to_owned()]
        }
    }
}

/// The type of an item or a result; none when the entry says that the stream or the id is unknown.
fn type_name(entry: &Value, what: &str) -> Option<String> {
    match get(entry, "binder") {
        Some(binder) => text(binder, what).map(str::to_owned),
        None => {
            let expected = get(entry, "expected").and_then(|expected| get(expected, what));
            Some(expected.map_or("string".to_owned(), |notation| type_of(&value(notation))))
        }
    }
}

fn check(outcome: &Outcome, entry: &Value) -> Result<(), String> {
    let expected = get(entry, "expected").expect("expected");
    let Err(difference) = compare(outcome, expected) else { return Ok(()) };
    let quirk = text(entry, "quirk").unwrap_or_default();
    let will_do = match outcome {
        Outcome::Error(_) => {
            quirk.contains("any protocol error will do") || quirk == "a protocol error will do"
        }
        Outcome::BindingFailure { .. } => quirk == "a binding failure will do",
        Outcome::Message(_) => {
            quirk == "an extension value will do" || quirk == "the last one may win, as in JSON"
        }
        _ => false,
    };
    if will_do { Ok(()) } else { Err(difference) }
}

fn compare(outcome: &Outcome, expected: &Value) -> Result<(), String> {
    let wrong = || Err(format!("got {outcome:?}, expected {expected}"));
    let as_expected = match outcome {
        Outcome::Nothing { consumed } => {
            get(expected, "parsed") == Some(&Value::Boolean(false))
                && get(expected, "consumed").and_then(Value::as_u64).is_none_or(|n| n == *consumed as u64)
        }
        Outcome::Error(error) => {
            get(expected, "binding_failure_for").is_none()
                && text(expected, "error_type") == Some(error.kind().name())
                && text(expected, "error") == Some(error.text())
        }
        Outcome::BindingFailure { target, id, kind, text: said } => {
            let named = get(expected, "binding_failure_for").is_none_or(|_| {
                text(expected, "binding_failure_for") == Some(target)
                    && text(expected, "invocationId") == id.as_deref()
                    && text(expected, "error_type") == Some(kind)
            });
            let failure = get(expected, "binding_failure").or_else(|| get(expected, "binding_failure_for"));
            failure.is_some() && named && text(expected, "error") == Some(said)
        }
        Outcome::StreamFailure { id } => text(expected, "stream_binding_failure_for") == Some(id),
        Outcome::Message(read) => {
            get(expected, "parses") == Some(&Value::Boolean(true)) || same_message(read, expected)
        }
    };
    if as_expected { Ok(()) } else { wrong() }
}

fn same_message(read: &Read, expected: &Value) -> bool {
    let strings = |key: &str| get(expected, key).and_then(Value::as_array).map_or(vec![], |ids| ids.clone());
    let values = ["arguments", "item", "result"].iter().find_map(|key| {
        let notation = get(expected, key)?;
        Some(if *key == "arguments" {
            notation.as_array()?.iter().map(value).collect()
        } else {
            vec![value(notation)]
        })
    });
    let same_values = match (&read.values, values) {
        (Some(read), Some(expected)) => {
            read.len() == expected.len() && read.iter().zip(&expected).all(|(a, b)| same(a, b))
        }
        (read, expected) => read.is_none() && expected.is_none(),
    };
    let headers = get(expected, "headers").and_then(Value::as_map).is_none_or(|pairs| {
        pairs.len() == read.headers.len()
            && pairs
                .iter()
                .zip(&read.headers)
                .all(|((k, v), (name, value))| k.as_str() == Some(name) && v.as_str() == Some(value))
    });
    let error = if read.conversion_failed {
        let beginning = text(expected, "error").or_else(|| text(expected, "error_starts_with"));
        beginning.is_some_and(|error| error.starts_with("Error trying to deserialize result to "))
    } else {
        text(expected, "error") == read.error.as_deref()
    };
    text(expected, "message") == Some(read.message)
        && headers
        && text(expected, "invocationId") == read.id.as_deref()
        && text(expected, "target") == read.target.as_deref()
        && same_values
        && strings("streamIds").iter().filter_map(Value::as_str).eq(read.stream_ids.iter())
        && get(expected, "resultKind").and_then(Value::as_u64) == read.kind
        && error
        && get(expected, "allowReconnect").and_then(Value::as_bool).unwrap_or(false) == read.allow_reconnect
        && get(expected, "sequenceId").and_then(Value::as_i64) == read.sequence_id
}

/// Writes what is expected and compares the bytes.
fn write(entry: &Value) -> Result<(), String> {
    let bytes = framed(entry);
    let mut out = Vec::new();
    write_message(&mut out, entry, get(entry, "expected").expect("expected"));
    if out != bytes {
        return Err(format!("wrote {out:02x?}, expected {bytes:02x?}"));
    }
    match get(entry, "total_bytes_including_length_prefix").and_then(Value::as_u64) {
        Some(total) if total != out.len() as u64 => Err(format!("{} bytes, expected {total}", out.len())),
        _ => Ok(()),
    }
}

fn write_message(out: &mut Vec<u8>, entry: &Value, expected: &Value) {
    let id = text(expected, "invocationId");
    let owned = |key: &str| -> Vec<Cow<'_, str>> {
        let list = get(expected, key).and_then(Value::as_array);
        list.map_or(vec![], |list| list.iter().filter_map(Value::as_str).map(Cow::from).collect())
    };
    let pairs = get(expected, "headers").and_then(Value::as_map).map_or(&[][..], |pairs| pairs);
    let pair = |(name, value): &(Value, Value)| {
        Some((Cow::from(name.as_str()?.to_owned()), Cow::from(value.as_str()?.to_owned())))
    };
    let headers = Headers(pairs.iter().filter_map(pair).collect());
    let payload = |key: &str| {
        let plain = encode(&value(get(expected, key).unwrap_or(&Value::Nil)));
        let name = type_name(entry, key).expect("a type");
        encode(&decode(Payload::new(Protocol::MessagePack, &plain), &name).expect("has the type"))
    };
    let message = text(expected, "message").expect("message");
    match message {
        "Invocation" | "StreamInvocation" => {
            let values = get(expected, "arguments").and_then(Value::as_array).expect("arguments");
            let plain = encode(&values.iter().map(value).collect::<Vec<_>>());
            let arguments = signalr_protocol::Arguments::new(Protocol::MessagePack, &plain);
            let values =
                decode_arguments(&arguments, &parameter_types(entry, "write")).expect("have the types");
            let stream_ids = owned("streamIds");
            let parts = InvocationParts {
                streaming: message == "StreamInvocation",
                headers: Some(&headers),
                invocation_id: id,
                target: text(expected, "target").expect("target"),
                stream_ids: Some(&stream_ids),
            };
            MESSAGEPACK.write_invocation_with(out, &parts, &DynamicArguments(values)).expect("writes");
        }
        "Ping" => MESSAGEPACK.write_ping(out),
        "Close" => {
            let allow = get(expected, "allowReconnect").and_then(Value::as_bool).unwrap_or(false);
            MESSAGEPACK.write_close(out, text(expected, "error"), allow);
        }
        "Ack" => MESSAGEPACK.write_ack(out, sequence_id(expected)),
        "Sequence" => MESSAGEPACK.write_sequence(out, sequence_id(expected)),
        _ => {
            let item = payload(if message == "StreamItem" { "item" } else { "result" });
            write_with_id(
                out,
                expected,
                id.expect("an id"),
                headers,
                Payload::new(Protocol::MessagePack, &item),
            );
        }
    }
}

fn sequence_id(expected: &Value) -> i64 {
    get(expected, "sequenceId").and_then(Value::as_i64).expect("sequenceId")
}

/// Stream items, completions and cancellations: with the method for each kind, and as a message with headers.
fn write_with_id(out: &mut Vec<u8>, expected: &Value, id: &str, headers: Headers<'_>, payload: Payload<'_>) {
    let decoded: Value = payload.decode().expect("decodes");
    let error = text(expected, "error");
    let kind = get(expected, "resultKind").and_then(Value::as_u64);
    let mut plain = Vec::new();
    match (text(expected, "message"), kind) {
        (Some("StreamItem"), _) => MESSAGEPACK.write_stream_item(&mut plain, id, &decoded).expect("writes"),
        (Some("CancelInvocation"), _) => MESSAGEPACK.write_cancel_invocation(&mut plain, id),
        (_, Some(1)) => MESSAGEPACK.write_completion_error(&mut plain, id, error.expect("error")),
        (_, Some(2)) => MESSAGEPACK.write_completion_void(&mut plain, id),
        _ => MESSAGEPACK.write_completion_result(&mut plain, id, &decoded).expect("writes"),
    }
    let without_headers = headers.is_empty();
    let invocation_id = Cow::Borrowed(id);
    let message = match (text(expected, "message"), kind) {
        (Some("StreamItem"), _) => Message::StreamItem { headers, invocation_id, item: payload },
        (Some("CancelInvocation"), _) => Message::CancelInvocation { headers, invocation_id },
        (_, kind) => Message::Completion {
            headers,
            invocation_id,
            error: error.map(Cow::from),
            result: (kind == Some(3)).then_some(payload),
        },
    };
    MESSAGEPACK.write_message(out, &message).expect("writes");
    if without_headers {
        assert_eq!(*out, plain, "both ways of writing agree");
    }
}

/// A result that is passed on without being read.
fn raw(entry: &Value) -> Result<(), String> {
    let bytes = framed(entry);
    let (body, _) = MESSAGEPACK.split(&bytes).expect("valid").expect("whole");
    let message = MESSAGEPACK.parse(body).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    MESSAGEPACK.write_message(&mut out, &message).map_err(|error| error.to_string())?;
    let written = support::base64(text(entry, "written_b64").expect("written_b64"));
    if out == written { Ok(()) } else { Err(format!("wrote {out:02x?}, expected {written:02x?}")) }
}
