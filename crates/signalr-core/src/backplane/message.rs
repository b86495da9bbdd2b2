//! What travels between servers.
//!
//! Owns the shapes (B-9.2); the bytes are the backplane's.

use crate::ids::ConnectionId;
use bytes::Bytes;
use signalr_protocol::Protocol;
use std::borrow::Cow;
use std::sync::Arc;

/// One message between servers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackplaneMessage {
    /// A send to clients. Topics: all, group, user, connection.
    Invocation(InvocationMessage),
    /// Put a connection into a group or take it out. Topic: groups.
    GroupCommand(GroupCommand),
    /// A group command is in force. Topic: ack of the asker.
    Ack {
        /// The command's id.
        id: i32,
    },
    /// A client's answer. Topic: return of the asker.
    Completion {
        /// The protocol of `message`.
        protocol: Protocol,
        /// The whole Completion message, as framed for the wire.
        message: Bytes,
    },
    /// Something of our own; unknown kinds and versions are ignored.
    Fleet {
        /// What it is.
        kind: Cow<'static, str>,
        /// Its version.
        version: u32,
        /// Its content.
        body: Bytes,
    },
}

impl BackplaneMessage {
    /// What it counts against the bound of a queue, in bytes: its content, and a fixed amount for itself. Ours.
    pub fn weight(&self) -> usize {
        let content = match self {
            Self::Invocation(message) => {
                let payloads: usize = message.payloads.iter().map(|(_, bytes)| bytes.len()).sum();
                payloads + message.excluded.len() * 32
            }
            Self::Completion { message, .. } => message.len(),
            Self::Fleet { body, .. } => body.len(),
            Self::GroupCommand(_) | Self::Ack { .. } => 0,
        };
        content + 128
    }
}

/// A send to clients, encoded once by the sender for every protocol of the fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvocationMessage {
    /// Connections that must not get it.
    pub excluded: Vec<ConnectionId>,
    /// The whole hub message per protocol.
    pub payloads: Payloads,
    /// The invocation's id, when a client result is wanted.
    pub invocation_id: Option<Arc<str>>,
    /// The topic that the result goes to, when one is wanted: the return topic of this node.
    pub return_to: Option<Arc<str>>,
    /// The node that has already served its own members; it ignores the message when it comes back.
    pub origin: Option<Arc<str>>,
}

/// One hub message in the forms of several protocols.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payloads([Option<Bytes>; Protocol::COUNT]);

impl Payloads {
    /// The bytes for a protocol, with the protocol's own framing.
    pub fn get(&self, protocol: Protocol) -> Option<&Bytes> {
        self.0[protocol.index()].as_ref()
    }

    /// Sets the bytes for a protocol.
    pub fn set(&mut self, protocol: Protocol, bytes: Bytes) {
        self.0[protocol.index()] = Some(bytes);
    }

    /// What is there, in the order of registration.
    pub fn iter(&self) -> impl Iterator<Item = (Protocol, &Bytes)> + Clone {
        Protocol::ALL.into_iter().filter_map(|protocol| Some((protocol, self.get(protocol)?)))
    }
}

/// What a group command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupAction {
    /// Puts the connection into the group.
    Add,
    /// Takes it out.
    Remove,
    /// Unknown to this version: changes nothing, is acked (as the reference does).
    Unknown(i32),
}

/// A change of membership, asked of whichever server holds the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCommand {
    /// Counts per asking server, from 1.
    pub id: i32,
    /// The asker: its ack topic gets the answer.
    pub node: Arc<str>,
    /// What to do.
    pub action: GroupAction,
    /// The group.
    pub group: Arc<str>,
    /// The connection.
    pub connection: ConnectionId,
}
