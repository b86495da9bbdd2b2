//! Signs of life of a Redis that was given up for a while.
//!
//! Owns the way in which one connection's success ends the other's pause. How long pauses are is the policy's and the
//! breaker's business.

use std::time::Duration;
use tokio::sync::Notify;

/// Shared by the two connections.
#[derive(Debug, Default)]
pub(crate) struct Life(Notify);

impl Life {
    /// Redis lives: whoever rests now tries again at once. Others are not affected later on.
    pub(crate) fn shown(&self) {
        self.0.notify_waiters();
    }

    /// Ready after a pause, or when life is shown. Cancel safe.
    pub(crate) async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = self.0.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    const PAUSE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn life_ends_a_pause() {
        let (life, start) = (Life::default(), Instant::now());
        let show = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            life.shown();
        };
        tokio::join!(life.rest(PAUSE), show);
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_sign_of_life_proves_nothing() {
        let (life, start) = (Life::default(), Instant::now());
        life.shown();
        life.rest(PAUSE).await;
        assert_eq!(start.elapsed(), PAUSE);
    }
}
