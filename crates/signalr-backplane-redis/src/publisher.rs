//! The publisher: what everything is published on, one connection or, in a Cluster, one to each owner of slots.
//!
//! Owns dialling without an end, the batches, what is in flight, the probe, and trials after failures. Order and outage
//! rules are the lane's; which connection a channel takes is the fan's.

use crate::backoff::Backoff;
use crate::breaker::{Breaker, Change};
use crate::cluster::majority;
use crate::engine::{Shared, counts, sum};
use crate::fan::Fan;
use crate::health::{RedisEvent, Role};
use crate::member::Member;
use crate::moves::Moves;
use crate::parcel::Parcel;
use crate::pulse::{STEP, steps};
use crate::settings::Address;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
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
/// The same in a Cluster, where the answer may be quicker than the probe.
const UNHEARD_IN_CLUSTER: u32 = 4;
/// How long the answers of healthy nodes are waited for when another one is lost.
const DRAIN: Duration = Duration::from_millis(500);
/// How long a trial may take.
const TRIAL: Duration = Duration::from_secs(2);

/// Keeps a connection for publishing, for ever.
pub(crate) async fn supervise(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(shared.settings.retry);
    let mut breaker = Breaker::default();
    loop {
        let error = match reach(&shared).await {
            Ok((fan, address)) => {
                backoff.reset();
                Session::new(&shared, fan, &mut breaker).run(address).await
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

/// The connections, and where the one is that may have to be left.
async fn reach(shared: &Shared) -> Result<(Fan, Option<Address>), BackplaneError> {
    if shared.settings.cluster.is_some() {
        return Ok((shared.cluster.dial_masters(&shared.settings).await?, None));
    }
    let (link, address) = shared.route.connect(&shared.settings, None).await?;
    Ok((Fan::single(&shared.settings, link), Some(address)))
}

/// Ready when the primary is elsewhere; never in a Cluster, which has several.
async fn left(shared: &Shared, address: Option<&Address>, conn: MultiplexedConnection) -> BackplaneError {
    match address {
        Some(address) => shared.route.moved(&shared.settings, address, Some(conn)).await,
        None => std::future::pending().await,
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
    fan: Fan,
    moves: Moves,
    breaker: &'a mut Breaker,
    in_flight: FuturesUnordered<BoxFuture<'static, (Flight, RedisResult<Vec<Value>>)>>,
    bytes: usize,
    steps: u32,
    period: u32,
    back_since: Option<Instant>,
    unheard: u32,
    heard: u64,
}

/// What all nodes answered to the same question, with their hosts.
type Answers = Vec<(String, RedisResult<Vec<Value>>)>;

/// What a reply is for.
enum Flight {
    Parcels(Vec<Parcel>, usize),
    Probe,
    /// The counts of servers per hub, as each node has them.
    Census(Vec<Arc<Member>>, Answers),
    /// The owners of slots, as each node has them.
    Table(Answers),
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared, fan: Fan, breaker: &'a mut Breaker) -> Self {
        Self {
            shared,
            fan,
            moves: Moves::default(),
            breaker,
            in_flight: FuturesUnordered::new(),
            bytes: 0,
            steps: 0,
            period: steps(shared.settings.probe_period),
            back_since: None,
            unheard: 0,
            heard: 0,
        }
    }

    /// Publishes until the connection is over; says why.
    async fn run(mut self, address: Option<Address>) -> BackplaneError {
        if self.breaker.needs_trial()
            && let Err(error) = self.pass_trial().await
        {
            self.shared.health.lost(Role::Publisher, error.clone());
            return error;
        }
        self.shared.set_asking(Some(&self.fan));
        self.shared.lane.publisher_up();
        self.shared.health.up(Role::Publisher);
        let shared = self.shared;
        let conn = self.fan.conn(0);
        let error = tokio::select! {
            biased;
            error = self.work() => error,
            error = left(shared, address.as_ref(), conn) => error,
        };
        self.drain().await;
        self.shared.set_asking(None);
        self.shared.health.outage_begins();
        self.fan.cut().await;
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
            let mut conn = self.fan.conn(self.fan.place(channel.as_bytes()));
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
            self.move_on();
            self.fill();
            tokio::select! {
                biased;
                () = self.fan.ended() => return lost("the connection was closed"),
                Some((flight, reply)) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    if let Some(error) = self.settle(flight, reply) {
                        return error;
                    }
                }
                () = self.moves.changed() => {}
                () = self.shared.lane.woken() => {}
                _ = steps.tick() => {
                    if let Some(error) = self.step() {
                        return error;
                    }
                }
            }
        }
    }

    /// What is in flight on the connections that still work gets its answer, so that it is not unknown.
    async fn drain(&mut self) {
        if self.fan.len() < 2 {
            return;
        }
        let deadline = Instant::now() + DRAIN;
        while self.bytes > 0 {
            match tokio::time::timeout_at(deadline, self.in_flight.next()).await {
                Ok(Some((flight, reply))) => drop(self.settle(flight, reply)),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Follows slots that have moved, once nothing is in flight that could be overtaken.
    fn move_on(&mut self) {
        if self.bytes > 0 {
            return;
        }
        if let Some((table, links)) = self.moves.take() {
            tracing::info!("slots of the Redis Cluster have moved, or a node is back");
            self.fan.change(&self.shared.settings, table, links);
            self.shared.set_asking(Some(&self.fan));
        }
    }

    /// Writes what there is room for. An idle connection publishes at once.
    fn fill(&mut self) {
        if self.moves.holds() {
            return;
        }
        let room = self.shared.settings.in_flight_bytes;
        while self.bytes < room && self.in_flight.len() < FLIGHTS {
            let parcels = self.shared.lane.take(BATCH, room - self.bytes);
            if parcels.is_empty() {
                return;
            }
            for (place, parcels) in self.sorted(parcels) {
                self.write(place, parcels);
            }
        }
    }

    /// Parcels by the connection that they take; on each the order stays.
    fn sorted(&self, parcels: Vec<Parcel>) -> Vec<(usize, Vec<Parcel>)> {
        if self.fan.len() == 1 {
            return vec![(0, parcels)];
        }
        let mut sorted: Vec<_> = (0..self.fan.len()).map(|place| (place, Vec::new())).collect();
        for parcel in parcels {
            sorted[self.fan.place(parcel.channel.as_bytes())].1.push(parcel);
        }
        sorted.retain(|(_, parcels)| !parcels.is_empty());
        sorted
    }

    fn write(&mut self, place: usize, parcels: Vec<Parcel>) {
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
        self.ask(place, pipeline, Flight::Parcels(parcels, size));
    }

    fn ask(&mut self, place: usize, pipeline: Pipeline, flight: Flight) {
        let replies = self.fan.ask(place, pipeline);
        self.in_flight.push(Box::pin(async move { (flight, replies.await) }));
    }

    fn ask_all(&mut self, pipeline: &Pipeline, flight: impl FnOnce(Answers) -> Flight + Send + 'static) {
        let answers = self.fan.ask_all(pipeline);
        self.in_flight.push(Box::pin(async move { (flight(answers.await), Ok(Vec::new())) }));
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
            Flight::Census(members, answers) => {
                self.take_census(&members, &answers);
                None
            }
            Flight::Table(answers) => {
                self.take_table(answers);
                None
            }
        }
    }

    /// Redis knows who receives the probe: nobody, although the subscriber believes that all is in force, means that the
    /// two connections lead to different servers, as after a failover. Once may be a coincidence.
    fn judge_probe(&mut self, receivers: i64) {
        let heard = self.shared.heard.load(Ordering::Relaxed);
        let (received, limit) = match self.fan.table() {
            None => (receivers > 0, UNHEARD),
            // A node counts its own subscribers only: what counts is whether the last probe has arrived.
            Some(_) => (heard != self.heard, UNHEARD_IN_CLUSTER),
        };
        self.heard = heard;
        if received || !self.shared.lane.has_subscriber() {
            self.unheard = 0;
            return;
        }
        self.unheard += 1;
        if self.unheard >= limit {
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
        if self.fan.step() {
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
            self.ask(self.fan.place(channel.as_bytes()), pipeline, Flight::Probe);
        }
        if self.fan.table().is_some() {
            let mut pipeline = Pipeline::new();
            pipeline.cmd(&self.shared.settings.commands.cluster).arg("SLOTS");
            self.ask_all(&pipeline, Flight::Table);
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
        self.ask_all(&pipeline, |answers| Flight::Census(members, answers));
    }

    fn take_table(&mut self, answers: Answers) {
        let Some(table) = majority(answers) else { return };
        if self.shared.cluster.learn(&table) {
            // The subscriber's node is leaving the Cluster, or follows another one now.
            self.shared.deaf.notify_waiters();
        }
        self.moves.consider(&self.shared.settings, &self.fan, table);
    }

    fn take_census(&mut self, members: &[Arc<Member>], answers: &Answers) {
        let answers: Option<Vec<_>> =
            answers.iter().map(|(_, answer)| counts(answer.as_ref().ok()?.first()?)).collect();
        let Some(counts) = answers.and_then(sum) else { return };
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
pub(crate) fn is_useless(error: &redis::RedisError) -> bool {
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
