//! The way out: where every message takes its place, and what happens to it while Redis is away.
//!
//! Owns the one order of everything that this server publishes, the queue in front of the publisher, the buffer of an
//! outage, and the carrying out of the outage rules (`outage` decides). It never talks to Redis: the publisher takes
//! parcels from here. One lock makes the order; nothing is delivered under it.

use crate::buffer::{Buffer, Kept};
use crate::health::Health;
use crate::member::Member;
use crate::options::OutagePolicy;
use crate::outage::{Class, Facts, Step, decide};
use crate::outlet::Outlet;
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
/// Messages up to this size are written by whoever publishes them, when nothing is on its way.
const SMALL: usize = 64 << 10;

pub(crate) struct Lane {
    registry: Arc<Registry>,
    stats: Arc<Stats>,
    health: Arc<Health>,
    policy: OutagePolicy,
    patience: Duration,
    state: Mutex<State>,
    wake: Notify,
    fence: Notify,
}

struct State {
    publisher: bool,
    /// What may be published on at once, without the publisher.
    outlet: Option<Outlet>,
    /// The publisher may have parcels in its hands that it has not written.
    taken: bool,
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

    /// What a message may be published on at once, because nothing is in front of it.
    fn shortcut(&self, step: Step, parcel: &Parcel) -> Option<Outlet> {
        let first = self.queue.is_empty() && !self.taken && parcel.size() <= SMALL;
        self.outlet.as_ref().filter(|_| first && matches!(step, Step::Publish)).cloned()
    }
}

impl Lane {
    pub(crate) fn new(settings: &Settings, registry: Arc<Registry>, health: Arc<Health>) -> Self {
        let (room, ttl) = match settings.outage {
            OutagePolicy::Buffer { bytes, ttl } => (bytes, ttl),
            _ => (0, Duration::ZERO),
        };
        let state = State {
            publisher: false,
            outlet: None,
            taken: false,
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
            stats: health.stats().clone(),
            health,
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
        member.meter().published(bytes.len());
        let class = Class::of(topic, &message);
        let kind = match class {
            Class::Send => Kind::Send(topic.clone(), message),
            Class::Served => Kind::Served,
            Class::Question | Class::Answer => Kind::Once,
        };
        let (parcel, ticket) = Parcel::new(member, channel, bytes, kind);
        let mut state = self.lock();
        let step = decide(class, state.facts(), self.policy);
        if let Some(outlet) = state.shortcut(step, &parcel)
            && let Some(mut pipe) = outlet.idle()
        {
            // It has its place; who comes next finds the connection taken, or busy, and goes through the queue.
            drop(state);
            pipe.publish(vec![parcel]);
            if !pipe.write_at_once() {
                self.wake.notify_one();
            }
            return ticket;
        }
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
            self.health.overflowed();
        }
    }

    fn buffer(&self, state: &mut State, mut parcel: Parcel) {
        self.stats.buffered(1);
        parcel.tell(Ok(Outcome::Buffered));
        parcel.kind = Kind::Replayed;
        self.stats.dropped(state.buffer.push(keep(parcel)));
    }

    /// Messages can be published; on the outlet, if there is one, without the publisher.
    pub(crate) fn publisher_up(&self, outlet: Option<Outlet>) {
        let mut state = self.lock();
        state.publisher = true;
        state.outlet = outlet;
    }

    /// Puts what was taken last, and of which no byte was written, back to its place.
    pub(crate) fn give_back(&self, parcels: Vec<Parcel>) {
        let mut state = self.lock();
        for parcel in parcels.into_iter().rev() {
            state.queued += parcel.size();
            state.queue.push_front(parcel);
        }
    }

