//! The client's messages by number: which are new, which came again after a reconnect, and what to acknowledge
//! (stateful reconnect, B-6.2, 6.3).
//!
//! Owns the counters only; there for a connection whose handshake armed the feature.

use super::ending::Ending;
use crate::error::HubError;
use signalr_protocol::Message;

/// The counters. Numbers begin at 1; a reconnect does not reset them, it goes back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Received {
    /// The number of the message that comes next.
    next: i64,
    /// The highest number that was dealt with.
    latest: i64,
    /// What the client was told, as far as it is known to have arrived.
    acknowledged: i64,
}

impl Received {
    pub(super) fn new() -> Self {
        Self { next: 1, latest: 0, acknowledged: 0 }
    }

    /// Whether the next message was dealt with before.
    pub(super) fn is_duplicate(&self) -> bool {
        self.next <= self.latest
    }

    /// The next message is dealt with.
    pub(super) fn count(&mut self) {
        if self.next > self.latest {
            self.latest = self.next;
        } else if self.next == self.latest {
            // The client sent everything again, so it has not seen the acknowledgement. It may be waiting for it.
            self.acknowledged = self.acknowledged.min(self.latest - 1);
        }
        self.next += 1;
    }

    /// The client is back and goes on with this number.
    pub(super) fn restart(&mut self, number: i64) -> Result<(), Ending> {
        if number > self.next {
            let text = "Sequence ID greater than amount of messages we've received.";
            return Err(Ending::Fault(HubError::named("InvalidOperationException", text)));
        }
        self.next = number;
        Ok(())
    }

    /// Whether there is something to acknowledge.
    pub(super) fn owes_ack(&self) -> bool {
        self.acknowledged < self.latest
    }

    /// What to acknowledge now.
    pub(super) fn take_ack(&mut self) -> Option<i64> {
        self.owes_ack().then(|| {
            self.acknowledged = self.latest;
            self.latest
        })
    }
}

/// Whether a message has a number.
pub(super) fn is_counted(message: &Message<'_>) -> bool {
    matches!(
        message,
        Message::Invocation(_)
            | Message::StreamInvocation(_)
            | Message::StreamItem { .. }
            | Message::Completion { .. }
            | Message::CancelInvocation { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(count: usize) -> Received {
        let mut received = Received::new();
        (0..count).for_each(|_| received.count());
        received
    }

    #[test]
    fn everything_is_acknowledged_once() {
        let mut received = Received::new();
        assert_eq!(received.take_ack(), None, "nothing came");
        (0..3).for_each(|_| received.count());
        assert_eq!(received.take_ack(), Some(3));
        assert_eq!(received.take_ack(), None, "nothing new");
    }

    #[test]
    fn what_comes_again_is_told_apart() {
        let mut received = after(5);
        received.restart(3).ok().unwrap();
        let duplicates: Vec<_> = (0..5)
            .map(|_| {
                let duplicate = received.is_duplicate();
                received.count();
                duplicate
            })
            .collect();
        assert_eq!(duplicates, [true, true, true, false, false]);
        assert_eq!(received.take_ack(), Some(7));
    }

    #[test]
    fn an_acknowledgement_that_got_lost_is_said_again() {
        let mut received = after(5);
        assert_eq!(received.take_ack(), Some(5));
        received.restart(2).ok().unwrap();
        (2..5).for_each(|_| received.count());
        assert!(!received.owes_ack(), "not before the last one came again");
        received.count();
        assert_eq!(received.take_ack(), Some(5));
    }

    #[test]
    fn a_client_cannot_skip_ahead() {
        let mut received = after(5);
        assert!(received.restart(6).is_ok(), "the next message");
        let Err(Ending::Fault(error)) = received.restart(7) else { panic!("7 was accepted") };
        assert_eq!(
            error.detail("x", true),
            "x InvalidOperationException: Sequence ID greater than amount of messages we've received."
        );
        for low in [1, 0, -1, i64::MIN] {
            received.restart(low).ok().unwrap();
            assert!(received.is_duplicate());
        }
        received.count();
        assert_eq!(received.next, i64::MIN + 1);
    }
}
