//! The publisher: one connection that everything is published on.
//!
//! Owns dialling without an end, the batches, what is in flight, the probe, and trials after failures. Order and outage rules are the lane's.

use crate::backoff::Backoff;
use crate::breaker::{Breaker, Change};
use crate::dial::{Link, dial};
use crate::engine::Shared;
use crate::health::{RedisEvent, Role};
use crate::member::Member;
use crate::parcel::Parcel;
use crate::pulse::{Beat, Pulse, STEP, steps};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use redis::{Cmd, ErrorKind, Pipeline, RedisResult, ServerErrorKind, Value};
use signalr_core::{BackplaneError, BackplaneErrorKind, Outcome};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior};

/// Messages in one pipeline.
const BATCH: usize = 256;
/// Pipelines in flight; their bytes are bounded by a setting.
const FLIGHTS: usize = 128;
/// How long kept messages wait for the rest of the fleet to come back.
const GRACE: Duration = Duration::from_secs(2);

/// Probes in a row that nobody received, after which the subscriber is given up.
const UNHEARD: u32 = 2;
/// How long a trial may take.
const TRIAL: Duration = Duration::from_secs(2);

/// Keeps a connection for publishing, for ever.
pub(crate) async fn supervise(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(shared.settings.retry);
    let mut breaker = Breaker::default();
    loop {
        let error = match dial(&shared.settings, None).await {
            Ok(link) => {
                backoff.reset();
                Session::new(&shared, link, &mut breaker).run().await
            }
            Err(error) => {
                shared.health.lost(Role::Publisher, error.clone());
                error
            }
        };
        tracing::debug!(%error, "the publisher starts anew");
        tell(&shared, breaker.failed());
        tokio::time::sleep(breaker.pause(backoff.pause())).await;
    }
}

fn tell(shared: &Shared, change: Option<Change>) {
    match change {
        Some(Change::Opened) => shared.health.breaker(RedisEvent::BreakerOpened),
        Some(Change::Closed) => shared.health.breaker(RedisEvent::BreakerClosed),
        None => {}
    }
}

/// The life of one connection.
struct Session<'a> {
    shared: &'a Shared,
    link: Link,
    breaker: &'a mut Breaker,
    in_flight: FuturesOrdered<BoxFuture<'static, (Flight, RedisResult<Vec<Value>>)>>,
    bytes: usize,
    pulse: Pulse,
    steps: u32,
    period: u32,
    back_since: Option<Instant>,
    unheard: u32,
}

