//! Time as this crate shows it: a moment of the runtime's clock, without the runtime's type.
//!
//! Follows tokio's clock, so that time-outs are tested with paused time.

use std::ops::Add;
use std::time::Duration;

/// A moment of the runtime's monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(tokio::time::Instant);

impl Instant {
    /// This moment. Under paused tokio time it stands still until time is advanced.
    pub fn now() -> Self {
        Self(tokio::time::Instant::now())
    }

    /// Time since `earlier`; zero when that is later.
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// Time since this moment.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) fn of(moment: tokio::time::Instant) -> Self {
        Self(moment)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, time: Duration) -> Instant {
        Self(self.0 + time)
    }
}
