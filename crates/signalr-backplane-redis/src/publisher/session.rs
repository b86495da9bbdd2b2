//! The life of the publisher's connections, from one success to the next failure.
//!
//! Owns the batches and what is in flight. Parcels come from the lane and go back to it with their outcomes; what
//! answers mean is read in `replies`.

use super::grace::Grace;
use super::{left, lost, refusal, tell, ticks};
use crate::breaker::{Breaker, Change};
use crate::engine::Shared;
use crate::fan::Fan;
use crate::health::Role;
use crate::member::Member;
use crate::moves::Moves;
use crate::outlet::Outlet;
use crate::parcel::Parcel;
use crate::pipe::Replies;
use crate::pulse::steps;
use crate::settings::Address;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use redis::{Cmd, RedisResult, Value};
use signalr_core::{BackplaneError, Outcome};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Messages that are taken from the lane at once.
const BATCH: usize = 256;
/// How long the answers of healthy nodes are waited for when another one is lost.
const DRAIN: Duration = Duration::from_millis(500);
/// How long what went to the old owners of slots may take to come.
const PASSAGE: Duration = Duration::from_secs(1);
/// How long a trial may take.
const TRIAL: Duration = Duration::from_secs(2);

/// The life of one connection.
pub(super) struct Session<'a> {
    pub(super) shared: &'a Shared,
    pub(super) fan: Fan,
    pub(super) moves: Moves,
    pub(super) breaker: &'a mut Breaker,
    questions: FuturesUnordered<BoxFuture<'static, Answer>>,
    pub(super) steps: u32,
    pub(super) period: u32,
    pub(super) grace: &'a mut Grace,
    /// A probe is on its way: nothing is asked twice at once, however slow the answers are.
    pub(super) probing: bool,
    /// The owners of slots are being asked for.
    pub(super) asking_owners: bool,
    /// The fleet is being counted.
    pub(super) counting: bool,
    /// Somebody has come meanwhile: it must be counted again.
    pub(super) count_again: bool,
    pub(super) unheard: u32,
    pub(super) heard: u64,
}

/// What all nodes answered to the same question, with their hosts.
pub(super) type Answers = Vec<(String, RedisResult<Value>)>;

/// What Redis said to a question.
pub(super) enum Answer {
    Probe(RedisResult<Value>),
    /// To the word that this server listens; of no interest.
    Arrival,
    /// The counts of servers per hub, as each node has them.
    Census(Vec<Arc<Member>>, Answers),
    /// The owners of slots, as each node has them.
    Table(Answers),
    /// What went to the old owners of slots has come.
    Passed,
}

