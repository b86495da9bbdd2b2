//! The registry as the subscriber sees it: what differs from what is wanted.
//!
//! Owns the batches of differences, and the transitions of a connection from made to live to lost.

use super::Registry;
use super::state::{Phase, State, fulfil};
use crate::member::Member;
use std::sync::Arc;

/// Channels in one request.
const BATCH: usize = 1000;

/// What is to be asked of Redis.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) subscribe: Vec<Arc<str>>,
    pub(crate) unsubscribe: Vec<Arc<str>>,
}

impl Registry {
    /// A connection is there, and nothing is in force on it.
    pub(crate) fn connected(&self) {
        self.write().phase = Phase::Connecting;
    }

    /// The connection is lost, or could not be made: nothing is in force, and those who wait are told.
    pub(crate) fn lost(&self) {
        let mut state = self.write();
        state.phase = Phase::Lost;
        state.dirty.clear();
        let State { channels, waiting, dirty, .. } = &mut *state;
        std::mem::take(waiting).into_values().flatten().for_each(|wish| wish.lose());
        channels.retain(|channel, entry| {
            entry.in_force = false;
            entry.dirty = entry.is_wanted();
            // Others take a server for back when it listens to the channel of all: that comes last.
            if entry.dirty && entry.members.all().iter().any(|member| member.all_channel() == &**channel) {
                dirty.push_back(channel.clone());
            } else if entry.dirty {
                dirty.push_front(channel.clone());
            }
            entry.dirty
        });
    }

    /// What to ask next; `None` when all is in force, which makes the connection live.
    pub(crate) fn batch(&self) -> Option<Batch> {
        let mut state = self.write();
        let mut batch = Batch::default();
        while batch.subscribe.len() + batch.unsubscribe.len() < BATCH {
            let Some(channel) = state.dirty.pop_front() else { break };
            let Some(entry) = state.channels.get_mut(&channel) else { continue };
            entry.dirty = false;
            match (entry.is_wanted(), entry.in_force) {
                (true, false) => batch.subscribe.push(channel),
                (false, true) => {
                    // From here on a new wish must be asked for again.
                    entry.in_force = false;
                    batch.unsubscribe.push(channel);
                }
                (true, true) => {}
                (false, false) => state.forget(&channel),
            }
        }
        if batch == Batch::default() {
            state.dirty.shrink_to(BATCH);
            state.phase = Phase::Live;
            return None;
        }
        Some(batch)
    }

    /// How many hubs receive what is meant for all.
    pub(crate) fn listening(&self) -> usize {
        let state = self.read();
        let listens = |member: &&Arc<Member>| {
            state.channels.get(member.all_channel()).is_some_and(|entry| entry.in_force)
        };
        state.joined.iter().filter(listens).count()
    }

    /// Redis has confirmed a batch.
    pub(crate) fn confirmed(&self, batch: &Batch) {
        let mut state = self.write();
        let State { channels, waiting, .. } = &mut *state;
        for channel in &batch.subscribe {
            if let Some(entry) = channels.get_mut(channel) {
                entry.in_force = true;
                fulfil(waiting, channel);
            }
        }
        for channel in &batch.unsubscribe {
            if state.channels.get(channel).is_some_and(|entry| !entry.is_wanted() && !entry.dirty) {
                state.forget(channel);
            }
        }
    }
}
