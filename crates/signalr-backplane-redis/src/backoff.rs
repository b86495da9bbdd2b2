//! How long to wait before the next attempt: counts failures in a row, and brings chance to the policy.
//!
//! Owns the count. How waits grow is the policy's; there is no last attempt.

use crate::options::ReconnectRetryPolicy;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Backoff {
    policy: ReconnectRetryPolicy,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(policy: ReconnectRetryPolicy) -> Self {
        Self { policy, failures: 0 }
    }

    /// The pause after one more failure.
    pub(crate) fn pause(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        // Without a source of chance the pause is merely not spread.
        let chance = getrandom::u32().unwrap_or(0);
        self.policy.wait(self.failures, f64::from(chance) / f64::from(u32::MAX))
    }

    /// An attempt succeeded.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_an_attempt_succeeds() {
        let (delta, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(ReconnectRetryPolicy::Exponential { delta, max });
        for full in [delta, delta * 2, delta * 4, delta * 8, max, max] {
            let pause = backoff.pause();
            assert!((full / 2..=full).contains(&pause), "{pause:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= delta);
    }
}
