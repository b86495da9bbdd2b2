//! Values whose type is known only at run time: arguments of control requests, and whatever a client sends to `Echo`.
//!
//! Owns the notation of `dotnet-peer` for what JSON has no values for: `{"$bytes":"base64"}`, `{"$date":"iso"}`,
//! `{"$offset":"iso"}`, `{"$guid":"..."}`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use signalr_protocol::values::{Binary, Guid, OffsetDate, Timestamp};

/// A JSON value that is written as the .NET value for which it stands.
#[derive(Debug, Clone)]
pub(crate) struct Plain(pub(crate) Value);

impl Serialize for Plain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Value::Array(items) => serializer.collect_seq(items.iter().cloned().map(Plain)),
            Value::Object(map) => match single(map) {
                Some(("$bytes", text)) => typed(STANDARD.decode(text).ok().map(Binary), serializer),
                Some(("$date", text)) => typed(parsed::<Timestamp>(text), serializer),
                Some(("$offset", text)) => typed(parsed::<OffsetDate>(text), serializer),
                Some(("$guid", text)) => typed(parsed::<Guid>(text), serializer),
                _ => serializer.collect_map(map.iter().map(|(key, value)| (key, Plain(value.clone())))),
            },
            other => other.serialize(serializer),
        }
    }
}

fn single(map: &serde_json::Map<String, Value>) -> Option<(&str, &str)> {
    let (key, value) = map.iter().next().filter(|_| map.len() == 1)?;
    Some((key, value.as_str()?))
}

fn parsed<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(Value::String(text.to_owned())).ok()
}

fn typed<T: Serialize, S: Serializer>(value: Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(serializer),
        None => Err(serde::ser::Error::custom("the text does not have the announced form")),
    }
}

/// What arrived, in the same notation.
pub(crate) fn to_json(value: &rmpv::Value) -> Value {
    match value {
        rmpv::Value::Nil => Value::Null,
        rmpv::Value::Boolean(flag) => json!(flag),
        rmpv::Value::Integer(number) => {
            number.as_i64().map_or_else(|| json!(number.as_u64()), |number| json!(number))
        }
        rmpv::Value::F32(number) => json!(number),
        rmpv::Value::F64(number) => json!(number),
        rmpv::Value::String(text) => json!(text.as_str()),
        rmpv::Value::Binary(bytes) => json!({ "$bytes": STANDARD.encode(bytes) }),
        rmpv::Value::Array(items) => items.iter().map(to_json).collect(),
        rmpv::Value::Map(pairs) => {
            Value::Object(pairs.iter().map(|(key, value)| (key_text(key), to_json(value))).collect())
        }
        rmpv::Value::Ext(-1, bytes) => json!({ "$date": timestamp(bytes) }),
        rmpv::Value::Ext(kind, bytes) => json!({ "$type": kind, "$bytes": STANDARD.encode(bytes) }),
    }
}

fn key_text(key: &rmpv::Value) -> String {
    key.as_str().map_or_else(|| key.to_string(), str::to_owned)
}

/// The three forms of MessagePack's timestamp.
fn timestamp(bytes: &[u8]) -> Option<Timestamp> {
    let word = |bytes: &[u8]| bytes.iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
    match bytes.len() {
        4 => Timestamp::new(word(bytes) as i64, 0),
        8 => Timestamp::new((word(bytes) & 0x3_ffff_ffff) as i64, (word(bytes) >> 34) as u32),
        12 => Timestamp::new(word(&bytes[4..]) as i64, word(&bytes[..4]) as u32),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_is_read_and_written() {
        let sent =
            Plain(json!([{ "$bytes": "AAEC" }, { "a": [1, null] }, { "$date": "2000-01-02T03:04:05.5Z" }]));
        assert_eq!(
            serde_json::to_string(&sent).unwrap(),
            r#"["AAEC",{"a":[1,null]},"2000-01-02T03:04:05.5Z"]"#
        );
        assert!(serde_json::to_string(&Plain(json!({ "$guid": "x" }))).is_err());
        let arrived = rmpv::Value::Array(vec![
            rmpv::Value::Binary(vec![0, 1, 2]),
            rmpv::Value::Ext(-1, vec![0, 0, 0, 0]),
            rmpv::Value::Map(vec![("a".into(), 1.5.into())]),
        ]);
        let expected = json!([{ "$bytes": "AAEC" }, { "$date": "1970-01-01T00:00:00Z" }, { "a": 1.5 }]);
        assert_eq!(to_json(&arrived), expected);
    }
}
