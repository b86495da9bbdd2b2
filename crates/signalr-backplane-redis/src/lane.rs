//! The way out: where every message takes its place, and what happens to it while Redis is away.
//!
//! Owns the one order of everything that this server publishes, the queue in front of the publisher, the buffer of an
//! outage, and the carrying out of the outage rules (`outage` decides). It never talks to Redis: the publisher takes
//! parcels from here. One lock makes the order; nothing is delivered under it.

use crate::buffer::{Buffer, Kept};
use crate::member::Member;
use crate::options::OutagePolicy;
use crate::outage::{Class, Facts, Step, decide};
use crate::parcel::{Kind, Parcel, invalid, left, timed_out, unavailable};
use crate::registry::Registry;
use crate::settings::Settings;
use crate::stats::Stats;
use signalr_core::{BackplaneError, BackplaneMessage, Outcome, Ticket, Topic};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Bytes that may wait for the publisher; what comes on top is refused.
const QUEUE: usize = 64 << 20;

pub(crate) struct Lane {
    registry: Arc<Registry>,
    stats: Arc<Stats>,
    policy: OutagePolicy,
    patience: Duration,
    state: Mutex<State>,
    wake: Notify,
    fence: Notify,
}

struct State {
    publisher: bool,
    subscriber: bool,
    queue: VecDeque<Parcel>,
    queued: usize,
    buffer: Buffer<Parcel>,
    replaying: usize,
    /// Echoes of what was published before the publisher was lost may still come, and must come first.
    fenced: bool,
    /// Counts fences, so that the answer for an old one does not lower a new one.
    fence: u64,
    /// How often the subscriber was lost.
    losses: u64,
}

impl State {
    fn facts(&self) -> Facts {
        Facts { publisher: self.publisher, subscriber: self.subscriber, buffered: !self.buffer.is_empty() }
    }
}

