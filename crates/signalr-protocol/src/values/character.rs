//! A serde module for `char` as .NET's `char`: a UTF-16 unit.
//!
//! MessagePack: its number; JSON: a string of one character. Characters that need two units have no such form.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serializer};

/// Writes a character.
///
/// # Errors
/// The character lies outside the basic plane.
pub fn serialize<S: Serializer>(value: &char, serializer: S) -> Result<S::Ok, S::Error> {
    let unit = u16::try_from(u32::from(*value));
    match unit {
        Err(_) => Err(S::Error::custom("a .NET char cannot hold this character; send a string")),
        Ok(_) if serializer.is_human_readable() => serializer.serialize_char(*value),
        Ok(unit) => serializer.serialize_u16(unit),
    }
}

/// Reads a character.
///
/// # Errors
/// Another type, more than one character, or half of a surrogate pair.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<char, D::Error> {
    if deserializer.is_human_readable() {
        return char::deserialize(deserializer);
    }
    let unit = u16::deserialize(deserializer)?;
    char::from_u32(unit.into()).ok_or_else(|| D::Error::custom("half of a surrogate pair is no character"))
}
