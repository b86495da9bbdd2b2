//! How the backplane is: the state of both connections as one state, and the events that people want to know of.
//!
//! Owns the combination and the telling: state, log line, metric, event, for every transition. Connections report to it;
//! it decides nothing for them.

use crate::breaker::Change;
use crate::stats::Stats;
use signalr_core::{BackplaneError, BackplaneState, Events, StateSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

/// Events that a slow listener may be behind.
const EVENTS: usize = 256;
/// How long a loss by overflow shows in the state.
const OVERFLOW: Duration = Duration::from_secs(10);

/// Which of the two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The one that messages arrive on.
    Subscriber,
    /// The one that messages are published on.
    Publisher,
}

impl Role {
    fn label(self) -> &'static str {
        match self {
            Self::Subscriber => "subscriber",
            Self::Publisher => "publisher",
        }
    }
}

/// Something that an application may want to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisEvent {
    /// A connection is ready: for the subscriber this means that everything wanted is in force.
    Connected(Role),
    /// A connection was lost, or could not be made. It is tried again without an end.
    Failed(Role, BackplaneError),
    /// All is well after an outage. What was lost is lost: resynchronise if that matters.
    Restored {
        /// Kept messages that were published now.
        replayed: u64,
        /// Messages that other servers will never get.
        dropped: u64,
        /// Messages that other servers may or may not have got.
        unknown: u64,
    },
    /// Several failures in a row: nothing is tried any more until Redis shows life, or 30 s have passed.
    BreakerOpened,
    /// A connection was made while the breaker was open: one small message decides whether it closes.
    BreakerHalfOpen,
    /// Redis showed life.
    BreakerClosed,
    /// The subscriber has a new connection; what was published in between did not arrive here.
    SubscriberReplaced,
}

/// A listener to [`RedisEvent`]s.
#[derive(Debug)]
pub struct RedisEvents(broadcast::Receiver<RedisEvent>);

impl RedisEvents {
    /// The next event; `None` when the backplane is gone. A listener that is more than 256 events behind misses the
    /// oldest. Cancel safe.
    pub async fn next(&mut self) -> Option<RedisEvent> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// One connection, as far as others care.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Link {
    /// The first attempt is being made.
    #[default]
    Connecting,
    Up,
    Lost(BackplaneError),
}

impl Link {
    pub(crate) fn error(&self) -> Option<&BackplaneError> {
        match self {
            Self::Lost(error) => Some(error),
            Self::Connecting | Self::Up => None,
        }
    }
}

/// Both connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links {
    pub(crate) publisher: Link,
    pub(crate) subscriber: Link,
    /// Attempts in a row that failed: the publisher's, the subscriber's.
    failures: [u32; 2],
}

impl Links {
    fn set(&mut self, role: Role, link: Link) {
        let (slot, failures) = match role {
            Role::Publisher => (&mut self.publisher, &mut self.failures[0]),
            Role::Subscriber => (&mut self.subscriber, &mut self.failures[1]),
        };
        *failures = if matches!(link, Link::Lost(_)) { failures.saturating_add(1) } else { 0 };
        *slot = link;
    }

    /// How often the connection that has failed more often has failed in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures[0].max(self.failures[1])
    }
}

pub(crate) struct Health {
    stats: Arc<Stats>,
    inner: Mutex<Inner>,
    state: StateSender,
    links: watch::Sender<Links>,
    events: broadcast::Sender<RedisEvent>,
}

#[derive(Default)]
struct Inner {
    started: bool,
    replacing: bool,
    overflow: Option<Instant>,
    outage: Option<Outage>,
    told: Option<BackplaneState>,
}

/// What had been counted when the outage began.
struct Outage {
    replayed: u64,
    dropped: u64,
    unknown: u64,
}

