//! Group membership, here and on other servers.
//!
//! Owns joining and leaving, and group commands with their acks (B-8.2, B-9.6). Membership itself is in `tables`.

use super::HubLifetimeManager;
use super::error::GroupError;
use super::wait::NoAnswer;
use crate::backplane::{BackplaneHub, BackplaneMessage, GroupAction, GroupCommand, Topic};
use crate::connection::Connection;
use crate::ids::ConnectionId;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// Ids of group commands; shared by all hubs of the process, so that they are unique per server whatever the hub.
static COMMANDS: AtomicI32 = AtomicI32::new(1);

impl HubLifetimeManager {
    /// Puts a connection into a group, on whichever server it is. Adding twice changes nothing. With a backplane it
    /// returns when the membership is in force. Without one, an unknown connection is no error (B-8.2).
    ///
    /// Not cancel safe: a dropped future may have changed the group.
    ///
    /// # Errors
    /// See [`GroupError`].
    pub async fn add_to_group(&self, id: &ConnectionId, group: &str) -> Result<(), GroupError> {
        match self.connection(id.as_str()) {
            Some(connection) => self.join_locally(&connection, group).await,
            None => self.command(id, group, GroupAction::Add).await,
        }
    }

    /// Takes a connection out of a group, on whichever server it is. Taking out who is not in changes nothing.
    ///
    /// # Errors
    /// See [`GroupError`].
    pub async fn remove_from_group(&self, id: &ConnectionId, group: &str) -> Result<(), GroupError> {
        match self.connection(id.as_str()) {
            Some(connection) => {
                self.part_locally(&connection, group);
                Ok(())
            }
            None => self.command(id, group, GroupAction::Remove).await,
        }
    }

    pub(super) async fn join_locally(
        &self,
        connection: &Arc<Connection>,
        group: &str,
    ) -> Result<(), GroupError> {
        let (subscribing, new) = {
            let mut tables = self.write();
            // Gone meanwhile: nothing to do, as for an unknown connection.
            let Some((name, new)) = tables.join(connection, group) else { return Ok(()) };
            // On record under the lock: a last member's farewell cannot overtake it. Asked for every member, because a
            // second one must not return before the first one's subscription is in force.
            (self.backplane.get().map(|hub| hub.subscribe(&[Topic::Group(name)])), new)
        };
        let Some(subscribing) = subscribing else { return Ok(()) };
        if let Err(error) = subscribing.await {
            if new {
                self.part_locally(connection, group);
            }
            return Err(error.into());
        }
        Ok(())
    }

    pub(super) fn part_locally(&self, connection: &Connection, group: &str) {
        let mut tables = self.write();
        if tables.part(connection, group)
            && let Some(hub) = self.backplane.get()
        {
            hub.unsubscribe(&[Topic::group(group)]);
        }
    }

    async fn command(&self, id: &ConnectionId, group: &str, action: GroupAction) -> Result<(), GroupError> {
        let Some(hub) = self.backplane.get() else { return Ok(()) };
        let topic = Topic::Connection(id.clone());
        if hub.receivers(&topic).await == Some(0) {
            return Err(GroupError::NotFound(id.clone()));
        }
        let command = COMMANDS.fetch_add(1, Ordering::Relaxed);
        let waiting = self.acks.open(command);
        publish_command(&**hub, command, action, group, id).await?;
        let limit = self.options.group_timeout;
        waiting.wait(&**hub, &topic, limit).await.map_err(|why| match why {
            NoAnswer::Gone => GroupError::NotFound(id.clone()),
            NoAnswer::TimedOut => GroupError::TimedOut(limit),
        })
    }
}

async fn publish_command(
    hub: &dyn BackplaneHub,
    id: i32,
    action: GroupAction,
    group: &str,
    connection: &ConnectionId,
) -> Result<(), GroupError> {
    let command = GroupCommand {
        id,
        node: hub.node().into(),
        action,
        group: group.into(),
        connection: connection.clone(),
    };
    hub.publish(&Topic::Groups, BackplaneMessage::GroupCommand(command)).await?;
    Ok(())
}
