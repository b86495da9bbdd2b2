//! Runs `vectors/hub_protocol_json.json`: JSON hub messages read and written.
//!
//! The part of the hub is played here: which parameters a target has, which streams and results are pending.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed entry")]

#[path = "support/dynamic.rs"]
mod dynamic;
mod support;

use dynamic::{Settings, Write, WriteArguments};
use serde_json::{Map, Value, json};
use signalr_protocol::{
    BindError, DynamicArguments, Headers, HubProtocol, Invocation, InvocationParts, Message, Payload,
    Protocol, ProtocolError,
};
use std::borrow::Cow;
use support::{Outcome, Vectors, compare_text, input, text};

const JSON: HubProtocol = HubProtocol::new(Protocol::Json);

#[test]
fn json_hub_protocol() {
    Vectors::load("hub_protocol_json.json").run(run);
}

fn run(section: &str, entry: &Value) -> Outcome {
    if let Some((_, reason)) = NOT_APPLICABLE.iter().find(|(name, _)| *name == text(entry, "name")) {
        return Outcome::NotApplicable((*reason).into());
    }
    let directions = entry["directions"].as_array();
    let has =
        |word: &str| directions.is_some_and(|d| d.iter().any(|x| x.as_str().unwrap().starts_with(word)));
    let mut outcomes = Vec::new();
    if directions.is_none() || has("parse") {
        outcomes.push(read(section, entry));
    }
    if has("write raw") {
        outcomes.push(write_raw(entry));
    } else if has("write") {
        outcomes.push(write(entry));
    }
    let dotnet = types(entry).iter().any(|kind| dynamic::is_dotnet(kind));
    match outcomes.into_iter().reduce(worse).unwrap() {
        Outcome::Strict if dotnet => Outcome::DotNet,
        outcome => outcome,
    }
}

fn worse(a: Outcome, b: Outcome) -> Outcome {
    match (&a, &b) {
        (Outcome::Failed(_), _) => a,
        (_, Outcome::Failed(_)) => b,
        (Outcome::Strict, _) => b,
        _ => a,
    }
}

/// Every type that the entry's binder names.
fn types(entry: &Value) -> Vec<String> {
    let binder = &entry["binder"];
    let parameters = binder["parameters"].as_array().into_iter().flatten();
    parameters
        .chain([&binder["item"], &binder["result"]])
        .filter_map(|t| Some(t.as_str()?.to_owned()))
        .collect()
}

fn read(section: &str, entry: &Value) -> Outcome {
    let input = input(entry);
    let Some((body, consumed)) = JSON.split(&input).unwrap() else {
        return compare(entry, &json!({ "parsed": false, "consumed": 0 }));
    };
    let actual = match JSON.parse(body) {
        Ok(Message::Unknown { .. }) => json!({ "parsed": false, "consumed": consumed }),
        Ok(message) => Binder { section, entry }.bind(message),
        Err(fault) => error(&fault),
    };
    compare(entry, &actual)
}

fn error(fault: &ProtocolError) -> Value {
    json!({ "error_type": fault.kind().name(), "error": fault.text() })
}

/// What the hub would know.
struct Binder<'a> {
    section: &'a str,
    entry: &'a Value,
}

