//! Payloads in other forms than serde's: names by policy, enums by number, bytes in base64; written and read in both
//! protocols. The .NET forms here are what the reference wrote and read.

#![cfg(feature = "messagepack")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde::{Deserialize, Serialize};
use signalr_protocol::{EnumStyle, HubProtocol, Message, NamingPolicy, PayloadStyle, Protocol};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Colour {
    Red,
    Green,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Circle(u8),
    Box { long_side: u8, short_side: Option<u8> },
    Pair(u8, Colour),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inner {
    io_stream: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(non_snake_case, reason = "a name that serde and the policy see as it is")]
struct Everything {
    user_name: String,
    URLValue: u8,
    colour: Colour,
    inner: Option<Inner>,
    list: Vec<Inner>,
    by_name: BTreeMap<String, Inner>,
    by_colour: BTreeMap<Colour, u8>,
    shapes: Vec<Shape>,
    #[serde(with = "serde_bytes_like")]
    raw_bytes: Vec<u8>,
    tuple: (u8, Colour),
    #[serde(skip_serializing_if = "Option::is_none")]
    absent_one: Option<u8>,
}

/// What the crate `serde_bytes` does.
mod serde_bytes_like {
    use serde::de::{Deserializer, SeqAccess, Visitor};
    use serde::ser::Serializer;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;

        impl<'de> Visitor<'de> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = items.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }

        deserializer.deserialize_byte_buf(Bytes)
    }
}

fn everything() -> Everything {
    Everything {
        user_name: "ann".to_owned(),
        URLValue: 1,
        colour: Colour::Green,
        inner: Some(Inner { io_stream: 2 }),
        list: vec![Inner { io_stream: 3 }],
        by_name: BTreeMap::from([("Some_Key".to_owned(), Inner { io_stream: 4 })]),
        by_colour: BTreeMap::from([(Colour::Red, 5)]),
        shapes: vec![
            Shape::Circle(6),
            Shape::Box { long_side: 7, short_side: None },
            Shape::Pair(8, Colour::Red),
        ],
        raw_bytes: vec![0, 255],
        tuple: (9, Colour::Green),
        absent_one: None,
    }
}

fn text(style: PayloadStyle) -> String {
    let mut out = Vec::new();
    HubProtocol::new(Protocol::Json).with_style(style).write_value(&mut out, &everything()).unwrap();
    String::from_utf8(out).unwrap()
}

