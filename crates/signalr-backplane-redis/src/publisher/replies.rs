//! What Redis' answers mean to the publisher.
//!
//! Owns the reading of replies: outcomes of messages, of the probe, the counts of servers and the owners of slots.
//! Outcomes go to the lane, which tells whoever waits.

use super::session::{Answer, Answers, Session};
use super::{is_useless, refusal, tell};
use crate::cluster::majority;
use crate::engine::{counts, sum};
use crate::member::Member;
use crate::pipe::Replies;
use redis::Value;
use signalr_core::{BackplaneError, Outcome};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

/// Probes in a row that nobody received, after which the subscriber is given up.
const UNHEARD: u32 = 2;
/// The same in a Cluster, where the answer may be quicker than the probe.
const UNHEARD_IN_CLUSTER: u32 = 4;

impl Session<'_> {
    /// Takes note of replies to messages; an error means that this connection is of no use any more.
    pub(super) fn settle(&mut self, replies: &mut Replies) -> Option<BackplaneError> {
        if replies.is_empty() {
            return None;
        }
        let mut useless = None;
        let settled = replies.drain(..).map(|(parcel, value)| (parcel, outcome(value, &mut useless)));
        self.shared.lane.settle(settled.collect());
        self.end_outage();
        useless
    }

    /// Takes note of the answer to a question.
    pub(super) fn take(&mut self, answer: Answer) {
        match answer {
            Answer::Probe(answer) => {
                self.probing = false;
                if let Ok(Value::Int(receivers)) = answer {
                    tell(self.shared, self.breaker.proved());
                    self.judge_probe(receivers);
                }
            }
            Answer::Arrival => {}
            Answer::Census(members, answers) => {
                self.take_census(&members, &answers);
                self.counting = false;
                if std::mem::take(&mut self.count_again) {
                    self.count_again();
                }
            }
            Answer::Table(answers) => {
                self.asking_owners = false;
                self.take_table(answers);
            }
            Answer::Passed => self.moves.passed(),
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
            answers.iter().map(|(_, answer)| counts(answer.as_ref().ok()?)).collect();
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
}

/// What became of a message, and whether the connection is of no use for any other.
fn outcome(reply: Value, useless: &mut Option<BackplaneError>) -> Result<Outcome, BackplaneError> {
    match reply {
        Value::Int(count) => Ok(Outcome::Receivers(u64::try_from(count).unwrap_or(0))),
        Value::ServerError(error) => {
            let error = redis::RedisError::from(error);
            let refusal = refusal(&error);
            if is_useless(&error) {
                *useless = Some(refusal.clone());
            }
            Err(refusal)
        }
        _ => Ok(Outcome::Unknown),
    }
}
