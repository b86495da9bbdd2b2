//! Values whose type is known only from a vector: `int32`, `string?`, `map<int32>`, `datetime`...
//!
//! Reading goes through serde into the Rust type that a hub method would have, and comes back as JSON for comparing.
//! What a type reads is decided by a queue of types per thread, because serde's traits carry no context.

use serde::de::{self, DeserializeOwned, Deserializer};
use serde::ser::{self, Serialize, SerializeStruct, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use signalr_protocol::values::{Binary, Decimal, Guid, OffsetDate, TimeSpan, Timestamp};
use signalr_protocol::{BindError, DynamicArguments, HubProtocol, Payload, Protocol};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

thread_local! {
    static TYPES: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

/// Whether the type belongs to .NET.
pub(crate) fn is_dotnet(kind: &str) -> bool {
    let names = [
        "decimal",
        "char",
        "datetime",
        "datetimeoffset",
        "timespan",
        "guid",
        "uri",
        "version",
        "enum",
        "pair",
        "bytes",
        "custom",
        "names",
    ];
    names.contains(&kind)
}

/// Reads one value as that type.
pub(crate) fn decode(payload: Payload<'_>, kind: &str) -> Result<Value, BindError> {
    expect_types(&[kind]);
    payload.decode::<Read>().map(|read| read.0)
}

/// Reads arguments as a method with those parameters does.
pub(crate) fn decode_arguments(
    arguments: &signalr_protocol::Arguments<'_>,
    kinds: &[&str],
) -> Result<Vec<Value>, BindError> {
    macro_rules! tuple {
        ($($name:ident)*) => {{
            let ($($name,)*): ($(tuple!(@type $name),)*) = arguments.decode()?;
            Ok(vec![$($name.0),*])
        }};
        (@type $name:ident) => { Read };
    }
    expect_types(kinds);
    match kinds.len() {
        0 => arguments.decode::<()>().map(|()| Vec::new()),
        1 => tuple!(a),
        2 => tuple!(a b),
        3 => tuple!(a b c),
        4 => tuple!(a b c d),
        5 => tuple!(a b c d e),
        6 => tuple!(a b c d e f),
        7 => tuple!(a b c d e f g),
        8 => tuple!(a b c d e f g h),
        n => panic!("no vector has {n} parameters to read"),
    }
}

/// Arguments repeat when a message says them twice, so the queue is read in circles.
fn expect_types(kinds: &[&str]) {
    TYPES.with_borrow_mut(|types| *types = kinds.iter().map(|k| (*k).to_owned()).collect());
}

fn next_type() -> String {
    TYPES.with_borrow_mut(|types| {
        let kind = types.pop_front().unwrap();
        types.push_back(kind.clone());
        kind
    })
}

struct Read(Value);

impl<'de> de::Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, &next_type()).map(Read)
    }
}

fn read<'de, D: Deserializer<'de>>(d: D, kind: &str) -> Result<Value, D::Error> {
    fn plain<'de, T: de::Deserialize<'de> + Serialize, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Value, D::Error> {
        T::deserialize(d).map(|value| json!(value))
    }
    Ok(match kind {
        "bool" => plain::<bool, D>(d)?,
        "int8" => plain::<i8, D>(d)?,
        "int16" => plain::<i16, D>(d)?,
        "int32" | "enum" => plain::<i32, D>(d)?,
        "int64" => plain::<i64, D>(d)?,
        "uint8" => plain::<u8, D>(d)?,
        "uint16" => plain::<u16, D>(d)?,
        "uint32" => plain::<u32, D>(d)?,
        "uint64" => plain::<u64, D>(d)?,
        "float32" => float(f32::deserialize_from(d)?.to_string().parse().unwrap_or(f64::NAN)),
        "float64" => float(f64::deserialize_from(d)?),
        // A string of .NET may be null.
        "string" | "uri" | "version" => plain::<Option<String>, D>(d)?,
        "char" => plain::<char, D>(d)?,
        "any" | "raw" => raw(Box::<RawValue>::deserialize_from(d)?.get()),
        "int32?" => plain::<Option<i32>, D>(d)?,
        "int32[]" => plain::<Vec<i32>, D>(d)?,
        "int32[][]" => plain::<Vec<Vec<i32>>, D>(d)?,
        "map<int32>" => plain::<BTreeMap<String, i32>, D>(d)?,
        "datetime" => written(&Timestamp::deserialize_from(d)?),
        "datetimeoffset" => written(&OffsetDate::deserialize_from(d)?),
        "timespan" => written(&TimeSpan::deserialize_from(d)?),
        "guid" => written(&Guid::deserialize_from(d)?),
        "bytes" => written(&Binary::deserialize_from(d)?),
        "decimal" => written(&Decimal::deserialize_from(d)?),
        "custom" => Option::<Custom>::deserialize_from(d)?.map_or(Value::Null, |custom| custom.to_value()),
        other => return Err(de::Error::custom(format!("the type {other} is not known to the test"))),
    })
}

/// `Deserialize::deserialize` with the type in front.
trait DeserializeFrom<'de>: de::Deserialize<'de> {
    fn deserialize_from<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::deserialize(d)
    }
}

impl<'de, T: de::Deserialize<'de>> DeserializeFrom<'de> for T {}

fn float(value: f64) -> Value {
    if value == 0.0 && value.is_sign_negative() {
        return raw("-0");
    }
    if value.is_infinite() {
        return json!({ "$float64": if value > 0.0 { "Infinity" } else { "-Infinity" } });
    }
    json!(value)
}

fn raw(text: &str) -> Value {
    json!({ "$raw_json": text })
}

