//! Core's messages to bytes on a channel, and back.
//!
//! Owns which kind of message travels on which topic, and the step between a node's name and its return channel. The
//! bytes of each message are `messages`', the names `channels`'.

use super::channels::Channels;
use super::error::WireError;
use super::messages::{
    AckMessage, CompletionMessage, FleetMessage, GroupCommandMessage, Invocation, InvocationParts,
};
use bytes::Bytes;
use signalr_core::{
    BackplaneMessage, ConnectionId, GroupAction, GroupCommand, InvocationMessage, Payloads, Topic,
};
use signalr_protocol::Protocol;
use std::borrow::Cow;

/// Encodes and decodes for one hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec {
    channels: Channels,
}

impl Codec {
    /// A codec for the hub whose channels these are.
    pub fn new(channels: Channels) -> Self {
        Self { channels }
    }

    /// The names of the channels.
    pub fn channels(&self) -> &Channels {
        &self.channels
    }

    /// What to publish: the channel, prefix included, and the bytes.
    ///
    /// # Errors
    /// The message does not belong on the topic, or an action is no number of a byte.
    pub fn encode(&self, topic: &Topic, message: &BackplaneMessage) -> Result<(String, Vec<u8>), WireError> {
        let bytes = match (topic, message) {
            (
                Topic::All | Topic::Group(_) | Topic::User(_) | Topic::Connection(_),
                BackplaneMessage::Invocation(message),
            ) => self.invocation(message)?,
            (Topic::Groups, BackplaneMessage::GroupCommand(command)) => group_command(command)?.write(),
            (Topic::Ack(_), BackplaneMessage::Ack { id }) => AckMessage { id: *id }.write(),
            (Topic::Return(_), BackplaneMessage::Completion { protocol, message }) => {
                CompletionMessage { protocol: protocol.name().to_owned(), message: message.clone() }.write()
            }
            (Topic::Fleet(on), BackplaneMessage::Fleet { kind, version, body }) if on == kind => {
                FleetMessage { version: *version, body: body.clone() }.write()
            }
            _ => return Err(WireError::WrongTopic),
        };
        Ok((self.channels.name(topic)?, bytes))
    }

    /// What was received: the topic and the message. Protocols that this build does not know are left out of an
    /// invocation.
    ///
    /// # Errors
    /// The channel is none of this hub's, or the bytes are no message of its kind.
    pub fn decode(&self, channel: &[u8], bytes: &Bytes) -> Result<(Topic, BackplaneMessage), WireError> {
        let topic = self.channels.topic(channel)?;
        let message = match &topic {
            Topic::Groups => read_group_command(GroupCommandMessage::read(bytes)?),
            Topic::Ack(_) => BackplaneMessage::Ack { id: AckMessage::read(bytes)?.id },
            Topic::Return(_) => read_completion(CompletionMessage::read(bytes)?)?,
            Topic::Fleet(kind) => {
                let FleetMessage { version, body } = FleetMessage::read(bytes)?;
                BackplaneMessage::Fleet { kind: Cow::Owned(kind.clone().into_owned()), version, body }
            }
            _ => self.read_invocation(Invocation::read(bytes)?)?,
        };
        Ok((topic, message))
    }

    fn invocation(&self, message: &InvocationMessage) -> Result<Vec<u8>, WireError> {
        let return_channel = match &message.return_to {
            Some(node) => Some(self.channels.unprefixed(&Topic::Return(node.clone()))?),
            None => None,
        };
        let parts = InvocationParts {
            excluded: message.excluded.iter().map(ConnectionId::as_str),
            payloads: message.payloads.iter().map(|(protocol, bytes)| (protocol.name(), &**bytes)),
            invocation_id: message.invocation_id.as_deref(),
            return_channel: return_channel.as_deref(),
            origin: message.origin.as_deref(),
        };
        Ok(parts.write())
    }

    fn read_invocation(&self, read: Invocation) -> Result<BackplaneMessage, WireError> {
        let mut message = InvocationMessage::default();
        message.excluded = read.excluded.into_iter().map(ConnectionId::from).collect();
        message.payloads = payloads(read.payloads);
        message.invocation_id = read.invocation_id.map(Into::into);
        message.origin = read.origin.map(Into::into);
        if let Some(channel) = read.return_channel {
            let Topic::Return(node) = self.channels.topic_unprefixed(&channel)? else {
                return Err(WireError::ForeignChannel);
            };
            message.return_to = Some(node);
        }
        Ok(BackplaneMessage::Invocation(message))
    }
}

/// Names on this wire are exact, unlike in a handshake.
fn protocol(name: &str) -> Option<Protocol> {
    Protocol::ALL.into_iter().find(|protocol| protocol.name() == name)
}

fn payloads(read: Vec<(String, Bytes)>) -> Payloads {
    let mut payloads = Payloads::default();
    for (name, bytes) in read {
        if let Some(protocol) = protocol(&name) {
            payloads.set(protocol, bytes);
        }
    }
    payloads
}

fn group_command(command: &GroupCommand) -> Result<GroupCommandMessage, WireError> {
    let action = match command.action {
        GroupAction::Add => 1,
        GroupAction::Remove => 2,
        GroupAction::Unknown(action) => u8::try_from(action).map_err(|_| WireError::OutOfRange)?,
    };
    Ok(GroupCommandMessage {
        id: command.id,
        server: command.node.as_ref().to_owned(),
        action,
        group: command.group.as_ref().to_owned(),
        connection: command.connection.as_str().to_owned(),
    })
}