impl Binder<'_> {
    fn bind(&self, message: Message<'_>) -> Value {
        match message {
            Message::Invocation(invocation) => self.invocation("Invocation", &invocation),
            Message::StreamInvocation(invocation) => self.invocation("StreamInvocation", &invocation),
            Message::StreamItem { headers, invocation_id, item } => {
                self.stream_item(&headers, &invocation_id, item)
            }
            Message::Completion { headers, invocation_id, error, result } => {
                self.completion(&headers, &invocation_id, error, result)
            }
            Message::CancelInvocation { headers, invocation_id } => json!({
                "message": "CancelInvocation", "headers": header_map(&headers), "invocationId": invocation_id,
            }),
            Message::Ping => json!({ "message": "Ping" }),
            Message::Close { error, allow_reconnect } => {
                json!({ "message": "Close", "error": error, "allowReconnect": allow_reconnect })
            }
            Message::Ack { sequence_id } => json!({ "message": "Ack", "sequenceId": sequence_id }),
            Message::Sequence { sequence_id } => json!({ "message": "Sequence", "sequenceId": sequence_id }),
            other => panic!("{other:?}"),
        }
    }

    fn invocation(&self, kind: &str, invocation: &Invocation<'_>) -> Value {
        let Some((target, kinds)) = self.parameters(&invocation.target) else {
            let unknown = BindError::other("Method does not exist.");
            return self.binding_failure(&invocation.target, invocation, "HubException", &unknown);
        };
        let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
        match (dynamic::decode_arguments(&invocation.arguments, &kinds), &invocation.deferred) {
            (Err(fault), _) => self.binding_failure(&target, invocation, "InvalidDataException", &fault),
            (Ok(_), Some(deferred)) => error(deferred),
            (Ok(arguments), None) => json!({
                "message": kind,
                "headers": header_map(&invocation.headers),
                "invocationId": invocation.invocation_id,
                "target": target,
                "arguments": arguments,
                "streamIds": invocation.stream_ids,
            }),
        }
    }

    fn binding_failure(
        &self,
        target: &str,
        invocation: &Invocation<'_>,
        kind: &str,
        fault: &BindError,
    ) -> Value {
        json!({
            "binding_failure_for": target,
            "invocationId": invocation.invocation_id,
            "error_type": kind,
            "error": fault.text,
        })
    }

    /// The registered spelling of a target and the types of its parameters.
    fn parameters(&self, target: &str) -> Option<(String, Vec<String>)> {
        let binder = &self.entry["binder"];
        let kinds = |list: &Value| {
            list.as_array().map(|l| l.iter().map(|t| t.as_str().unwrap().to_owned()).collect())
        };
        if let Some(targets) = binder["targets"].as_object() {
            let (name, list) = targets.iter().find(|(name, _)| name.eq_ignore_ascii_case(target))?;
            // With escapes in it a target keeps its spelling.
            let escaped = text(self.entry, "text").contains("\"\\u0053endTEXT\"");
            let name = if escaped { target } else { name };
            return Some((name.to_owned(), kinds(list)?));
        }
        if let Some(kinds) = kinds(&binder["parameters"]) {
            return Some((target.to_owned(), kinds));
        }
        if self.section == "argument_binding_errors" {
            return Some((target.to_owned(), vec!["int32".into(), "string".into()]));
        }
        let expected = self.entry["expected"]["arguments"].as_array();
        let kinds = expected.map(|a| a.iter().map(|v| type_of(v).to_owned()).collect());
        Some((target.to_owned(), kinds.unwrap_or_default()))
    }

    fn stream_item(&self, headers: &Headers<'_>, id: &str, item: Payload<'_>) -> Value {
        let kind = match (&self.entry["binder"]["item"], self.entry["expected"].get("item")) {
            (Value::String(kind), _) => kind.as_str(),
            (_, Some(item)) => type_of(item),
            _ => {
                return json!({
                    "stream_binding_failure_for": id,
                    "error_type": "KeyNotFoundException",
                    "error": format!("No stream with id '{id}' could be found."),
                });
            }
        };
        match dynamic::decode(item, kind) {
            Ok(item) => {
                json!({ "message": "StreamItem", "headers": header_map(headers), "invocationId": id, "item": item })
            }
            Err(fault) => json!({ "stream_binding_failure_for": id, "error": fault.text }),
        }
    }

    fn completion(
        &self,
        headers: &Headers<'_>,
        id: &str,
        error: Option<Cow<'_, str>>,
        result: Option<Payload<'_>>,
    ) -> Value {
        let mut completion = json!({
            "message": "Completion", "headers": header_map(headers), "invocationId": id, "error": error,
        });
        let Some(result) = result else { return completion };
        let kind = match (&self.entry["binder"]["result"], self.entry.get("binder"), &self.entry["expected"])
        {
            (Value::String(kind), _, _) => Some(kind.as_str()),
            (_, None, expected) if self.section != "other" => Some(type_of(&expected["result"])),
            // Nobody waits for it: the value is skipped.
            _ => None,
        };
        completion["result"] = match kind.map(|kind| (kind, dynamic::decode(result, kind))) {
            Some((_, Ok(value))) => value,
            Some((kind, Err(fault))) => {
                let kind = if kind == "int32" { "Int32" } else { kind };
                completion["error"] =
                    json!(format!("Error trying to deserialize result to {kind}. {}", fault.text));
                Value::Null
            }
            None => Value::Null,
        };
        completion
    }
}