    /// Nothing can be published. Messages that were not handed over are treated as if they came now.
    pub(crate) fn publisher_down(&self) {
        let mut state = self.lock();
        state.publisher = false;
        state.outlet = None;
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

    /// Takes what may be written now, in order: so many bytes on the wire, but at least one parcel if there is any and `bytes`
    /// is not 0. All that was taken before must have been handed to its connection.
    pub(crate) fn take(&self, count: usize, bytes: usize) -> Vec<Parcel> {
        let mut state = self.lock();
        let mut taken = Vec::with_capacity(count.min(state.queue.len()));
        let mut size = 0;
        while taken.len() < count && size < bytes {
            let Some(parcel) = state.queue.pop_front() else { break };
            size += parcel.wire_size();
            state.queued -= parcel.size();
            taken.push(parcel);
        }
        state.taken = !taken.is_empty();
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

    /// Drops what was kept and is too old by now.
    pub(crate) fn expire_kept(&self, now: Instant) {
        let dropped = self.lock().buffer.expire(now);
        self.stats.dropped(dropped);
    }

    /// Bytes that wait for the publisher, and bytes that are kept in an outage.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let state = self.lock();
        (state.queued, state.buffer.bytes())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Role;
    use crate::options::RedisOptions;
    use crate::pipe::{Pipe, Replies};
    use crate::resp::Publish;
    use crate::wire::{Channels, Codec, Invocation};
    use bytes::Bytes;
    use futures_util::FutureExt;
    use signalr_core::{BackplaneErrorKind, BackplaneSink, BackplaneState, InvocationMessage};
    use signalr_protocol::Protocol;
    use std::task::{Context, Waker};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    const ROOM: usize = 1 << 30;

    /// Writes down what comes.
    #[derive(Default)]
    struct Log(Mutex<Vec<u8>>);

    impl BackplaneSink for Log {
        fn deliver(&self, _: &Topic, message: BackplaneMessage) {
            let BackplaneMessage::Invocation(message) = message else { return };
            self.0.lock().unwrap().extend(message.payloads.get(Protocol::Json).unwrap().first());
        }
    }

    impl Log {
        fn heard(&self) -> Vec<u8> {
            self.0.lock().unwrap().clone()
        }
    }

    struct World {
        lane: Lane,
        member: Arc<Member>,
        health: Arc<Health>,
        log: Arc<Log>,
    }

    impl World {
        /// One hub that is a member of the group, both connections up.
        fn new(options: &str) -> Self {
            let settings =
                Settings::new(&RedisOptions::parse(&format!("redis://a{options}")).unwrap()).unwrap();
            let (registry, health) = (Arc::new(Registry::new()), Arc::new(Health::new(Arc::default())));
            let lane = Lane::new(&settings, registry.clone(), health.clone());
            let log = Arc::<Log>::default();
            let member = Member::new("node".into(), Codec::new(Channels::new("", "H")), log.clone()).unwrap();
            registry.join(&member, "probe".into());
            let _ = registry.want(&member, vec!["H:group:g".into()]);
            lane.publisher_up(None);
            lane.subscriber_up();
            health.up(Role::Publisher);
            health.up(Role::Subscriber);
            Self { lane, member, health, log }
        }

        /// A message of a byte, and of so many more that do not matter.
        fn say_padded(&self, byte: u8, padding: usize) -> Ticket {
            let mut message = InvocationMessage::default();
            let mut text = vec![0; padding + 1];
            text[0] = byte;
            message.payloads.set(Protocol::Json, Bytes::from(text));
            self.lane.publish(&self.member, &Topic::group("g"), BackplaneMessage::Invocation(message))
        }

        fn say(&self, byte: u8) -> Ticket {
            self.say_padded(byte, 0)
        }

        fn counters(&self) -> crate::stats::RedisCounters {
            self.health.stats().snapshot()
        }
    }

    /// The messages themselves, with their origin tags.
    fn written(parcels: &[Parcel]) -> Vec<(u8, Option<String>)> {
        let read = |parcel: &Parcel| {
            let message = Invocation::read(&Bytes::from(parcel.bytes.clone())).unwrap();
            (message.payloads[0].1[0], message.origin)
        };
        parcels.iter().map(read).collect()
    }

    fn all(parcels: Vec<Parcel>, outcome: Outcome) -> Vec<(Parcel, Settled)> {
        parcels.into_iter().map(|parcel| (parcel, Ok(outcome))).collect()
    }

    fn node() -> Option<String> {
        Some("node".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_tagged_only_where_local_members_were_served() {
        let world = World::new("");
        drop(world.say(1));
        world.lane.subscriber_down();
        drop(world.say(2));
        world.lane.subscriber_up();
        drop(world.say(3));
        assert_eq!(written(&world.lane.take(9, ROOM)), [(1, None), (2, node()), (3, None)]);
        assert_eq!(world.log.heard(), [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_handed_over_is_kept_in_front_of_what_comes_later() {
        let world = World::new("");
        let [first, second] = [world.say(1), world.say(2)];
        let flying = world.lane.take(1, ROOM);
        world.lane.publisher_down();
        assert!(world.log.heard().is_empty(), "an echo of the first one may still come");
        drop(world.say(3));
        world.lane.fence_passed(world.lane.fence());
        assert_eq!(world.log.heard(), [2, 3]);
        world.lane.settle(all(flying, Outcome::Unknown));
        assert_eq!((first.await, second.await), (Ok(Outcome::Unknown), Ok(Outcome::Buffered)));
        world.lane.publisher_up(None);
        drop(world.say(4));
        assert!(world.lane.take(9, ROOM).is_empty(), "the fleet is not back yet");
        world.lane.replay(Instant::now());
        drop(world.say(5));
        let (left, counters) = (world.lane.take(9, ROOM), world.counters());
        assert_eq!(written(&left), [(2, node()), (3, node()), (4, node()), (5, None)]);
        assert_eq!((counters.unknown, counters.buffered, counters.dropped), (1, 3, 0));
        assert!(!world.lane.is_settled(), "replays have no outcome yet");
        world.lane.settle(all(left, Outcome::Receivers(1)));
        assert!(world.lane.is_settled());
        assert_eq!((world.counters().replayed, world.counters().published), (3, 4));
    }

    /// A connection whose other end is `far`, with room for so many bytes.
    fn outlet(room: usize) -> (Outlet, DuplexStream) {
        let (near, far) = tokio::io::duplex(room);
        (Outlet::new(Pipe::new(Box::new(near), Arc::default(), Publish::new("PUBLISH"))), far)
    }

    /// Redis answers so many messages; what they were.
    async fn answer(outlet: &Outlet, far: &mut DuplexStream, count: usize) -> Vec<u8> {
        far.write_all(&b":1\r\n".repeat(count)).await.unwrap();
        let mut replies = Replies::new();
        assert!(outlet.lock().poll(&mut Context::from_waker(Waker::noop()), &mut replies).is_ready());
        written(&replies.into_iter().map(|(parcel, _)| parcel).collect::<Vec<_>>())
            .into_iter()
            .map(|(byte, _)| byte)
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_with_nothing_in_front_of_it_is_written_by_whoever_publishes_it() {
        let world = World::new("");
        let (outlet, mut far) = outlet(4096);
        world.lane.publisher_up(Some(outlet.clone()));
        let _tickets = [world.say(1), world.say(2)];
        assert!(outlet.lock().in_flight() > 0 && world.lane.woken().now_or_never().is_some());
        let second = world.lane.take(9, ROOM);
        assert_eq!(written(&second), [(2, None)], "the first is on its way already");
        // Nothing is on its way any more, but the publisher still holds the second.
        assert_eq!(answer(&outlet, &mut far, 1).await, [1]);
        drop(world.say(3));
        outlet.lock().publish(second);
        outlet.lock().publish(world.lane.take(9, ROOM));
        assert_eq!(answer(&outlet, &mut far, 2).await, [2, 3]);
        assert_eq!(outlet.lock().in_flight(), 0);
        assert!(world.lane.take(9, ROOM).is_empty());
        drop(world.say(4));
        assert!(world.lane.take(9, ROOM).is_empty());
        assert_eq!(answer(&outlet, &mut far, 1).await, [4]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_written_at_once_is_left_to_the_publisher() {
        let world = World::new("");
        let (small, mut far) = outlet(40);
        world.lane.publisher_up(Some(small.clone()));
        while world.lane.woken().now_or_never().is_some() {}
        drop(world.say(1));
        assert!(world.lane.woken().now_or_never().is_some() && world.lane.take(9, ROOM).is_empty());
        far.read_exact(&mut [0; 40]).await.unwrap();
        let mut replies = Replies::new();
        assert!(small.lock().poll(&mut Context::from_waker(Waker::noop()), &mut replies).is_pending());
        assert!(far.read(&mut [0; 400]).await.unwrap() > 0, "the rest");

        // Nobody is there any more: the publisher is to find that out.
        let (cut, far) = outlet(4096);
        drop(far);
        world.lane.publisher_up(Some(cut.clone()));
        drop(world.say(2));
        assert!(world.lane.woken().now_or_never().is_some() && !cut.lock().is_over());
        assert!(cut.lock().poll(&mut Context::from_waker(Waker::noop()), &mut replies).is_ready());
        assert!(cut.lock().is_over() && replies.is_empty() && cut.idle().is_none());
        assert_eq!(cut.lock().unwritten().len(), 1);
        drop(world.say(3));
        assert_eq!(written(&world.lane.take(9, ROOM)), [(3, None)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_and_not_written_is_treated_as_if_it_had_not_been_taken() {
        let world = World::new("");
        let [first, second] = [world.say(1), world.say(2)];
        drop(world.say(3));
        let mut taken = world.lane.take(2, ROOM);
        let unwritten = taken.pop().into_iter().collect();
        world.lane.give_back(unwritten);
        world.lane.publisher_down();
        world.lane.settle(all(taken, Outcome::Unknown));
        world.lane.fence_passed(world.lane.fence());
        assert_eq!((first.await, second.await), (Ok(Outcome::Unknown), Ok(Outcome::Buffered)));
        assert_eq!((world.log.heard(), world.counters().unknown), (vec![2, 3], 1));
        world.lane.publisher_up(None);
        world.lane.replay(Instant::now());
        assert_eq!(written(&world.lane.take(9, ROOM)), [(2, node()), (3, node())]);
    }

    #[tokio::test(start_paused = true)]
    async fn replays_that_were_not_handed_over_stay_in_front_when_the_publisher_is_lost_again() {
        let world = World::new("");
        world.lane.publisher_down();
        world.lane.fence_passed(world.lane.fence());
        for byte in 1..4 {
            drop(world.say(byte));
        }
        world.lane.publisher_up(None);
        world.lane.replay(Instant::now());
        let flying = world.lane.take(1, ROOM);
        drop(world.say(4));
        world.lane.publisher_down();
        world.lane.settle(all(flying, Outcome::Unknown));
        world.lane.fence_passed(world.lane.fence());
        world.lane.publisher_up(None);
        world.lane.replay(Instant::now());
        assert_eq!(written(&world.lane.take(9, ROOM)), [(2, node()), (3, node()), (4, node())]);
        assert_eq!(world.log.heard(), [1, 2, 3, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_room_in_time_is_refused_and_was_not_sent() {
        let world = World::new("?asyncTimeout=1000");
        let late = world.say(1);
        tokio::time::advance(Duration::from_millis(600)).await;
        let early = world.say(2);
        tokio::time::advance(Duration::from_millis(600)).await;
        world.lane.expire(Instant::now());
        let error = late.await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (BackplaneErrorKind::TimedOut, true));
        assert_eq!(written(&world.lane.take(9, ROOM)), [(2, None)]);
        assert_eq!((world.counters().refused, world.lane.waiting()), (1, (0, 0)));
        drop(early);
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_of_the_publisher_is_bounded_in_bytes() {
        let world = World::new("");
        let tickets: Vec<_> = (0..70).map(|byte| world.say_padded(byte, 1 << 20)).collect();
        let (queued, _) = world.lane.waiting();
        assert!(queued <= QUEUE && queued > QUEUE - (3 << 20), "{queued}");
        let refused = world.counters().refused;
        assert!(refused > 0);
        for ticket in tickets.into_iter().rev().take(refused as usize) {
            assert_eq!(ticket.await.unwrap_err().kind(), BackplaneErrorKind::TimedOut);
        }
        assert_eq!(world.lane.take(1_000, ROOM).len() as u64, 70 - refused);
        assert_eq!(world.lane.waiting(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_local_delivery_that_finds_no_room_is_counted_and_shows_for_ten_seconds() {
        let world = World::new("?outage=local_only");
        // Echoes may still come: own messages wait behind them.
        world.lane.publisher_down();
        for byte in 0..70 {
            drop(world.say_padded(byte, 1 << 20));
        }
        let overflowed = world.counters().overflowed;
        assert!((6..=8).contains(&overflowed), "{overflowed}");
        assert_eq!(world.health.state().current(), BackplaneState::Degraded);
        world.lane.fence_passed(world.lane.fence());
        assert_eq!(world.log.heard().len() as u64, 70 - overflowed);
        tokio::time::advance(Duration::from_secs(9)).await;
        world.health.refresh();
        assert_eq!(world.health.state().current(), BackplaneState::Degraded);
        tokio::time::advance(Duration::from_secs(2)).await;
        world.health.refresh();
        assert_eq!(world.health.state().current(), BackplaneState::Up);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_queued_when_the_publisher_is_lost_is_treated_by_the_policy() {
        for (policy, outcome, heard) in [
            ("?outage=fail", None, vec![]),
            ("?outage=local_only", Some(Outcome::Receivers(1)), vec![1]),
            ("?outage=buffer", Some(Outcome::Buffered), vec![1]),
        ] {
            let world = World::new(policy);
            let ticket = world.say(1);
            world.lane.publisher_down();
            world.lane.fence_passed(world.lane.fence());
            assert_eq!(ticket.await.ok(), outcome, "{policy}");
            assert_eq!(world.log.heard(), heard, "{policy}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_too_long_is_dropped_by_itself() {
        let world = World::new("?bufferTtl=2s");
        world.lane.publisher_down();
        assert_eq!(world.say(1).await, Ok(Outcome::Buffered));
        assert!(world.lane.waiting().1 > 0);
        tokio::time::advance(Duration::from_secs(3)).await;
        world.lane.expire_kept(Instant::now());
        assert_eq!((world.counters().dropped, world.lane.waiting()), (1, (0, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_bytes_are_taken_and_one_message_at_least() {
        let world = World::new("");
        for byte in 0..3 {
            drop(world.say(byte));
        }
        assert_eq!(world.lane.take(9, 0).len(), 0);
        assert_eq!(world.lane.take(9, 1).len(), 1);
        assert_eq!(world.lane.take(1, ROOM).len(), 1);
        assert_eq!(world.lane.take(9, ROOM).len(), 1);
    }
}
