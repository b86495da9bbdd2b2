//! What one server shares: both connections' tasks and everything between them and the hubs.
//!
//! Owns the parts and the life of the tasks: they end when the last handle is gone.

use crate::health::Health;
use crate::lane::Lane;
use crate::registry::Registry;
use crate::settings::Settings;
use crate::stats::Stats;
use crate::{publisher, subscriber};
use redis::aio::MultiplexedConnection;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long a question to Redis may take.
const QUESTION: Duration = Duration::from_secs(2);

/// What the tasks and the hubs work on.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) registry: Arc<Registry>,
    pub(crate) lane: Lane,
    pub(crate) health: Health,
    pub(crate) stats: Arc<Stats>,
    /// The publisher's connection while it is up, for questions.
    asking: Mutex<Option<MultiplexedConnection>>,
    /// Rung by the publisher when Redis says that the subscriber receives nothing.
    pub(crate) deaf: Notify,
}

/// The handle that keeps the tasks alive.
pub(crate) struct Engine {
    pub(crate) shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

impl Engine {
    /// Starts both connections; must be called inside a runtime.
    pub(crate) fn start(settings: Settings) -> Arc<Self> {
        let (registry, stats) = (Arc::new(Registry::new()), Arc::<Stats>::default());
        let shared = Arc::new(Shared {
            lane: Lane::new(&settings, registry.clone(), stats.clone()),
            health: Health::new(stats.clone()),
            settings,
            registry,
            stats,
            asking: Mutex::default(),
            deaf: Notify::new(),
        });
        let tasks = [
            tokio::spawn(publisher::supervise(shared.clone())),
            tokio::spawn(subscriber::supervise(shared.clone())),
        ];
        Arc::new(Self { shared, tasks })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    pub(crate) fn set_asking(&self, conn: Option<MultiplexedConnection>) {
        *self.asking.lock().unwrap_or_else(PoisonError::into_inner) = conn;
    }

    /// How many servers listen to each channel; `None` when Redis does not tell.
    pub(crate) async fn count_receivers(&self, channels: &[&str]) -> Option<Vec<u64>> {
        let mut question = redis::cmd(self.settings.commands.pubsub.as_deref()?);
        let mut conn = self.asking.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        question.arg("NUMSUB").arg(channels);
        let answer = question.query_async::<Vec<redis::Value>>(&mut conn);
        let answer = tokio::time::timeout(QUESTION, answer).await.ok()?.ok()?;
        let counts = answer.chunks_exact(2).map(|pair| match &pair[1] {
            redis::Value::Int(count) => u64::try_from(*count).ok(),
            _ => None,
        });
        counts.collect()
    }
}
