//! Runs every entry of `vectors/lz4.json`: values compressed by MessagePack-CSharp, by others, and broken ones.
//!
//! Compressed values are read as stream items, which is where a peer would send them. What this crate compresses is
//! read back by itself; with `SIGNALR_DOTNET_PEER` naming the reference program also by MessagePack-CSharp.
#![allow(clippy::expect_used, reason = "helpers of a test")]
#![cfg(feature = "lz4")]

#[path = "support/messagepack.rs"]
#[expect(dead_code, reason = "shared with the runner of the hub messages")]
mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rmpv::Value;
use signalr_protocol::{Compression, HubProtocol, Payload, Protocol};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use support::{MESSAGEPACK, get, same, text};

const FILE: &str = "lz4.json";
const FORMS: [(Compression, &str); 2] =
    [(Compression::Lz4BlockArray, "lz4blockarray_b64"), (Compression::Lz4Block, "lz4block_b64")];

#[test]
fn every_entry() {
    let file = load();
    let lists = file.as_map().expect("an object").iter().filter(|(_, entries)| entries.is_array()).count();
    assert_eq!(lists, 3, "a section was forgotten");
    let failed = section(&file, "vectors", vector)
        + section(&file, "decode", decodes)
        + section(&file, "broken", refused);
    assert_eq!(failed, 0);
}

/// Every value of the file and some larger ones: MessagePack-CSharp itself reads what was compressed here in both
/// forms, and what it compresses is read here.
#[test]
fn the_library_reads_ours() {
    let Ok(program) = std::env::var("SIGNALR_DOTNET_PEER") else {
        println!(
            "not run: set SIGNALR_DOTNET_PEER to the reference program to have MessagePack-CSharp read our LZ4"
        );
        return;
    };
    let file = load();
    let listed = entries(&file, "vectors")
        .iter()
        .map(|entry| support::base64(text(entry, "plain_b64").expect("plain_b64")));
    let mut peer = Peer::start(&program);
    let mut compared = 0;
    for plain in listed.chain(large_values()) {
        for (form, name) in [(Compression::Lz4BlockArray, "blockArray"), (Compression::Lz4Block, "block")] {
            assert!(
                peer.ask("lz4-decode", name, &compress(&plain, form)) == plain,
                "{} bytes as {name}",
                plain.len()
            );
            let theirs = peer.ask("lz4-encode", name, &plain);
            assert_eq!(equal(&theirs, &plain), Ok(()), "{} bytes as {name}", plain.len());
            compared += 1;
        }
    }
    println!("MessagePack-CSharp and this crate read {compared} values of each other");
    peer.stop();
}

/// Bins around the sizes of blocks: easy, mixed and impossible to compress.
fn large_values() -> impl Iterator<Item = Vec<u8>> {
    let sizes = [4_096, 65_531, 65_532, 65_536, 65_541, 131_072, 200_000, 1_000_000];
    sizes.into_iter().flat_map(|size| [u64::MAX, 0xff00, 0].map(|mask| support::encode(&noise(size, mask))))
}

/// Pseudo-random bytes where the mask has bits, and a counter in between.
fn noise(size: usize, mask: u64) -> Value {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let byte = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state & mask) >> 8) as u8 ^ (n / 100) as u8
    };
    Value::Binary((0..size).map(byte).collect())
}

fn load() -> Value {
    serde_json::from_str(include_str!("vectors/lz4.json")).expect("the file is JSON")
}

fn entries<'a>(file: &'a Value, section: &str) -> &'a [Value] {
    get(file, section).and_then(Value::as_array).expect("a section")
}

fn section(file: &Value, name: &str, run: fn(&Value) -> Result<(), String>) -> usize {
    let results =
        entries(file, name).iter().map(|entry| (text(entry, "name").unwrap_or_default(), run(entry)));
    let failed: Vec<_> =
        results.filter_map(|(entry, result)| Some(format!("  {entry}: {}", result.err()?))).collect();
    let (strict, failures) = (entries(file, name).len() - failed.len(), failed.len());
    println!("VECTORS file={FILE} section={name} strict={strict} quirk=0 dotnet=0 na=0 failed={failures}");
    failed.iter().for_each(|line| println!("{line}"));
    failures
}

