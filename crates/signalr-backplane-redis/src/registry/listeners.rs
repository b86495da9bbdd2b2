//! The hubs that want one channel.
//!
//! Owns the choice of how they are kept: a channel bears its hub's name, so of very many channels each has one.

use crate::member::Member;
use std::slice::from_ref;
use std::sync::Arc;

#[derive(Default)]
pub(super) enum Listeners {
    #[default]
    Nobody,
    One(Arc<Member>),
    Some(Vec<Arc<Member>>),
}

impl Listeners {
    pub(super) fn all(&self) -> &[Arc<Member>] {
        match self {
            Self::Nobody => &[],
            Self::One(member) => from_ref(member),
            Self::Some(members) => members,
        }
    }

    pub(super) fn contain(&self, member: &Arc<Member>) -> bool {
        self.all().iter().any(|other| Arc::ptr_eq(other, member))
    }

    /// No effect on one that is in there.
    pub(super) fn add(&mut self, member: &Arc<Member>) {
        if self.contain(member) {
            return;
        }
        *self = match std::mem::take(self) {
            Self::Nobody => Self::One(member.clone()),
            Self::One(one) => Self::Some(vec![one, member.clone()]),
            Self::Some(mut members) => {
                members.push(member.clone());
                Self::Some(members)
            }
        };
    }

    /// True when it was in there.
    pub(super) fn remove(&mut self, member: &Arc<Member>) -> bool {
        if !self.contain(member) {
            return false;
        }
        if let Self::Some(members) = self {
            members.retain(|other| !Arc::ptr_eq(other, member));
        } else {
            *self = Self::Nobody;
        }
        true
    }
}
