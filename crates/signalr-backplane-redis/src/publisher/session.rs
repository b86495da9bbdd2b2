//! The life of the publisher's connections, from one success to the next failure.
//!
//! Owns the batches and what is in flight. Parcels come from the lane and go back to it with their outcomes; what
//! answers mean is read in `replies`.

use super::{left, lost, refusal, tell, ticks};
use crate::breaker::Breaker;
use crate::engine::Shared;
use crate::fan::Fan;
use crate::health::Role;
use crate::member::Member;
use crate::moves::Moves;
use crate::parcel::Parcel;
use crate::pulse::steps;
use crate::settings::Address;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use redis::{Cmd, Pipeline, RedisResult, Value};
use signalr_core::BackplaneError;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Messages in one pipeline.
const BATCH: usize = 256;
/// Pipelines in flight; their bytes are bounded by a setting.
const FLIGHTS: usize = 128;
/// How long the answers of healthy nodes are waited for when another one is lost.
const DRAIN: Duration = Duration::from_millis(500);
/// How long a trial may take.
const TRIAL: Duration = Duration::from_secs(2);

/// The life of one connection.
pub(super) struct Session<'a> {
    pub(super) shared: &'a Shared,
    pub(super) fan: Fan,
    pub(super) moves: Moves,
    pub(super) breaker: &'a mut Breaker,
    pub(super) in_flight: FuturesUnordered<BoxFuture<'static, (Flight, RedisResult<Vec<Value>>)>>,
    pub(super) bytes: usize,
    pub(super) steps: u32,
    pub(super) period: u32,
    pub(super) back_since: Option<Instant>,
    pub(super) unheard: u32,
    pub(super) heard: u64,
}

/// What all nodes answered to the same question, with their hosts.
pub(super) type Answers = Vec<(String, RedisResult<Vec<Value>>)>;

/// What a reply is for.
pub(super) enum Flight {
    Parcels(Vec<Parcel>, usize),
    Probe,
    /// The counts of servers per hub, as each node has them.
    Census(Vec<Arc<Member>>, Answers),
    /// The owners of slots, as each node has them.
    Table(Answers),
}

impl<'a> Session<'a> {
    pub(super) fn new(shared: &'a Shared, fan: Fan, breaker: &'a mut Breaker) -> Self {
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
    pub(super) async fn run(mut self, address: Option<Address>) -> BackplaneError {
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

    pub(super) fn ask(&mut self, place: usize, pipeline: Pipeline, flight: Flight) {
        let replies = self.fan.ask(place, pipeline);
        self.in_flight.push(Box::pin(async move { (flight, replies.await) }));
    }

    pub(super) fn ask_all(
        &mut self,
        pipeline: &Pipeline,
        flight: impl FnOnce(Answers) -> Flight + Send + 'static,
    ) {
        let answers = self.fan.ask_all(pipeline);
        self.in_flight.push(Box::pin(async move { (flight(answers.await), Ok(Vec::new())) }));
    }
}