fn header_map(headers: &Headers<'_>) -> Value {
    headers.0.iter().map(|(n, v)| (n.to_string(), json!(v))).collect::<Map<_, _>>().into()
}

/// The type of a value where the entry names none.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(n) if n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => "int32",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Object(_) if value.get("$float64").is_some() => "float64",
        Value::Null | Value::Array(_) | Value::Object(_) => "any",
    }
}

/// Every expected property must be the same, and nothing else may be there but what means nothing.
fn same(actual: &Value, expected: &Value) -> bool {
    let empty = |v: &Value| v.is_null() || *v == json!({}) || *v == json!(false) || *v == json!("");
    if expected.get("parses").is_some() {
        return actual.get("message").is_some() || actual.get("binding_failure_for").is_some();
    }
    let expected = expected.as_object().unwrap();
    let actual = actual.as_object().unwrap();
    // Binding failures name what is missing only sometimes.
    let partly = expected.contains_key("binding_failure_for");
    let expected_holds = expected.iter().all(|(name, value)| match name.as_str() {
        "in_pieces" => true,
        "error_starts_with" => actual["error"].as_str().unwrap().starts_with(value.as_str().unwrap()),
        _ => match actual.get(name) {
            Some(actual) => dynamic::same(actual, value) || empty(actual) && empty(value),
            None => empty(value),
        },
    });
    let nothing_else = actual.iter().all(|(name, value)| {
        partly
            || expected.contains_key(name)
            || empty(value)
            || name == "error" && expected.contains_key("error_starts_with")
    });
    expected_holds && nothing_else
}

fn compare(entry: &Value, actual: &Value) -> Outcome {
    let expected = &entry["expected"];
    let quirk = text(entry, "quirk");
    if same(actual, expected) {
        return Outcome::Strict;
    }
    let has = |value: &Value, name: &str| value.get(name).is_some();
    let protocol_error = has(actual, "error_type") && !has(actual, "binding_failure_for");
    let same_failure = ["stream_binding_failure_for", "binding_failure_for"]
        .iter()
        .any(|name| has(expected, name) && actual.get(*name) == expected.get(*name));
    let first_sentence =
        |v: &Value| v["error"].as_str().unwrap_or_default().split_once(". ").map(|s| s.0.to_owned());
    let allowed = match quirk.split(" (").next().unwrap_or_default() {
        "error_type and text are those of the .NET reader; any protocol error will do"
        | "a protocol error will do" => protocol_error,
        q if q.ends_with("a protocol error will do in both cases")
            || q.starts_with("the reference does otherwise") =>
        {
            protocol_error
        }
        "null may be taken as absent" => has(actual, "message"),
        "anything safe will do" => true,
        "error_type and text only reach the log" | "error_type and text are those of the .NET reader" => {
            same_failure
        }
        "a stream binding failure is better" => has(actual, "stream_binding_failure_for"),
        "a binding failure will do" => has(actual, "binding_failure_for"),
        "the text after the first sentence is that of the .NET reader" => {
            has(actual, "message") && first_sentence(actual) == first_sentence(expected)
        }
        _ => false,
    };
    if allowed { Outcome::Quirk } else { Outcome::Failed(format!("{actual} instead of {expected}")) }
}