impl Lane {
    pub(crate) fn new(settings: &Settings, registry: Arc<Registry>, stats: Arc<Stats>) -> Self {
        let (room, ttl) = match settings.outage {
            OutagePolicy::Buffer { bytes, ttl } => (bytes, ttl),
            _ => (0, Duration::ZERO),
        };
        let state = State {
            publisher: false,
            subscriber: false,
            queue: VecDeque::new(),
            queued: 0,
            buffer: Buffer::new(room, ttl),
            replaying: 0,
            fenced: false,
            fence: 0,
            losses: 0,
        };
        Self {
            registry,
            stats,
            policy: settings.outage,
            patience: settings.request_timeout,
            state: Mutex::new(state),
            wake: Notify::new(),
            fence: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics between two states.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a message its place, before it returns.
    pub(crate) fn publish(&self, member: &Arc<Member>, topic: &Topic, message: BackplaneMessage) -> Ticket {
        if member.has_left() {
            return Ticket::known(Err(left()));
        }
        // Nearly always sent as it is: encoded outside of the lock.
        let (channel, bytes) = match member.codec().encode(topic, &message) {
            Ok(encoded) => encoded,
            Err(error) => return Ticket::known(Err(invalid(error))),
        };
        let class = Class::of(topic, &message);
        let kind = match class {
            Class::Send => Kind::Send(topic.clone(), message),
            Class::Served => Kind::Served,
            Class::Question | Class::Answer => Kind::Once,
        };
        let (parcel, ticket) = Parcel::new(member, channel, bytes, kind);
        let mut state = self.lock();
        let step = decide(class, state.facts(), self.policy);
        self.carry_out(&mut state, step, parcel);
        drop(state);
        if !matches!(step, Step::Publish | Step::Fail) {
            member.inbox().deliver();
        }
        ticket
    }

    fn carry_out(&self, state: &mut State, step: Step, mut parcel: Parcel) {
        match step {
            Step::Publish => self.queue(state, parcel),
            Step::ServeAndPublish => {
                self.serve(&mut parcel);
                self.queue(state, parcel);
            }
            Step::ServeAndBuffer => {
                self.serve(&mut parcel);
                self.buffer(state, parcel);
            }
            Step::ServeOnly => {
                self.serve(&mut parcel);
                self.stats.dropped(1);
                let here = self.registry.wants(parcel.member(), &parcel.channel);
                parcel.tell(Ok(Outcome::Receivers(here.into())));
            }
            Step::Fail => {
                self.stats.refused(1);
                parcel.tell(Err(unavailable()));
            }
        }
    }

    fn queue(&self, state: &mut State, mut parcel: Parcel) {
        let size = parcel.size();
        if state.queued + size > QUEUE {
            self.stats.refused(1);
            parcel.tell(Err(timed_out()));
            return;
        }
        state.queued += size;
        state.queue.push_back(parcel);
        self.wake.notify_one();
    }

    /// Gives a send to the local members, once, and tags it.
    fn serve(&self, parcel: &mut Parcel) {
        let Kind::Send(topic, message) = std::mem::replace(&mut parcel.kind, Kind::Served) else { return };
        let member = parcel.member().clone();
        let mut tagged = message.clone();
        if let BackplaneMessage::Invocation(tagged) = &mut tagged {
            tagged.origin = Some(member.node().clone());
        }
        // The same message without the tag was written before: it can be written with it.
        if let Ok((_, bytes)) = member.codec().encode(&topic, &tagged) {
            parcel.served(bytes);
        }
        let here = self.registry.wants(&member, &parcel.channel);
        if here && member.inbox().push_own(topic, message).is_err() {
            self.stats.overflowed(1);
        }
    }

    fn buffer(&self, state: &mut State, mut parcel: Parcel) {
        self.stats.buffered(1);
        parcel.tell(Ok(Outcome::Buffered));
        parcel.kind = Kind::Replayed;
        self.stats.dropped(state.buffer.push(keep(parcel)));
    }

    /// Messages can be published.
    pub(crate) fn publisher_up(&self) {
        self.lock().publisher = true;
    }

    /// Nothing can be published. Messages that were not handed over are treated as if they came now.
    pub(crate) fn publisher_down(&self) {
        let mut state = self.lock();
        state.publisher = false;
        self.raise_fence(&mut state);
        state.queued = 0;
        let queue = std::mem::take(&mut state.queue);
        let (returned, rest): (Vec<_>, Vec<_>) =
            queue.into_iter().partition(|parcel| matches!(parcel.kind, Kind::Replayed));
        state.replaying -= returned.len();
        let returned = returned.into_iter().map(keep);
        self.stats.dropped(state.buffer.put_back(returned.collect()));
        for parcel in rest {
            let class = match &parcel.kind {
                Kind::Send(..) => Class::Send,
                Kind::Served | Kind::Replayed => Class::Served,
                Kind::Once => Class::Answer,
            };
            let step = decide(class, state.facts(), self.policy);
            self.carry_out(&mut state, step, parcel);
        }
        drop(state);
        self.deliver_all();
    }

    /// Everything that is wanted is received.
    pub(crate) fn subscriber_up(&self) {
        self.lock().subscriber = true;
        self.wake.notify_one();
    }

    /// Nothing is received, and nothing of what was published before will be.
    pub(crate) fn subscriber_down(&self) {
        let fence = {
            let mut state = self.lock();
            state.subscriber = false;
            state.losses += 1;
            state.fence
        };
        self.fence_passed(fence);
    }

    /// Makes own messages wait until the subscriber has received all echoes that are on their way: they are older.
    fn raise_fence(&self, state: &mut State) {
        let joined = self.registry.joined();
        if state.subscriber && !joined.is_empty() {
            state.fenced = true;
            state.fence += 1;
            joined.iter().for_each(|member| member.inbox().hold());
            self.fence.notify_one();
        }
    }

    /// Ready when the subscriber is to find out whether all echoes have come. Cancel safe.
    pub(crate) async fn fence_raised(&self) {
        self.fence.notified().await;
    }

    /// The newest fence.
    pub(crate) fn fence(&self) -> u64 {
        self.lock().fence
    }

    /// All echoes have come that were on their way when this fence was raised.
    pub(crate) fn fence_passed(&self, fence: u64) {
        let mut state = self.lock();
        if state.fence != fence {
            return;
        }
        state.fenced = false;
        self.registry.joined().iter().for_each(|member| member.inbox().release());
        drop(state);
        self.deliver_all();
        self.wake.notify_one();
    }

    fn deliver_all(&self) {
        self.registry.joined().iter().for_each(|member| member.inbox().deliver());
    }

    pub(crate) fn has_subscriber(&self) -> bool {
        self.lock().subscriber
    }

    /// How often what is received has been interrupted.
    pub(crate) fn subscriber_losses(&self) -> u64 {
        self.lock().losses
    }

    /// Ready when there may be something to take. Cancel safe.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Takes what may be written now, in order: at least one parcel if there is any and `bytes` is not 0.
    pub(crate) fn take(&self, count: usize, bytes: usize) -> Vec<Parcel> {
        let mut state = self.lock();
        let mut taken = Vec::with_capacity(count.min(state.queue.len()));
        let mut size = 0;
        while taken.len() < count && size < bytes {
            let Some(parcel) = state.queue.pop_front() else { break };
            size += parcel.size();
            taken.push(parcel);
        }
        state.queued -= size;
        taken
    }

    /// Gives up on what has waited for room too long.
    pub(crate) fn expire(&self, now: Instant) {
        let mut state = self.lock();
        let late = |parcel: &Parcel| now.duration_since(parcel.since) > self.patience;
        while state.queue.front().is_some_and(late) {
            let Some(mut parcel) = state.queue.pop_front() else { return };
            state.queued -= parcel.size();
            if matches!(parcel.kind, Kind::Replayed) {
                state.replaying -= 1;
                self.stats.dropped(1);
            } else {
                self.stats.refused(1);
            }
            parcel.tell(Err(timed_out()));
        }
    }

    /// Whether kept messages could be published if the fleet is back.
    pub(crate) fn may_replay(&self) -> bool {
        let state = self.lock();
        state.publisher && state.subscriber && !state.fenced && !state.buffer.is_empty()
    }

    /// Whether all is as if there had been no outage: both ways are open, and nothing waits from before.
    pub(crate) fn is_settled(&self) -> bool {
        let state = self.lock();
        let quiet = !state.fenced && state.buffer.is_empty() && state.replaying == 0;
        state.publisher && state.subscriber && quiet
    }

    /// Queues what was kept; what comes from now on queues behind it.
    pub(crate) fn replay(&self, now: Instant) {
        let mut state = self.lock();
        let dropped = state.buffer.expire(now);
        self.stats.dropped(dropped);
        for kept in state.buffer.take() {
            let mut parcel = kept.message;
            // It waits for room from now on; its age has been judged.
            parcel.since = now;
            state.queued += parcel.size();
            state.replaying += 1;
            state.queue.push_back(parcel);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Parcels that were taken have their outcomes.
    pub(crate) fn settle(&self, settled: Vec<(Parcel, Settled)>) {
        let (mut published, mut unknown, mut refused, mut dropped) = (0, 0, 0, 0);
        let (mut ended, mut replayed) = (0, 0);
        for (parcel, outcome) in &settled {
            let kept = matches!(parcel.kind, Kind::Replayed);
            ended += usize::from(kept);
            match outcome {
                Ok(Outcome::Receivers(_)) => {
                    (published, replayed) = (published + 1, replayed + u64::from(kept))
                }
                Ok(_) => unknown += 1,
                Err(_) if kept => dropped += 1,
                Err(_) => refused += 1,
            }
        }
        self.stats.published(published);
        self.stats.replayed(replayed);
        self.stats.unknown(unknown);
        self.stats.refused(refused);
        self.stats.dropped(dropped);
        if ended > 0 {
            self.lock().replaying -= ended;
        }
        for (mut parcel, outcome) in settled {
            parcel.tell(outcome);
        }
    }
}

/// What became of a parcel.
type Settled = Result<Outcome, BackplaneError>;

fn keep(parcel: Parcel) -> Kept<Parcel> {
    Kept { since: parcel.since, bytes: parcel.size(), message: parcel }
}
