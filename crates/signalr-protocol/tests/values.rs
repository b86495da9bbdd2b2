//! .NET's values as both protocols write and read them. The expected forms are those of the reference
//! (`dotnet_values` of both hub vector files).
#![allow(clippy::expect_used, reason = "helpers of a test")]
#![cfg(feature = "messagepack")]

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use signalr_protocol::values::{
    Binary, Decimal, Guid, OffsetDate, TimeSpan, Timestamp, bytes, character, guid, time_span, timestamp,
};
use signalr_protocol::{BindError, HubProtocol, Payload, Protocol};
use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn write<T: Serialize>(protocol: Protocol, value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    HubProtocol::new(protocol).write_value(&mut out, value).expect("serialises");
    out
}

fn read<T: DeserializeOwned>(protocol: Protocol, bytes: &[u8]) -> Result<T, BindError> {
    Payload::new(protocol, bytes).decode()
}

/// Both forms are written exactly and read back.
#[track_caller]
fn forms<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, json: &str, messagepack: &[u8]) {
    assert_eq!(String::from_utf8_lossy(&write(Protocol::Json, value)), json);
    assert_eq!(write(Protocol::MessagePack, value), messagepack);
    assert_eq!(read::<T>(Protocol::Json, json.as_bytes()).as_ref(), Ok(value));
    assert_eq!(read::<T>(Protocol::MessagePack, messagepack).as_ref(), Ok(value));
}

#[track_caller]
fn refused<T: DeserializeOwned + Debug>(protocol: Protocol, bytes: &[u8]) {
    let read = read::<T>(protocol, bytes);
    assert!(read.is_err(), "{bytes:x?} was read as {read:?}");
}

fn time(seconds: i64, nanos: u32) -> Timestamp {
    Timestamp::new(seconds, nanos).expect("below a second")
}