fn read_group_command(read: GroupCommandMessage) -> BackplaneMessage {
    BackplaneMessage::GroupCommand(GroupCommand {
        id: read.id,
        node: read.server.into(),
        action: match read.action {
            1 => GroupAction::Add,
            2 => GroupAction::Remove,
            other => GroupAction::Unknown(other.into()),
        },
        group: read.group.into(),
        connection: read.connection.into(),
    })
}

fn read_completion(read: CompletionMessage) -> Result<BackplaneMessage, WireError> {
    let protocol = protocol(&read.protocol).ok_or(WireError::UnknownProtocol)?;
    Ok(BackplaneMessage::Completion { protocol, message: read.message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec() -> Codec {
        Codec::new(Channels::new("p:", "App.ChatHub"))
    }

    fn invocation() -> InvocationMessage {
        let mut message = InvocationMessage::default();
        message.payloads.set(Protocol::Json, Bytes::from_static(b"{}\x1e"));
        message.payloads.set(Protocol::MessagePack, Bytes::from_static(&[1, 0x90]));
        message
    }

    fn back(topic: Topic, message: BackplaneMessage) {
        let (channel, bytes) = codec().encode(&topic, &message).unwrap();
        assert_eq!(codec().decode(channel.as_bytes(), &bytes.into()), Ok((topic, message)));
    }

    #[test]
    fn every_message_is_read_back() {
        let mut full = invocation();
        full.excluded = vec!["a".into(), "".into()];
        full.invocation_id = Some("id".into());
        full.return_to = Some("node".into());
        back(Topic::connection("c"), BackplaneMessage::Invocation(full.clone()));
        full.origin = Some("node".into());
        back(Topic::connection("c"), BackplaneMessage::Invocation(full));
        for topic in [Topic::All, Topic::group("g"), Topic::user("")] {
            back(topic, BackplaneMessage::Invocation(invocation()));
        }
        for action in
            [GroupAction::Add, GroupAction::Remove, GroupAction::Unknown(0), GroupAction::Unknown(255)]
        {
            let (node, group, connection) = ("n".into(), "g".into(), "c".into());
            let command = GroupCommand { id: -5, node, action, group, connection };
            back(Topic::Groups, BackplaneMessage::GroupCommand(command));
        }
        back(Topic::Ack("n".into()), BackplaneMessage::Ack { id: i32::MIN });
        let message = Bytes::from_static(b"{}\x1e");
        back(Topic::Return("n".into()), BackplaneMessage::Completion { protocol: Protocol::Json, message });
        let body = Bytes::from_static(b"\x00\xff");
        back(Topic::Fleet("k".into()), BackplaneMessage::Fleet { kind: "k".into(), version: u32::MAX, body });
    }

    #[test]
    fn the_origin_is_a_fifth_item_behind_two_nils() {
        let mut message = invocation();
        message.origin = Some("n".into());
        let (_, bytes) = codec().encode(&Topic::All, &BackplaneMessage::Invocation(message)).unwrap();
        assert_eq!(bytes[0], 0x95);
        assert!(bytes.ends_with(&[0xc0, 0xc0, 0xa1, b'n']), "{bytes:x?}");
    }

    #[test]
    fn messages_on_the_wrong_topic_are_refused() {
        let ack = BackplaneMessage::Ack { id: 1 };
        assert_eq!(codec().encode(&Topic::All, &ack), Err(WireError::WrongTopic));
        let fleet = BackplaneMessage::Fleet { kind: "a".into(), version: 1, body: Bytes::new() };
        assert_eq!(codec().encode(&Topic::Fleet("b".into()), &fleet), Err(WireError::WrongTopic));
        let command = GroupCommand {
            id: 1,
            node: "n".into(),
            action: GroupAction::Unknown(256),
            group: "g".into(),
            connection: "c".into(),
        };
        let command = BackplaneMessage::GroupCommand(command);
        assert_eq!(codec().encode(&Topic::Groups, &command), Err(WireError::OutOfRange));
    }

    #[test]
    fn what_the_peer_names_must_belong_to_this_hub() {
        let mut message = Invocation {
            invocation_id: Some("i".into()),
            return_channel: Some("Other:internal:return:n".into()),
            payloads: vec![("json".into(), Bytes::from_static(b"x")), ("blazorpack".into(), Bytes::new())],
            ..Invocation::default()
        };
        let read = |message: &Invocation| codec().decode(b"p:App.ChatHub:all", &message.write().into());
        assert_eq!(read(&message), Err(WireError::ForeignChannel));
        message.return_channel = Some("App.ChatHub:all".into());
        assert_eq!(read(&message), Err(WireError::ForeignChannel));
        message.invocation_id = None;
        assert_eq!(Invocation::read(&message.write().into()).as_ref(), Ok(&message), "nothing is lost");
        message.return_channel = None;
        let Ok((_, BackplaneMessage::Invocation(known))) = read(&message) else { panic!("not read") };
        assert_eq!(known.payloads.iter().count(), 1);

        let strange = CompletionMessage { protocol: "blazorpack".into(), message: Bytes::new() };
        let read = codec().decode(b"p:App.ChatHub:internal:return:n", &strange.write().into());
        assert_eq!(read, Err(WireError::UnknownProtocol));
    }
}
