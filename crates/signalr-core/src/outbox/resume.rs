//! What stateful reconnect adds to the outbox: frames that do not count, acknowledgements, and a client that leaves and
//! comes back.
//!
//! Owns how the queue is put together again for the next socket. Numbers and limits are the replay buffer's; a
//! connection without one passes through here only with its pings.

use super::{Chunk, DirectWriter, Flushed, IDLE_CAPACITY, Inner, MAX_SLICES, Outbox, OutboxLimits, Pushed};
use crate::clock::Instant;
use crate::replay::Replay;
use std::sync::Arc;
use std::task::{Context, Poll};

impl Outbox {
    /// From here on every message is counted and kept until the client confirms it.
    pub(crate) fn arm(&self, limit: usize) {
        let mut inner = self.lock();
        if !inner.closed {
            inner.replay = Some(Box::new(Replay::new(limit)));
        }
    }

    /// Nothing is kept any more, and nothing held back. True when the client was away.
    pub(crate) fn disarm(&self) -> bool {
        let replay = self.lock().replay.take();
        replay.is_some_and(|replay| replay.away_since().is_some())
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.lock().replay.is_some()
    }

    /// Pushes a frame that does not count: it overtakes the messages that wait, and none is kept for a client that is
    /// away.
    pub(crate) fn push_control(&self, limits: &OutboxLimits, write: impl FnOnce(&mut Vec<u8>)) -> Pushed {
        let mut inner = self.lock();
        if inner.is_away() {
            return Pushed::Queued;
        }
        if let Some(refused) = inner.refuses(0, limits) {
            return refused;
        }
        if inner.replay.is_some() {
            let mut frame = Vec::new();
            write(&mut frame);
            inner.queued += frame.len();
            let place = inner.behind_control();
            inner.queue.insert(place, Chunk::Owned(frame));
        } else {
            inner.append(write);
        }
        inner.promise()
    }

    /// The client has every message up to this number. The caller flushes.
    pub(crate) fn acknowledge(&self, number: i64) {
        let mut inner = self.lock();
        if inner.replay.as_mut().is_some_and(|replay| replay.acknowledge(number)) {
            // The client reads: that is progress, whatever the socket's buffers say.
            inner.stalled_since = None;
        }
    }

    /// The socket is gone and another one may come; false when none can.
    pub(crate) fn leave(&self) -> bool {
        let mut inner = self.lock();
        let Some(replay) = &mut inner.replay else { return false };
        replay.leave();
        inner.writer = None;
        inner.stalled_since = None;
        // Nobody is to be woken for a socket that does not exist.
        inner.promised = true;
        let done = std::mem::take(&mut inner.done);
        inner.queue.drain(..done);
        // A message that left in part only was not received; it begins anew. Control frames belonged to the old socket.
        inner.offset = 0;
        inner.queue.retain(|chunk| matches!(chunk, Chunk::Shared(_)));
        inner.queued = inner.queue.iter().map(|chunk| chunk.bytes().len()).sum();
        inner.wake_room();
        true
    }

    /// The client has returned on another socket. First the frame that `sequence` writes for the number of the first
    /// message that follows, then what was not confirmed, then what has not left yet. The caller flushes. False when
    /// the connection has ended meanwhile.
    pub(crate) fn come_back(
        &self,
        writer: Option<Arc<dyn DirectWriter>>,
        sequence: impl FnOnce(&mut Vec<u8>, i64),
    ) -> bool {
        let mut inner = self.lock();
        let Some(replay) = &mut inner.replay else { return false };
        let first = replay.first();
        let kept = replay.restart();
        let mut frame = Vec::new();
        sequence(&mut frame, first);
        let waiting = std::mem::take(&mut inner.queue);
        let mut queue = Vec::with_capacity(1 + kept.len() + waiting.len().max(IDLE_CAPACITY));
        queue.push(Chunk::Owned(frame));
        queue.extend(kept.into_iter().map(Chunk::Shared));
        queue.extend(waiting);
        inner.queued = queue.iter().map(|chunk| chunk.bytes().len()).sum();
        inner.queue = queue;
        inner.promised = true;
        inner.writer = writer;
        inner.wake_room();
        true
    }

    pub(crate) fn away_since(&self) -> Option<Instant> {
        self.lock().replay.as_ref()?.away_since()
    }