#[test]
fn timestamps() {
    let short = [0xd6, 0xff, 0x58, 0xec, 0x1c, 0x80];
    forms(&time(1_491_868_800, 0), r#""2017-04-11T00:00:00Z""#, &short);
    let half = [0xd7, 0xff, 0x77, 0x35, 0x94, 0x00, 0x58, 0xec, 0x1c, 0x80];
    forms(&time(1_491_868_800, 500_000_000), r#""2017-04-11T00:00:00.5Z""#, &half);
    let before = [0xc7, 12, 0xff, 0, 0, 0, 100, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    forms(&time(-1, 100), r#""1969-12-31T23:59:59.0000001Z""#, &before);
    assert_eq!(Timestamp::new(0, 1_000_000_000), None);
    refused::<Timestamp>(Protocol::Json, br#""11.04.2017""#);
    refused::<Timestamp>(Protocol::Json, b"1491868800");
    refused::<Timestamp>(Protocol::MessagePack, b"\xad2017-04-11T00");
    refused::<Timestamp>(Protocol::MessagePack, &[0xd6, 0x05, 0, 0, 0, 0]);
    refused::<Timestamp>(Protocol::MessagePack, &[0xd7, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let with_offset = read::<Timestamp>(Protocol::Json, br#""2017-04-11T02:00:00+02:00""#);
    assert_eq!(with_offset, Ok(time(1_491_868_800, 0)));
}

#[test]
fn dates_outside_of_json() {
    let mut out = Vec::new();
    let far = time(i64::MAX, 0);
    assert!(HubProtocol::new(Protocol::Json).write_value(&mut out, &far).is_err());
    assert!(out.is_empty());
    assert_eq!(read(Protocol::MessagePack, &write(Protocol::MessagePack, &far)), Ok(far));
}

#[test]
fn offset_dates() {
    let date = OffsetDate::new(time(1_462_888_280 - 754 * 60, 0), 754).expect("in range");
    let bytes = [0x92, 0xd6, 0xff, 0x57, 0x31, 0xe7, 0x58, 0xcd, 0x02, 0xf2];
    forms(&date, r#""2016-05-10T13:51:20+12:34""#, &bytes);
    let west = OffsetDate::new(time(1_462_888_280 + 3_600, 0), -60).expect("in range");
    forms(&west, r#""2016-05-10T13:51:20-01:00""#, &[0x92, 0xd6, 0xff, 0x57, 0x31, 0xe7, 0x58, 0xd0, 0xc4]);
    assert_eq!(OffsetDate::new(time(0, 0), 841), None);
    refused::<OffsetDate>(Protocol::MessagePack, &[0x92, 0xd6, 0xff, 0, 0, 0, 0, 0xcd, 0x7f, 0xff]);
}

#[test]
fn time_spans() {
    forms(&TimeSpan::from_ticks(36_000_000_000), r#""01:00:00""#, &[0xcf, 0, 0, 0, 8, 0x61, 0xc4, 0x68, 0]);
    forms(&TimeSpan::from_ticks(-10_000_000), r#""-00:00:01""#, &[0xd2, 0xff, 0x67, 0x69, 0x80]);
    let long = read::<TimeSpan>(Protocol::Json, br#""1.02:03:04.5000000""#);
    assert_eq!(long, Ok(TimeSpan::from_ticks(937_845_000_000)));
    for bad in [
        "1",
        "24:00:00",
        "00:60:00",
        "1.2.03:04:05",
        "00:00:00.",
        "00:00:00.12345678",
        "x",
        "10675200.00:00:00",
    ] {
        refused::<TimeSpan>(Protocol::Json, format!("\"{bad}\"").as_bytes());
    }
}

#[test]
fn guids() {
    let text = "00112233-4455-6677-8899-aabbccddeeff";
    let value: Guid = text.parse().expect("a GUID");
    let bytes = [&[0xd9, 36][..], text.as_bytes()].concat();
    forms(&value, &format!("\"{text}\""), &bytes);
    let upper = format!("\"{}\"", text.to_uppercase());
    assert_eq!(read::<Guid>(Protocol::Json, upper.as_bytes()), Ok(value));
    for bad in [
        "",
        "00112233445566778899aabbccddeeff",
        "{00112233-4455-6677-8899-aabbccddeeff}",
        "00112233-4455-6677-8899-aabbccddeefg",
    ] {
        refused::<Guid>(Protocol::Json, format!("\"{bad}\"").as_bytes());
    }
    refused::<Guid>(Protocol::MessagePack, &[&[0xc4, 16][..], &value.0].concat());
}

#[test]
fn byte_strings() {
    forms(&Binary(vec![1, 2, 3]), r#""AQID""#, &[0xc4, 3, 1, 2, 3]);
    assert_eq!(read(Protocol::MessagePack, b"\xa1a"), Ok(Binary(b"a".to_vec())));
    assert_eq!(read(Protocol::MessagePack, &[0x92, 1, 2]), Ok(Binary(vec![1, 2])));
    assert_eq!(read(Protocol::MessagePack, &[0xc4, 2, 1, 2]), Ok(vec![1u8, 2]));
    for bad in [r#""-_8=""#, r#""AQI""#, "[1,2]"] {
        refused::<Binary>(Protocol::Json, bad.as_bytes());
    }
}

#[test]
fn decimals() {
    let value: Decimal = "-79228162514264337593543950335.10".parse().expect("a decimal");
    let bytes = [&[0xd9, 33][..], value.as_str().as_bytes()].concat();
    forms(&value, value.as_str(), &bytes);
    refused::<Decimal>(Protocol::MessagePack, &[5]);
    for bad in ["", "-", "1.", ".5", "01", "+1", "1e3", "1,5", "0x1"] {
        assert!(bad.parse::<Decimal>().is_err(), "{bad}");
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct All {
    #[serde(with = "timestamp")]
    at: SystemTime,
    #[serde(with = "time_span")]
    took: Duration,
    #[serde(with = "guid")]
    id: [u8; 16],
    #[serde(with = "bytes")]
    data: Vec<u8>,
    #[serde(with = "character")]
    letter: char,
    missing: Option<Timestamp>,
}

#[test]
fn modules_in_a_struct() {
    let all = All {
        at: UNIX_EPOCH - Duration::from_millis(1_500),
        took: Duration::new(90, 100),
        id: [0x11; 16],
        data: vec![0xff],
        letter: 'ä',
        missing: None,
    };
    let json = r#"{"At":"1969-12-31T23:59:58.5Z","Took":"00:01:30.0000001","Id":"11111111-1111-1111-1111-111111111111","Data":"/w==","Letter":"ä","Missing":null}"#;
    assert_eq!(read::<All>(Protocol::Json, json.as_bytes()).as_ref(), Ok(&all));
    let written = write(Protocol::Json, &all);
    assert_eq!(read::<All>(Protocol::Json, &written).as_ref(), Ok(&all));
    let written = write(Protocol::MessagePack, &all);
    assert_eq!(read::<All>(Protocol::MessagePack, &written).as_ref(), Ok(&all));
    assert_eq!(&written[..5], b"\x86\xa2At\xc7");
    let nulls = read::<Option<All>>(Protocol::MessagePack, &[0xc0]);
    assert_eq!(nulls, Ok(None));
}

#[cfg(feature = "uuid")]
#[test]
fn uuids() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(transparent)]
    struct Id(#[serde(with = "signalr_protocol::values::uuid")] uuid::Uuid);
    let text = "00112233-4455-6677-8899-aabbccddeeff";
    let id = Id(Guid::into(text.parse().expect("a GUID")));
    forms(&id, &format!("\"{text}\""), &[&[0xd9, 36][..], text.as_bytes()].concat());
}

proptest! {
    #[test]
    fn every_timestamp_comes_back(seconds in -62_135_596_800i64..=253_402_300_799, nanos in 0u32..1_000_000_000) {
        let value = time(seconds, nanos);
        for protocol in Protocol::ALL {
            prop_assert_eq!(read(protocol, &write(protocol, &value)), Ok(value));
        }
        if let Ok(system) = SystemTime::try_from(value) {
            prop_assert_eq!(Timestamp::from(system), value);
        }
    }

    #[test]
    fn every_time_span_comes_back(ticks: i64) {
        let value = TimeSpan::from_ticks(ticks);
        for protocol in Protocol::ALL {
            prop_assert_eq!(read(protocol, &write(protocol, &value)), Ok(value));
        }
    }

    #[test]
    fn no_text_makes_reading_panic(text in "[-0-9TZ:.+]{0,40}") {
        let quoted = format!("\"{text}\"");
        let _ = read::<Timestamp>(Protocol::Json, quoted.as_bytes());
        let _ = read::<OffsetDate>(Protocol::Json, quoted.as_bytes());
        let _ = read::<TimeSpan>(Protocol::Json, quoted.as_bytes());
        let _ = read::<Decimal>(Protocol::Json, text.as_bytes());
        prop_assert!(text.parse::<Guid>().is_err() || text.len() == 36);
    }
}
