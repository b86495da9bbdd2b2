//! What the publisher does regularly while its connection lives.
//!
//! Owns the questions that nobody waits for (the probe, the sizes of fleets, the owners of slots) and the moment at which
//! kept messages are published. Answers are read in `replies`.

use super::lost;
use super::session::{Answer, Session};
use crate::member::{arrival, arrivals};
use signalr_core::BackplaneError;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

impl Session<'_> {
    /// What has to be done regularly; an error means that the connection is dead.
    pub(super) fn step(&mut self) -> Option<BackplaneError> {
        self.steps += 1;
        if self.fan.step() {
            return Some(lost("no answer in time"));
        }
        if self.steps.is_multiple_of(self.period) {
            self.probe();
        }
        if !self.counting {
            self.ask_census();
        }
        let now = Instant::now();
        self.shared.lane.expire(now);
        self.shared.in_flight.store(self.fan.in_flight(), Ordering::Relaxed);
        self.replay(now);
        self.end_outage();
        None
    }

    fn probe(&mut self) {
        if let Some(channel) = self.shared.registry.probe().filter(|_| !self.probing) {
            let mut probe = redis::cmd(&self.shared.settings.commands.publish);
            probe.arg(&*channel).arg("");
            let asked = Instant::now();
            self.probing = true;
            self.ask(&channel, probe, move |answer| {
                metrics::histogram!("signalr.redis.round_trip_seconds").record(asked.elapsed());
                Answer::Probe(answer)
            });
        }
        if self.fan.table().is_some() && !self.asking_owners {
            self.asking_owners = true;
            let mut question = redis::cmd(&self.shared.settings.commands.cluster);
            question.arg("SLOTS");
            self.ask_all(&question, Answer::Table);
        }
    }

    /// Tells the fleet that this server listens now, so that an outage which begins at once finds it counted.
    pub(super) fn announce(&mut self) {
        for member in self.shared.registry.joined() {
            let Ok((channel, bytes)) = member.codec().encode(&arrivals(), &arrival()) else { continue };
            let mut word = redis::cmd(&self.shared.settings.commands.publish);
            word.arg(&channel).arg(&bytes[..]);
            self.ask(&channel, word, |_| Answer::Arrival);
        }
    }

    /// Somebody has come. Many may come at once: the fleet is counted once more after the last of them.
    pub(super) fn count_again(&mut self) {
        match self.counting {
            true => self.count_again = true,
            false => self.ask_census(),
        }
    }

    /// Asks for the sizes of the hubs' fleets, to know when they are complete again after an outage.
    fn ask_census(&mut self) {
        let members = self.shared.registry.joined();
        let Some(pubsub) = &self.shared.settings.commands.pubsub else { return };
        if members.is_empty() {
            return;
        }
        let mut question = redis::cmd(pubsub);
        question.arg("NUMSUB");
        for member in &members {
            question.arg(member.all_channel());
        }
        self.counting = true;
        self.ask_all(&question, |answers| Answer::Census(members, answers));
    }

    /// Publishes what was kept once the rest of the fleet has had its time to come back.
    fn replay(&mut self, now: Instant) {
        let lane = &self.shared.lane;
        if lane.is_settled() {
            self.grace.settled();
        }
        // While even this server's own subscriber does not hear the probe, nobody else need hear more.
        if lane.may_replay() && self.grace.is_over(now, lane.subscriber_losses()) && self.unheard == 0 {
            lane.replay(now);
        }
    }

    pub(super) fn end_outage(&self) {
        if self.shared.health.in_outage() && self.shared.lane.is_settled() {
            self.shared.health.settled();
        }
    }
}