fn vector(entry: &Value) -> Result<(), String> {
    let plain = support::base64(text(entry, "plain_b64").ok_or("no plain_b64")?);
    for (form, key) in FORMS {
        let theirs = support::base64(text(entry, key).ok_or("no compressed form")?);
        equal(&theirs, &plain).map_err(|reason| format!("theirs, {form:?}: {reason}"))?;
        let ours = compress(&plain, form);
        equal(&ours, &plain).map_err(|reason| format!("ours, {form:?}: {reason}"))?;
        if plain.len() < 64 && ours != plain {
            return Err("values below 64 bytes are sent as they are".to_owned());
        }
        if plain.len() >= 64 && ours == plain {
            return Err("was not compressed".to_owned());
        }
    }
    Ok(())
}

fn decodes(entry: &Value) -> Result<(), String> {
    let theirs = support::base64(text(entry, "lz4_b64").ok_or("no lz4_b64")?);
    equal(&theirs, &support::base64(text(entry, "plain_b64").ok_or("no plain_b64")?))
}

fn refused(entry: &Value) -> Result<(), String> {
    let broken = support::base64(text(entry, "lz4_b64").ok_or("no lz4_b64")?);
    match Payload::new(Protocol::MessagePack, &broken).decode::<Value>() {
        Err(_) => Ok(()),
        Ok(value) => Err(format!("was read as {value}")),
    }
}

/// Whether bytes that came as a stream item hold the same value as the plain bytes.
fn equal(received: &[u8], plain: &[u8]) -> Result<(), String> {
    let expected = rmpv::decode::read_value(&mut &plain[..]).map_err(|error| error.to_string())?;
    let body = [&[0x94, 2, 0x80, 0xa1, b'1'][..], received].concat();
    let signalr_protocol::Message::StreamItem { item, .. } =
        MESSAGEPACK.parse(&body).map_err(|e| e.to_string())?
    else {
        return Err("no stream item".to_owned());
    };
    if item.bytes() != received {
        return Err("the span is not the value".to_owned());
    }
    let value: Value = item.decode().map_err(|error| format!("{error}: {:?}", error.detail))?;
    if same(&value, &expected) { Ok(()) } else { Err("another value came out".to_owned()) }
}

/// A value written as a compressed item; what precedes it is taken off.
fn compress(plain: &[u8], form: Compression) -> Vec<u8> {
    let value = rmpv::decode::read_value(&mut &plain[..]).expect("plain MessagePack");
    let mut out = Vec::new();
    let protocol = HubProtocol::new(Protocol::MessagePack).with_compression(form);
    protocol.write_stream_item(&mut out, "1", &value).expect("writes");
    let (body, used) = protocol.split(&out).expect("valid").expect("whole");
    assert_eq!(used, out.len());
    body[5..].to_vec()
}

/// The reference program, asked one line at a time.
struct Peer {
    child: std::process::Child,
    answers: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Peer {
    fn start(program: &str) -> Self {
        let mut child = Command::new(program)
            .arg("msgpack")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the reference program starts");
        let answers = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, answers }
    }

    fn ask(&mut self, op: &str, format: &str, data: &[u8]) -> Vec<u8> {
        let data = STANDARD.encode(data);
        let line = format!(r#"{{"op":"{op}","format":"{format}","data":"{data}"}}"#);
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).expect("the reference program reads");
        let answer = self.answers.next().expect("an answer").expect("text");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        support::base64(text(&answer, "data").unwrap_or_else(|| panic!("{answer}")))
    }

    fn stop(mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("ends");
        assert!(status.success(), "{status}");
    }
}