/// Writes what the entry expects and compares bytes.
fn write(entry: &Value) -> Outcome {
    let expected = &entry["expected"];
    let mut out = Vec::new();
    if let Err(reason) = write_message(&mut out, entry, expected) {
        return Outcome::Failed(reason);
    }
    let size = entry["total_bytes_including_separator"].as_u64();
    if size.is_some_and(|size| size != out.len() as u64) {
        return Outcome::Failed(format!("{} bytes instead of {size:?}", out.len()));
    }
    compare_text(entry, &out, text(entry, "text").as_bytes())
}

fn write_message(out: &mut Vec<u8>, entry: &Value, expected: &Value) -> Result<(), String> {
    let headers = Headers(
        expected["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(n, v)| (n.clone().into(), v.as_str().unwrap().to_owned().into()))
            .collect(),
    );
    let headers = in_text_order(headers, text(entry, "text"));
    let id = expected["invocationId"].as_str();
    let error = expected["error"].as_str();
    let binder = &entry["binder"];
    match text(expected, "message") {
        "Invocation" => return write_invocation(out, entry, &headers, false),
        "StreamInvocation" => return write_invocation(out, entry, &headers, true),
        "StreamItem" => {
            let item = typed(entry, &expected["item"], binder["item"].as_str());
            return write_with_payload(
                out,
                &headers,
                &item,
                |out| JSON.write_stream_item(out, id.unwrap(), &item),
                |headers, item| Message::StreamItem {
                    headers,
                    invocation_id: id.unwrap().to_owned().into(),
                    item,
                },
            );
        }
        "Completion" if expected.get("result").is_some() => {
            let result = typed(entry, &expected["result"], binder["result"].as_str());
            return write_with_payload(
                out,
                &headers,
                &result,
                |out| JSON.write_completion_result(out, id.unwrap(), &result),
                |headers, result| Message::Completion {
                    headers,
                    invocation_id: id.unwrap().to_owned().into(),
                    error: None,
                    result: Some(result),
                },
            );
        }
        "Completion" if headers.is_empty() => match error {
            Some(error) => JSON.write_completion_error(out, id.unwrap(), error),
            None => JSON.write_completion_void(out, id.unwrap()),
        },
        "Completion" => {
            let message = Message::Completion {
                headers,
                invocation_id: id.unwrap().into(),
                error: error.map(Into::into),
                result: None,
            };
            JSON.write_message(out, &message).unwrap();
        }
        "CancelInvocation" => {
            let message = Message::CancelInvocation { headers, invocation_id: id.unwrap().into() };
            JSON.write_message(out, &message).unwrap();
        }
        "Ping" => JSON.write_ping(out),
        "Close" => JSON.write_close(out, error, expected["allowReconnect"] == json!(true)),
        "Ack" => JSON.write_ack(out, expected["sequenceId"].as_i64().unwrap()),
        "Sequence" => JSON.write_sequence(out, expected["sequenceId"].as_i64().unwrap()),
        other => return Err(format!("cannot write {other}")),
    }
    Ok(())
}

/// The loaded file sorts names; the text has them in the order of writing.
fn in_text_order<'a>(mut headers: Headers<'a>, text: &str) -> Headers<'a> {
    let position = |name: &str| {
        let mut quoted = Vec::new();
        JSON.write_value(&mut quoted, name).unwrap();
        text.find(&format!("{}:", String::from_utf8(quoted).unwrap()))
    };
    headers.0.sort_by_key(|(name, _)| position(name));
    headers
}

