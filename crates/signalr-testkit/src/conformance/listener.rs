//! A server that only listens: joins a hub with a sink that writes down what arrives.
//!
//! Owns the log and the waiting for it. Rules that need clients use `servers` instead.

use super::fleet::{Fleet, Verdict, Violation, ensure};
use bytes::Bytes;
use signalr_core::{
    Backplane, BackplaneHub, BackplaneMessage, BackplaneSink, HubJoin, InvocationMessage, Outcome,
    Subscribed, Topic,
};
use signalr_protocol::{HubProtocol, Message, Protocol};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The hub of the suite.
pub(super) const HUB: &str = "Conformance.Hub";

/// Numbers of markers: far above those that rules use.
static MARKER: AtomicU64 = AtomicU64::new(1 << 40);

pub(super) struct Listener {
    pub(super) hub: Arc<dyn BackplaneHub>,
    pub(super) heard: Arc<Heard>,
    patience: Duration,
    _backplane: Arc<dyn Backplane>,
}

/// What arrived, in order.
#[derive(Default)]
pub(super) struct Heard {
    log: Mutex<Log>,
    changed: Notify,
}

#[derive(Default)]
struct Log {
    entries: Vec<(Topic, BackplaneMessage)>,
    inside: HashMap<Topic, usize>,
    overlaps: usize,
}

impl Listener {
    pub(super) async fn join(fleet: &dyn Fleet) -> Result<Self, Violation> {
        Self::join_on(fleet, fleet.server().await, HUB).await
    }

    pub(super) async fn join_on(
        fleet: &dyn Fleet,
        backplane: Arc<dyn Backplane>,
        name: &str,
    ) -> Result<Self, Violation> {
        let heard = Arc::<Heard>::default();
        let hub = backplane.join(HubJoin::new(name.to_owned(), heard.clone())).await?;
        Ok(Self { hub, heard, patience: fleet.patience(), _backplane: backplane })
    }

    pub(super) fn node(&self) -> Arc<str> {
        self.hub.node().into()
    }

    /// Publishes a numbered invocation and waits for its outcome.
    pub(super) async fn say(&self, topic: &Topic, number: u64) -> Result<Outcome, Violation> {
        Ok(self.hub.publish(topic, numbered(number)).await?)
    }

    pub(super) async fn subscribe(&self, topics: &[Topic]) -> Verdict {
        let outcome = self.hub.subscribe(topics).await?;
        ensure(outcome == Subscribed::InForce, "a subscription on a healthy backplane is only pending")
    }

    /// Waits until these numbers, and nothing else, have arrived on a topic, in this order.
    pub(super) async fn hears(&self, topic: &Topic, wanted: &[u64]) -> Verdict {
        self.until(|log| numbers(log, topic).len() >= wanted.len()).await;
        super::fleet::same(&format!("numbers on {topic:?}"), self.numbers(topic), wanted.to_vec())
    }

    /// Waits until everything that was published before by `publisher` must have arrived.
    pub(super) async fn settled(&self, publisher: &Listener) -> Verdict {
        let marker = MARKER.fetch_add(1, Ordering::Relaxed);
        publisher.say(&Topic::All, marker).await?;
        let arrived = self.until(|log| numbers(log, &Topic::All).contains(&marker)).await;
        ensure(arrived, "a message to all did not arrive")
    }

    /// Waits for a condition on what arrived; false when patience ran out.
    pub(super) async fn until(&self, condition: impl Fn(&[(Topic, BackplaneMessage)]) -> bool) -> bool {
        let wait = async {
            loop {
                let mut changed = std::pin::pin!(self.heard.changed.notified());
                changed.as_mut().enable();
                if condition(&self.heard.lock().entries) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(self.patience, wait).await.is_ok()
    }

    /// The numbers that arrived on a topic, markers left out.
    pub(super) fn numbers(&self, topic: &Topic) -> Vec<u64> {
        let all = numbers(&self.heard.lock().entries, topic);
        all.into_iter().filter(|number| *number < 1 << 40).collect()
    }

    /// Everything that arrived on topics other than `All`.
    pub(super) fn beside_all(&self) -> Vec<(Topic, BackplaneMessage)> {
        let log = self.heard.lock();
        log.entries.iter().filter(|(topic, _)| *topic != Topic::All).cloned().collect()
    }

    pub(super) fn overlaps(&self) -> usize {
        self.heard.lock().overlaps
    }

    /// Asks until the count is this one. `None` always passes: the backplane cannot know.
    pub(super) async fn counts(&self, topic: &Topic, wanted: u64) -> Verdict {
        let mut seen = None;
        let wait = async {
            loop {
                seen = self.hub.receivers(topic).await;
                if seen.is_none_or(|count| count == wanted) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let reached = tokio::time::timeout(self.patience, wait).await.is_ok();
        ensure(reached, format_args!("{topic:?} has {seen:?} receivers, wanted {wanted}"))
    }
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Log> {
        // Only simple changes happen under this lock.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BackplaneSink for Heard {
    fn deliver(&self, topic: &Topic, message: BackplaneMessage) {
        {
            let mut log = self.lock();
            let inside = log.inside.entry(topic.clone()).or_default();
            *inside += 1;
            if *inside > 1 {
                log.overlaps += 1;
            }
        }
        // Gives another delivery of the topic the chance to come in between, if the backplane allows it.
        std::thread::yield_now();
        {
            let mut log = self.lock();
            log.entries.push((topic.clone(), message));
            if let Some(inside) = log.inside.get_mut(topic) {
                *inside -= 1;
            }
        }
        self.changed.notify_waiters();
    }
}

/// Some listeners, each on a server of its own.
pub(super) async fn listeners<const N: usize>(fleet: &dyn Fleet) -> Result<[Listener; N], Violation> {
    let mut all = Vec::with_capacity(N);
    for _ in 0..N {
        all.push(Listener::join(fleet).await?);
    }
    all.try_into().map_err(|_| Violation::new("not all servers joined"))
}

/// An invocation that carries a number, in both protocols.
pub(super) fn numbered(number: u64) -> BackplaneMessage {
    BackplaneMessage::Invocation(invocation(number))
}

pub(super) fn invocation(number: u64) -> InvocationMessage {
    let mut message = InvocationMessage::default();
    for protocol in Protocol::ALL.into_iter().filter(|protocol| protocol.is_available()) {
        let mut out = Vec::new();
        // A number can always be written.
        let written = HubProtocol::new(protocol).write_invocation(&mut out, None, "Number", &(number,));
        if written.is_ok() {
            message.payloads.set(protocol, Bytes::from(out));
        }
    }
    message
}

fn numbers(log: &[(Topic, BackplaneMessage)], topic: &Topic) -> Vec<u64> {
    log.iter().filter(|(on, _)| on == topic).filter_map(|(_, message)| number_of(message)).collect()
}

fn number_of(message: &BackplaneMessage) -> Option<u64> {
    let BackplaneMessage::Invocation(message) = message else { return None };
    let json = HubProtocol::new(Protocol::Json);
    let (body, _) = json.split(message.payloads.get(Protocol::Json)?).ok()??;
    match json.parse(body) {
        Ok(Message::Invocation(call)) => call.arguments.decode::<(u64,)>().ok().map(|(number,)| number),
        _ => None,
    }
}
