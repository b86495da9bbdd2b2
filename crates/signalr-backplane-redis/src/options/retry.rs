//! How long to wait between attempts to connect, as the configuration says it.
//!
//! Pure. The randomness comes in as an argument; whoever waits owns the clock.

use std::time::Duration;

/// The wait between two attempts to reach a server that is gone: the reference's `IReconnectRetryPolicy`.
///
/// Attempts never end; only the waits grow. The default is exponential from 50 ms up to 1 s, so that a Redis that is back is
/// found within about a second. The reference's library waits longer: from half the connect time-out up to 10 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReconnectRetryPolicy {
    /// Doubling waits, each shortened by up to half at random, so that a fleet does not come back in step.
    Exponential {
        /// The first wait. Must not be zero.
        delta: Duration,
        /// The longest wait, at least `delta`.
        max: Duration,
    },
    /// The same wait each time. A large fleet then knocks in step; prefer the exponential policy.
    Linear {
        /// The wait. Must not be zero.
        delta: Duration,
    },
}

impl Default for ReconnectRetryPolicy {
    fn default() -> Self {
        Self::Exponential { delta: Duration::from_millis(50), max: Duration::from_secs(1) }
    }
}

impl ReconnectRetryPolicy {
    /// Exponential waits from `delta`, at most 10 s or `delta` if that is longer: the reference's
    /// `new ExponentialRetry(delta)`.
    pub fn exponential(delta: Duration) -> Self {
        Self::Exponential { delta, max: delta.max(Duration::from_secs(10)) }
    }

    /// The reference's `new LinearRetry(delta)`.
    pub fn linear(delta: Duration) -> Self {
        Self::Linear { delta }
    }

    /// The wait before the next attempt. `failures` counts the attempts that failed in a row, from 1; `random` is from
    /// 0 to 1 and shortens exponential waits by up to half.
    pub fn wait(&self, failures: u32, random: f64) -> Duration {
        match *self {
            Self::Linear { delta } => delta,
            Self::Exponential { delta, max } => {
                let doublings = failures.saturating_sub(1).min(30);
                let full = delta.saturating_mul(1 << doublings).min(max);
                full.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_waits_double_up_to_the_maximum() {
        let policy =
            ReconnectRetryPolicy::Exponential { delta: Duration::from_secs(5), max: Duration::from_secs(30) };
        let waits: Vec<u64> = (1..=6).map(|failures| policy.wait(failures, 0.0).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 30, 30, 30]);
        assert_eq!(policy.wait(1, 1.0), Duration::from_millis(2_500));
        assert_eq!(policy.wait(u32::MAX, 0.0), Duration::from_secs(30));
    }

    #[test]
    fn linear_waits_stay() {
        let policy = ReconnectRetryPolicy::linear(Duration::from_secs(5));
        assert_eq!(policy.wait(1, 0.7), policy.wait(1_000, 0.1));
    }
}
