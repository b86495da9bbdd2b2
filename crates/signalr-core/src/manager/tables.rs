//! Who is here: connections, groups and users of one hub on this server.
//!
//! Owns membership. Does not send and knows no backplane; says which first and last members have come and gone, so that
//! the manager can subscribe and unsubscribe.

use crate::connection::Connection;
use crate::ids::ConnectionId;
use indexmap::IndexMap;
use std::collections::HashMap;
use std::sync::Arc;

/// Some connections, in an order that is quick to walk.
pub(super) type Members = IndexMap<ConnectionId, Arc<Connection>>;

#[derive(Default)]
pub(super) struct Tables {
    pub(super) connections: Members,
    pub(super) groups: HashMap<Arc<str>, Members>,
    pub(super) users: HashMap<Arc<str>, Members>,
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
            let members = match self.users.get_mut(user) {
                Some(members) => members,
                None => self.users.entry(user.into()).or_default(),
            };
            members.insert(id.clone(), connection.clone());
        }
        self.connections.insert(id, connection.clone());
    }

    /// Removes a connection everywhere; `None` when it was not here.
    pub(super) fn remove(&mut self, connection: &Connection) -> Option<Emptied> {
        self.connections.swap_remove(connection.id().as_str())?;
        let mut emptied = Emptied::default();
        for group in std::mem::take(&mut *connection.groups()) {
            if self.leave(&group, connection.id()) {
                emptied.groups.push(group);
            }
        }
        if let Some(user) = connection.user_id()
            && let Some(members) = self.users.get_mut(user)
        {
            members.swap_remove(connection.id().as_str());
            if members.is_empty() {
                emptied.user = self.users.remove_entry(user).map(|(user, _)| user);
                give_back(&mut self.users);
            }
        }
        Some(emptied)
    }

    /// Puts a connection into a group. The group's name as it is kept, and whether the connection is new in it; `None`
    /// when the connection is not here.
    pub(super) fn join(&mut self, connection: &Arc<Connection>, group: &str) -> Option<(Arc<str>, bool)> {
        if !self.connections.contains_key(connection.id().as_str()) {
            return None;
        }
        let name = self.groups.get_key_value(group).map_or_else(|| group.into(), |(name, _)| name.clone());
        let members = self.groups.entry(name.clone()).or_default();
        let new = members.insert(connection.id().clone(), connection.clone()).is_none();
        if new {
            connection.groups().add(name.clone());
        }
        Some((name, new))
    }

    /// Takes a connection out of a group; true when the group is empty now because of that.
    pub(super) fn part(&mut self, connection: &Connection, group: &str) -> bool {
        connection.groups().remove(group);
        self.leave(group, connection.id())
    }

    fn leave(&mut self, group: &str, id: &ConnectionId) -> bool {
        let Some(members) = self.groups.get_mut(group) else { return false };
        let left = members.swap_remove(id.as_str()).is_some();
        let empty = members.is_empty();
        if empty {
            self.groups.remove(group);
            give_back(&mut self.groups);
        }
        left && empty
    }
}

/// Room that a crowd has needed is not kept once most of it has gone. At powers of two, so that whoever comes and goes at
/// the border does not pay for it.
fn give_back(names: &mut HashMap<Arc<str>, Members>) {
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

    #[test]
    fn room_for_many_groups_is_given_back_when_they_are_gone() {
        let mut names: HashMap<Arc<str>, Members> = HashMap::new();
        names.extend((0..10_000).map(|number| (number.to_string().into(), Members::new())));
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
