//! Vectors of MessagePack as Rust values, and values decoded by the names of their types.
//!
//! Owns the notation of the vector files (`$bin_b64`, `$times`, ...) and the Rust type for each type name; does not
//! judge. Values are kept as `rmpv::Value`, which keeps widths and the order of maps.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rmpv::Value;
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde::{Deserialize as DeriveDeserialize, Serialize};
use signalr_protocol::values::{Binary, Decimal, Guid, OffsetDate, TimeSpan, Timestamp, character};
use signalr_protocol::{Arguments, BindError, HubProtocol, Payload, Protocol};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;

pub(crate) const MESSAGEPACK: HubProtocol = HubProtocol::new(Protocol::MessagePack);

/// A member of a vector entry.
pub(crate) fn get<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.as_map()?.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
}

/// A text member, or nothing when it is absent or null.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    get(value, key)?.as_str()
}

pub(crate) fn base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).expect("the vector file holds base64")
}

/// The framed bytes of an entry.
pub(crate) fn framed(entry: &Value) -> Vec<u8> {
    if let Some(parts) = get(entry, "framed_parts") {
        let parts = parts.as_array().expect("a list of parts");
        return parts.iter().flat_map(part).collect();
    }
    if let Some(framed) = text(entry, "framed_b64") {
        return base64(framed);
    }
    let body = base64(text(entry, "body_b64").expect("body_b64"));
    let length = u8::try_from(body.len()).ok().filter(|length| *length < 0x80).expect("a short body");
    [&[length], &body[..]].concat()
}

fn part(part: &Value) -> Vec<u8> {
    let times = get(part, "times").and_then(Value::as_u64).unwrap_or(1) as usize;
    base64(text(part, "b64").expect("b64")).repeat(times)
}

/// A value in the notation of the vectors as MessagePack would hold it.
pub(crate) fn value(notation: &Value) -> Value {
    match notation {
        Value::Array(items) => Value::Array(items.iter().map(value).collect()),
        Value::Map(members) => special(notation).unwrap_or_else(|| {
            Value::Map(members.iter().map(|(key, item)| (key.clone(), value(item))).collect())
        }),
        plain => plain.clone(),
    }
}

fn special(notation: &Value) -> Option<Value> {
    if let Some(bytes) = text(notation, "$bin_b64") {
        return Some(Value::Binary(base64(bytes)));
    }
    if let Some(number) = get(notation, "$float64") {
        return Some(Value::F64(float(number)));
    }
    if let Some(number) = get(notation, "$float32") {
        return Some(Value::F32(float(number) as f32));
    }
    if let Some(pairs) = get(notation, "$map") {
        let pair = |pair: &Value| {
            let pair = pair.as_array().expect("a pair");
            (value(&pair[0]), value(&pair[1]))
        };
        return Some(Value::Map(pairs.as_array()?.iter().map(pair).collect()));
    }
    if let Some(times) = get(notation, "$times") {
        return Some(repeated(&value(get(notation, "$of")?), times.as_u64()? as usize));
    }
    let kind = get(notation, "$ext_type")?.as_i64()? as i8;
    if let Some(data) = text(notation, "$data_b64") {
        return Some(Value::Ext(kind, base64(data)));
    }
    let seconds =
        get(notation, "$timestamp32_seconds").or_else(|| get(notation, "$timestamp_seconds"))?.as_i64()?;
    let nanos = get(notation, "$timestamp_nanoseconds").and_then(Value::as_u64).unwrap_or(0);
    Some(Value::Ext(kind, timestamp(seconds, nanos)))
}

fn timestamp(seconds: i64, nanos: u64) -> Vec<u8> {
    match u64::try_from(seconds) {
        Ok(seconds) if nanos == 0 && seconds >> 32 == 0 => (seconds as u32).to_be_bytes().to_vec(),
        Ok(seconds) if seconds >> 34 == 0 => (nanos << 34 | seconds).to_be_bytes().to_vec(),
        _ => [&(nanos as u32).to_be_bytes()[..], &seconds.to_be_bytes()[..]].concat(),
    }
}

fn float(number: &Value) -> f64 {
    match number.as_str() {
        // .NET's NaN has its sign bit set.
        Some("NaN") => -f64::NAN.copysign(1.0),
        Some(text) => text.parse().expect("a float in words"),
        None => number.as_f64().expect("a number"),
    }
}

