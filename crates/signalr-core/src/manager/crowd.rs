//! The connections of one group or user.
//!
//! Owns the choice of how they are kept: most groups and users of a server have one connection, and then nothing but that
//! is there. Never empty; whoever takes the last one out forgets the crowd. Its name and place are the tables'.

use crate::connection::Connection;
use crate::ids::ConnectionId;
use indexmap::IndexMap;
use std::sync::Arc;

/// Some connections, in an order that is quick to walk.
pub(super) type Members = IndexMap<ConnectionId, Arc<Connection>>;

pub(super) enum Crowd {
    One(Arc<Connection>),
    Many(Box<Members>),
}

/// What became of a crowd when a connection was to leave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// It was not in there.
    Nobody,
    Others,
    /// It was the last: the crowd must be forgotten.
    Last,
}

impl Crowd {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Connection>> {
        let (one, many) = match self {
            Self::One(connection) => (Some(connection), None),
            Self::Many(members) => (None, Some(members.values())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// True when the connection is new in it.
    pub(super) fn add(&mut self, connection: &Arc<Connection>) -> bool {
        match self {
            Self::One(one) if one.id() == connection.id() => false,
            Self::One(one) => {
                let both = [one.clone(), connection.clone()];
                *self = Self::Many(Box::new(both.into_iter().map(|it| (it.id().clone(), it)).collect()));
                true
            }
            Self::Many(members) => members.insert(connection.id().clone(), connection.clone()).is_none(),
        }
    }

    pub(super) fn remove(&mut self, id: &ConnectionId) -> Left {
        match self {
            Self::One(one) if one.id() == id => Left::Last,
            Self::One(_) => Left::Nobody,
            Self::Many(members) => {
                if members.swap_remove(id.as_str()).is_none() {
                    return Left::Nobody;
                }
                if members.len() == 1
                    && let Some((_, last)) = members.pop()
                {
                    *self = Self::One(last);
                }
                Left::Others
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect_info::{ConnectInfo, TransportKind};
    use crate::framing::Unframed;

    fn connection(id: &str) -> Arc<Connection> {
        let info = ConnectInfo::new(TransportKind::WebSockets);
        Connection::new(id.into(), info, &Unframed, Arc::default(), None)
    }

    fn ids(crowd: &Crowd) -> Vec<&str> {
        let mut ids: Vec<_> = crowd.iter().map(|connection| connection.id().as_str()).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn connections_come_and_go() {
        let [a, b, c] = ["a", "b", "c"].map(connection);
        let mut crowd = Crowd::One(a.clone());
        assert!(!crowd.add(&a));
        assert_eq!(crowd.remove(b.id()), Left::Nobody);
        assert!(crowd.add(&b) && crowd.add(&c) && !crowd.add(&b));
        assert_eq!(ids(&crowd), ["a", "b", "c"]);
        assert_eq!((crowd.remove(a.id()), crowd.remove(a.id())), (Left::Others, Left::Nobody));
        assert_eq!(ids(&crowd), ["b", "c"]);
        assert_eq!(crowd.remove(b.id()), Left::Others);
        assert!(matches!(crowd, Crowd::One(_)), "room for many is not kept for one");
        assert_eq!(crowd.remove(c.id()), Left::Last);
    }
}
