//! What the registry knows of each channel.
//!
//! Owns the entries and the list of those that may differ from what is in force on the connection.

use super::listeners::Listeners;
use super::wish::Wish;
use crate::member::Member;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

pub(super) struct State {
    pub(super) channels: HashMap<Arc<str>, Entry>,
    /// Who waits for what is not in force yet: few at a time.
    pub(super) waiting: HashMap<Arc<str>, Vec<Arc<Wish>>>,
    pub(super) dirty: VecDeque<Arc<str>>,
    pub(super) phase: Phase,
    pub(super) joined: Vec<Arc<Member>>,
    pub(super) probe: Option<Arc<str>>,
}

#[derive(Default)]
pub(super) struct Entry {
    pub(super) members: Listeners,
    pub(super) probe: bool,
    pub(super) in_force: bool,
    pub(super) dirty: bool,
}

/// How the subscriber's connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Being made, or its channels being asked for: wishes are waited for.
    Connecting,
    /// Everything wanted was confirmed at least once.
    Live,
    /// Lost, and the way back is not in sight: nobody waits.
    Lost,
}

impl State {
    pub(super) fn want(&mut self, member: &Arc<Member>, channel: String, wish: &Arc<Wish>) {
        let channel: Arc<str> = match self.channels.get_key_value(&*channel) {
            Some((known, _)) => known.clone(),
            None => channel.into(),
        };
        let entry = self.channels.entry(channel.clone()).or_default();
        entry.members.add(member);
        if entry.in_force {
            return;
        }
        if self.phase == Phase::Lost {
            wish.lose();
        } else {
            wish.expect();
            self.waiting.entry(channel.clone()).or_default().push(wish.clone());
        }
        self.touch(&channel);
    }

    /// Notes that a channel may differ from what is in force.
    pub(super) fn touch(&mut self, channel: &Arc<str>) {
        let Some(entry) = self.channels.get_mut(channel) else { return };
        if !entry.is_wanted() {
            // Nobody wants it any more; whoever still waits has taken the wish back.
            fulfil(&mut self.waiting, channel);
        }
        if !std::mem::replace(&mut entry.dirty, true) {
            self.dirty.push_back(channel.clone());
        }
    }

    /// A channel that nobody wants and that is not in force. Room that very many channels have needed is not kept once most of
    /// them are gone; at powers of two, so that what comes and goes at the border does not pay for it.
    pub(super) fn forget(&mut self, channel: &str) {
        self.channels.remove(channel);
        let left = self.channels.len();
        if left == 0 || left.is_power_of_two() {
            self.channels.shrink_to(ROOM.max(2 * left));
        }
    }
}

/// Tells those who wait for a channel.
pub(super) fn fulfil(waiting: &mut HashMap<Arc<str>, Vec<Arc<Wish>>>, channel: &str) {
    waiting.remove(channel).into_iter().flatten().for_each(|wish| wish.fulfil());
    if waiting.is_empty() {
        waiting.shrink_to(ROOM);
    }
}

/// Channels that there is always room for.
const ROOM: usize = 64;

impl Entry {
    pub(super) fn is_wanted(&self) -> bool {
        self.probe || !self.members.all().is_empty()
    }
}
