//! Whether a connection is alive: counted in steps, not by the clock.
//!
//! Owns the rule; pure. A step is taken by whoever owns the connection, every [`STEP`] at the earliest. Counting steps
//! is what keeps a starved process from cutting a healthy connection: when the whole runtime is late, steps are late
//! too, and between two of them the connection's own task gets its chance to read.

use std::time::Duration;

/// Time between two steps.
pub(crate) const STEP: Duration = Duration::from_millis(250);

/// One connection's silence.
#[derive(Debug)]
pub(crate) struct Pulse {
    period: u32,
    limit: u32,
    received: u64,
    idle: u32,
    waited: u32,
}

/// What a step found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Nothing to do.
    Fine,
    /// Nothing was heard for a while and nothing is expected: ask for a sign of life.
    Ask,
    /// An answer is overdue and nothing at all was received meanwhile.
    Dead,
}

/// How many steps a time takes, one at least.
pub(crate) fn steps(time: Duration) -> u32 {
    u32::try_from(time.as_millis() / STEP.as_millis()).unwrap_or(u32::MAX).max(1)
}

impl Pulse {
    /// Asks for life after `period` without a byte, and gives up when an answer is overdue for `limit`.
    pub(crate) fn new(period: Duration, limit: Duration) -> Self {
        Self { period: steps(period), limit: steps(limit), received: 0, idle: 0, waited: 0 }
    }

    /// Takes a step. `received` counts all bytes of the connection; `waiting` says whether an answer is due.
    pub(crate) fn step(&mut self, received: u64, waiting: bool) -> Beat {
        if received != self.received {
            (self.received, self.idle, self.waited) = (received, 0, 0);
            return Beat::Fine;
        }
        self.idle += 1;
        self.waited = if waiting { self.waited + 1 } else { 0 };
        match () {
            () if self.waited >= self.limit => Beat::Dead,
            () if self.idle >= self.period && !waiting => Beat::Ask,
            () => Beat::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse() -> Pulse {
        Pulse::new(Duration::from_secs(1), Duration::from_secs(2))
    }

    #[test]
    fn a_silent_connection_is_asked_after_a_second_and_dead_two_seconds_later() {
        let mut pulse = pulse();
        let mut asked = None;
        for step in 1.. {
            match pulse.step(0, asked.is_some()) {
                Beat::Fine => {}
                Beat::Ask => asked = Some(step),
                Beat::Dead => {
                    assert_eq!((asked, step), (Some(4), 12));
                    return;
                }
            }
        }
    }

    #[test]
    fn any_byte_is_life() {
        let mut pulse = pulse();
        for received in 1..100 {
            for _ in 0..7 {
                assert_eq!(pulse.step(received, true), Beat::Fine);
            }
        }
    }

    #[test]
    fn silence_without_a_question_is_not_death() {
        let mut pulse = pulse();
        for _ in 0..100 {
            assert_ne!(pulse.step(0, false), Beat::Dead);
        }
    }
}