    /// Ready unless the client is away and its buffer is full.
    pub(crate) fn poll_present(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        match &inner.replay {
            Some(replay) if replay.away_since().is_some() && replay.overflows(inner.queued) => {
                inner.wait_for_room(cx);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl Inner {
    pub(super) fn is_away(&self) -> bool {
        self.replay.as_ref().is_some_and(|replay| replay.away_since().is_some())
    }

    /// Where a control frame goes: before the messages that wait, behind its own kind, never into a frame that has left
    /// in part.
    fn behind_control(&self) -> usize {
        let begun = self.done + usize::from(self.offset > 0);
        let control = self.queue[begun..].iter().take_while(|chunk| matches!(chunk, Chunk::Owned(_)));
        begun + control.count()
    }

    /// How far the queue may leave now: not beyond what the replay buffer can take.
    pub(super) fn end_of_batch(&self, replay: &Replay) -> usize {
        let mut kept = replay.bytes();
        let mut end = self.done;
        for chunk in self.queue[self.done..].iter().take(MAX_SLICES) {
            if let Chunk::Shared(message) = chunk {
                let begun = end == self.done && self.offset > 0;
                if !begun && replay.holds_back(kept) {
                    break;
                }
                kept += message.len();
            }
            end += 1;
        }
        end
    }

    /// The replay buffer is full: the queue waits for an acknowledgement.
    pub(super) fn pause(&mut self) -> Flushed {
        if let Some(replay) = &mut self.replay {
            replay.pause();
        }
        self.compact();
        Flushed::Paused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, IoSlice};

    const LIMIT: usize = 100;

    fn armed() -> (Outbox, OutboxLimits) {
        let outbox = Outbox::new();
        outbox.arm(LIMIT);
        (outbox, OutboxLimits::default())
    }

    /// Writes as much as may leave, at most `room` bytes, and returns it.
    fn drain(outbox: &Outbox, mut room: usize) -> (String, Flushed) {
        let mut written = Vec::new();
        let write = |slices: &[IoSlice<'_>]| {
            if room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(room).collect();
            room -= all.len();
            written.extend_from_slice(&all);
            Ok(all.len())
        };
        let flushed = outbox.write_with(1000, &OutboxLimits::default(), write).unwrap();
        (String::from_utf8(written).unwrap(), flushed)
    }

    fn push(outbox: &Outbox, text: &str) -> Pushed {
        // Both ways in, by turns.
        if text.len().is_multiple_of(2) {
            outbox.push(text.to_owned().into(), &OutboxLimits::default())
        } else {
            outbox.push_with(&OutboxLimits::default(), |out| out.extend_from_slice(text.as_bytes()))
        }
    }

    fn control(outbox: &Outbox, text: &str) {
        outbox.push_control(&OutboxLimits::default(), |out| out.extend_from_slice(text.as_bytes()));
    }

    fn return_with(outbox: &Outbox, room: usize) -> String {
        assert!(outbox.come_back(None, |out, first| out.extend_from_slice(format!("<{first}>").as_bytes())));
        drain(outbox, room).0
    }

    #[test]
    fn whatever_was_not_confirmed_leaves_again_in_order() {
        // The socket dies after any number of bytes.
        for cut in 0..24 {
            let (outbox, _) = armed();
            for text in ["aa;", "b;", "cccc;", "d;"] {
                push(&outbox, text);
            }
            drain(&outbox, cut);
            outbox.acknowledge(1);
            push(&outbox, "e;");
            let confirmed = cut >= 3;
            drain(&outbox, cut / 8);
            assert!(outbox.leave());
            push(&outbox, "ff;");
            control(&outbox, "ping;");
            let expected = if confirmed { "<2>b;cccc;d;e;ff;" } else { "<1>aa;b;cccc;d;e;ff;" };
            assert_eq!(return_with(&outbox, 1000), expected, "cut after {cut}");
            assert_eq!(outbox.queued(), 0);
            // And once more, because nothing was confirmed.
            assert!(outbox.leave());
            assert_eq!(return_with(&outbox, 1000), expected);
        }
    }

    #[test]
    fn control_frames_do_not_count_and_overtake_messages() {
        let (outbox, _) = armed();
        push(&outbox, "aaa;");
        push(&outbox, "bbb;");
        assert_eq!(drain(&outbox, 2).0, "aa");
        control(&outbox, "1;");
        control(&outbox, "2;");
        assert_eq!(drain(&outbox, 1000), ("a;1;2;bbb;".to_owned(), Flushed::Empty));
        outbox.leave();
        outbox.come_back(None, |out, first| out.extend_from_slice(format!("<{first}>").as_bytes()));
        control(&outbox, "ack;");
        assert_eq!(drain(&outbox, 1000).0, "<1>ack;aaa;bbb;", "never before the Sequence");
    }

    #[test]
    fn a_full_buffer_holds_messages_back_until_an_acknowledgement() {
        let (outbox, limits) = armed();
        let long = "x".repeat(60);
        (0..4).for_each(|_| {
            push(&outbox, &long);
        });
        assert_eq!(drain(&outbox, 1000), ("x".repeat(120), Flushed::Paused));
        assert_eq!(outbox.queued(), 120);
        control(&outbox, "ping;");
        assert_eq!(drain(&outbox, 1000), ("ping;".to_owned(), Flushed::Paused));
        assert_eq!(
            outbox.push(long.clone().into(), &limits),
            Pushed::Queued,
            "somebody has promised to write"
        );
        outbox.acknowledge(1);
        assert_eq!(drain(&outbox, 1000), ("x".repeat(60), Flushed::Paused));
        outbox.acknowledge(3);
        assert_eq!(drain(&outbox, 1000), ("x".repeat(120), Flushed::Empty));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_confirms_nothing_is_slow_but_not_stuck() {
        let (outbox, _) = armed();
        let limits = OutboxLimits { soft: 200, ..OutboxLimits::default() };
        let long = "x".repeat(60);
        (0..6).for_each(|_| {
            push(&outbox, &long);
        });
        assert_eq!(drain(&outbox, 1000).1, Flushed::Paused);
        tokio::time::advance(limits.stall).await;
        assert_eq!(outbox.is_slow(&limits, Instant::now()), Some(super::super::Stall::Slow));
        assert_eq!(outbox.push(long.clone().into(), &limits), Pushed::Slow);
        // Below the soft limit it may take its time: its socket works.
        let roomy = OutboxLimits::default();
        tokio::time::advance(roomy.send_timeout * 10).await;
        assert_eq!(outbox.is_slow(&roomy, Instant::now()), None);
        outbox.acknowledge(1);
        assert_eq!(outbox.is_slow(&limits, Instant::now()), None, "progress");
    }

    #[test]
    fn an_absent_client_overflows_and_nobody_waits_for_it() {
        let (outbox, limits) = armed();
        let long = "x".repeat(60);
        push(&outbox, &long);
        drain(&outbox, 1000);
        outbox.leave();
        assert_eq!(outbox.push(long.clone().into(), &limits), Pushed::Queued);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert_eq!(outbox.poll_room(&limits, &mut cx), Poll::Ready(()));
        assert_eq!(outbox.poll_present(&cx), Poll::Pending, "its own answers wait");
        assert_eq!(outbox.push(long.clone().into(), &limits), Pushed::Overflow);
        assert_eq!(outbox.queued(), 60, "and nothing more is kept");
        assert_eq!(return_with(&outbox, 1000).len(), 3 + 120);
        assert_eq!(outbox.poll_present(&cx), Poll::Ready(()));
    }

    #[test]
    fn an_end_forgets_what_was_kept_and_holds_nothing_back() {
        let (outbox, _) = armed();
        let long = "x".repeat(60);
        (0..4).for_each(|_| {
            push(&outbox, &long);
        });
        assert_eq!(drain(&outbox, 1000).1, Flushed::Paused);
        assert!(!outbox.disarm(), "it was not away");
        push(&outbox, "close;");
        outbox.close();
        assert_eq!(drain(&outbox, 1000), (format!("{}close;", "x".repeat(120)), Flushed::Empty));
        assert!(!outbox.leave() && !outbox.come_back(None, |_, _| ()));
    }

    #[test]
    fn without_the_feature_control_frames_are_frames_like_others() {
        let outbox = Outbox::new();
        push(&outbox, "a;");
        control(&outbox, "ping;");
        push(&outbox, "bb;");
        outbox.acknowledge(7);
        assert_eq!(drain(&outbox, 1000).0, "a;ping;bb;");
        assert!(!outbox.leave());
    }
}
