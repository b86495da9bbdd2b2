//! The circuit breaker in front of publishing: after some failures in a row nothing is published until Redis has shown
//! life.
//!
//! Owns the states; pure. While it is open nothing is handed to the publisher, so that a dead Redis costs nothing per
//! call; each new connection is a trial (half-open) that one small message must pass. Who makes trials, and what "open"
//! means for a send, is the publisher's and the outage rules' business.

use std::time::Duration;

/// Failures in a row that open it.
const FAILURES: u32 = 3;
/// The longest time between two trials.
const PAUSE: Duration = Duration::from_secs(30);

/// Closed, open or half-open.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Closed,
    Open,
    HalfOpen,
}

/// A change that people want to know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Opened,
    HalfOpened,
    Closed,
}

impl Breaker {
    /// A connection is there. True when a trial must be passed before anything else is sent.
    pub(crate) fn needs_trial(&mut self) -> bool {
        if self.state == State::Open {
            self.state = State::HalfOpen;
        }
        self.state == State::HalfOpen
    }

    /// A pause before the next attempt, cut to the longest time between two trials.
    pub(crate) fn pause(&self, pause: Duration) -> Duration {
        if self.state == State::Closed { pause } else { pause.min(PAUSE) }
    }

    /// Something failed that a healthy Redis does.
    pub(crate) fn failed(&mut self) -> Option<Change> {
        self.failures = self.failures.saturating_add(1);
        let old = self.state;
        if self.failures < FAILURES && old == State::Closed {
            return None;
        }
        self.state = State::Open;
        (old == State::Closed).then_some(Change::Opened)
    }

    /// Redis has done what was asked, in a trial or otherwise.
    pub(crate) fn proved(&mut self) -> Option<Change> {
        self.failures = 0;
        (std::mem::take(&mut self.state) != State::Closed).then_some(Change::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        assert_eq!(
            [breaker.failed(), breaker.failed(), breaker.failed()],
            [None, None, Some(Change::Opened)]
        );
        breaker
    }

    #[test]
    fn three_failures_in_a_row_open_it() {
        let mut breaker = Breaker::default();
        assert_eq!([breaker.failed(), breaker.failed(), breaker.proved()], [None, None, None]);
        assert_eq!([breaker.failed(), breaker.failed()], [None, None]);
        assert!(!breaker.needs_trial());
        assert_eq!(breaker.failed(), Some(Change::Opened));
        assert!(breaker.needs_trial());
    }

    #[test]
    fn a_failed_trial_opens_it_again_without_another_event() {
        let mut breaker = opened();
        assert!(breaker.needs_trial());
        assert_eq!(breaker.failed(), None);
        assert!(breaker.needs_trial(), "the next connection is a trial again");
    }

    #[test]
    fn a_trial_that_is_passed_closes_it_at_once() {
        let mut breaker = opened();
        assert!(breaker.needs_trial());
        assert_eq!(breaker.proved(), Some(Change::Closed));
        assert!(!breaker.needs_trial());
        assert_eq!(breaker.failed(), None, "failures are counted anew");
    }

    #[test]
    fn trials_are_never_more_than_half_a_minute_apart() {
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(300));
        assert_eq!(Breaker::default().pause(long), long);
        let breaker = opened();
        assert_eq!((breaker.pause(short), breaker.pause(long)), (short, PAUSE));
    }
}
