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
use tokio::time::{Instant, sleep_until};

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
            let pause = (Instant::now() + LIVENESS).min(deadline);
            tokio::select! {
                biased;
                answer = &mut self.answer => return answer.map_err(|_| NoAnswer::Gone),
                () = sleep_until(pause) => {}
            }
            if Instant::now() >= deadline {
                return Err(NoAnswer::TimedOut);
            }
            if hub.receivers(topic).await == Some(0) {
                // The answer may have come while the backplane was asked.
                return self.answer.try_recv().map_err(|_| NoAnswer::Gone);
            }
        }
    }
}

impl<K: Eq + Hash + Clone, V> Drop for Waiting<'_, K, V> {
    fn drop(&mut self) {
        self.waits.lock().remove(&self.key);
    }
}
