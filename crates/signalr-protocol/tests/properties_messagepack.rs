//! Properties of the MessagePack half: any split of the bytes, any message, any bytes, any claim of length or depth.
#![allow(clippy::expect_used, reason = "helpers of a test")]
#![cfg(feature = "messagepack")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rmpv::Value;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use signalr_protocol::{
    Arguments, Compression, Headers, HubProtocol, Invocation, Message, Payload, Protocol, fuzzing,
};
use std::cell::Cell;
use std::fmt;

const MESSAGEPACK: HubProtocol = HubProtocol::new(Protocol::MessagePack);

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-200i64..200).prop_map(Value::from),
        any::<f32>().prop_filter("NaN equals nothing", |f| !f.is_nan()).prop_map(Value::from),
        any::<f64>().prop_filter("NaN equals nothing", |f| !f.is_nan()).prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        vec(any::<u8>(), 0..300).prop_map(Value::from),
        // Extensions 98 and 99 are compressed values, also where somebody else meant something by them.
        (any::<i8>(), vec(any::<u8>(), 0..20)).prop_map(|(kind, data)| Value::Ext(kind & !0x20, data)),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec((inner.clone(), inner), 0..6).prop_map(Value::Map),
        ]
    })
}

/// A message that owns its payloads as bytes, so that it can be made by a strategy.
#[derive(Debug, Clone)]
struct Made {
    kind: u8,
    headers: Vec<(String, String)>,
    id: Option<String>,
    name: String,
    stream_ids: Vec<String>,
    payload: Vec<u8>,
    flag: bool,
    number: i64,
}

impl Made {
    fn message(&self) -> Message<'_> {
        let pairs = self.headers.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        let headers = Headers(pairs.collect());
        let id = self.id.as_deref().unwrap_or("none");
        let call = || Invocation {
            headers: headers.clone(),
            invocation_id: if self.kind == 1 { self.id.as_deref().map(Into::into) } else { Some(id.into()) },
            target: self.name.as_str().into(),
            arguments: Arguments::new(Protocol::MessagePack, &self.payload),
            stream_ids: (!self.stream_ids.is_empty())
                .then(|| self.stream_ids.iter().map(|id| id.as_str().into()).collect()),
            deferred: None,
        };
        let payload = Payload::new(Protocol::MessagePack, &self.payload);
        let invocation_id = id.into();
        match self.kind {
            1 => Message::Invocation(call()),
            2 => Message::StreamItem { headers, invocation_id, item: payload },
            3 => Message::Completion {
                headers,
                invocation_id,
                error: self.flag.then(|| self.name.as_str().into()),
                result: (!self.flag && self.number > 0).then_some(payload),
            },
            4 => Message::StreamInvocation(call()),
            5 => Message::CancelInvocation { headers, invocation_id },
            6 => Message::Ping,
            7 => Message::Close { error: self.id.as_deref().map(Into::into), allow_reconnect: self.flag },
            8 => Message::Ack { sequence_id: self.number },
            _ => Message::Sequence { sequence_id: self.number },
        }
    }
}

prop_compose! {
    fn made()(
        kind in 1u8..=9,
        headers in proptest::collection::btree_map(".{1,9}", ".{1,9}", 0..18),
        id in option::of(".{1,40}"),
        name in ".{1,40}",
        stream_ids in vec(".{1,3}", 0..18),
        values in vec(value(), 0..5),
        flag: bool,
        number: i64,
    ) -> Made {
        let mut payload = Vec::new();
        MESSAGEPACK.write_value(&mut payload, &values).expect("serialises");
        Made { kind, headers: headers.into_iter().collect(), id, name, stream_ids, payload, flag, number }
    }
}

/// Feeds pieces into a growing buffer, as a transport would, and gives the bodies.
fn received<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let (mut buffer, mut bodies) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some((body, used)) = MESSAGEPACK.split(&buffer).expect("valid frames") {
            bodies.push(body.to_vec());
            buffer.drain(..used);
        }
    }
    assert!(buffer.is_empty(), "{} bytes were left over", buffer.len());
    bodies
}

