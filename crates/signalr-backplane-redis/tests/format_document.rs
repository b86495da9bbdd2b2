//! Checks `FORMAT.md`: every example in it against the wire module, and the shell command against a real Redis.

#![allow(clippy::unwrap_used, reason = "a panic here is a wrong document")]

mod support;

use bytes::Bytes;
use serde_json::Value;
use signalr_backplane_redis::RedisBackplane;
use signalr_backplane_redis::wire::{
    AckMessage, Channels, Codec, CompletionMessage, FleetMessage, GroupCommandMessage, Invocation, WireError,
};
use signalr_core::{Backplane, BackplaneMessage, BackplaneSink, HubJoin, Topic};
use signalr_protocol::{DynamicArguments, HubProtocol, Protocol};
use std::fmt::Debug;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use support::RedisServer;
use tokio::sync::mpsc;

const DOCUMENT: &str = include_str!("../FORMAT.md");
const HUB: &str = "App.ChatHub";

/// The blocks of code in the document, each with its language.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let mut parts = DOCUMENT.split("```");
    let mut blocks = Vec::new();
    while let (Some(_text), Some(block)) = (parts.next(), parts.next()) {
        blocks.push(block.split_once('\n').unwrap());
    }
    blocks
}

/// The cells of the table whose first column has this title.
fn table(title: &str) -> Vec<Vec<&'static str>> {
    let head = format!("| {title} |");
    let lines = DOCUMENT.lines().skip_while(|line| !line.starts_with(&head)).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect()
}

