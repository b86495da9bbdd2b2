//! GUIDs without a crate for them.
//!
//! Owns [`Guid`] and, as a serde module, the same form for `[u8; 16]`: 36 characters in both protocols, lower case
//! when written, either case when read. Bytes are in the order of the text (RFC 9562), which is not the order of
//! .NET's `Guid.ToByteArray`.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A GUID: sixteen bytes in the order of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Guid(pub [u8; 16]);

/// The text is no GUID of the form `00112233-4455-6677-8899-aabbccddeeff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a GUID is 32 hexadecimal digits in groups of 8-4-4-4-12 with dashes between")]
pub struct GuidError;

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if DASH_BEFORE.contains(&index) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Guid {
    type Err = GuidError;

    fn from_str(text: &str) -> Result<Self, GuidError> {
        let mut rest = text.as_bytes();
        let mut bytes = [0; 16];
        for (index, byte) in bytes.iter_mut().enumerate() {
            if DASH_BEFORE.contains(&index) {
                rest = rest.strip_prefix(b"-").ok_or(GuidError)?;
            }
            let (digits, tail) = rest.split_first_chunk::<2>().ok_or(GuidError)?;
            *byte = digit(digits[0])? << 4 | digit(digits[1])?;
            rest = tail;
        }
        if rest.is_empty() { Ok(Self(bytes)) } else { Err(GuidError) }
    }
}

fn digit(byte: u8) -> Result<u8, GuidError> {
    char::from(byte).to_digit(16).map(|digit| digit as u8).ok_or(GuidError)
}

impl Serialize for Guid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Writes sixteen bytes as a GUID.
///
/// # Errors
/// Only the serialiser's own.
pub fn serialize<S: Serializer>(bytes: &[u8; 16], serializer: S) -> Result<S::Ok, S::Error> {
    Guid(*bytes).serialize(serializer)
}

/// Reads a GUID into sixteen bytes.
///
/// # Errors
/// No GUID with dashes.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 16], D::Error> {
    Guid::deserialize(deserializer).map(|guid| guid.0)
}

const DASH_BEFORE: [usize; 4] = [4, 6, 8, 10];
