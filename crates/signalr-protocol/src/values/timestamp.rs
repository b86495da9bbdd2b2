//! Points in time: .NET's `DateTime`.
//!
//! Owns [`Timestamp`] and, as a serde module, the same form for `SystemTime`. MessagePack: the timestamp extension;
//! JSON: ISO 8601. Reading a text without a zone takes it as UTC; one with an offset is converted.

use super::{date, extension};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time in UTC, to the nanosecond; .NET keeps 100 ns. `Default` is 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

impl Timestamp {
    /// Seconds since 1970 (negative before) and the nanoseconds that are to be added to them; `None` for a whole
    /// second of nanoseconds or more.
    pub const fn new(seconds: i64, nanos: u32) -> Option<Self> {
        if nanos < 1_000_000_000 { Some(Self { seconds, nanos }) } else { None }
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds to be added to the seconds, below 1,000,000,000.
    pub const fn nanos(self) -> u32 {
        self.nanos
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let signed = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self { seconds: signed(after), nanos: after.subsec_nanos() },
            Err(error) => {
                let before = error.duration();
                match before.subsec_nanos() {
                    0 => Self { seconds: -signed(before), nanos: 0 },
                    nanos => Self { seconds: -signed(before) - 1, nanos: 1_000_000_000 - nanos },
                }
            }
        }
    }
}

impl TryFrom<Timestamp> for SystemTime {
    type Error = OutOfRange;

    fn try_from(timestamp: Timestamp) -> Result<Self, OutOfRange> {
        let whole = Duration::from_secs(timestamp.seconds.unsigned_abs());
        let seconds =
            if timestamp.seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
        seconds
            .and_then(|time| time.checked_add(Duration::from_nanos(timestamp.nanos.into())))
            .ok_or(OutOfRange)
    }
}

/// The platform's `SystemTime` does not reach that far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time is out of range; keep it as a `Timestamp`")]
pub struct OutOfRange;

/// ISO 8601 with `Z`. Fails for years outside 0001 to 9999.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        date::write(f, self.seconds, self.nanos)?;
        f.write_str("Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return extension::serialize(self.seconds, self.nanos, serializer);
        }
        if !(date::MIN_SECONDS..=date::MAX_SECONDS).contains(&self.seconds) {
            return Err(S::Error::custom("dates in JSON are limited to the years 0001 to 9999"));
        }
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let (seconds, nanos) = extension::deserialize(deserializer)?;
            return Ok(Self { seconds, nanos });
        }
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let read = date::read(&text).ok_or_else(|| D::Error::custom("not a date in ISO 8601"))?;
        Ok(Self { seconds: read.seconds - i64::from(read.offset.unwrap_or(0)) * 60, nanos: read.nanos })
    }
}

/// Writes a `SystemTime`.
///
/// # Errors
/// JSON: a year outside 0001 to 9999.
pub fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    Timestamp::from(*time).serialize(serializer)
}

/// Reads a `SystemTime`.
///
/// # Errors
/// No date, or one that the platform cannot hold.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    Timestamp::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
}