/// The value as the library writes it, as raw JSON.
fn written<T: Serialize>(value: &T) -> Value {
    let mut out = Vec::new();
    HubProtocol::new(Protocol::Json).write_value(&mut out, value).unwrap();
    raw(std::str::from_utf8(&out).unwrap())
}

/// Whether a value that was read is the expected one: numbers by value, raw JSON by its text.
pub(crate) fn same(actual: &Value, expected: &Value) -> bool {
    match (raw_text(actual), raw_text(expected)) {
        (Some(actual), Some(expected)) => actual == expected,
        (Some(text), None) => serde_json::from_str::<Value>(text).is_ok_and(|v| same(&v, expected)),
        (None, Some(text)) => serde_json::from_str::<Value>(text).is_ok_and(|v| same(actual, &v)),
        (None, None) => same_value(actual, expected),
    }
}

fn same_value(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (Value::Number(a), Value::Number(e)) => {
            a == e || a.is_f64() != e.is_f64() && a.as_f64() == e.as_f64()
        }
        (Value::Array(a), Value::Array(e)) => a.len() == e.len() && a.iter().zip(e).all(|(a, e)| same(a, e)),
        (Value::Object(a), Value::Object(e)) => {
            a.len() == e.len() && a.iter().all(|(name, a)| e.get(name).is_some_and(|e| same(a, e)))
        }
        _ => actual == expected,
    }
}

fn raw_text(value: &Value) -> Option<&str> {
    value.get("$raw_json")?.as_str()
}

/// A value to be written as that type; `settings` are the names and omissions of the reference's custom object.
pub(crate) struct Write {
    pub(crate) kind: String,
    pub(crate) value: Value,
    /// The message's text, which has members in the order of writing; the loaded file sorts them.
    pub(crate) text: String,
    pub(crate) settings: Settings,
}

/// `payload_settings` of an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) camel_case: bool,
    pub(crate) omit_defaults: bool,
}

/// Arguments to be written.
pub(crate) type WriteArguments = DynamicArguments<Write>;

impl Serialize for Write {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let value = match raw_text(&self.value) {
            Some(text) => serde_json::from_str(text).map_err(ser::Error::custom)?,
            None => self.value.clone(),
        };
        match self.kind.as_str() {
            "float32" => s.serialize_f32(value.as_f64().unwrap() as f32),
            "float64" => s.serialize_f64(value.as_f64().unwrap()),
            "int32?" => value.as_i64().map(|v| v as i32).serialize(s),
            "any" if raw_text(&self.value).is_some() => {
                RawValue::from_string(raw_text(&self.value).unwrap().into())
                    .map_err(ser::Error::custom)?
                    .serialize(s)
            }
            "datetime" => self.convert::<Timestamp, S>(s),
            "datetimeoffset" => self.convert::<OffsetDate, S>(s),
            "timespan" => self.convert::<TimeSpan, S>(s),
            "guid" => self.convert::<Guid, S>(s),
            "bytes" => self.convert::<Binary, S>(s),
            "decimal" => self.convert::<Decimal, S>(s),
            "custom" => Custom::from_value(&value).serialize(s, self.settings),
            _ => Ordered(&value, &self.text).serialize(s),
        }
    }
}

impl Write {
    fn convert<T: DeserializeOwned + Serialize, S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let text = raw_text(&self.value).map_or_else(|| self.value.to_string(), str::to_owned);
        let payload = Payload::new(Protocol::Json, text.as_bytes());
        payload.decode::<T>().map_err(|e| ser::Error::custom(format!("{e:?}")))?.serialize(s)
    }
}

/// A value whose members are written in the order in which a text has them.
struct Ordered<'a>(&'a Value, &'a str);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().map(|(n, v)| (n, Ordered(v, self.1))).collect();
                members.sort_by_key(|(name, _)| self.1.find(&format!("\"{name}\":")));
                s.collect_map(members)
            }
            Value::Array(items) => s.collect_seq(items.iter().map(|item| Ordered(item, self.1))),
            other => other.serialize(s),
        }
    }
}

/// The object that the reference's own tests send.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Custom {
    string_prop: Option<String>,
    double_prop: f64,
    int_prop: i32,
    date_time_prop: Option<String>,
    null_prop: Option<Value>,
    byte_arr_prop: Option<Binary>,
}

impl Custom {
    fn from_value(value: &Value) -> Self {
        Payload::new(Protocol::Json, value.to_string().as_bytes()).decode().unwrap()
    }

    fn to_value(&self) -> Value {
        json!({
            "stringProp": self.string_prop,
            "doubleProp": self.double_prop,
            "intProp": self.int_prop,
            "dateTimeProp": self.date_time_prop.as_deref().unwrap_or("0001-01-01T00:00:00"),
            "nullProp": self.null_prop,
            "byteArrProp": self.byte_arr_prop.as_ref().map(written),
        })
    }

    fn serialize<S: Serializer>(&self, s: S, settings: Settings) -> Result<S::Ok, S::Error> {
        let name =
            |camel: &'static str, pascal: &'static str| if settings.camel_case { camel } else { pascal };
        let mut out = s.serialize_struct("Custom", 6)?;
        out.serialize_field(name("stringProp", "StringProp"), &self.string_prop)?;
        out.serialize_field(name("doubleProp", "DoubleProp"), &self.double_prop)?;
        out.serialize_field(name("intProp", "IntProp"), &self.int_prop)?;
        out.serialize_field(name("dateTimeProp", "DateTimeProp"), &self.date_time_prop)?;
        if self.null_prop.is_some() || !settings.omit_defaults {
            out.serialize_field(name("nullProp", "NullProp"), &self.null_prop)?;
        }
        out.serialize_field(name("byteArrProp", "ByteArrProp"), &self.byte_arr_prop)?;
        out.end()
    }
}