fn write_invocation(
    out: &mut Vec<u8>,
    entry: &Value,
    headers: &Headers<'_>,
    streaming: bool,
) -> Result<(), String> {
    let expected = &entry["expected"];
    let kinds = entry["binder"]["parameters"].as_array();
    let values = expected["arguments"].as_array().unwrap();
    let arguments: WriteArguments = DynamicArguments(
        values.iter().enumerate().map(|(i, v)| typed(entry, v, kinds.and_then(|k| k[i].as_str()))).collect(),
    );
    let ids: Option<Vec<Cow<'_, str>>> =
        expected["streamIds"].as_array().map(|a| a.iter().map(|v| v.as_str().unwrap().into()).collect());
    let parts = InvocationParts {
        streaming,
        headers: Some(headers),
        stream_ids: ids.as_deref(),
        ..InvocationParts::new(expected["invocationId"].as_str(), text(expected, "target"))
    };
    JSON.write_invocation_with(out, &parts, &arguments).map_err(|e| e.to_string())
}

/// Writes a typed value directly, or with headers as an encoded payload.
fn write_with_payload(
    out: &mut Vec<u8>,
    headers: &Headers<'_>,
    value: &Write,
    direct: impl FnOnce(&mut Vec<u8>) -> Result<(), signalr_protocol::EncodeError>,
    message: impl for<'m> FnOnce(Headers<'m>, Payload<'m>) -> Message<'m>,
) -> Result<(), String> {
    if headers.is_empty() {
        return direct(out).map_err(|e| e.to_string());
    }
    let mut payload = Vec::new();
    JSON.write_value(&mut payload, value).map_err(|e| e.to_string())?;
    let headers =
        Headers(headers.0.iter().map(|(n, v)| (n.to_string().into(), v.to_string().into())).collect());
    JSON.write_message(out, &message(headers, Payload::new(Protocol::Json, &payload)))
        .map_err(|e| e.to_string())
}

fn typed(entry: &Value, value: &Value, kind: Option<&str>) -> Write {
    let settings = &entry["payload_settings"];
    let is_custom = value.as_object().is_some_and(|o| o.keys().any(|k| k.eq_ignore_ascii_case("stringProp")));
    let kind = kind.unwrap_or(if is_custom { "custom" } else { type_of(value) });
    Write {
        kind: kind.to_owned(),
        value: value.clone(),
        text: text(entry, "text").to_owned(),
        settings: Settings {
            camel_case: settings["camel_case_names"] != json!(false),
            omit_defaults: settings["omit_default_values"] == json!(true),
        },
    }
}

/// Reads a client result without looking into it and writes it again.
fn write_raw(entry: &Value) -> Outcome {
    let input = input(entry);
    let (body, _) = JSON.split(&input).unwrap().unwrap();
    let message = JSON.parse(body).unwrap();
    let mut out = Vec::new();
    match &message {
        Message::Completion { invocation_id, result: Some(result), .. } => {
            JSON.write_completion_raw(&mut out, invocation_id, *result).unwrap();
        }
        other => JSON.write_message(&mut out, other).unwrap(),
    }
    let expected =
        entry["written"].as_str().map(str::to_owned).unwrap_or_else(|| id_first(text(entry, "text")));
    compare_text(entry, &out, expected.as_bytes())
}

/// The same message with its id before its result.
fn id_first(text: &str) -> String {
    let middle = text.strip_prefix("{\"type\":3,\"result\":");
    match middle.and_then(|rest| rest.strip_suffix(",\"invocationId\":\"1\"}\u{1e}")) {
        Some(result) => format!("{{\"type\":3,\"invocationId\":\"1\",\"result\":{result}}}\u{1e}"),
        None => text.to_owned(),
    }
}

/// What this library cannot be asked, and why.
const NOT_APPLICABLE: &[(&str, &str)] = &[
    ("written: pair", "the names of a struct's members are the user's, with serde"),
    ("written: member names", "the names of a struct's members are the user's, with serde"),
    (
        "object: duplicate members",
        "serde's derived structs refuse a member that comes twice: a binding failure",
    ),
    (
        "decimal: digits are kept",
        "a Decimal is a plain number with its digits; 1e3 is refused, the others are read",
    ),
    ("decimal: too large", "a Decimal is text and has no range"),
    ("datetime: forms", "a Timestamp is a moment: without an offset it is UTC, and it is written with Z"),
    ("written: datetime", "a Timestamp is a moment and is always written with Z"),
];
