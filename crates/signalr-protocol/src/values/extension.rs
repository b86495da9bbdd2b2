//! MessagePack's timestamp extension in serde's terms.
//!
//! Owns the three lengths of extension -1 and the way an extension goes through serde: a newtype with rmp-serde's
//! reserved name around (type, data), which our deserialiser understands too.

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;

/// Writes seconds since 1970 and nanoseconds: 4, 8 or 12 bytes, whichever holds them, as the reference does.
pub(super) fn serialize<S: Serializer>(seconds: i64, nanos: u32, serializer: S) -> Result<S::Ok, S::Error> {
    let wide = u64::try_from(seconds).ok().filter(|seconds| seconds >> 34 == 0);
    match (wide, u32::try_from(seconds)) {
        (Some(_), Ok(seconds)) if nanos == 0 => put(&seconds.to_be_bytes(), serializer),
        (Some(seconds), _) => put(&(u64::from(nanos) << 34 | seconds).to_be_bytes(), serializer),
        (None, _) => {
            let mut data = [0; 12];
            data[..4].copy_from_slice(&nanos.to_be_bytes());
            data[4..].copy_from_slice(&seconds.to_be_bytes());
            put(&data, serializer)
        }
    }
}

/// Reads seconds and nanoseconds.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(i64, u32), D::Error> {
    deserializer.deserialize_newtype_struct(EXTENSION, TimestampVisitor)
}

fn put<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(EXTENSION, &(TIMESTAMP, Raw(data)))
}

struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// At most twelve bytes of an extension.
struct Data([u8; 12], usize);

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(DataVisitor)
    }
}

struct DataVisitor;

impl Visitor<'_> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("4, 8 or 12 bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Data, E> {
        let mut data = [0; 12];
        let target = data.get_mut(..bytes.len()).ok_or_else(|| E::invalid_length(bytes.len(), &self))?;
        target.copy_from_slice(bytes);
        Ok(Data(data, bytes.len()))
    }
}

struct TimestampVisitor;

impl<'de> Visitor<'de> for TimestampVisitor {
    type Value = (i64, u32);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a timestamp extension")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(i64, u32), D::Error> {
        let (kind, Data(data, length)) = <(i8, Data)>::deserialize(deserializer)?;
        if kind != TIMESTAMP {
            return Err(D::Error::custom("an extension of another type than timestamp"));
        }
        parts(&data[..length])
            .ok_or_else(|| D::Error::custom("a timestamp of impossible length or nanoseconds"))
    }
}

fn parts(data: &[u8]) -> Option<(i64, u32)> {
    let (seconds, nanos) = match data.len() {
        4 => (i64::from(u32::from_be_bytes(data.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(data.try_into().ok()?);
            ((both & ((1 << 34) - 1)) as i64, (both >> 34) as u32)
        }
        12 => {
            let (nanos, seconds) = data.split_at(4);
            (i64::from_be_bytes(seconds.try_into().ok()?), u32::from_be_bytes(nanos.try_into().ok()?))
        }
        _ => return None,
    };
    (nanos < 1_000_000_000).then_some((seconds, nanos))
}

/// The name that rmp-serde gives a meaning to.
const EXTENSION: &str = "_ExtStruct";
const TIMESTAMP: i8 = -1;
