//! Who is here: connections, groups and users of one hub on this server.
//!
//! Owns membership. Does not send and knows no backplane; says which first and last members have come and gone, so that
//! the manager can subscribe and unsubscribe.

use super::crowd::{Crowd, Left, Members};
use crate::connection::Connection;
use crate::ids::ConnectionId;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Tables {
    pub(super) connections: Members,
    pub(super) groups: HashMap<Arc<str>, Crowd>,
    pub(super) users: HashMap<Arc<str>, Crowd>,
}

/// What became empty when a connection was removed.
#[derive(Default)]
pub(super) struct Emptied {
    pub(super) groups: Vec<Arc<str>>,
    pub(super) user: Option<Arc<str>>,
}

impl Tables {
    /// Adds a connection and its user.
    pub(super) fn add(&mut self, connection: &Arc<Connection>) {
        let id = connection.id().clone();
        if let Some(user) = connection.user_id().filter(|user| !user.is_empty()) {
            add(&mut self.users, user, connection);
        }
        self.connections.insert(id, connection.clone());
    }

    /// Removes a connection everywhere; `None` when it was not here.
    pub(super) fn remove(&mut self, connection: &Connection) -> Option<Emptied> {
        self.connections.swap_remove(connection.id().as_str())?;
        let mut emptied = Emptied::default();
        for group in std::mem::take(&mut *connection.groups()) {
            emptied.groups.extend(remove(&mut self.groups, &group, connection.id()));
        }
        if let Some(user) = connection.user_id() {
            emptied.user = remove(&mut self.users, user, connection.id());
        }
        Some(emptied)
    }

    /// Puts a connection into a group. The group's name as it is kept, and whether the connection is new in it; `None`
    /// when the connection is not here.
    pub(super) fn join(&mut self, connection: &Arc<Connection>, group: &str) -> Option<(Arc<str>, bool)> {
        if !self.connections.contains_key(connection.id().as_str()) {
            return None;
        }
        let (name, new) = add(&mut self.groups, group, connection);
        if new {
            connection.groups().add(name.clone());
        }
        Some((name, new))
    }

    /// Takes a connection out of a group; true when the group is empty now because of that.
    pub(super) fn part(&mut self, connection: &Connection, group: &str) -> bool {
        connection.groups().remove(group);
        remove(&mut self.groups, group, connection.id()).is_some()
    }
}

/// The name as it is kept, and whether the connection is new under it.
fn add(crowds: &mut HashMap<Arc<str>, Crowd>, name: &str, connection: &Arc<Connection>) -> (Arc<str>, bool) {
    let known = crowds.get_key_value(name).map(|(name, _)| name.clone());
    match crowds.entry(known.unwrap_or_else(|| name.into())) {
        Entry::Occupied(mut crowd) => (crowd.key().clone(), crowd.get_mut().add(connection)),
        Entry::Vacant(place) => {
            let name = place.key().clone();
            place.insert(Crowd::One(connection.clone()));
            (name, true)
        }
    }
}

/// The name, when nobody is left under it because of that.
fn remove(crowds: &mut HashMap<Arc<str>, Crowd>, name: &str, id: &ConnectionId) -> Option<Arc<str>> {
    if crowds.get_mut(name)?.remove(id) != Left::Last {
        return None;
    }
    let (name, _) = crowds.remove_entry(name)?;
    give_back(crowds);
    Some(name)
}

/// Room that a crowd has needed is not kept once most of it has gone. At powers of two, so that whoever comes and goes at
/// the border does not pay for it.
fn give_back(names: &mut HashMap<Arc<str>, Crowd>) {
    let left = names.len();
    if left == 0 || left.is_power_of_two() {
        names.shrink_to(ROOM.max(2 * left));
    }
}

/// Names that there is always room for.
const ROOM: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect_info::{ConnectInfo, TransportKind};
    use crate::framing::Unframed;

    #[test]
    fn room_for_many_groups_is_given_back_when_they_are_gone() {
        let info = ConnectInfo::new(TransportKind::WebSockets);
        let connection = Connection::new("c".into(), info, &Unframed, Arc::default(), None);
        let mut names: HashMap<Arc<str>, Crowd> = HashMap::new();
        names.extend((0..10_000).map(|number| (number.to_string().into(), Crowd::One(connection.clone()))));
        for number in 0..9_000 {
            names.remove(&*number.to_string());
            give_back(&mut names);
        }
        assert_eq!(names.len(), 1_000);
        assert!(names.capacity() < 5_000, "{}", names.capacity());
        for number in 9_000..10_000 {
            names.remove(&*number.to_string());
            give_back(&mut names);
        }
        assert!(names.capacity() < 4 * ROOM, "{}", names.capacity());
    }
}
