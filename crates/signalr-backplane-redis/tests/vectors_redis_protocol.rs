//! Runs `vectors/redis_protocol.json`: what ASP.NET Core's backplane writes and reads.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed entry")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use signalr_backplane_redis::wire::{
    AckMessage, Channels, CompletionMessage, GroupCommandMessage, Invocation, WireError,
};
use signalr_core::Topic;
use signalr_protocol::{DynamicArguments, HubProtocol, Protocol};

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/redis_protocol.json")).unwrap()
}

/// Runs the entries of a section, and says afterwards that they hold: each panics that does not.
fn run(section: &str, count: usize, check: impl Fn(&Value)) {
    let entries = vectors()[section].as_array().unwrap().clone();
    assert_eq!(entries.len(), count, "entries of {section}");
    entries.iter().for_each(check);
    println!(
        "VECTORS file=redis_protocol.json section={section} strict={count} quirk=0 dotnet=0 na=0 failed=0"
    );
}

fn from_base64(value: &Value) -> Bytes {
    STANDARD.decode(value.as_str().unwrap()).unwrap().into()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn optional_text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn writes(entry: &Value) -> bool {
    entry["directions"].as_array().is_some_and(|all| all.iter().any(|one| one == "write"))
}

/// Checks one entry: reading gives the value, and writing the value gives the bytes.
fn check<T: PartialEq + std::fmt::Debug>(
    entry: &Value,
    read: Result<T, WireError>,
    wanted: T,
    write: impl Fn(&T) -> Vec<u8>,
) {
    let name = &entry["name"];
    if writes(entry) {
        assert_eq!(write(&wanted), from_base64(&entry["bytes_b64"]), "{name}: written");
    }
    match read {
        Ok(read) => assert_eq!(read, wanted, "{name}: read"),
        Err(error) => panic!("{name}: {error}"),
    }
}

fn check_invocation(entry: &Value) {
    let expected = &entry["expected"];
    let bytes = from_base64(&entry["bytes_b64"]);
    let read = Invocation::read(&bytes);
    let mut wanted = Invocation::default();
    for id in expected["excluded_connection_ids"].as_array().into_iter().flatten() {
        wanted.excluded.push(text(id));
    }
    for (protocol, payload) in expected["serialized"].as_object().unwrap() {
        wanted.payloads.push((protocol.clone(), from_base64(payload)));
    }
    // JSON objects have no order; the message that was sent has.
    if let Some(order) = entry["message"]["protocols"].as_array() {
        wanted.payloads.sort_by_key(|(name, _)| order.iter().position(|other| other == name));
        for (name, payload) in &wanted.payloads {
            assert_eq!(
                serialize(name, entry, expected["invocation_id"].as_str()),
                *payload,
                "{}",
                entry["name"]
            );
        }
    }
    wanted.invocation_id = optional_text(&expected["invocation_id"]);
    wanted.return_channel = optional_text(&expected["return_channel"]);
    check(entry, read, wanted, Invocation::write);
}

/// The hub message of an entry in one protocol.
fn serialize(protocol: &str, entry: &Value, id: Option<&str>) -> Bytes {
    let protocol = HubProtocol::new(Protocol::by_name(protocol).unwrap());
    let arguments = DynamicArguments(entry["message"]["arguments"].as_array().unwrap().clone());
    let mut out = Vec::new();
    let target = entry["message"]["target"].as_str().unwrap();
    protocol.write_invocation(&mut out, id, target, &arguments).unwrap();
    out.into()
}

#[test]
fn acks() {
    run("acks", 16, |entry| {
        let id = entry["expected"]["id"].as_i64().unwrap().try_into().unwrap();
        let read = AckMessage::read(&from_base64(&entry["bytes_b64"]));
        check(entry, read, AckMessage { id }, AckMessage::write);
    });
}

#[test]
fn group_commands() {
    run("group_commands", 10, |entry| {
        let expected = &entry["expected"];
        let read = GroupCommandMessage::read(&from_base64(&entry["bytes_b64"]));
        if entry["name"] == "GroupCommand with nil names" {
            // The entry allows an error here.
            assert!(matches!(read, Err(WireError::WrongType { .. })));
            return;
        }
        let wanted = GroupCommandMessage {
            id: expected["id"].as_i64().unwrap().try_into().unwrap(),
            server: text(&expected["server"]),
            action: expected["action"].as_u64().unwrap().try_into().unwrap(),
            group: text(&expected["group"]),
            connection: text(&expected["connection"]),
        };
        check(entry, read, wanted, GroupCommandMessage::write);
    });
}

#[test]
fn invocations() {
    run("invocations", 23, |entry| {
        if entry["expected"]["error"].is_string() {
            let read = Invocation::read(&from_base64(&entry["bytes_b64"]));
            assert!(matches!(read, Err(WireError::WrongType { .. })), "{}: {read:?}", entry["name"]);
        } else {
            check_invocation(entry);
        }
    });
}

fn check_completion(entry: &Value) {
    let wanted = CompletionMessage {
        protocol: text(&entry["expected"]["protocol"]),
        message: from_base64(&entry["expected"]["completion_b64"]),
    };
    let read = CompletionMessage::read(&from_base64(&entry["bytes_b64"]));
    check(entry, read, wanted, CompletionMessage::write);
}

#[test]
fn completions() {
    run("completions", 8, check_completion);
}

#[test]
fn computed() {
    run("computed", 3, |entry| match entry["kind"].as_str().unwrap() {
        "Invocation" => check_invocation(entry),
        "Completion" => check_completion(entry),
        other => panic!("unknown kind {other}"),
    });
}

#[test]
fn reader_errors() {
    run("reader_errors", 18, |entry| {
        let bytes = from_base64(&entry["bytes_b64"]);
        let error = match entry["kind"].as_str().unwrap() {
            "Invocation" => Invocation::read(&bytes).err(),
            "GroupCommand" => GroupCommandMessage::read(&bytes).err(),
            "Ack" => AckMessage::read(&bytes).err(),
            "Completion" if entry["expected"]["error"].is_null() => {
                check_completion(entry);
                return;
            }
            "Completion" => CompletionMessage::read(&bytes).err(),
            other => panic!("unknown kind {other}"),
        };
        let error = error.unwrap_or_else(|| panic!("{}: read without an error", entry["name"]));
        // The other texts are the MessagePack library's; the entries say that any error will do.
        if entry["quirk"].is_null() {
            assert_eq!(error.to_string(), text(&entry["expected"]["error"]), "{}", entry["name"]);
        }
    });
}

#[test]
fn channel_names() {
    let channels = Channels::new("", "App.ChatHub");
    run("channels", 15, |entry| {
        let name = text(&entry["name"]);
        let wanted = text(&entry["text"]);
        // The general entries have the placeholder in angle brackets as their argument.
        let placeholder = wanted.split_once('<').map(|(_, rest)| format!("<{rest}"));
        let argument = optional_text(&entry["argument"]).or(placeholder).unwrap_or_default();
        let topic = match name.split(',').next().unwrap() {
            "all" => Topic::All,
            "group management" => Topic::Groups,
            "connection" => Topic::connection(&argument),
            "group" => Topic::group(&argument),
            "user" => Topic::user(&argument),
            "ack" => Topic::Ack(argument.into()),
            "return results" => Topic::Return(argument.into()),
            other => panic!("unknown channel {other}"),
        };
        assert_eq!(channels.name(&topic).unwrap(), wanted, "{name}");
        assert_eq!(channels.topic(wanted.as_bytes()), Ok(topic), "{name}");
        let prefixed = Channels::new("prefix", "App.ChatHub");
        assert_eq!(prefixed.topic(wanted.as_bytes()), Err(WireError::ForeignChannel), "{name}");
    });
}

/// The reference's serialiser takes names of protocols in any order; here a set of known protocols is configured. What
/// each listed protocol writes is the same, and names that the reference ignores are unknown here too.
#[test]
fn hub_message_serializer() {
    run("hub_message_serializer", 10, |entry| {
        for written in entry["serialized"].as_array().unwrap() {
            let protocol = Protocol::by_name(written["protocol"].as_str().unwrap()).unwrap();
            let mut out = Vec::new();
            let hub_protocol = HubProtocol::new(protocol);
            hub_protocol.write_invocation(&mut out, None, "target", &()).unwrap();
            assert_eq!(out, from_base64(&written["bytes_b64"]), "{}", entry["name"]);
        }
        for ignored in ["unknown", "blazorpack"] {
            assert_eq!(Protocol::by_name(ignored), None);
        }
    });
}
