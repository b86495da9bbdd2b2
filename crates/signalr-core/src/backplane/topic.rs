//! Topics: what one publishes to and subscribes to.
//!
//! Owns the list. How a topic is named on a wire is the backplane's business.

use crate::ids::ConnectionId;
use std::borrow::Cow;
use std::sync::Arc;

/// An address inside one hub's fleet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Topic {
    /// Every server of the hub; subscribed by the join itself.
    All,
    /// The servers that have a member of the group.
    Group(Arc<str>),
    /// The servers that have a connection of the user.
    User(Arc<str>),
    /// The server that has the connection.
    Connection(ConnectionId),
    /// Group commands; every server; subscribed by the join itself.
    Groups,
    /// Acks for one server's group commands; subscribed by that server's join.
    Ack(Arc<str>),
    /// Client results for one server; subscribed by that server's join.
    Return(Arc<str>),
    /// Something of our own that other implementations ignore.
    Fleet(Cow<'static, str>),
}

impl Topic {
    /// A group's topic.
    pub fn group(name: &str) -> Self {
        Self::Group(name.into())
    }

    /// A user's topic.
    pub fn user(id: &str) -> Self {
        Self::User(id.into())
    }

    /// A connection's topic.
    pub fn connection(id: &str) -> Self {
        Self::Connection(id.into())
    }
}
