//! A serde module for `uuid::Uuid`: 36 characters in both protocols, as .NET's `Guid`. `Uuid`'s own serde support
//! would write sixteen raw bytes into MessagePack, which .NET refuses.

use super::guid::Guid;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

impl From<Uuid> for Guid {
    fn from(uuid: Uuid) -> Self {
        Self(*uuid.as_bytes())
    }
}

impl From<Guid> for Uuid {
    fn from(guid: Guid) -> Self {
        Uuid::from_bytes(guid.0)
    }
}

/// Writes a `Uuid`.
///
/// # Errors
/// Only the serialiser's own.
pub fn serialize<S: Serializer>(uuid: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    Guid::from(*uuid).serialize(serializer)
}

/// Reads a `Uuid`.
///
/// # Errors
/// No GUID with dashes.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    Guid::deserialize(deserializer).map(Uuid::from)
}
