//! A point in time together with its zone's offset: .NET's `DateTimeOffset`.
//!
//! Owns [`OffsetDate`]. MessagePack: the local clock as a timestamp, then minutes; JSON: ISO 8601 with the offset.

use super::date;
use super::timestamp::Timestamp;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};
use std::fmt;

/// A point in time and how far the local clock was ahead of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OffsetDate {
    time: Timestamp,
    offset: i16,
}

impl OffsetDate {
    /// A point in time and the offset in minutes; `None` beyond 14 hours, .NET's limit.
    pub fn new(time: Timestamp, offset_minutes: i16) -> Option<Self> {
        (i64::from(offset_minutes).abs() <= date::MAX_OFFSET).then_some(Self { time, offset: offset_minutes })
    }

    /// The point in time.
    pub const fn time(self) -> Timestamp {
        self.time
    }

    /// How many minutes the local clock is ahead of UTC.
    pub const fn offset_minutes(self) -> i16 {
        self.offset
    }

    fn local_seconds(self) -> i64 {
        self.time.seconds().saturating_add(i64::from(self.offset) * 60)
    }

    fn from_local(seconds: i64, nanos: u32, offset: i16) -> Option<Self> {
        Self::new(Timestamp::new(seconds.checked_sub(i64::from(offset) * 60)?, nanos)?, offset)
    }
}

/// ISO 8601 with the offset. Fails for years outside 0001 to 9999.
impl fmt::Display for OffsetDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        date::write(f, self.local_seconds(), self.time.nanos())?;
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.unsigned_abs();
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

impl Serialize for OffsetDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            let local = Timestamp::new(self.local_seconds(), self.time.nanos()).unwrap_or_default();
            return (local, self.offset).serialize(serializer);
        }
        if !(date::MIN_SECONDS..=date::MAX_SECONDS).contains(&self.local_seconds()) {
            return Err(S::Error::custom("dates in JSON are limited to the years 0001 to 9999"));
        }
        serializer.collect_str(self)
    }
}

/// A JSON text without a zone is taken as UTC.
impl<'de> Deserialize<'de> for OffsetDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let date = if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
            let read = date::read(&text).ok_or_else(|| D::Error::custom("not a date in ISO 8601"))?;
            Self::from_local(read.seconds, read.nanos, read.offset.unwrap_or(0))
        } else {
            let (local, offset) = <(Timestamp, i16)>::deserialize(deserializer)?;
            Self::from_local(local.seconds(), local.nanos(), offset)
        };
        date.ok_or_else(|| D::Error::custom("a date or an offset out of range"))
    }
}
