//! Waiting for an answer from another server, without waiting for the dead.
//!
//! Owns the table of open questions and the liveness rule: while a question is open, the backplane is asked every second
//! whether anybody still listens to the connection's topic. Answers come in from the sink.

use crate::backplane::{BackplaneHub, Topic};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

/// How often the backplane is asked.
const LIVENESS: Duration = Duration::from_secs(1);

/// Open questions by id.
pub(super) struct Waits<K, V>(Mutex<HashMap<K, oneshot::Sender<V>>>);

impl<K, V> Default for Waits<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

/// An open question; forgotten when dropped.
pub(super) struct Waiting<'a, K: Eq + Hash + Clone, V> {
    waits: &'a Waits<K, V>,
    key: K,
    answer: oneshot::Receiver<V>,
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// Nobody listens to the connection's topic.
    Gone,
    /// The deadline passed.
    TimedOut,
}

impl<K: Eq + Hash + Clone, V> Waits<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, oneshot::Sender<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open(&self, key: K) -> Waiting<'_, K, V> {
        let (sender, answer) = oneshot::channel();
        self.lock().insert(key.clone(), sender);
        Waiting { waits: self, key, answer }
    }

    /// Answers a question; false when nobody waits for it any more.
    pub(super) fn answer(&self, key: &K, value: V) -> bool {
        let sender = self.lock().remove(key);
        sender.is_some_and(|sender| sender.send(value).is_ok())
    }
}

impl<K: Eq + Hash + Clone, V> Waiting<'_, K, V> {
    /// Waits for an answer that comes from this server.
    pub(super) async fn answer(mut self) -> Option<V> {
        (&mut self.answer).await.ok()
    }

    /// Waits for the answer, at most `limit`; gives up at once when `topic` has no receiver.
    pub(super) async fn wait(
        mut self,
        hub: &dyn BackplaneHub,
        topic: &Topic,
        limit: Duration,
    ) -> Result<V, NoAnswer> {
        let deadline = Instant::now() + limit;
        loop {
            let life = async {
                sleep(LIVENESS).await;
                hub.receivers(topic).await
            };
            tokio::select! {
                biased;
                answer = &mut self.answer => return answer.map_err(|_| NoAnswer::Gone),
                () = sleep_until(deadline) => return Err(NoAnswer::TimedOut),
                receivers = life => if receivers == Some(0) {
                    // The answer may have come at the same moment.
                    return self.answer.try_recv().map_err(|_| NoAnswer::Gone);
                },
            }
        }
    }
}

impl<K: Eq + Hash + Clone, V> Drop for Waiting<'_, K, V> {
    fn drop(&mut self) {
        self.waits.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backplane::{
        BackplaneHub, BackplaneMessage, BackplaneState, Events, Outcome, Subscribed, Subscribing, Ticket,
    };
    use async_trait::async_trait;
    use std::sync::atomic::{AtomicU32, Ordering};

    const LIMIT: Duration = Duration::from_secs(30);
    const SECOND: Duration = Duration::from_secs(1);

    /// Tells how many listen, after so long, and counts how often it was asked.
    struct Census {
        receivers: fn(asked: u32) -> Option<u64>,
        delay: Duration,
        asked: AtomicU32,
    }

    impl Census {
        fn new(receivers: fn(u32) -> Option<u64>, delay: Duration) -> Self {
            Self { receivers, delay, asked: AtomicU32::new(0) }
        }
    }

    #[async_trait]
    impl BackplaneHub for Census {
        fn node(&self) -> &str {
            "node"
        }

        fn publish(&self, _: &Topic, _: BackplaneMessage) -> Ticket {
            Ticket::known(Ok(Outcome::Receivers(0)))
        }

        fn subscribe(&self, _: &[Topic]) -> Subscribing<'_> {
            Box::pin(std::future::ready(Ok(Subscribed::InForce)))
        }

        fn unsubscribe(&self, _: &[Topic]) {}

        async fn receivers(&self, _: &Topic) -> Option<u64> {
            tokio::time::sleep(self.delay).await; // virtual time
            (self.receivers)(self.asked.fetch_add(1, Ordering::Relaxed) + 1)
        }

        fn state(&self) -> Events {
            Events::new(BackplaneState::Up).1
        }

        async fn leave(&self) {}
    }

    /// Waits for an answer that comes after so long, if ever; says how long that took.
    async fn wait(census: &Census, answer: Option<Duration>) -> (Result<i32, NoAnswer>, Duration) {
        let (waits, start) = (Waits::default(), Instant::now());
        let waiting = waits.open(1);
        let answering = async {
            if let Some(time) = answer {
                sleep(time).await; // virtual time
                assert!(waits.answer(&1, 42));
            }
        };
        let topic = Topic::connection("c");
        let (outcome, ()) = tokio::join!(waiting.wait(census, &topic, LIMIT), answering);
        assert!(!waits.answer(&1, 0), "the question is forgotten");
        (outcome, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_gone_is_noticed_within_a_second() {
        let census = Census::new(|asked| Some(u64::from(asked < 4)), Duration::ZERO);
        assert_eq!(wait(&census, None).await, (Err(NoAnswer::Gone), 4 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_count_only_the_deadline_counts() {
        for receivers in [|_| None, |_| Some(1)] {
            let census = Census::new(receivers, Duration::ZERO);
            assert_eq!(wait(&census, None).await, (Err(NoAnswer::TimedOut), LIMIT));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_backplane_that_is_slow_to_count_holds_up_neither_answer_nor_deadline() {
        let census = Census::new(|_| Some(1), 2 * SECOND);
        let (answer, time) = (Some(1500 * SECOND / 1000), 1500 * SECOND / 1000);
        assert_eq!(wait(&census, answer).await, (Ok(42), time));
        let census = Census::new(|_| None, 60 * SECOND);
        assert_eq!(wait(&census, None).await, (Err(NoAnswer::TimedOut), LIMIT));
    }
}
