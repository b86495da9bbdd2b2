//! A request's body with an end to the waiting for it, as the reference's web server has it: 5 s, and a second more for
//! each 240 bytes.
//!
//! Owns the clock of one body. It runs only while nothing is there to be read, so that an application that is slow
//! itself cuts nobody.

use bytes::Bytes;
use futures_util::Stream;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Bytes for which a client may take a second.
const RATE: u64 = 240;

/// A body that fails when it comes too slowly, and says so in a flag.
pub(crate) struct Brisk<'a, S> {
    body: S,
    is_late: &'a AtomicBool,
    /// What may be waited from now on.
    left: Duration,
    /// Since when nothing has come, and the end of patience.
    clock: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<'a, S> Brisk<'a, S> {
    pub(crate) fn new(body: S, patience: Duration, is_late: &'a AtomicBool) -> Self {
        Self { body, is_late, left: patience, clock: None }
    }
}

impl<S, E> Stream for Brisk<'_, S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(next) = Pin::new(&mut self.body).poll_next(cx) {
            if let Some((since, _)) = self.clock.take() {
                self.left = self.left.saturating_sub(since.elapsed());
            }
            return Poll::Ready(next.map(|piece| {
                let piece = piece.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
                self.left += Duration::from_secs(piece.len() as u64) / RATE as u32;
                Ok(piece)
            }));
        }
        let left = self.left;
        let (_, end) = self.clock.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
        if end.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.is_late.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use std::convert::Infallible;

    /// How long a body lives of which a piece comes every second.
    async fn lifetime(piece: &'static [u8]) -> (usize, bool) {
        let pieces = futures_util::stream::unfold((), move |()| async move {
            tokio::time::sleep(Duration::from_secs(1)).await; // in virtual time
            Some((Ok::<_, Infallible>(Bytes::from_static(piece)), ()))
        });
        let is_late = AtomicBool::new(false);
        let mut body = Brisk::new(Box::pin(pieces), Duration::from_secs(5), &is_late).take(1000);
        let mut count = 0;
        while let Some(Ok(_)) = body.next().await {
            count += 1;
        }
        drop(body);
        (count, is_late.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn drops_are_cut_and_a_trickle_of_the_least_rate_is_not() {
        let (count, is_late) = lifetime(b"x").await;
        assert!((4..=6).contains(&count) && is_late, "{count} {is_late}");
        assert_eq!(lifetime(&[b'x'; 300]).await, (1000, false));
    }
}
