//! Sends: to whom, and by which way.
//!
//! Owns the choice between local fan-out and the backplane (B-8.1, B-9.4). Encoding is
//! [`OutgoingMessage`](crate::OutgoingMessage)'s, queueing the outbox's.

use super::error::SendError;
use super::tables::{Members, Tables};
use super::{DeliveryOrder, HubLifetimeManager};
use crate::backplane::{BackplaneHub, BackplaneMessage, InvocationMessage, Payloads, Topic};
use crate::close_reason::CloseReason;
use crate::connection::Connection;
use crate::ids::ConnectionId;
use crate::outgoing::OutgoingMessage;
use signalr_protocol::ArgumentList;
use std::collections::HashSet;
use std::sync::Arc;

/// Above this many exclusions a set is quicker than a walk.
const FEW: usize = 8;

/// Whom a message is for. Names and ids are compared exactly; unknown ones are no error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// Every connection of the hub.
    All,
    /// Every connection but these.
    AllExcept(Vec<ConnectionId>),
    /// One connection.
    Connection(ConnectionId),
    /// These connections, each once per mention.
    Connections(Vec<ConnectionId>),
    /// The members of a group.
    Group(Arc<str>),
    /// The members of each group; who is in two gets the message twice.
    Groups(Vec<Arc<str>>),
    /// The members of a group but these.
    GroupExcept(Arc<str>, Vec<ConnectionId>),
    /// All connections of a user.
    User(Arc<str>),
    /// All connections of these users.
    Users(Vec<Arc<str>>),
}

impl HubLifetimeManager {
    /// Sends an invocation without an id: no answer is expected.
    ///
    /// A send to many returns when the message is queued for every local receiver and taken by the backplane; it never
    /// waits for a client. A send to one local client waits for room, up to the send time-out.
    ///
    /// Cancel safe: the message is sent as a whole or not at all for each topic.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(
        &self,
        target: &Target,
        method: &str,
        arguments: &dyn ArgumentList,
    ) -> Result<(), SendError> {
        if let Target::Connection(id) = target {
            return self.send_to_one(id, method, arguments).await;
        }
        match self.backplane.get() {
            None => {
                let payloads = self.options.protocols.encode(None, method, arguments, |p| self.speaks(p))?;
                self.fan_out(target, &payloads)?;
            }
            Some(hub) => self.send_to_fleet(&**hub, target, method, arguments).await?,
        }
        // A loop of sends gives the clients' tasks a chance to write.
        tokio::task::coop::consume_budget().await;
        Ok(())
    }

    async fn send_to_one(
        &self,
        id: &ConnectionId,
        method: &str,
        arguments: &dyn ArgumentList,
    ) -> Result<(), SendError> {
        let connection = self.connection(id.as_str());
        if let Some(hub) = self.ordering_backplane() {
            // Slow clients hold their senders back on this way, too.
            if let Some(connection) = connection {
                ready(&connection).await?;
            }
            let payloads = self.options.protocols.encode(None, method, arguments, |_| true)?;
            return publish(hub, &Topic::Connection(id.clone()), Vec::new(), payloads, None).await;
        }
        if let Some(connection) = connection {
            let protocol = connection.protocol();
            let payloads = self.options.protocols.encode(None, method, arguments, |p| Some(p) == protocol)?;
            return deliver_to_one(&connection, &payloads).await;
        }
        if let Some(hub) = self.backplane.get() {
            let payloads = self.options.protocols.encode(None, method, arguments, |_| true)?;
            publish(&**hub, &Topic::Connection(id.clone()), Vec::new(), payloads, None).await?;
        }
        Ok(())
    }

    /// The backplane, when sends to single connections of this server must go through it as well.
    fn ordering_backplane(&self) -> Option<&dyn BackplaneHub> {
        let hub = &**self.backplane.get()?;
        (self.options.order == DeliveryOrder::Ordered && hub.orders_direct()).then_some(hub)
    }

    async fn send_to_fleet(
        &self,
        hub: &dyn BackplaneHub,
        target: &Target,
        method: &str,
        arguments: &dyn ArgumentList,
    ) -> Result<(), SendError> {
        let payloads = self.options.protocols.encode(None, method, arguments, |_| true)?;
        if let Target::Connections(ids) = target {
            return self.send_to_each(hub, ids, &payloads).await;
        }
        let origin = match self.options.order {
            DeliveryOrder::Ordered => None,
            DeliveryOrder::LocalFirst => {
                self.fan_out_known(target, &payloads);
                Some(Arc::from(hub.node()))
            }
        };
        let (topics, excluded) = topics(target);
        let tickets: Vec<_> = topics
            .iter()
            .map(|topic| {
                let message = invocation(excluded.clone(), payloads.clone(), origin.clone());
                hub.publish(topic, message)
            })
            .collect();
        for ticket in tickets {
            ticket.await?;
        }
        Ok(())
    }

    async fn send_to_each(
        &self,
        hub: &dyn BackplaneHub,
        ids: &[ConnectionId],
        payloads: &Payloads,
    ) -> Result<(), SendError> {
        let ordered = self.ordering_backplane().is_some();
        let mut tickets = Vec::new();
        for id in ids {
            match self.connection(id.as_str()).filter(|_| !ordered) {
                Some(connection) => deliver(&mut OutgoingMessage::new(payloads), &connection),
                None => {
                    let message = invocation(Vec::new(), payloads.clone(), None);
                    tickets.push(hub.publish(&Topic::Connection(id.clone()), message));
                }
            }
        }
        // Each has its place already: a thousand outcomes take no longer than one.
        for ticket in tickets {
            ticket.await?;
        }
        Ok(())
    }

    /// Queues a message for every local receiver.
    fn fan_out(&self, target: &Target, payloads: &Payloads) -> Result<(), SendError> {
        if let Target::Groups(groups) = target
            && groups.iter().any(|group| group.is_empty())
        {
            return Err(SendError::EmptyGroupName);
        }
        self.fan_out_known(target, payloads);
        Ok(())
    }

    fn fan_out_known(&self, target: &Target, payloads: &Payloads) {
        let tables = self.read();
        let mut message = OutgoingMessage::new(payloads);
        match target {
            Target::All => deliver_all(&mut message, Some(&tables.connections), &[]),
            Target::AllExcept(ids) => deliver_all(&mut message, Some(&tables.connections), ids),
            Target::Group(group) => deliver_all(&mut message, tables.groups.get(group), &[]),
            Target::GroupExcept(group, ids) => deliver_all(&mut message, tables.groups.get(group), ids),
            Target::User(user) => deliver_all(&mut message, tables.users.get(user), &[]),
            Target::Groups(groups) => {
                groups.iter().for_each(|group| deliver_all(&mut message, tables.groups.get(group), &[]));
            }
            Target::Users(users) => {
                users.iter().for_each(|user| deliver_all(&mut message, tables.users.get(user), &[]));
            }
            Target::Connection(id) => deliver_listed(&mut message, &tables, std::slice::from_ref(id)),
            Target::Connections(ids) => deliver_listed(&mut message, &tables, ids),
        }
    }

    /// What arrived on a topic goes to its local members.
    pub(super) fn fan_in(&self, topic: &Topic, message: &InvocationMessage) {
        let tables = self.read();
        let mut outgoing = OutgoingMessage::new(&message.payloads);
        match topic {
            Topic::All => deliver_all(&mut outgoing, Some(&tables.connections), &message.excluded),
            Topic::Group(group) => deliver_all(&mut outgoing, tables.groups.get(group), &message.excluded),
            Topic::User(user) => deliver_all(&mut outgoing, tables.users.get(user), &[]),
            Topic::Connection(id) => deliver_listed(&mut outgoing, &tables, std::slice::from_ref(id)),
            _ => {}
        }
    }
}

