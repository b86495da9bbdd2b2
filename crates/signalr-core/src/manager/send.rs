//! Sends: to whom, and by which way.
//!
//! Owns the choice between local fan-out and the backplane (B-8.1, B-9.4). Encoding is
//! [`OutgoingMessage`](crate::OutgoingMessage)'s, queueing the outbox's.

use super::crowd::Crowd;
use super::error::SendError;
use super::tables::Tables;
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
            Target::All => deliver_all(&mut message, tables.connections.values(), &[]),
            Target::AllExcept(ids) => deliver_all(&mut message, tables.connections.values(), ids),
            Target::Group(group) => deliver_all(&mut message, members(tables.groups.get(group)), &[]),
            Target::GroupExcept(group, ids) => {
                deliver_all(&mut message, members(tables.groups.get(group)), ids)
            }
            Target::User(user) => deliver_all(&mut message, members(tables.users.get(user)), &[]),
            Target::Groups(groups) => {
                groups
                    .iter()
                    .for_each(|group| deliver_all(&mut message, members(tables.groups.get(group)), &[]));
            }
            Target::Users(users) => {
                users.iter().for_each(|user| deliver_all(&mut message, members(tables.users.get(user)), &[]));
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
            Topic::All => deliver_all(&mut outgoing, tables.connections.values(), &message.excluded),
            Topic::Group(group) => {
                deliver_all(&mut outgoing, members(tables.groups.get(group)), &message.excluded)
            }
            Topic::User(user) => deliver_all(&mut outgoing, members(tables.users.get(user)), &[]),
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

fn members(crowd: Option<&Crowd>) -> impl Iterator<Item = &Arc<Connection>> {
    crowd.into_iter().flat_map(Crowd::iter)
}

fn deliver_all<'a>(
    message: &mut OutgoingMessage<'_>,
    members: impl Iterator<Item = &'a Arc<Connection>>,
    excluded: &[ConnectionId],
) {
    if excluded.is_empty() {
        members.for_each(|connection| deliver(message, connection));
    } else if excluded.len() <= FEW {
        let wanted = members.filter(|connection| !excluded.contains(connection.id()));
        wanted.for_each(|connection| deliver(message, connection));
    } else {
        let excluded: HashSet<&ConnectionId> = excluded.iter().collect();
        let wanted = members.filter(|connection| !excluded.contains(connection.id()));
        wanted.for_each(|connection| deliver(message, connection));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backplane::{
        Backplane, BackplaneError, BackplaneState, Events, HubJoin, Subscribed, Subscribing, Ticket,
        TicketSender,
    };
    use crate::connect_info::{ConnectInfo, TransportKind};
    use crate::connection::ConnectionOptions;
    use crate::framing::Unframed;
    use crate::manager::ManagerOptions;
    use async_trait::async_trait;
    use signalr_protocol::Protocol;
    use std::sync::Mutex;
    use std::task::{Context, Waker};

    /// Notes what is published, and never says what became of it.
    #[derive(Clone, Default)]
    struct Silent(Arc<Mutex<Vec<(Topic, InvocationMessage, TicketSender)>>>);

    #[async_trait]
    impl Backplane for Silent {
        async fn join(&self, _: HubJoin) -> Result<Arc<dyn BackplaneHub>, BackplaneError> {
            Ok(Arc::new(self.clone()))
        }
    }

    #[async_trait]
    impl BackplaneHub for Silent {
        fn node(&self) -> &str {
            "here"
        }

        fn publish(&self, topic: &Topic, message: BackplaneMessage) -> Ticket {
            let BackplaneMessage::Invocation(message) = message else { panic!("{message:?}") };
            let (sender, ticket) = Ticket::later();
            self.0.lock().unwrap().push((topic.clone(), message, sender));
            ticket
        }

        fn subscribe(&self, _: &[Topic]) -> Subscribing<'_> {
            Box::pin(std::future::ready(Ok(Subscribed::InForce)))
        }

        fn unsubscribe(&self, _: &[Topic]) {}

        async fn receivers(&self, _: &Topic) -> Option<u64> {
            None
        }

        fn state(&self) -> Events {
            Events::new(BackplaneState::Up).1
        }

        async fn leave(&self) {}
    }

    struct World {
        manager: Arc<HubLifetimeManager>,
        backplane: Silent,
        member: Arc<Connection>,
    }

    impl World {
        /// One JSON client, of the group "g" and the user "u".
        async fn new(order: DeliveryOrder) -> Self {
            let manager = HubLifetimeManager::new("Hub", ManagerOptions { order, ..Default::default() });
            let backplane = Silent::default();
            manager.join(&backplane).await.unwrap();
            let options = Arc::new(ConnectionOptions::default());
            let info = ConnectInfo::new(TransportKind::InMemory);
            let member = Connection::new("local".into(), info, &Unframed, options, None);
            member.set_protocol(Protocol::Json);
            member.set_user_id("u");
            manager.connect(&member).await.unwrap();
            manager.add_to_group(member.id(), "g").await.unwrap();
            Self { manager, backplane, member }
        }

        /// What one look at a send does: whether it is over, whether the client has it, what was published.
        fn send(&self, target: Target) -> (bool, bool, Vec<(Topic, InvocationMessage)>) {
            let before = self.member.queued_bytes();
            let mut sending = std::pin::pin!(self.manager.send(&target, "Text", &("x",)));
            let sent = sending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            let published = std::mem::take(&mut *self.backplane.0.lock().unwrap());
            let published = published.into_iter().map(|(topic, message, _)| (topic, message)).collect();
            (sent, self.member.queued_bytes() > before, published)
        }
    }

    fn targets() -> [(Target, Topic); 4] {
        [
            (Target::All, Topic::All),
            (Target::Group("g".into()), Topic::group("g")),
            (Target::User("u".into()), Topic::user("u")),
            (Target::GroupExcept("g".into(), vec!["nobody".into()]), Topic::group("g")),
        ]
    }

    #[tokio::test]
    async fn ordered_leaves_local_members_to_the_backplane_and_tags_nothing() {
        let world = World::new(DeliveryOrder::Ordered).await;
        for (target, topic) in targets() {
            let (sent, here, published) = world.send(target.clone());
            assert!(!sent && !here, "{target:?}");
            assert_eq!((published.len(), &published[0].0), (1, &topic));
            assert_eq!(published[0].1.origin, None);
            let written: Vec<_> = published[0].1.payloads.iter().map(|(protocol, _)| protocol).collect();
            let offered: Vec<_> =
                world.manager.options.protocols.iter().map(|offered| offered.kind()).collect();
            assert_eq!(written, offered, "whatever is spoken here");
        }
    }

    #[tokio::test]
    async fn local_first_serves_local_members_at_once_and_tags_what_it_publishes() {
        let world = World::new(DeliveryOrder::LocalFirst).await;
        for (target, topic) in targets() {
            let (sent, here, published) = world.send(target.clone());
            assert!(!sent && here, "{target:?}");
            assert_eq!((published.len(), &published[0].0), (1, &topic));
            assert_eq!(published[0].1.origin.as_deref(), Some("here"));
        }
    }

    #[tokio::test]
    async fn a_local_connection_is_reached_without_the_backplane() {
        for order in [DeliveryOrder::Ordered, DeliveryOrder::LocalFirst] {
            let world = World::new(order).await;
            let (sent, here, published) = world.send(Target::Connection("local".into()));
            assert!(sent && here && published.is_empty());
            let (sent, here, published) =
                world.send(Target::Connections(vec!["far".into(), "local".into(), "farther".into()]));
            assert!(!sent && here);
            let topics: Vec<_> = published.iter().map(|(topic, _)| topic.clone()).collect();
            assert_eq!(topics, [Topic::connection("far"), Topic::connection("farther")], "both at once");
            assert!(published.iter().all(|(_, message)| message.origin.is_none()));
        }
    }

    #[tokio::test]
    async fn names_that_are_empty_are_left_out_of_lists_only() {
        let world = World::new(DeliveryOrder::Ordered).await;
        let topics = |target| world.send(target).2.into_iter().map(|(topic, _)| topic).collect::<Vec<_>>();
        let names = || vec!["a".into(), "".into(), "a".into()];
        assert_eq!(topics(Target::Groups(names())), [Topic::group("a"), Topic::group("a")]);
        assert_eq!(topics(Target::Users(names())), [Topic::user("a"), Topic::user("a")]);
        assert_eq!(topics(Target::Group("".into())), [Topic::group("")]);
        assert_eq!(topics(Target::User("".into())), [Topic::user("")]);
    }
}
