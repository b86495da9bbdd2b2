//! Everything: one member for every kind of value that both protocols write in their own way.
//!
//! Owns the .NET forms that no helper module has: dates without a zone, defaults of structs. Names and enums are the
//! business of the hub's options, which have them as ASP.NET Core does.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use signalr_protocol::values::{Binary, Decimal, Guid, OffsetDate, TimeSpan, Timestamp, character};

/// A list of named branches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Branch {
    name: Option<String>,
    leaves: Option<Vec<i32>>,
    next: Option<Box<Branch>>,
}

/// The value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Everything {
    flag: bool,
    small: u8,
    short: i16,
    number: i32,
    long: i64,
    unsigned: u64,
    single: f32,
    double: f64,
    money: Money,
    #[serde(with = "character")]
    letter: char,
    text: Option<String>,
    bytes: Option<Binary>,
    when: DateTime,
    local: DateTime,
    when_offset: Offset,
    span: Span,
    id: Guid,
    colour: Colour,
    maybe: Option<i32>,
    nothing: Option<i32>,
    nested: Option<Vec<Vec<i32>>>,
    map: Option<rmpv::Value>,
    branch: Option<Branch>,
    mixed: Option<Vec<rmpv::Value>>,
}

impl Everything {
    /// The reference's sample.
    pub(crate) fn sample() -> Self {
        let branch = |name: &str, leaves, next| Branch { name: Some(name.to_owned()), leaves, next };
        Self {
            flag: true,
            small: 200,
            short: -300,
            number: 70000,
            long: 9_007_199_254_740_993,
            unsigned: u64::MAX,
            single: 1.5,
            double: 0.1,
            money: Money("12.340".parse().ok()),
            letter: 'x',
            text: Some("na\u{ef}ve <\u{65e5}\u{672c}> \u{1f600} \"'&+".to_owned()),
            bytes: Some(Binary(vec![0, 1, 254, 255])),
            when: DateTime::utc(946_782_245, 678_000_000),
            local: DateTime { time: DateTime::utc(946_782_245, 0).time, is_utc: false },
            when_offset: Offset(Timestamp::new(946_775_045, 0).and_then(|time| OffsetDate::new(time, 120))),
            span: Span(TimeSpan::from_ticks(937_840_050_000)),
            id: sample_guid(),
            colour: Colour::Green,
            maybe: Some(7),
            nothing: None,
            nested: Some(vec![vec![1, 2], vec![], vec![3]]),
            map: Some(rmpv::Value::Map(vec![("one".into(), 1.into()), ("Two".into(), 2.into())])),
            branch: Some(branch("a", Some(vec![1]), Some(Box::new(branch("b", None, None))))),
            mixed: Some(vec![1.into(), "two".into(), rmpv::Value::Nil, true.into(), 2.5.into()]),
        }
    }
}

/// 00010203-0405-0607-0706-050403020100
pub(crate) fn sample_guid() -> Guid {
    Guid([0, 1, 2, 3, 4, 5, 6, 7, 7, 6, 5, 4, 3, 2, 1, 0])
}

/// An enum: what it looks like is the payloads' style.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
enum Colour {
    #[default]
    Red,
    Green,
    Blue,
}

/// A date with .NET's knowledge of whether it is UTC, which only JSON carries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct DateTime {
    time: Timestamp,
    is_utc: bool,
}

impl DateTime {
    /// Seconds since 1970 and nanoseconds.
    pub(crate) fn utc(seconds: i64, nanos: u32) -> Self {
        Self { time: Timestamp::new(seconds, nanos).unwrap_or_default(), is_utc: true }
    }
}

/// The first of January of the year 1, as in .NET.
const YEAR_ONE: i64 = -62_135_596_800;

impl Default for DateTime {
    fn default() -> Self {
        Self { time: Timestamp::new(YEAR_ONE, 0).unwrap_or_default(), is_utc: false }
    }
}

impl Serialize for DateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_utc || !serializer.is_human_readable() {
            return self.time.serialize(serializer);
        }
        let text = serde_json::to_value(self.time).map_err(serde::ser::Error::custom)?;
        text.as_str().unwrap_or_default().trim_end_matches('Z').serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DateTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Timestamp::deserialize(deserializer).map(|time| Self { time, is_utc: true });
        }
        let text = Cow::<str>::deserialize(deserializer)?;
        let has_zone = text.ends_with('Z') || text.rfind(['+', '-']).is_some_and(|at| at > 10);
        let time = serde_json::from_value(text.as_ref().into()).map_err(D::Error::custom)?;
        Ok(Self { time, is_utc: has_zone })
    }
}

/// A date with an offset whose default is .NET's.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Offset(Option<OffsetDate>);

impl Default for Offset {
    fn default() -> Self {
        Self(Timestamp::new(YEAR_ONE, 0).and_then(|time| OffsetDate::new(time, 0)))
    }
}

impl Serialize for Offset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        OffsetDate::deserialize(deserializer).map(|date| Self(Some(date)))
    }
}

/// A time span whose default is zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Span(TimeSpan);

impl Default for Span {
    fn default() -> Self {
        Self(TimeSpan::from_ticks(0))
    }
}

/// A decimal whose default is zero.
#[derive(Debug, Clone, Default, PartialEq)]
struct Money(Option<Decimal>);

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.clone().or_else(|| "0".parse().ok()) {
            Some(decimal) => decimal.serialize(serializer),
            None => Err(serde::ser::Error::custom("zero is a decimal")),
        }
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Decimal::deserialize(deserializer).map(|decimal| Self(Some(decimal)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signalr_protocol::{HubProtocol, NamingPolicy, Payload, PayloadStyle, Protocol};
    use std::collections::BTreeMap;

    #[test]
    fn names_are_read_in_any_spelling_and_written_in_camel_case() {
        let style = PayloadStyle::dotnet(Protocol::Json);
        let text = br#"{"NUMBER":3,"whenOffset":"2000-01-02T03:04:05+02:00"}"#;
        let value: Everything = Payload::new(Protocol::Json, text).with_style(style).decode().unwrap();
        assert_eq!(value.number, 3);
        let mut out = Vec::new();
        HubProtocol::new(Protocol::Json).with_style(style).write_value(&mut out, &value).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            r#""number":3"#,
            r#""whenOffset":"2000-01-02T03:04:05+02:00""#,
            r#""when":"0001-01-01T00:00:00""#,
            r#""colour":0"#,
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn the_sample_survives_both_protocols() {
        for kind in Protocol::ALL {
            let protocol = HubProtocol::new(kind).with_style(PayloadStyle::dotnet(kind));
            let mut out = Vec::new();
            protocol.write_value(&mut out, &Everything::sample()).unwrap();
            let read: Everything = Payload::new(kind, &out).with_style(protocol.style()).decode().unwrap();
            // MessagePack does not say which dates are UTC.
            assert_eq!(Everything { local: Everything::sample().local, ..read }, Everything::sample());
        }
    }

    /// What the reference wrote for its own sample, with `--json-names camel` and `declared`.
    const RECORDED: &str = include_str!("../../../data/everything.json");

    #[test]
    fn every_naming_policy_writes_what_the_reference_wrote() {
        let recorded: BTreeMap<String, String> = serde_json::from_str(RECORDED).unwrap();
        let camel = PayloadStyle::dotnet(Protocol::Json);
        for (kind, style) in [("camel", camel), ("declared", camel.names(NamingPolicy::PascalCase))] {
            let mut out = Vec::new();
            let json = HubProtocol::new(Protocol::Json).with_style(style);
            json.write_value(&mut out, &Everything::sample()).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), recorded[kind], "{kind}");
        }
    }
}
