//! The manager's ear: what other servers send arrives here.
//!
//! Owns the split between messages for clients, which are fanned out at once, and commands, which go to one worker so
//! that they are done in order and acked when in force.

use super::HubLifetimeManager;
use crate::backplane::{
    BackplaneMessage, BackplaneSink, GroupAction, GroupCommand, InvocationMessage, Topic,
};
use std::sync::{Arc, Weak};
use tokio::sync::mpsc;

/// Commands that wait for the worker. One that finds no room is dropped, counted, and never acked: the asker's deadline
/// tells it.
const QUEUE: usize = 16 * 1024;

pub(super) struct Sink {
    manager: Weak<HubLifetimeManager>,
    commands: mpsc::Sender<GroupCommand>,
}

impl Sink {
    pub(super) fn start(manager: &Arc<HubLifetimeManager>) -> Arc<Self> {
        let (commands, queue) = mpsc::channel(QUEUE);
        let manager = Arc::downgrade(manager);
        tokio::spawn(work(manager.clone(), queue));
        Arc::new(Self { manager, commands })
    }

    fn invocation(manager: &HubLifetimeManager, topic: &Topic, message: InvocationMessage) {
        if let (Some(origin), Some(hub)) = (&message.origin, manager.backplane.get())
            && **origin == *hub.node()
        {
            return;
        }
        if let (Topic::Connection(id), Some(invocation), Some(return_to)) =
            (topic, &message.invocation_id, &message.return_to)
        {
            manager.forward_question(id, invocation.clone(), return_to.clone());
        }
        manager.fan_in(topic, &message);
    }
}

impl BackplaneSink for Sink {
    fn deliver(&self, topic: &Topic, message: BackplaneMessage) {
        let Some(manager) = self.manager.upgrade() else { return };
        match message {
            BackplaneMessage::Invocation(message) => Self::invocation(&manager, topic, message),
            BackplaneMessage::GroupCommand(command) => {
                if self.commands.try_send(command).is_err() {
                    metrics::counter!("signalr.server.dropped_group_commands").increment(1);
                    tracing::warn!(hub = %manager.name, "too many group commands at once: one was dropped");
                }
            }
            BackplaneMessage::Ack { id } => {
                manager.acks.answer(&id, ());
            }
            BackplaneMessage::Completion { protocol, message } => manager.take_result(protocol, &message),
            BackplaneMessage::Fleet { .. } => {}
        }
    }
}

async fn work(manager: Weak<HubLifetimeManager>, mut queue: mpsc::Receiver<GroupCommand>) {
    while let Some(command) = queue.recv().await {
        let Some(manager) = manager.upgrade() else { return };
        obey(&manager, command).await;
    }
}

/// Does what a command asks, if its connection is here, and acks it.
async fn obey(manager: &HubLifetimeManager, command: GroupCommand) {
    let Some(connection) = manager.connection(command.connection.as_str()) else { return };
    match command.action {
        GroupAction::Add => {
            if let Err(error) = manager.join_locally(&connection, &command.group).await {
                tracing::warn!(hub = %manager.name, %error, "a group command from another server failed");
                return;
            }
        }
        GroupAction::Remove => manager.part_locally(&connection, &command.group),
        GroupAction::Unknown(_) => {}
    }
    if let Some(hub) = manager.backplane.get() {
        // The asker has its own deadline.
        drop(hub.publish(&Topic::Ack(command.node), BackplaneMessage::Ack { id: command.id }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::ManagerOptions;
    use bytes::Bytes;
    use signalr_protocol::Protocol;

    /// A later version, or somebody else, may send anything: nothing of it has an effect, and what follows is dealt with.
    #[tokio::test]
    async fn what_is_not_known_here_changes_nothing() {
        let manager = HubLifetimeManager::new("Hub", ManagerOptions::default());
        let sink = Sink::start(&manager);
        let answer = manager.acks.open(7);
        let fleet =
            BackplaneMessage::Fleet { kind: "news".into(), version: 9, body: Bytes::from_static(b"x") };
        sink.deliver(&Topic::Fleet("news".into()), fleet);
        for bytes in [&b""[..], b"no frame", b"{\"type\":6}\x1e", b"{}\x1e", b"nonsense\x1e"] {
            let message = Bytes::from_static(bytes);
            let completion = BackplaneMessage::Completion { protocol: Protocol::Json, message };
            sink.deliver(&Topic::Return("node".into()), completion);
        }
        sink.deliver(&Topic::Ack("node".into()), BackplaneMessage::Ack { id: 8 });
        let unheard = InvocationMessage { invocation_id: Some("q".into()), ..InvocationMessage::default() };
        sink.deliver(&Topic::connection("nobody"), BackplaneMessage::Invocation(unheard));
        sink.deliver(&Topic::Ack("node".into()), BackplaneMessage::Ack { id: 7 });
        assert_eq!(answer.answer().await, Some(()));
    }

    /// The worker never runs here: what finds no room is left out, and nobody waits.
    #[tokio::test]
    async fn group_commands_beyond_the_queue_are_dropped() {
        let manager = HubLifetimeManager::new("Hub", ManagerOptions::default());
        let (commands, mut queue) = mpsc::channel(QUEUE);
        let sink = Sink { manager: Arc::downgrade(&manager), commands };
        for id in 0..QUEUE as i32 + 5 {
            let (node, group, connection) = ("n".into(), "g".into(), "c".into());
            let command = GroupCommand { id, node, action: GroupAction::Add, group, connection };
            sink.deliver(&Topic::Groups, BackplaneMessage::GroupCommand(command));
        }
        drop(sink);
        let mut taken = 0;
        while let Some(command) = queue.recv().await {
            assert_eq!(command.id, taken);
            taken += 1;
        }
        assert_eq!(taken as usize, QUEUE);
    }
}
