//! Which channels are wanted, and which are in force: the truth about subscriptions.
//!
//! Owns wishes and those who wait for them. It never talks to Redis: the subscriber takes batches of differences from
//! here and reports what was confirmed ([`sync`]). Wishes outlive connections; what is in force does not.

mod listeners;
mod state;
mod sync;
mod wish;

use crate::member::Member;
use state::{Phase, State};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::Notify;
use wish::Wish;

pub(crate) struct Registry {
    state: RwLock<State>,
    changed: Notify,
}

/// Who gets what arrives on a channel.
pub(crate) enum Receivers {
    Nobody,
    Probe,
    One(Arc<Member>),
    Some(Vec<Arc<Member>>),
}

impl Registry {
    pub(crate) fn new() -> Self {
        let state = State {
            channels: HashMap::new(),
            waiting: HashMap::new(),
            dirty: VecDeque::new(),
            phase: Phase::Connecting,
            joined: Vec::new(),
            probe: None,
        };
        Self { state: RwLock::new(state), changed: Notify::new() }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // Nothing in here panics between two states.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a hub in. The first one brings the channel that probes use.
    pub(crate) fn join(&self, member: &Arc<Member>, probe: Arc<str>) {
        let mut state = self.write();
        state.joined.push(member.clone());
        if state.probe.is_none() {
            state.probe = Some(probe.clone());
            state.channels.entry(probe.clone()).or_default().probe = true;
            state.touch(&probe);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Takes a hub out, with all its wishes.
    pub(crate) fn part(&self, member: &Arc<Member>) {
        let mut state = self.write();
        state.joined.retain(|other| !Arc::ptr_eq(other, member));
        let mut emptied = Vec::new();
        for (channel, entry) in &mut state.channels {
            if entry.members.remove(member) && entry.members.all().is_empty() {
                emptied.push(channel.clone());
            }
        }
        if state.joined.is_empty()
            && let Some(probe) = state.probe.take()
        {
            if let Some(entry) = state.channels.get_mut(&probe) {
                entry.probe = false;
            }
            emptied.push(probe);
        }
        emptied.iter().for_each(|channel| state.touch(channel));
        drop(state);
        self.changed.notify_one();
    }

    pub(crate) fn joined(&self) -> Vec<Arc<Member>> {
        self.read().joined.clone()
    }

    pub(crate) fn probe(&self) -> Option<Arc<str>> {
        self.read().probe.clone()
    }

    /// Puts wishes on record.
    pub(crate) fn want(&self, member: &Arc<Member>, channels: Vec<String>) -> Arc<Wish> {
        let wish = Arc::<Wish>::default();
        let mut state = self.write();
        for channel in channels {
            state.want(member, channel, &wish);
        }
        drop(state);
        self.changed.notify_one();
        wish
    }

    /// Takes wishes back.
    pub(crate) fn unwant(&self, member: &Arc<Member>, channels: &[String]) {
        let mut state = self.write();
        for channel in channels {
            let Some((known, _)) = state.channels.get_key_value(&**channel) else { continue };
            let known = known.clone();
            if state.channels.get_mut(&known).is_some_and(|entry| entry.members.remove(member)) {
                state.touch(&known);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Whether a hub wants a channel.
    pub(crate) fn wants(&self, member: &Arc<Member>, channel: &str) -> bool {
        let state = self.read();
        state.channels.get(channel).is_some_and(|entry| entry.members.contain(member))
    }

    pub(crate) fn receivers(&self, channel: &str) -> Receivers {
        let state = self.read();
        match state.channels.get(channel) {
            None => Receivers::Nobody,
            Some(entry) if entry.probe => Receivers::Probe,
            Some(entry) => match entry.members.all() {
                [] => Receivers::Nobody,
                [member] => Receivers::One(member.clone()),
                members => Receivers::Some(members.to_vec()),
            },
        }
    }

    /// Ready when there may be something to ask of Redis. Cancel safe.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::sync::Batch;
    use super::*;
    use crate::wire::{Channels, Codec};
    use signalr_core::{BackplaneMessage, BackplaneSink, Subscribed, Topic};

    struct Deaf;

    impl BackplaneSink for Deaf {
        fn deliver(&self, _: &Topic, _: BackplaneMessage) {}
    }

    fn member() -> Arc<Member> {
        Member::new("node".into(), Codec::new(Channels::new("", "H")), Arc::new(Deaf)).unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn batch(subscribe: &[&str], unsubscribe: &[&str]) -> Option<Batch> {
        let names = |names: &[&str]| names.iter().map(|&name| name.into()).collect();
        Some(Batch { subscribe: names(subscribe), unsubscribe: names(unsubscribe) })
    }

    #[test]
    fn a_wish_is_fulfilled_when_its_last_channel_is_confirmed() {
        let (registry, member) = (Registry::new(), member());
        let wish = registry.want(&member, names(&["a", "b"]));
        assert_eq!(wish.outcome(), None);
        let asked = registry.batch();
        assert_eq!(asked, batch(&["a", "b"], &[]));
        registry.confirmed(&asked.unwrap());
        assert_eq!(wish.outcome(), Some(Subscribed::InForce));
        assert_eq!(registry.batch(), None);
        assert_eq!(registry.want(&member, names(&["a"])).outcome(), Some(Subscribed::InForce));
    }

    #[test]
    fn the_last_wish_counts_whatever_is_on_its_way() {
        let (registry, member) = (Registry::new(), member());
        registry.want(&member, names(&["a"]));
        let first = registry.batch().unwrap();
        registry.unwant(&member, &names(&["a"]));
        registry.confirmed(&first);
        let second = registry.batch();
        assert_eq!(second, batch(&[], &["a"]));
        // Wanted again while the request to unsubscribe is on its way: not in force until asked for again.
        let wish = registry.want(&member, names(&["a"]));
        assert_eq!(wish.outcome(), None);
        registry.confirmed(&second.unwrap());
        let third = registry.batch();
        assert_eq!(third, batch(&["a"], &[]));
        registry.confirmed(&third.unwrap());
        assert_eq!(wish.outcome(), Some(Subscribed::InForce));
        assert_eq!(registry.batch(), None);
    }

    #[test]
    fn what_nobody_wants_any_more_is_never_asked_for() {
        let (registry, member) = (Registry::new(), member());
        let wish = registry.want(&member, names(&["a"]));
        registry.unwant(&member, &names(&["a"]));
        assert_eq!(wish.outcome(), Some(Subscribed::InForce), "nobody waits for ever");
        assert_eq!(registry.batch(), None);
        assert!(matches!(registry.receivers("a"), Receivers::Nobody));
    }

    #[test]
    fn wishes_outlive_the_connection() {
        let (registry, member) = (Registry::new(), member());
        registry.want(&member, names(&["a", "b"]));
        registry.confirmed(&registry.batch().unwrap());
        registry.unwant(&member, &names(&["b"]));
        let waiting = registry.want(&member, names(&["c"]));
        registry.lost();
        assert_eq!(waiting.outcome(), Some(Subscribed::Pending));
        assert_eq!(registry.want(&member, names(&["d"])).outcome(), Some(Subscribed::Pending));
        registry.connected();
        let late = registry.want(&member, names(&["a"]));
        assert_eq!(late.outcome(), None, "it is not in force on the new connection yet");
        let mut asked = registry.batch().unwrap();
        asked.subscribe.sort();
        assert_eq!(Some(&asked), batch(&["a", "c", "d"], &[]).as_ref());
        registry.confirmed(&asked);
        assert_eq!(late.outcome(), Some(Subscribed::InForce));
    }

    #[test]
    fn batches_are_bounded() {
        let (registry, member) = (Registry::new(), member());
        let many: Vec<String> = (0..2500).map(|number| number.to_string()).collect();
        let wish = registry.want(&member, many);
        let mut sizes = Vec::new();
        while let Some(batch) = registry.batch() {
            sizes.push(batch.subscribe.len());
            registry.confirmed(&batch);
        }
        assert_eq!(sizes, [1000, 1000, 500]);
        assert_eq!(wish.outcome(), Some(Subscribed::InForce));
    }

    #[test]
    fn nothing_stays_of_channels_that_nobody_wants_any_more() {
        let (registry, member) = (Registry::new(), member());
        let many: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
        registry.want(&member, many.clone());
        while let Some(batch) = registry.batch() {
            registry.confirmed(&batch);
        }
        registry.unwant(&member, &many);
        while let Some(batch) = registry.batch() {
            registry.confirmed(&batch);
        }
        let state = registry.read();
        assert!(state.channels.is_empty());
        assert!(state.channels.capacity() < 500, "{}", state.channels.capacity());
        assert!(state.dirty.capacity() < 5000, "{}", state.dirty.capacity());
    }

    #[test]
    fn a_hub_that_parts_takes_its_wishes_along() {
        let (registry, one, two) = (Registry::new(), member(), member());
        registry.join(&one, "probe".into());
        registry.join(&two, "unused".into());
        registry.want(&one, names(&["a", "b"]));
        registry.want(&two, names(&["b"]));
        registry.confirmed(&registry.batch().unwrap());
        registry.part(&one);
        assert_eq!(registry.batch(), batch(&[], &["a"]));
        assert!(matches!(registry.receivers("b"), Receivers::One(member) if Arc::ptr_eq(&member, &two)));
        assert!(matches!(registry.receivers("probe"), Receivers::Probe));
        registry.part(&two);
        let mut rest = registry.batch().unwrap();
        rest.unsubscribe.sort();
        assert_eq!(Some(rest), batch(&[], &["b", "probe"]));
    }

    #[test]
    fn the_channel_by_which_others_count_this_server_comes_last_after_an_outage() {
        let (registry, member) = (Registry::new(), member());
        registry.join(&member, "probe".into());
        registry.want(&member, names(&["H:all"]));
        registry.want(&member, (0..2500).map(|number| number.to_string()).collect());
        registry.lost();
        registry.connected();
        let mut order = Vec::new();
        while let Some(batch) = registry.batch() {
            order.extend(batch.subscribe.iter().cloned());
            registry.confirmed(&batch);
            assert_eq!(registry.listening(), usize::from(order.len() == 2502));
        }
        assert_eq!(order.last().map(|name| &**name), Some("H:all"));
    }
}