impl Health {
    pub(crate) fn new(stats: Arc<Stats>) -> Self {
        let (state, _) = Events::new(BackplaneState::Starting);
        let (links, _) = watch::channel(Links::default());
        let (events, _) = broadcast::channel(EVENTS);
        Self { stats, inner: Mutex::default(), state, links, events }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics between two states.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    pub(crate) fn state(&self) -> Events {
        self.state.subscribe()
    }

    pub(crate) fn links(&self) -> watch::Receiver<Links> {
        self.links.subscribe()
    }

    pub(crate) fn events(&self) -> RedisEvents {
        RedisEvents(self.events.subscribe())
    }

    /// A connection is ready.
    pub(crate) fn up(&self, role: Role) {
        tracing::info!(?role, "connected to Redis");
        metrics::counter!("signalr.redis.connections", "role" => role.label()).increment(1);
        self.set(role, Link::Up);
        self.raise(RedisEvent::Connected(role));
        if role == Role::Subscriber && self.lock().replacing {
            tracing::warn!("the Redis subscriber was replaced; what was published meanwhile did not arrive");
            metrics::counter!("signalr.redis.gaps").increment(1);
            self.raise(RedisEvent::SubscriberReplaced);
            // Not before: until then no outage ends.
            self.lock().replacing = false;
        }
    }

    /// Takes note of what had been lost before an outage, at its very beginning.
    pub(crate) fn outage_begins(&self) {
        self.lock().begin_outage(&self.stats);
    }

    /// A connection was lost or could not be made.
    pub(crate) fn lost(&self, role: Role, error: BackplaneError) {
        let old = match role {
            Role::Publisher => self.links.borrow().publisher.clone(),
            Role::Subscriber => self.links.borrow().subscriber.clone(),
        };
        metrics::counter!("signalr.redis.connection_failures", "role" => role.label()).increment(1);
        if role == Role::Subscriber && old == Link::Up {
            self.lock().replacing = true;
        }
        self.set(role, Link::Lost(error.clone()));
        if old == Link::Lost(error.clone()) {
            // The same trouble as before: known already.
            tracing::debug!(?role, %error, "still no connection to Redis");
            return;
        }
        tracing::warn!(?role, %error, "no connection to Redis; trying again");
        self.raise(RedisEvent::Failed(role, error));
    }

    /// The breaker has changed.
    pub(crate) fn breaker(&self, change: Change) {
        let (event, state) = match change {
            Change::Opened => (RedisEvent::BreakerOpened, "open"),
            Change::HalfOpened => (RedisEvent::BreakerHalfOpen, "half_open"),
            Change::Closed => (RedisEvent::BreakerClosed, "closed"),
        };
        tracing::warn!(state, "the circuit breaker of the Redis publisher");
        metrics::counter!("signalr.redis.breaker_transitions", "state" => state).increment(1);
        self.raise(event);
    }

    /// A message was lost because this server does not keep up.
    pub(crate) fn overflowed(&self) {
        self.stats.overflowed(1);
        let earlier = self.lock().overflow.replace(Instant::now());
        // There may be very many: the first one says it, all are counted.
        if earlier.is_none() {
            tracing::warn!("messages are dropped: this server does not keep up with what it has to deliver");
        }
        self.refresh();
    }

    /// Both connections are up and nothing waits any more: ends an outage, if there was one.
    pub(crate) fn settled(&self) {
        // The lane may know of a connection a moment before its return was told here.
        if self.links.borrow().publisher != Link::Up || self.links.borrow().subscriber != Link::Up {
            return;
        }
        let mut inner = self.lock();
        if inner.replacing {
            return;
        }
        let Some(outage) = inner.outage.take() else { return };
        drop(inner);
        let now = self.stats.snapshot();
        let (replayed, dropped, unknown) =
            (now.replayed - outage.replayed, now.dropped - outage.dropped, now.unknown - outage.unknown);
        tracing::info!(replayed, dropped, unknown, "Redis is back");
        metrics::counter!("signalr.redis.outages").increment(1);
        self.raise(RedisEvent::Restored { replayed, dropped, unknown });
    }

    /// Whether an outage has begun and its end was not told yet.
    pub(crate) fn in_outage(&self) -> bool {
        self.lock().outage.is_some()
    }

    /// Lets time pass: an overflow is forgotten.
    pub(crate) fn refresh(&self) {
        let mut inner = self.lock();
        let state = inner.combine(&self.links.borrow(), &self.stats);
        if inner.told.replace(state) != Some(state) {
            tracing::info!(?state, "the Redis backplane");
            metrics::counter!("signalr.redis.state_changes", "state" => label(state)).increment(1);
        }
        self.state.set(state);
    }

    fn set(&self, role: Role, link: Link) {
        self.links.send_modify(|links| links.set(role, link));
        self.refresh();
    }

    fn raise(&self, event: RedisEvent) {
        // Nobody need listen.
        let _ = self.events.send(event);
    }
}

impl Inner {
    fn begin_outage(&mut self, stats: &Stats) {
        if self.started && self.outage.is_none() {
            let now = stats.snapshot();
            self.outage = Some(Outage { replayed: now.replayed, dropped: now.dropped, unknown: now.unknown });
        }
    }

