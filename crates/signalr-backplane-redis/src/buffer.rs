//! Messages that wait for Redis to come back.
//!
//! Owns the bounds: bytes and age. What is dropped is the oldest, and it is counted. Pure: time comes in.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct Buffer<T> {
    room: usize,
    ttl: Duration,
    kept: VecDeque<Kept<T>>,
    bytes: usize,
}

/// A message with its age.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    pub(crate) since: Instant,
    pub(crate) bytes: usize,
    pub(crate) message: T,
}

impl<T> Buffer<T> {
    pub(crate) fn new(room: usize, ttl: Duration) -> Self {
        Self { room, ttl, kept: VecDeque::new(), bytes: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps a message; says how many were dropped to make room, the message itself included when it is too large.
    pub(crate) fn push(&mut self, kept: Kept<T>) -> u64 {
        if kept.bytes > self.room {
            return 1;
        }
        let mut dropped = self.expire(kept.since);
        while self.bytes + kept.bytes > self.room && self.pop().is_some() {
            dropped += 1;
        }
        self.bytes += kept.bytes;
        self.kept.push_back(kept);
        dropped
    }

    /// Puts back what was taken out and not sent, in front of everything, and says how many were dropped: those in
    /// front are the oldest.
    pub(crate) fn put_back(&mut self, returned: Vec<Kept<T>>) -> u64 {
        for kept in returned.into_iter().rev() {
            self.bytes += kept.bytes;
            self.kept.push_front(kept);
        }
        let mut dropped = 0;
        while self.bytes > self.room && self.pop().is_some() {
            dropped += 1;
        }
        dropped
    }

    /// Drops what is too old and says how many.
    pub(crate) fn expire(&mut self, now: Instant) -> u64 {
        let mut dropped = 0;
        while self.kept.front().is_some_and(|kept| now.duration_since(kept.since) > self.ttl) {
            self.pop();
            dropped += 1;
        }
        dropped
    }

    /// Takes everything out, oldest first.
    pub(crate) fn take(&mut self) -> VecDeque<Kept<T>> {
        self.bytes = 0;
        std::mem::take(&mut self.kept)
    }

    fn pop(&mut self) -> Option<Kept<T>> {
        let kept = self.kept.pop_front()?;
        self.bytes -= kept.bytes;
        Some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(message: u32, bytes: usize) -> Kept<u32> {
        Kept { since: Instant::now(), bytes, message }
    }

    fn messages(buffer: &mut Buffer<u32>) -> Vec<u32> {
        buffer.take().into_iter().map(|kept| kept.message).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_goes_when_there_is_no_room() {
        let mut buffer = Buffer::new(10, Duration::from_secs(10));
        assert_eq!(buffer.push(kept(1, 4)), 0);
        assert_eq!(buffer.push(kept(2, 4)), 0);
        assert_eq!(buffer.push(kept(3, 4)), 1);
        assert_eq!(buffer.push(kept(4, 11)), 1, "too large for the whole buffer");
        assert_eq!(messages(&mut buffer), [2, 3]);
        assert!(buffer.is_empty());
        assert_eq!(buffer.push(kept(5, 10)), 0);
        assert_eq!(buffer.push(kept(6, 10)), 1);
        assert_eq!(messages(&mut buffer), [6]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_old_go_by_themselves() {
        let mut buffer = Buffer::new(100, Duration::from_secs(10));
        buffer.push(kept(1, 1));
        tokio::time::advance(Duration::from_secs(6)).await;
        buffer.push(kept(2, 1));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(buffer.push(kept(3, 1)), 1);
        assert_eq!(buffer.expire(Instant::now()), 0);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(buffer.expire(Instant::now()), 1);
        assert_eq!(messages(&mut buffer), [3]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_back_stands_in_front() {
        let mut buffer = Buffer::new(10, Duration::from_secs(10));
        buffer.push(kept(3, 4));
        assert_eq!(buffer.put_back(vec![kept(1, 4), kept(2, 4)]), 1);
        assert_eq!(messages(&mut buffer), [2, 3]);
    }
}