/// Through a whole message, as a server reads one.
fn reads_back<T: Serialize + Sync + Send>(protocol: HubProtocol, value: T) -> Everything {
    let mut out = Vec::new();
    protocol.write_invocation(&mut out, None, "M", &(value,)).unwrap();
    let (body, _) = protocol.split(&out).unwrap().unwrap();
    match protocol.parse(body).unwrap() {
        Message::Invocation(call) => {
            let owned = call.arguments.to_owned();
            let (value,) = call.arguments.decode::<(Everything,)>().unwrap();
            assert_eq!(owned.as_arguments().decode::<(Everything,)>().unwrap(), (value.clone(),));
            value
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn json_is_as_system_text_json_has_it() {
    assert_eq!(
        text(PayloadStyle::dotnet(Protocol::Json)),
        concat!(
            r#"{"userName":"ann","urlValue":1,"colour":1,"inner":{"ioStream":2},"list":[{"ioStream":3}],"#,
            r#""byName":{"Some_Key":{"ioStream":4}},"byColour":{"Red":5},"#,
            r#""shapes":[{"Circle":6},{"Box":{"longSide":7,"shortSide":null}},{"Pair":[8,0]}],"#,
            r#""rawBytes":"AP8=","tuple":[9,1]}"#
        )
    );
}

#[test]
fn each_part_of_a_style_is_its_own() {
    let pascal = text(PayloadStyle::SERDE.names(NamingPolicy::PascalCase));
    assert!(pascal.starts_with(r#"{"UserName":"ann","URLValue":1,"Colour":"Green","#), "{pascal}");
    assert!(pascal.contains(r#""RawBytes":[0,255]"#), "{pascal}");
    let numbers = text(PayloadStyle::SERDE.enums(EnumStyle::Number));
    assert!(numbers.starts_with(r#"{"user_name":"ann","URLValue":1,"colour":1,"#), "{numbers}");
    let bytes = text(PayloadStyle::SERDE.base64_bytes(true));
    assert!(bytes.contains(r#""raw_bytes":"AP8=""#), "{bytes}");
    assert_eq!(text(PayloadStyle::SERDE), serde_json::to_string(&everything()).unwrap());
}

#[test]
fn what_is_written_is_read_in_every_style_and_protocol() {
    for kind in Protocol::ALL {
        for names in [NamingPolicy::AsSerde, NamingPolicy::CamelCase, NamingPolicy::PascalCase] {
            for enums in [EnumStyle::Name, EnumStyle::Number] {
                for base64 in [false, true] {
                    let style = PayloadStyle::SERDE.names(names).enums(enums).base64_bytes(base64);
                    let protocol = HubProtocol::new(kind).with_style(style);
                    assert_eq!(reads_back(protocol, everything()), everything(), "{kind:?} {style:?}");
                }
            }
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Named {
    user_name: u8,
}

fn json(text: &str, names: NamingPolicy) -> Option<Named> {
    let style = PayloadStyle::SERDE.names(names);
    signalr_protocol::Payload::new(Protocol::Json, text.as_bytes()).with_style(style).decode().ok()
}

#[test]
fn members_of_json_are_matched_by_their_policy_name_ignoring_case() {
    use NamingPolicy::{AsSerde, CamelCase, PascalCase};
    for policy in [CamelCase, PascalCase] {
        for text in [r#"{"userName":1}"#, r#"{"UserName":1}"#, r#"{"USERNAME":1,"other":2}"#] {
            assert_eq!(json(text, policy), Some(Named { user_name: 1 }), "{text}");
        }
    }
    assert_eq!(json(r#"{"userName":1}"#, AsSerde), None);
    assert_eq!(json(r#"{"User_Name":1}"#, AsSerde), Some(Named { user_name: 1 }));
}

#[test]
fn members_of_messagepack_are_matched_exactly() {
    let protocol =
        HubProtocol::new(Protocol::MessagePack).with_style(PayloadStyle::dotnet(Protocol::MessagePack));
    let mut out = Vec::new();
    protocol.write_value(&mut out, &(Named { user_name: 1 }, Colour::Green)).unwrap();
    assert_eq!(out, b"\x92\x81\xa8UserName\x01\xa5Green");
    let read = |bytes: &[u8]| {
        let payload = signalr_protocol::Payload::new(Protocol::MessagePack, bytes);
        payload.with_style(protocol.style()).decode::<Named>().ok()
    };
    assert_eq!(read(b"\x81\xa8UserName\x01"), Some(Named { user_name: 1 }));
    assert_eq!(read(b"\x81\xa8userName\x01"), None);
}

#[test]
fn an_enum_number_must_be_one_of_its_variants() {
    let style = PayloadStyle::SERDE.enums(EnumStyle::Number);
    let read = |text: &str| {
        let payload = signalr_protocol::Payload::new(Protocol::Json, text.as_bytes());
        payload.with_style(style).decode::<Colour>().ok()
    };
    assert_eq!([read("1"), read("\"Red\"")], [Some(Colour::Green), Some(Colour::Red)]);
    assert_eq!([read("2"), read("-1"), read("1.0"), read("99999999999")], [None; 4]);
}

#[test]
fn what_formats_know_by_name_stays_as_it_is() {
    let raw = serde_json::value::RawValue::from_string(r#"{"some_name": 1}"#.to_owned()).unwrap();
    let mut out = Vec::new();
    let json = HubProtocol::new(Protocol::Json).with_style(PayloadStyle::dotnet(Protocol::Json));
    json.write_value(&mut out, &raw).unwrap();
    assert_eq!(out, br#"{"some_name": 1}"#);
    let date = signalr_protocol::values::Timestamp::new(1, 0).unwrap();
    let (mut plain, mut styled) = (Vec::new(), Vec::new());
    let pack = HubProtocol::new(Protocol::MessagePack);
    pack.write_value(&mut plain, &date).unwrap();
    pack.with_style(PayloadStyle::dotnet(Protocol::MessagePack)).write_value(&mut styled, &date).unwrap();
    assert_eq!(plain, styled);
    let dynamic = serde_json::json!({"some_name": {"other_name": [1, 2.5, "x"]}});
    let mut out = Vec::new();
    json.write_value(&mut out, &dynamic).unwrap();
    assert_eq!(out, dynamic.to_string().into_bytes());
}