/// What a reply is for.
enum Flight {
    Parcels(Vec<Parcel>, usize),
    Probe,
    /// The counts of servers per hub.
    Census(Vec<Arc<Member>>),
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared, link: Link, breaker: &'a mut Breaker) -> Self {
        Self {
            shared,
            link,
            breaker,
            in_flight: FuturesOrdered::new(),
            bytes: 0,
            pulse: Pulse::new(shared.settings.probe_period, shared.settings.probe_timeout),
            steps: 0,
            period: steps(shared.settings.probe_period),
            back_since: None,
            unheard: 0,
        }
    }

    /// Publishes until the connection is over; says why.
    async fn run(mut self) -> BackplaneError {
        if self.breaker.needs_trial()
            && let Err(error) = self.pass_trial().await
        {
            self.shared.health.lost(Role::Publisher, error.clone());
            return error;
        }
        self.shared.set_asking(Some(self.link.conn()));
        self.shared.lane.publisher_up();
        self.shared.health.up(Role::Publisher);
        let error = self.work().await;
        self.shared.set_asking(None);
        self.shared.health.outage_begins();
        self.link.cut().await;
        // The rules of an outage are in force before anybody is told of it.
        self.shared.lane.publisher_down();
        self.shared.health.lost(Role::Publisher, error.clone());
        // Replies that had arrived count; all others are unknown for ever.
        while let Some((flight, reply)) = self.in_flight.next().await {
            self.settle(flight, reply);
        }
        error
    }

    /// One small message decides whether this Redis takes any.
    async fn pass_trial(&mut self) -> Result<(), BackplaneError> {
        if let Some(channel) = self.shared.registry.probe() {
            let mut conn = self.link.conn();
            let mut trial = redis::cmd(&self.shared.settings.commands.publish);
            trial.arg(&*channel).arg("");
            let answer = tokio::time::timeout(TRIAL, trial.query_async::<Value>(&mut conn)).await;
            answer.map_err(|_| lost("no answer to a trial"))?.map_err(|error| refusal(&error))?;
        }
        tell(self.shared, self.breaker.proved());
        Ok(())
    }

    async fn work(&mut self) -> BackplaneError {
        let mut steps = ticks();
        loop {
            self.fill();
            tokio::select! {
                biased;
                () = self.link.ended() => return lost("the connection was closed"),
                Some((flight, reply)) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    if let Some(error) = self.settle(flight, reply) {
                        return error;
                    }
                }
                () = self.shared.lane.woken() => {}
                _ = steps.tick() => {
                    if let Some(error) = self.step() {
                        return error;
                    }
                }
            }
        }
    }

    /// Writes what there is room for. An idle connection publishes at once.
    fn fill(&mut self) {
        let room = self.shared.settings.in_flight_bytes;
        while self.bytes < room && self.in_flight.len() < FLIGHTS {
            let parcels = self.shared.lane.take(BATCH, room - self.bytes);
            if parcels.is_empty() {
                return;
            }
            let mut pipeline = Pipeline::with_capacity(parcels.len());
            let mut size = 0;
            let publish = &self.shared.settings.commands.publish;
            for parcel in &parcels {
                size += parcel.size();
                let length = publish.len() + parcel.channel.len() + parcel.bytes.len();
                let mut command = Cmd::with_capacity(3, length);
                command.arg(publish).arg(&parcel.channel).arg(&parcel.bytes);
                pipeline.add_command(command);
            }
            self.bytes += size;
            self.ask(pipeline, Flight::Parcels(parcels, size));
        }
    }

    fn ask(&mut self, pipeline: Pipeline, flight: Flight) {
        let mut conn = self.link.conn();
        self.in_flight.push_back(Box::pin(async move {
            let replies = conn.send_packed_commands(&pipeline, 0, pipeline.len()).await;
            (flight, replies)
        }));
    }

    /// Takes note of replies; an error means that this connection is of no use any more.
    fn settle(&mut self, flight: Flight, replies: RedisResult<Vec<Value>>) -> Option<BackplaneError> {
        match flight {
            Flight::Parcels(parcels, size) => {
                self.bytes -= size;
                self.settle_parcels(parcels, replies)
            }
            Flight::Probe => {
                if let Ok([Value::Int(receivers)]) = replies.as_deref() {
                    tell(self.shared, self.breaker.proved());
                    self.judge_probe(*receivers);
                }
                None
            }
            Flight::Census(members) => {
                self.take_census(&members, replies.unwrap_or_default());
                None
            }
        }
    }

    /// Redis knows who receives the probe: nobody, although the subscriber believes that all is in force, means that the
    /// two connections lead to different servers, as after a failover. Once may be a coincidence.
    fn judge_probe(&mut self, receivers: i64) {
        if receivers > 0 || !self.shared.lane.has_subscriber() {
            self.unheard = 0;
            return;
        }
        self.unheard += 1;
        if self.unheard >= UNHEARD {
            self.unheard = 0;
            self.shared.deaf.notify_waiters();
        }
    }

    fn settle_parcels(
        &mut self,
        parcels: Vec<Parcel>,
        replies: RedisResult<Vec<Value>>,
    ) -> Option<BackplaneError> {
        let mut replies = replies.unwrap_or_default().into_iter();
        let mut useless = None;
        for mut parcel in parcels {
            let outcome = match replies.next() {
                Some(Value::Int(count)) => Ok(Outcome::Receivers(u64::try_from(count).unwrap_or(0))),
                Some(Value::ServerError(error)) => {
                    let error = redis::RedisError::from(error);
                    let refusal = refusal(&error);
                    if is_useless(&error) {
                        useless = Some(refusal.clone());
                    }
                    Err(refusal)
                }
                _ => Ok(Outcome::Unknown),
            };
            self.shared.lane.settle(&mut parcel, outcome);
        }
        self.end_outage();
        useless
    }

    /// What has to be done regularly; an error means that the connection is dead.
    fn step(&mut self) -> Option<BackplaneError> {
        self.steps += 1;
        let received = self.link.traffic().received();
        if self.pulse.step(received, !self.in_flight.is_empty()) == Beat::Dead {
            return Some(lost("no answer in time"));
        }
        if self.steps.is_multiple_of(self.period) {
            self.probe();
        }
        self.ask_census();
        let now = Instant::now();
        self.shared.lane.expire(now);
        self.shared.health.refresh();
        self.replay(now);
        self.end_outage();
        None
    }

    fn probe(&mut self) {
        if let Some(channel) = self.shared.registry.probe() {
            let mut pipeline = Pipeline::new();
            pipeline.cmd(&self.shared.settings.commands.publish).arg(&*channel).arg("");
            self.ask(pipeline, Flight::Probe);
        }
    }

    /// Asks for the sizes of the hubs' fleets, to know when they are complete again after an outage.
    fn ask_census(&mut self) {
        let members = self.shared.registry.joined();
        let Some(pubsub) = &self.shared.settings.commands.pubsub else { return };
        if members.is_empty() {
            return;
        }
        let mut pipeline = Pipeline::new();
        let question = pipeline.cmd(pubsub).arg("NUMSUB");
        for member in &members {
            question.arg(member.all_channel());
        }
        self.ask(pipeline, Flight::Census(members));
    }

    fn take_census(&mut self, members: &[Arc<Member>], replies: Vec<Value>) {
        let Some(Value::Array(pairs)) = replies.into_iter().next() else { return };
        let counts = pairs.chunks_exact(2).map(|pair| match pair[1] {
            Value::Int(count) => u64::try_from(count).unwrap_or(0),
            _ => 0,
        });
        let counted: Vec<_> = members.iter().zip(counts).collect();
        if !self.shared.health.in_outage() {
            counted.iter().for_each(|(member, count)| member.fleet().store(*count, Ordering::Relaxed));
            return;
        }
        let complete = |(member, count): &(&Arc<Member>, u64)| {
            let before = member.fleet().load(Ordering::Relaxed);
            before > 0 && *count >= before
        };
        if counted.len() == members.len() && counted.iter().all(complete) && self.shared.lane.may_replay() {
            self.shared.lane.replay(Instant::now());
        }
    }

    /// Publishes what was kept once the rest of the fleet has had its time to come back.
    fn replay(&mut self, now: Instant) {
        if !self.shared.lane.may_replay() {
            self.back_since = None;
            return;
        }
        match self.back_since {
            None => self.back_since = Some(now),
            Some(since) if now.duration_since(since) >= GRACE => self.shared.lane.replay(now),
            Some(_) => {}
        }
    }

    fn end_outage(&self) {
        if self.shared.health.in_outage() && self.shared.lane.is_settled() {
            self.shared.health.settled();
        }
    }
}

/// Steps that are never made up for: see `pulse`.
pub(crate) fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(STEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

pub(crate) fn lost(why: &'static str) -> BackplaneError {
    BackplaneError::new(BackplaneErrorKind::Unavailable, format!("the connection to Redis was lost: {why}"))
}

/// Whether an error says that this is the wrong server, or one that is not ready.
fn is_useless(error: &redis::RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly};
    let ErrorKind::Server(kind) = error.kind() else { return false };
    matches!(kind, BusyLoading | ClusterDown | MasterDown | Moved | ReadOnly)
}

fn refusal(error: &redis::RedisError) -> BackplaneError {
    if is_useless(error) {
        return BackplaneError::new(
            BackplaneErrorKind::Unavailable,
            format!("Redis takes no messages now: {error}; another server is being looked for"),
        );
    }
    let text = format!("Redis refuses to publish: {error}; check the rights of the user");
    BackplaneError::new(BackplaneErrorKind::Refused, text)
}