    fn combine(&mut self, links: &Links, stats: &Stats) -> BackplaneState {
        let up = [&links.publisher, &links.subscriber].into_iter().filter(|link| **link == Link::Up).count();
        self.started |= up == 2;
        if !self.started {
            return BackplaneState::Starting;
        }
        if up < 2 {
            self.begin_outage(stats);
        }
        if self.overflow.is_some_and(|since| since.elapsed() > OVERFLOW) {
            self.overflow = None;
        }
        match (up, self.overflow) {
            (0, _) => BackplaneState::Down,
            (2, None) => BackplaneState::Up,
            _ => BackplaneState::Degraded,
        }
    }
}

fn label(state: BackplaneState) -> &'static str {
    match state {
        BackplaneState::Starting => "starting",
        BackplaneState::Up => "up",
        BackplaneState::Degraded => "degraded",
        _ => "down",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signalr_core::BackplaneErrorKind;

    fn error(text: &'static str) -> BackplaneError {
        BackplaneError::new(BackplaneErrorKind::Unavailable, text)
    }

    #[tokio::test(start_paused = true)]
    async fn two_connections_make_one_state() {
        let health = Health::new(Arc::default());
        let state = health.state();
        assert_eq!(state.current(), BackplaneState::Starting);
        health.up(Role::Publisher);
        assert_eq!(state.current(), BackplaneState::Starting);
        health.up(Role::Subscriber);
        assert_eq!(state.current(), BackplaneState::Up);
        health.lost(Role::Subscriber, error("a"));
        assert_eq!(state.current(), BackplaneState::Degraded);
        health.lost(Role::Publisher, error("a"));
        assert_eq!(state.current(), BackplaneState::Down);
        health.up(Role::Subscriber);
        health.up(Role::Publisher);
        assert_eq!(state.current(), BackplaneState::Up);
        health.overflowed();
        assert_eq!(state.current(), BackplaneState::Degraded);
        tokio::time::advance(OVERFLOW + Duration::from_secs(1)).await;
        health.refresh();
        assert_eq!(state.current(), BackplaneState::Up);
    }

    #[tokio::test(start_paused = true)]
    async fn every_transition_is_an_event_and_the_same_trouble_is_told_once() {
        let stats = Arc::<Stats>::default();
        let health = Health::new(stats.clone());
        let mut events = health.events();
        health.up(Role::Publisher);
        health.up(Role::Subscriber);
        health.settled();
        for _ in 0..3 {
            health.lost(Role::Subscriber, error("a"));
        }
        stats.dropped(2);
        stats.unknown(1);
        health.up(Role::Subscriber);
        health.settled();
        health.settled();
        health.breaker(Change::Opened);
        health.breaker(Change::HalfOpened);
        health.breaker(Change::Closed);
        drop(health);
        let mut seen = Vec::new();
        while let Some(event) = events.next().await {
            seen.push(event);
        }
        assert_eq!(
            seen,
            [
                RedisEvent::Connected(Role::Publisher),
                RedisEvent::Connected(Role::Subscriber),
                RedisEvent::Failed(Role::Subscriber, error("a")),
                RedisEvent::Connected(Role::Subscriber),
                RedisEvent::SubscriberReplaced,
                RedisEvent::Restored { replayed: 0, dropped: 2, unknown: 1 },
                RedisEvent::BreakerOpened,
                RedisEvent::BreakerHalfOpen,
                RedisEvent::BreakerClosed,
            ]
        );
    }
}
