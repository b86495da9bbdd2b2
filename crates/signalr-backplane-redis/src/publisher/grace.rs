//! How long kept messages wait for the rest of the fleet when it cannot be counted, or is not complete.
//!
//! Owns the rule; pure. The fleet's time runs from when messages could first be published and received again. A publisher
//! that is lost once more does not begin it anew, because nobody else has lost anything by that; a subscriber that is lost
//! does, because then Redis itself may have been away.

use std::time::Duration;
use tokio::time::Instant;

/// The fleet's time to come back.
const GRACE: Duration = Duration::from_secs(2);
/// However long the fleet has had: so long each connection of the publisher is looked at before it is trusted with them.
const LOOK: Duration = Duration::from_millis(500);

/// The state of waiting, for all connections of the publisher.
#[derive(Debug, Default)]
pub(super) struct Grace {
    /// Since when, and how often the subscriber had been lost then.
    since: Option<(Instant, u64)>,
    /// Since when on this connection.
    here: Option<Instant>,
}

impl Grace {
    /// The publisher has a new connection.
    pub(super) fn connected(&mut self) {
        self.here = None;
    }

    /// Nothing waits any more.
    pub(super) fn settled(&mut self) {
        *self = Self::default();
    }

    /// Messages are kept and both ways are open: whether the fleet has had its time. `losses` counts how often the
    /// subscriber was lost.
    pub(super) fn is_over(&mut self, now: Instant, losses: u64) -> bool {
        let since = match self.since {
            Some((since, then)) if then == losses => since,
            _ => now,
        };
        self.since = Some((since, losses));
        let here = *self.here.get_or_insert(now);
        now.duration_since(since) >= GRACE && now.duration_since(here) >= LOOK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn two_seconds_pass_on_one_connection() {
        let (mut grace, start) = (Grace::default(), Instant::now());
        assert!(!grace.is_over(start, 0));
        assert!(!grace.is_over(start + SECOND, 0));
        assert!(grace.is_over(start + 2 * SECOND, 0));
        grace.settled();
        assert!(!grace.is_over(start + 3 * SECOND, 0), "the next outage has a time of its own");
    }

    #[tokio::test(start_paused = true)]
    async fn a_publisher_that_is_lost_again_does_not_begin_anew() {
        let (mut grace, start) = (Grace::default(), Instant::now());
        assert!(!grace.is_over(start, 0));
        grace.connected();
        assert!(!grace.is_over(start + 2 * SECOND, 0), "the new connection was not looked at yet");
        assert!(grace.is_over(start + 2 * SECOND + LOOK, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscriber_that_is_lost_does() {
        let (mut grace, start) = (Grace::default(), Instant::now());
        assert!(!grace.is_over(start, 0));
        assert!(!grace.is_over(start + 2 * SECOND, 1));
        assert!(!grace.is_over(start + 3 * SECOND, 1));
        assert!(grace.is_over(start + 4 * SECOND, 1));
    }
}