impl<'a> Session<'a> {
    pub(super) fn new(shared: &'a Shared, fan: Fan, breaker: &'a mut Breaker, grace: &'a mut Grace) -> Self {
        Self {
            shared,
            fan,
            moves: Moves::default(),
            breaker,
            questions: FuturesUnordered::new(),
            steps: 0,
            period: steps(shared.settings.probe_period),
            grace,
            probing: false,
            asking_owners: false,
            counting: false,
            count_again: false,
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
        self.shared.lane.publisher_up(self.outlet());
        self.shared.health.up(Role::Publisher);
        let shared = self.shared;
        let conn = self.fan.asker(0);
        let error = tokio::select! {
            biased;
            error = self.work() => error,
            error = left(shared, address.as_ref(), conn) => error,
        };
        self.drain().await;
        self.shared.in_flight.store(0, Ordering::Relaxed);
        self.shared.set_asking(None);
        self.shared.health.outage_begins();
        let mut last = Replies::new();
        self.fan.cut(&mut last);
        self.shared.lane.give_back(self.fan.unwritten());
        // The rules of an outage are in force before anybody is told of it.
        self.shared.lane.publisher_down();
        self.shared.health.lost(Role::Publisher, error.clone());
        // Replies that had arrived count; all others are unknown for ever.
        self.settle(&mut last);
        let unknown =
            self.fan.unanswered().into_iter().map(|parcel| (parcel, Ok(Outcome::Unknown))).collect();
        self.shared.lane.settle(unknown);
        self.end_outage();
        error
    }

    /// One small message decides whether this Redis takes any.
    async fn pass_trial(&mut self) -> Result<(), BackplaneError> {
        tell(self.shared, Some(Change::HalfOpened));
        if let Some(channel) = self.shared.registry.probe() {
            let mut conn = self.fan.asker(self.fan.place(channel.as_bytes()));
            let mut trial = redis::cmd(&self.shared.settings.commands.publish);
            trial.arg(&*channel).arg("");
            let mut replies = Replies::new();
            tokio::select! {
                biased;
                answer = trial.query_async::<Value>(&mut conn) => answer.map_err(|error| refusal(&error))?,
                _ = self.fan.turn(&mut replies) => return Err(lost("the connection was closed")),
                () = tokio::time::sleep(TRIAL) => return Err(lost("no answer to a trial")),
            };
        }
        tell(self.shared, self.breaker.proved());
        Ok(())
    }

    async fn work(&mut self) -> BackplaneError {
        let mut steps = ticks();
        let mut replies = Replies::new();
        loop {
            self.move_on();
            self.fill();
            // Steps first: under load there are always replies.
            tokio::select! {
                biased;
                _ = steps.tick() => {
                    if let Some(error) = self.step() {
                        return error;
                    }
                }
                well = self.fan.turn(&mut replies) => {
                    let useless = self.settle(&mut replies);
                    if !well {
                        return lost("the connection was closed");
                    }
                    if let Some(error) = useless {
                        return error;
                    }
                }
                Some(answer) = self.questions.next(), if !self.questions.is_empty() => self.take(answer),
                () = self.moves.changed() => {}
                () = self.shared.arrived.notified() => self.announce(),
                () = self.shared.arrival.notified() => self.count_again(),
                () = self.shared.lane.woken() => {}
            }
        }
    }

    /// What is in flight on the connections that still work gets its answer, so that it is not unknown, and comes, so that it
    /// stays in front of what this server gives to its own members in the outage.
    async fn drain(&mut self) {
        if self.fan.len() < 2 {
            return;
        }
        let mut deadline = std::pin::pin!(tokio::time::sleep(DRAIN));
        // Behind all that is in flight.
        let mut marker = std::pin::pin!(self.shared.marker_on(self.fan.askers()));
        let (mut replies, mut passed) = (Replies::new(), false);
        while !passed || (self.fan.in_flight() > 0 && self.fan.is_waiting()) {
            tokio::select! {
                biased;
                () = &mut deadline => return,
                () = &mut marker, if !passed => passed = true,
                _ = self.fan.turn(&mut replies) => drop(self.settle(&mut replies)),
            }
        }
    }

    /// Follows slots that have moved, once nothing is in flight that could be overtaken.
    fn move_on(&mut self) {
        if self.moves.holds()
            && self.fan.in_flight() == 0
            && let Some((table, pipes)) = self.moves.take()
        {
            tracing::info!("slots of the Redis Cluster have moved, or a node is back");
            let marker = self.shared.marker_on(self.fan.askers());
            let passed = async {
                // A node that hangs is noticed by others.
                let _ = tokio::time::timeout(PASSAGE, marker).await;
                Answer::Passed
            };
            self.questions.push(Box::pin(passed));
            self.fan.change(&self.shared.settings, table, pipes);
            self.shared.set_asking(Some(&self.fan));
        }
    }

    /// Writes what there is room for. An idle connection publishes at once.
    fn fill(&mut self) {
        if self.moves.holds() {
            return;
        }
        let room = self.shared.settings.in_flight_bytes;
        loop {
            let free = room.saturating_sub(self.fan.in_flight());
            let parcels = if free > 0 { self.shared.lane.take(BATCH, free) } else { Vec::new() };
            if parcels.is_empty() {
                return;
            }
            for (place, parcels) in self.sorted(parcels) {
                self.fan.publish(place, parcels);
            }
        }
    }

    /// What others may publish on. Not on a stream of the application's own or under TLS: these may need more than the moment.
    fn outlet(&self) -> Option<Outlet> {
        self.fan.outlet().filter(|_| self.shared.settings.transport.is_plain())
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

    /// Asks on the connection of one channel.
    pub(super) fn ask(
        &mut self,
        channel: &str,
        question: Cmd,
        answer: impl FnOnce(RedisResult<Value>) -> Answer + Send + 'static,
    ) {
        let mut asker = self.fan.asker(self.fan.place(channel.as_bytes()));
        self.questions.push(Box::pin(async move { answer(question.query_async(&mut asker).await) }));
    }

    pub(super) fn ask_all(
        &mut self,
        question: &Cmd,
        answer: impl FnOnce(Answers) -> Answer + Send + 'static,
    ) {
        let answers = self.fan.ask_all(question);
        self.questions.push(Box::pin(async move { answer(answers.await) }));
    }
}
