//! What a client has not confirmed yet, so that it can be sent again on the client's next socket (stateful reconnect).
//!
//! Owns the numbers of outgoing messages, the messages that left and were not acknowledged, and the rules of the
//! buffer's limit. It knows neither sockets nor wire formats: messages come from the outbox when they have left, and go
//! back to its front when the client has returned. Another store, for example one that another server can read, has to
//! offer no more than this.

use crate::clock::Instant;
use bytes::Bytes;
use std::collections::VecDeque;

/// The buffer of one connection. Numbers begin at 1 and go on for the life of the connection.
#[derive(Debug)]
pub(crate) struct Replay {
    /// Bytes above which the buffer is full. One message may exceed it.
    limit: usize,
    kept: VecDeque<Bytes>,
    bytes: usize,
    /// The number of the message that leaves next.
    next: i64,
    /// The highest number that ever left, on any socket.
    sent: i64,
    /// The highest number that the client has confirmed.
    acked: i64,
    /// The client has returned and got back what it may have had already. Some clients confirm nothing that they had,
    /// so a full buffer must let something new through.
    probing: bool,
    away_since: Option<Instant>,
    /// Since when a full buffer holds the queue back.
    paused_since: Option<Instant>,
}

impl Replay {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: VecDeque::new(),
            bytes: 0,
            next: 1,
            sent: 0,
            acked: 0,
            probing: false,
            away_since: None,
            paused_since: None,
        }
    }

    /// The number of the first message that is kept, or of the next one when none is.
    pub(crate) fn first(&self) -> i64 {
        self.next - self.kept.len() as i64
    }

    /// A message has left as a whole.
    pub(crate) fn keep(&mut self, message: Bytes) {
        let number = self.next;
        self.next += 1;
        if number > self.sent {
            self.sent = number;
            self.probing = false;
        }
        // A message that is sent again may have been confirmed meanwhile.
        if number > self.acked {
            self.bytes += message.len();
            self.kept.push_back(message);
        }
    }

    /// The client has everything up to `number`; true when that made room.
    pub(crate) fn acknowledge(&mut self, number: i64) -> bool {
        self.acked = self.acked.max(number.min(self.sent));
        let before = self.kept.len();
        while self.first() <= self.acked
            && let Some(message) = self.kept.pop_front()
        {
            self.bytes -= message.len();
        }
        let freed = self.kept.len() < before;
        if freed {
            self.paused_since = None;
        }
        freed
    }

    /// Whether no message may leave while `bytes` are kept.
    pub(crate) fn holds_back(&self, bytes: usize) -> bool {
        bytes > self.limit && !(self.probing && bytes <= self.limit.saturating_mul(2))
    }

    /// Bytes that are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn pause(&mut self) {
        self.paused_since.get_or_insert_with(Instant::now);
    }

    pub(crate) fn paused_since(&self) -> Option<Instant> {
        self.paused_since
    }

    /// The client has lost its socket.
    pub(crate) fn leave(&mut self) {
        self.away_since = Some(Instant::now());
        self.paused_since = None;
    }

    pub(crate) fn away_since(&self) -> Option<Instant> {
        self.away_since
    }

    /// Whether an absent client has more waiting than the limit allows: what is kept, and what did not leave yet.
    pub(crate) fn overflows(&self, queued: usize) -> bool {
        self.bytes + queued > self.limit
    }

    /// The client has returned: hands out what must be sent again, and counts from there.
    pub(crate) fn restart(&mut self) -> VecDeque<Bytes> {
        self.next = self.first();
        self.bytes = 0;
        self.probing = !self.kept.is_empty();
        self.away_since = None;
        std::mem::take(&mut self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Bytes {
        vec![b'x'; length].into()
    }

    fn send(replay: &mut Replay, count: usize, length: usize) {
        (0..count).for_each(|_| replay.keep(message(length)));
    }

    #[test]
    fn messages_are_kept_until_they_are_confirmed() {
        let mut replay = Replay::new(100);
        assert_eq!(replay.first(), 1);
        send(&mut replay, 5, 10);
        assert_eq!((replay.first(), replay.bytes()), (1, 50));
        assert!(replay.acknowledge(3));
        assert_eq!((replay.first(), replay.bytes()), (4, 20));
        assert!(!replay.acknowledge(2), "an old number frees nothing");
        assert!(!replay.acknowledge(-7));
        assert!(replay.acknowledge(i64::MAX), "numbers are not checked");
        assert_eq!((replay.first(), replay.bytes()), (6, 0));
        send(&mut replay, 1, 10);
        assert_eq!((replay.first(), replay.bytes()), (6, 10), "the future is not confirmed");
    }

    #[test]
    fn one_message_may_exceed_the_limit() {
        let mut replay = Replay::new(100);
        send(&mut replay, 2, 50);
        assert!(!replay.holds_back(replay.bytes()));
        send(&mut replay, 1, 50);
        assert!(replay.holds_back(replay.bytes()));
        replay.acknowledge(1);
        assert!(!replay.holds_back(replay.bytes()));
    }

    #[test]
    fn a_second_round_has_the_numbers_of_the_first() {
        let mut replay = Replay::new(100);
        send(&mut replay, 5, 10);
        replay.acknowledge(2);
        replay.leave();
        assert!(replay.away_since().is_some());
        assert!(replay.overflows(71) && !replay.overflows(70));
        let again = replay.restart();
        assert_eq!((again.len(), replay.first(), replay.bytes()), (3, 3, 0));
        // Confirmed while it is being sent again: it is not kept a second time.
        replay.acknowledge(4);
        again.into_iter().for_each(|message| replay.keep(message));
        assert_eq!((replay.first(), replay.bytes()), (5, 10));
    }

    #[test]
    fn a_returned_client_that_confirms_nothing_old_gets_something_new() {
        let mut replay = Replay::new(100);
        send(&mut replay, 3, 50);
        replay.leave();
        let again = replay.restart();
        again.into_iter().for_each(|message| replay.keep(message));
        assert_eq!(replay.bytes(), 150);
        assert!(!replay.holds_back(150), "it may have confirmed these on its old socket");
        assert!(replay.holds_back(201), "within bounds");
        send(&mut replay, 1, 10);
        assert!(replay.holds_back(replay.bytes()));
        replay.acknowledge(4);
        assert_eq!(replay.bytes(), 0);
    }
}
