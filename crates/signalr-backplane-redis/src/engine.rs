//! What one server shares: both connections' tasks and everything between them and the hubs.
//!
//! Owns the parts and the life of the tasks: they end when the last handle is gone.

use crate::cluster::Cluster;
use crate::fan::Fan;
use crate::health::Health;
use crate::lane::Lane;
use crate::life::Life;
use crate::markers::Markers;
use crate::pipe::Asker;
use crate::registry::Registry;
use crate::report::report;
use crate::route::Route;
use crate::settings::Settings;
use crate::stats::Stats;
use crate::{publisher, subscriber};
use futures_util::future::join_all;
use redis::Value;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long a question to Redis may take.
const QUESTION: Duration = Duration::from_secs(2);

/// What the tasks and the hubs work on.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// Where to connect to.
    pub(crate) route: Arc<Route>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) lane: Lane,
    pub(crate) health: Arc<Health>,
    pub(crate) stats: Arc<Stats>,
    /// What is known of the Cluster, if it is one.
    pub(crate) cluster: Arc<Cluster>,
    /// The publisher's connections while they are up, for questions.
    asking: Mutex<Asking>,
    /// Bytes that were written and not answered, as of the last look.
    pub(crate) in_flight: AtomicUsize,
    /// Wakes the publisher from its pause.
    pub(crate) life: Life,
    /// Counts the probes that arrived.
    pub(crate) heard: AtomicU64,
    /// Those that are on their way to the subscriber.
    pub(crate) markers: Arc<Markers>,
    /// Rung by the publisher when Redis says that the subscriber receives nothing.
    pub(crate) deaf: Notify,
    /// Rung by the subscriber when this server listens to more hubs than before: others must be told.
    pub(crate) arrived: Notify,
    /// Rung by the subscriber when another server has told that.
    pub(crate) arrival: Notify,
}

/// Connections to ask, and whether they are all that there should be.
#[derive(Clone, Default)]
struct Asking {
    conns: Vec<Asker>,
    complete: bool,
}

/// The handle that keeps the tasks alive.
pub(crate) struct Engine {
    pub(crate) shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 3],
}

impl Engine {
    /// Starts both connections; must be called inside a runtime.
    pub(crate) fn start(settings: Settings) -> Arc<Self> {
        let (registry, stats) = (Arc::new(Registry::new()), Arc::<Stats>::default());
        let health = Arc::new(Health::new(stats.clone()));
        let shared = Arc::new(Shared {
            lane: Lane::new(&settings, registry.clone(), health.clone()),
            health,
            route: Arc::new(Route::new(&settings)),
            settings,
            registry,
            stats,
            cluster: Arc::default(),
            asking: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            life: Life::default(),
            heard: AtomicU64::new(0),
            markers: Arc::default(),
            deaf: Notify::new(),
            arrived: Notify::new(),
            arrival: Notify::new(),
        });
        let tasks = [
            tokio::spawn(publisher::supervise(shared.clone())),
            tokio::spawn(subscriber::supervise(shared.clone())),
            tokio::spawn(watch(shared.clone())),
        ];
        Arc::new(Self { shared, tasks })
    }
}

async fn watch(shared: Arc<Shared>) {
    tokio::join!(shared.route.watch(), report(&shared));
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    pub(crate) fn set_asking(&self, fan: Option<&Fan>) {
        let asking =
            fan.map(|fan| Asking { conns: fan.askers(), complete: fan.is_complete() }).unwrap_or_default();
        *self.asking.lock().unwrap_or_else(PoisonError::into_inner) = asking;
    }

    /// Ready when all has arrived that Redis had confirmed to anybody before, on every server that is published on; at once
    /// when nothing can arrive.
    pub(crate) fn marker(&self) -> impl Future<Output = ()> + Send + 'static {
        let conns = self.asking.lock().unwrap_or_else(PoisonError::into_inner).conns.clone();
        self.marker_on(conns)
    }

    /// The same on these connections; those that are over do not count. Sent by the first poll.
    pub(crate) fn marker_on(&self, conns: Vec<Asker>) -> impl Future<Output = ()> + Send + 'static {
        let channel = self.registry.probe().filter(|_| self.lane.has_subscriber());
        let mut publish = redis::cmd(&self.settings.commands.publish);
        let markers = self.markers.clone();
        async move {
            let Some(channel) = channel else { return };
            let mut marker = markers.begin(conns.len());
            publish.arg(&*channel).arg(marker.payload());
            let publish = &publish;
            let published = conns
                .into_iter()
                .map(|mut conn| async move { publish.query_async::<Value>(&mut conn).await });
            for answer in join_all(published).await {
                if answer.is_err() {
                    marker.failed();
                }
            }
            marker.arrived().await;
        }
    }

    /// How many servers listen to each channel; `None` when Redis does not tell.
    pub(crate) async fn count_receivers(&self, channels: &[&str]) -> Option<Vec<u64>> {
        let mut question = redis::cmd(self.settings.commands.pubsub.as_deref()?);
        question.arg("NUMSUB").arg(channels);
        let Asking { conns, complete } = self.asking.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answers = conns.into_iter().map(|mut conn| {
            let question = &question;
            async move { question.query_async::<Value>(&mut conn).await }
        });
        let answers = tokio::time::timeout(QUESTION, join_all(answers)).await.ok()?;
        let answers: Option<Vec<_>> = answers.into_iter().map(|answer| counts(&answer.ok()?)).collect();
        let counted = sum(answers?)?;
        // Somebody may listen on a node that cannot be asked.
        (complete || counted.iter().all(|&count| count > 0)).then_some(counted)
    }
}

/// Reads an answer to `PUBSUB NUMSUB`.
pub(crate) fn counts(answer: &Value) -> Option<Vec<u64>> {
    let Value::Array(pairs) = answer else { return None };
    let counts = pairs.chunks_exact(2).map(|pair| match &pair[1] {
        Value::Int(count) => u64::try_from(*count).ok(),
        _ => None,
    });
    counts.collect()
}

/// Adds up what several nodes have counted; `None` when there are none, or they were asked different questions.
pub(crate) fn sum(counts: Vec<Vec<u64>>) -> Option<Vec<u64>> {
    let mut all = counts.into_iter();
    let first = all.next()?;
    all.try_fold(first, |sums, counts| {
        (sums.len() == counts.len())
            .then(|| sums.iter().zip(&counts).map(|(sum, count)| sum.saturating_add(*count)).collect())
    })
}