fn repeated(item: &Value, times: usize) -> Value {
    match item {
        Value::String(text) => Value::from(text.as_str().expect("UTF-8").repeat(times)),
        Value::Binary(bytes) => Value::Binary(bytes.repeat(times)),
        Value::Array(items) => {
            Value::Array(items.iter().cloned().cycle().take(times * items.len()).collect())
        }
        other => panic!("{other} cannot be repeated"),
    }
}

/// Equality that takes every NaN for the same and tells zero from minus zero.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::F32(a), Value::F32(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
        (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, item)| b.iter().any(|(k, i)| same(key, k) && same(item, i)))
        }
        (a, b) => a == b,
    }
}

/// The name of the type that an expected value has when the entry names none.
pub(crate) fn type_of(value: &Value) -> String {
    match value {
        Value::Boolean(_) => "bool".into(),
        Value::Integer(n) if n.is_u64() && !n.is_i64() => "uint64".into(),
        Value::Integer(_) => "int64".into(),
        Value::F32(_) => "float32".into(),
        Value::F64(_) => "float64".into(),
        Value::String(_) => "string".into(),
        Value::Binary(_) => "bytes".into(),
        Value::Array(items) => match items.first().map(type_of) {
            Some(first) if items.iter().all(|item| type_of(item) == first) => format!("{first}[]"),
            _ => "any".into(),
        },
        Value::Map(_) if get(value, "StringProp").is_some() => "custom".into(),
        _ => "any".into(),
    }
}

/// Decodes one payload as the named type and gives what that type writes.
pub(crate) fn decode(payload: Payload<'_>, name: &str) -> Result<Value, BindError> {
    TYPES.with_borrow_mut(|types| *types = VecDeque::from([name.to_owned()]));
    payload.decode::<Named>().map(|named| named.0)
}

/// Decodes arguments as the named types.
pub(crate) fn decode_arguments(arguments: &Arguments<'_>, names: &[String]) -> Result<Vec<Value>, BindError> {
    TYPES.with_borrow_mut(|types| *types = names.iter().cloned().collect());
    macro_rules! by_count {
        ($($count:literal: $($name:ident)*;)*) => {
            match names.len() {
                $($count => {
                    let ($($name,)*) = arguments.decode()?;
                    Ok(vec![$({ let value: Named = $name; value.0 }),*])
                })*
                // More than a tuple takes: as one list.
                _ => Payload::new(arguments.protocol(), arguments.bytes())
                    .decode::<Vec<Named>>()
                    .map(|all| all.into_iter().map(|named| named.0).collect()),
            }
        };
    }
    by_count! {
        0: ; 1: a; 2: a b; 3: a b c; 4: a b c d; 5: a b c d e; 6: a b c d e f; 7: a b c d e f g;
        8: a b c d e f g h; 9: a b c d e f g h i; 10: a b c d e f g h i j; 11: a b c d e f g h i j k;
        12: a b c d e f g h i j k l;
    }
}

/// Bytes of a value in the protocol's payload format.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    MESSAGEPACK.write_value(&mut out, value).expect("serialises");
    out
}

thread_local! {
    /// The types of the values that are decoded next.
    static TYPES: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

/// A value of the next named type.
struct Named(Value);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name =
            TYPES.with_borrow_mut(VecDeque::pop_front).ok_or_else(|| D::Error::custom("no type left"))?;
        Typed(&name).deserialize(deserializer).map(Named)
    }
}

/// Decodes as the named type.
#[derive(Clone, Copy)]
struct Typed<'t>(&'t str);