proptest! {
    #[test]
    fn a_written_message_is_read_as_it_was(made in made()) {
        let message = made.message();
        let mut out = b"before".to_vec();
        MESSAGEPACK.write_message(&mut out, &message).expect("writes");
        let (body, used) = MESSAGEPACK.split(&out[6..]).expect("valid").expect("whole");
        prop_assert_eq!(used, out.len() - 6);
        prop_assert_eq!(MESSAGEPACK.parse(body), Ok(message));
    }

    #[test]
    fn any_split_gives_the_same_messages(all in vec(made(), 1..5), sizes in vec(1usize..200, 1..50)) {
        let mut stream = Vec::new();
        for made in &all {
            MESSAGEPACK.write_message(&mut stream, &made.message()).expect("writes");
        }
        let mut rest = &stream[..];
        let pieces = sizes.iter().cycle().map_while(move |size| {
            let (piece, left) = rest.split_at_checked(*size).unwrap_or((rest, &[]));
            rest = left;
            (!piece.is_empty()).then_some(piece)
        });
        let bodies = received(pieces);
        prop_assert_eq!(bodies.len(), all.len());
        for (body, made) in bodies.iter().zip(&all) {
            prop_assert_eq!(MESSAGEPACK.parse(body), Ok(made.message()));
        }
    }

    #[test]
    fn any_value_comes_back(value in value()) {
        for compression in [Compression::None, Compression::Lz4BlockArray, Compression::Lz4Block] {
            if compression != Compression::None && !cfg!(feature = "lz4") {
                continue;
            }
            let mut out = Vec::new();
            MESSAGEPACK.with_compression(compression).write_value(&mut out, &value).expect("serialises");
            let payload = Payload::new(Protocol::MessagePack, &out);
            prop_assert_eq!(payload.check(), Ok(()));
            prop_assert_eq!(payload.decode::<Value>(), Ok(value.clone()));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        all_bodies(&bytes);
    }

    #[test]
    fn damaged_messages_are_read_or_refused(made in made(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        let mut out = Vec::new();
        MESSAGEPACK.write_message(&mut out, &made.message()).expect("writes");
        for (at, byte) in damage {
            let at = at.index(out.len());
            out[at] = byte;
        }
        all_bodies(&out);
        all_bodies(&out[1..]);
    }

    #[test]
    fn damaged_values_are_read_or_refused(value in value(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        for compression in [Compression::None, Compression::Lz4BlockArray, Compression::Lz4Block] {
            if compression != Compression::None && !cfg!(feature = "lz4") {
                continue;
            }
            let mut out = Vec::new();
            MESSAGEPACK.with_compression(compression).write_value(&mut out, &value).expect("serialises");
            for (at, byte) in &damage {
                let at = at.index(out.len());
                out[at] = *byte;
            }
            all_bodies(&out);
        }
    }
}

fn all_bodies(bytes: &[u8]) {
    fuzzing::msgpack_parse(bytes);
    fuzzing::msgpack_arguments(bytes);
    fuzzing::binary_split(bytes);
    #[cfg(feature = "lz4")]
    fuzzing::lz4_decode(bytes);
}

/// A list of lists that notes for how many items it was told to make room.
struct Greedy;

thread_local! {
    static ROOM: Cell<usize> = const { Cell::new(0) };
}

impl<'de> Deserialize<'de> for Greedy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Greedy)
    }
}

impl<'de> Visitor<'de> for Greedy {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lists of lists")
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        ROOM.set(ROOM.get() + items.size_hint().unwrap_or(0));
        while items.next_element::<Greedy>()?.is_some() {}
        Ok(self)
    }
}

#[test]
fn room_is_made_for_no_more_items_than_there_are_bytes() {
    let announced = 30_000u32;
    let mut bomb = Vec::new();
    for _ in 0..400 {
        bomb.push(0xdd);
        bomb.extend_from_slice(&announced.to_be_bytes());
    }
    bomb.resize(bomb.len() + announced as usize, 0x01);
    ROOM.set(0);
    assert!(Payload::new(Protocol::MessagePack, &bomb).decode::<Greedy>().is_err());
    let room = ROOM.get();
    assert!(
        room >= announced as usize && room <= bomb.len(),
        "room for {room} items in {} bytes",
        bomb.len()
    );
}

fn nested(levels: usize) -> Vec<u8> {
    let mut bytes = vec![0x91; levels];
    bytes.push(0x01);
    bytes
}

#[test]
fn nesting_ends_where_the_reference_ends() {
    for levels in [1, 499, 500] {
        let bytes = nested(levels);
        let read = Payload::new(Protocol::MessagePack, &bytes).decode::<serde_json::Value>();
        assert!(read.is_ok(), "{levels}: {read:?}");
    }
    for levels in [501, 1_000, 1_000_000] {
        let bytes = nested(levels);
        let read = Payload::new(Protocol::MessagePack, &bytes).decode::<serde_json::Value>();
        let error = read.expect_err("too deep");
        assert_eq!(error.detail.as_deref(), Some("nested deeper than 500 levels"));
        let body = [&[0x94, 2, 0x80, 0xa1, b'1'][..], &bytes].concat();
        assert!(MESSAGEPACK.parse(&body).is_ok(), "the envelope does not look into values");
    }
}

#[test]
fn types_that_wrap_themselves_do_not_recurse_for_ever() {
    #[derive(Debug, serde::Deserialize)]
    struct Endless(#[expect(dead_code, reason = "only read")] Option<Box<Endless>>);
    let read = Payload::new(Protocol::MessagePack, &[0x01]).decode::<Endless>();
    assert!(read.is_err(), "{read:?}");
}

#[test]
fn received_contents_stay_out_of_error_details() {
    let secret = rmpv::Value::from("hunter2");
    let mut bytes = Vec::new();
    MESSAGEPACK.write_value(&mut bytes, &secret).expect("serialises");
    let payload = Payload::new(Protocol::MessagePack, &bytes);
    #[derive(Debug, serde::Deserialize)]
    enum Choice {
        One,
    }
    let details = [
        payload.decode::<i32>().err(),
        payload.decode::<Choice>().err(),
        payload.decode::<std::net::IpAddr>().err(),
    ];
    for error in details.into_iter().flatten() {
        let detail = error.detail.expect("says why");
        assert!(!detail.contains("hunter2"), "{detail}");
    }
    let _ = Choice::One;
}

#[test]
fn damaged_payloads_are_not_passed_on() {
    for damaged in [&[][..], &[0xc1], &[0x92, 1], &[1, 2]] {
        let payload = Payload::new(Protocol::MessagePack, damaged);
        assert!(payload.check().is_err());
        let mut out = vec![7];
        assert!(MESSAGEPACK.write_completion_raw(&mut out, "1", payload).is_err());
        assert_eq!(out, [7]);
    }
}

#[test]
fn the_text_for_a_result_names_the_type_as_dotnet_does() {
    let payload = Payload::new(Protocol::MessagePack, &[0xa1, b'a']);
    let error = payload.decode::<i32>().expect_err("a string is no number");
    assert_eq!(error.text, "Deserializing object of the `Int32` type for 'argument' failed.");
    assert_eq!(error.detail.as_deref(), Some("invalid type: string, expected i32"));
}