/// Queues a message for one connection, after waiting for room.
pub(super) async fn deliver_to_one(
    connection: &Arc<Connection>,
    payloads: &Payloads,
) -> Result<(), SendError> {
    ready(connection).await?;
    deliver(&mut OutgoingMessage::new(payloads), connection);
    Ok(())
}

async fn ready(connection: &Arc<Connection>) -> Result<(), SendError> {
    if connection.ready().await { Ok(()) } else { Err(SendError::ClientTooSlow(connection.id().clone())) }
}

async fn publish(
    hub: &dyn BackplaneHub,
    topic: &Topic,
    excluded: Vec<ConnectionId>,
    payloads: Payloads,
    origin: Option<Arc<str>>,
) -> Result<(), SendError> {
    hub.publish(topic, invocation(excluded, payloads, origin)).await?;
    Ok(())
}

fn invocation(excluded: Vec<ConnectionId>, payloads: Payloads, origin: Option<Arc<str>>) -> BackplaneMessage {
    BackplaneMessage::Invocation(InvocationMessage { excluded, payloads, origin, ..Default::default() })
}

/// Topics that a target is published to, and the exclusions. Empty names are left out of lists only (B-16).
fn topics(target: &Target) -> (Vec<Topic>, Vec<ConnectionId>) {
    let named = |names: &[Arc<str>], topic: fn(Arc<str>) -> Topic| {
        names.iter().filter(|name| !name.is_empty()).cloned().map(topic).collect()
    };
    match target {
        Target::All => (vec![Topic::All], Vec::new()),
        Target::AllExcept(ids) => (vec![Topic::All], ids.clone()),
        Target::Group(group) => (vec![Topic::Group(group.clone())], Vec::new()),
        Target::GroupExcept(group, ids) => (vec![Topic::Group(group.clone())], ids.clone()),
        Target::Groups(groups) => (named(groups, Topic::Group), Vec::new()),
        Target::User(user) => (vec![Topic::User(user.clone())], Vec::new()),
        Target::Users(users) => (named(users, Topic::User), Vec::new()),
        Target::Connection(id) => (vec![Topic::Connection(id.clone())], Vec::new()),
        Target::Connections(ids) => (ids.iter().cloned().map(Topic::Connection).collect(), Vec::new()),
    }
}

fn deliver_all(message: &mut OutgoingMessage<'_>, members: Option<&Members>, excluded: &[ConnectionId]) {
    let Some(members) = members else { return };
    if excluded.is_empty() {
        members.values().for_each(|connection| deliver(message, connection));
    } else if excluded.len() <= FEW {
        let wanted = members.iter().filter(|(id, _)| !excluded.contains(id));
        wanted.for_each(|(_, connection)| deliver(message, connection));
    } else {
        let excluded: HashSet<&ConnectionId> = excluded.iter().collect();
        let wanted = members.iter().filter(|(id, _)| !excluded.contains(id));
        wanted.for_each(|(_, connection)| deliver(message, connection));
    }
}

fn deliver_listed(message: &mut OutgoingMessage<'_>, tables: &Tables, ids: &[ConnectionId]) {
    let mut seen = HashSet::with_capacity(ids.len());
    for id in ids {
        if let Some(connection) = tables.connections.get(id.as_str())
            && seen.insert(id)
        {
            deliver(message, connection);
        }
    }
}

/// A client whose protocol is not among those that the sender wrote cannot follow any more: it is cut (B-9.2).
fn deliver(message: &mut OutgoingMessage<'_>, connection: &Arc<Connection>) {
    if !message.deliver(connection) {
        connection.request_close(CloseReason::ProtocolUnavailable);
    }
}