impl<'de> DeserializeSeed<'de> for Typed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if let Some(inner) = self.0.strip_suffix('?') {
            return deserializer.deserialize_option(Nullable(Typed(inner)));
        }
        if let Some(item) = self.0.strip_suffix("[]") {
            return deserializer.deserialize_option(Nullable(List(Typed(item))));
        }
        if let Some(item) = self.0.strip_prefix("map<").and_then(|name| name.strip_suffix('>')) {
            return deserializer.deserialize_option(Nullable(Dictionary(Typed(item))));
        }
        match self.0 {
            "bool" => through::<bool, D>(deserializer),
            "int8" => through::<i8, D>(deserializer),
            "int16" => through::<i16, D>(deserializer),
            "int32" => through::<i32, D>(deserializer),
            "int64" => through::<i64, D>(deserializer),
            "uint8" => through::<u8, D>(deserializer),
            "uint16" => through::<u16, D>(deserializer),
            "uint32" => through::<u32, D>(deserializer),
            "uint64" => through::<u64, D>(deserializer),
            "float32" => through::<f32, D>(deserializer),
            "float64" => through::<f64, D>(deserializer),
            "string" | "uri" | "version" => through::<Option<String>, D>(deserializer),
            "bytes" => through::<Option<Binary>, D>(deserializer),
            "any" | "raw" => through::<Value, D>(deserializer),
            "custom" => through::<Option<Custom>, D>(deserializer),
            "names" => through::<Names, D>(deserializer),
            "enum" => through::<TestEnum, D>(deserializer),
            "datetime" => through::<Ticks, D>(deserializer),
            "datetimeoffset" => through::<OffsetDate, D>(deserializer),
            "timespan" => through::<TimeSpan, D>(deserializer),
            "guid" => through::<Guid, D>(deserializer),
            "decimal" => through::<Decimal, D>(deserializer),
            "char" => through::<Character, D>(deserializer),
            "pair" => through::<(String, i32), D>(deserializer),
            other => panic!("no Rust type for {other}"),
        }
    }
}

fn through<'de, T: DeserializeOwned + Serialize, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Value, D::Error> {
    let bytes = encode(&T::deserialize(deserializer)?);
    Ok(rmpv::decode::read_value(&mut &bytes[..]).expect("what was written is MessagePack"))
}

struct Nullable<S>(S);

impl<'de, S: DeserializeSeed<'de, Value = Value>> Visitor<'de> for Nullable<S> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nil or a value")
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.deserialize(deserializer)
    }
}

struct List<'t>(Typed<'t>);

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.0)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }
}

struct Dictionary<'t>(Typed<'t>);

impl<'de> DeserializeSeed<'de> for Dictionary<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Dictionary<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut pairs: Vec<(Value, Value)> = Vec::new();
        while let Some(key) = items.next_key::<String>()? {
            let item = items.next_value_seed(self.0)?;
            pairs.retain(|(k, _)| k.as_str() != Some(&key));
            pairs.push((key.into(), item));
        }
        Ok(Value::Map(pairs))
    }
}

/// The class of the reference's own tests.
#[derive(Serialize, DeriveDeserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Custom {
    string_prop: Option<String>,
    double_prop: f64,
    int_prop: i32,
    date_time_prop: Timestamp,
    null_prop: Option<Value>,
    byte_arr_prop: Option<Binary>,
}

impl Default for Custom {
    fn default() -> Self {
        Self {
            string_prop: None,
            double_prop: 0.0,
            int_prop: 0,
            date_time_prop: Timestamp::new(-62_135_596_800, 0).expect("no nanoseconds"),
            null_prop: None,
            byte_arr_prop: None,
        }
    }
}

#[derive(Serialize, DeriveDeserialize)]
struct Names {
    #[serde(rename = "ID")]
    id: i32,
    #[serde(rename = "URLValue")]
    url_value: i32,
    #[serde(rename = "IOStream")]
    io_stream: i32,
    #[serde(rename = "A1")]
    a1: i32,
    #[serde(rename = "ABc")]
    abc: i32,
    #[serde(rename = "alreadyLower")]
    already_lower: i32,
    #[serde(rename = "_Underscore")]
    underscore: i32,
    #[serde(rename = "\u{dc}nicode")]
    unicode: i32,
    #[serde(rename = "Keys")]
    keys: std::collections::BTreeMap<String, i32>,
}

#[derive(Serialize, DeriveDeserialize)]
enum TestEnum {
    Zero,
    One,
}

/// A `Timestamp` cut to .NET's 100 ns; ours keeps every nanosecond.
#[derive(Serialize)]
#[serde(transparent)]
struct Ticks(Timestamp);

impl<'de> Deserialize<'de> for Ticks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let full = Timestamp::deserialize(deserializer)?;
        let cut = Timestamp::new(full.seconds(), full.nanos() / 100 * 100);
        cut.map(Self).ok_or_else(|| D::Error::custom("too many nanoseconds"))
    }
}

#[derive(Serialize, DeriveDeserialize)]
#[serde(transparent)]
struct Character(#[serde(with = "character")] char);