/// Bytes in hexadecimal; what follows a semicolon in a line is a remark.
fn bytes(text: &str) -> Bytes {
    let code = text.lines().map(|line| line.split(';').next().unwrap());
    code.flat_map(str::split_whitespace).map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

fn optional(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn both_ways<T: PartialEq + Debug>(
    bytes: &Bytes,
    value: T,
    read: fn(&Bytes) -> Result<T, WireError>,
    write: fn(&T) -> Vec<u8>,
) {
    assert_eq!(write(&value), *bytes, "written: {value:?}");
    assert_eq!(read(bytes), Ok(value));
}

fn check(example: &Value, bytes: &Bytes) {
    match text(&example["kind"]).as_str() {
        "invocation" => both_ways(bytes, invocation(example), Invocation::read, Invocation::write),
        "group command" => {
            let command = GroupCommandMessage {
                id: example["id"].as_i64().unwrap().try_into().unwrap(),
                server: text(&example["server"]),
                action: example["action"].as_u64().unwrap().try_into().unwrap(),
                group: text(&example["group"]),
                connection: text(&example["connection"]),
            };
            both_ways(bytes, command, GroupCommandMessage::read, GroupCommandMessage::write);
        }
        "ack" => {
            let ack = AckMessage { id: example["id"].as_i64().unwrap().try_into().unwrap() };
            both_ways(bytes, ack, AckMessage::read, AckMessage::write);
        }
        "completion" => {
            let (protocol, message) = (text(&example["protocol"]), text(&example["message"]).into());
            let completion = CompletionMessage { protocol, message };
            both_ways(bytes, completion, CompletionMessage::read, CompletionMessage::write);
        }
        "fleet" => {
            let version = example["version"].as_u64().unwrap().try_into().unwrap();
            let message = FleetMessage { version, body: self::bytes(&text(&example["body"])) };
            both_ways(bytes, message, FleetMessage::read, FleetMessage::write);
        }
        other => panic!("unknown kind {other}"),
    }
    // It is a message of its channel, too.
    let codec = Codec::new(Channels::new("", HUB));
    let (topic, message) = codec.decode(text(&example["channel"]).as_bytes(), bytes).unwrap();
    assert_eq!(codec.encode(&topic, &message).unwrap(), (text(&example["channel"]), bytes.to_vec()));
}

/// The value of an example, after a look at its payloads: they are what the protocols write.
fn invocation(example: &Value) -> Invocation {
    let mut value = Invocation::default();
    value.excluded = example["excluded"].as_array().unwrap().iter().map(text).collect();
    value.invocation_id = optional(&example["invocationId"]);
    value.return_channel = optional(&example["returnChannel"]);
    value.origin = optional(&example["origin"]);
    let payloads = &example["payloads"];
    for (protocol, payload) in
        [("json", text(&payloads["json"]).into()), ("messagepack", bytes(&text(&payloads["messagepack"])))]
    {
        let arguments = DynamicArguments(example["arguments"].as_array().unwrap().clone());
        let mut written = Vec::new();
        let (id, target) = (value.invocation_id.as_deref(), text(&example["target"]));
        let hub_protocol = HubProtocol::new(Protocol::by_name(protocol).unwrap());
        hub_protocol.write_invocation(&mut written, id, &target, &arguments).unwrap();
        assert_eq!(written, payload, "{protocol} of {example}");
        value.payloads.push((protocol.to_owned(), payload));
    }
    value
}

#[test]
fn every_example_is_true_in_both_directions() {
    let blocks = blocks();
    let mut messages = blocks.iter().filter(|(language, _)| *language != "sh");
    let mut kinds = Vec::new();
    while let Some(&(language, value)) = messages.next() {
        assert_eq!(language, "json", "a value comes first");
        let value: Value = serde_json::from_str(value).unwrap();
        let Some(&("hex", code)) = messages.next() else { panic!("no bytes behind {value}") };
        check(&value, &bytes(code));
        kinds.push(text(&value["kind"]));
    }
    let wanted = "invocation,invocation,invocation,invocation,group command,ack,completion,fleet";
    assert_eq!(kinds.join(","), wanted);
}

#[test]
fn every_channel_is_named_as_the_table_says() {
    let rows = table("kind");
    assert_eq!(rows.len(), 8);
    for row in rows {
        let (name, channel) = (row[1], row[2]);
        let topic = match row[0] {
            "all" => Topic::All,
            "groups" => Topic::Groups,
            "ack" => Topic::Ack(name.into()),
            "return" => Topic::Return(name.into()),
            "connection" => Topic::connection(name),
            "user" => Topic::user(name),
            "group" => Topic::group(name),
            "fleet" => Topic::Fleet(name.into()),
            other => panic!("unknown kind {other}"),
        };
        assert_eq!(Channels::new("", HUB).name(&topic).unwrap(), channel);
        assert_eq!(Channels::new("", HUB).topic(channel.as_bytes()), Ok(topic));
    }
    let prefixed = Channels::new("chat-", HUB).name(&Topic::All).unwrap();
    assert!(DOCUMENT.contains(&format!("`{prefixed}`")), "{prefixed}");
}

#[test]
fn what_is_refused_is_refused_with_these_words() {
    let rows = table("bytes");
    assert_eq!(rows.len(), 9);
    for row in rows {
        let message = bytes(row[0]);
        let error = match row[1] {
            "invocation" => Invocation::read(&message).err(),
            "group command" => GroupCommandMessage::read(&message).err(),
            "ack" => AckMessage::read(&message).err(),
            "completion" => CompletionMessage::read(&message).err(),
            other => panic!("unknown kind {other}"),
        };
        assert_eq!(error.map(|error| error.to_string()).as_deref(), Some(row[2]), "{}", row[0]);
    }
}

struct Ear(mpsc::Sender<(Topic, BackplaneMessage)>);

impl BackplaneSink for Ear {
    fn deliver(&self, topic: &Topic, message: BackplaneMessage) {
        // The test may have heard enough.
        let _ = self.0.try_send((topic.clone(), message));
    }
}

/// The command of the document, as it stands there, reaches a server; and it is the document's first example.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shell_command_sends_the_first_example_to_a_fleet() {
    let blocks = blocks();
    let commands: Vec<_> = blocks.iter().filter(|(language, _)| *language == "sh").collect();
    let [(_, command)] = commands[..] else { panic!("one command, not {}", commands.len()) };
    let redis = RedisServer::start();
    let (sender, mut heard) = mpsc::channel(16);
    let backplane = RedisBackplane::connect(&redis.url()).await.unwrap();
    // In force when it returns: what comes from now on arrives.
    let _hub = backplane.join(HubJoin::new(HUB, Arc::new(Ear(sender)))).await.unwrap();

    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", command]).env("REDIS_PORT", redis.port().to_string()).stdin(Stdio::null());
    let output = shell.output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "1", "servers that got it");

    let (topic, message) =
        tokio::time::timeout(Duration::from_secs(20), heard.recv()).await.unwrap().unwrap();
    let (_, first) = blocks.iter().find(|(language, _)| *language == "hex").unwrap();
    let codec = Codec::new(Channels::new("", HUB));
    assert_eq!(codec.decode(b"App.ChatHub:all", &bytes(first)), Ok((topic, message)));
}
