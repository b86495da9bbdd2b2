//! Lengths of time: .NET's `TimeSpan`.
//!
//! Owns [`TimeSpan`] and, as a serde module, the same form for `Duration`, which cannot be negative. MessagePack: an
//! integer of 100 ns ticks; JSON: `[-][d.]hh:mm:ss[.fffffff]`.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// A length of time in ticks of 100 ns, negative or not: about 29,000 years each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TimeSpan {
    ticks: i64,
}

impl TimeSpan {
    /// So many times 100 ns.
    pub const fn from_ticks(ticks: i64) -> Self {
        Self { ticks }
    }

    /// The length in units of 100 ns.
    pub const fn ticks(self) -> i64 {
        self.ticks
    }

    /// The same length, cut to 100 ns; `None` beyond the range.
    pub fn from_duration(duration: Duration) -> Option<Self> {
        i64::try_from(duration.as_nanos() / 100).ok().map(Self::from_ticks)
    }

    /// The same length; `None` when negative.
    pub fn to_duration(self) -> Option<Duration> {
        let ticks = u64::try_from(self.ticks).ok()?;
        Some(Duration::new(ticks / SECOND, (ticks % SECOND) as u32 * 100))
    }

    fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (clock, fraction) = match text.rsplit_once('.') {
            Some((clock, fraction)) if !fraction.contains(':') => (clock, parse_fraction(fraction)?),
            _ => (text, 0),
        };
        let (days, clock) = clock.split_once('.').unwrap_or(("0", clock));
        let mut parts = clock.split(':');
        let mut part = |limit: u64| number(parts.next()?, 2).filter(|value| *value < limit);
        let (hours, minutes, seconds) = (part(24)?, part(60)?, part(60)?);
        if parts.next().is_some() {
            return None;
        }
        let whole = number(days, 8)? * 86_400 + hours * 3_600 + minutes * 60 + seconds;
        let ticks = i128::from(whole) * i128::from(SECOND) + i128::from(fraction);
        i64::try_from(if negative { -ticks } else { ticks }).ok().map(Self::from_ticks)
    }
}

fn parse_fraction(text: &str) -> Option<u64> {
    let digits = u32::try_from(text.len()).ok().filter(|digits| (1..=7).contains(digits))?;
    Some(number(text, 7)? * 10u64.pow(7 - digits))
}

fn number(text: &str, most: usize) -> Option<u64> {
    let valid = !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
    if valid { text.parse().ok() } else { None }
}

/// .NET's constant format.
impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ticks < 0 {
            f.write_str("-")?;
        }
        let ticks = self.ticks.unsigned_abs();
        let (seconds, fraction) = (ticks / SECOND, ticks % SECOND);
        if seconds >= 86_400 {
            write!(f, "{}.", seconds / 86_400)?;
        }
        write!(f, "{:02}:{:02}:{:02}", seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)?;
        if fraction > 0 { write!(f, ".{fraction:07}") } else { Ok(()) }
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.ticks)
        }
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self::from_ticks);
        }
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a time span is [-][d.]hh:mm:ss[.fffffff]"))
    }
}

/// Writes a `Duration`, cut to 100 ns.
///
/// # Errors
/// Longer than a `TimeSpan` can be.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let span = TimeSpan::from_duration(*duration);
    span.ok_or_else(|| S::Error::custom("longer than a TimeSpan can be"))?.serialize(serializer)
}

/// Reads a `Duration`.
///
/// # Errors
/// No time span, or a negative one.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let span = TimeSpan::deserialize(deserializer)?;
    span.to_duration().ok_or_else(|| D::Error::custom("a negative time span where none may be"))
}

/// Ticks in a second.
const SECOND: u64 = 10_000_000;
