//! The names of channels (B-9.1).
//!
//! Owns the text form of topics, used byte for byte: nothing is escaped, letter case counts, patterns mean nothing.

use super::error::WireError;
use signalr_core::{ConnectionId, Topic};
use std::borrow::Cow;

const ALL: &str = "all";
const GROUPS: &str = "internal:groups";
const ACK: &str = "internal:ack:";
const RETURN: &str = "internal:return:";
const FLEET: &str = "internal:fleet:";
const CONNECTION: &str = "connection:";
const GROUP: &str = "group:";
const USER: &str = "user:";

/// How the name behind a kind's word becomes a topic.
type Kind = (&'static str, fn(&str) -> Topic);

/// Names the channels of one hub. Servers share channels when prefix and hub name are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channels {
    prefix: Box<str>,
    hub: Box<str>,
}

impl Channels {
    /// Channels of a hub. For a fleet with ASP.NET Core servers, the hub's name is the full name of the .NET type, and
    /// the prefix StackExchange.Redis' `ChannelPrefix`, empty by default.
    pub fn new(prefix: impl Into<Box<str>>, hub: impl Into<Box<str>>) -> Self {
        Self { prefix: prefix.into(), hub: hub.into() }
    }

    /// The hub's wire name.
    pub(crate) fn hub(&self) -> &str {
        &self.hub
    }

    /// The channel of a topic, prefix included: what is given to Redis.
    ///
    /// # Errors
    /// [`WireError::WrongTopic`] for a kind of topic that this version does not know.
    pub fn name(&self, topic: &Topic) -> Result<String, WireError> {
        self.written(&self.prefix, topic)
    }

    /// The channel of a topic without the prefix: what stands inside messages.
    pub(super) fn unprefixed(&self, topic: &Topic) -> Result<String, WireError> {
        self.written("", topic)
    }

    fn written(&self, prefix: &str, topic: &Topic) -> Result<String, WireError> {
        let (kind, name): (&str, &str) = match topic {
            Topic::All => (ALL, ""),
            Topic::Groups => (GROUPS, ""),
            Topic::Ack(node) => (ACK, node),
            Topic::Return(node) => (RETURN, node),
            Topic::Connection(id) => (CONNECTION, id.as_str()),
            Topic::Group(name) => (GROUP, name),
            Topic::User(id) => (USER, id),
            Topic::Fleet(kind) => (FLEET, kind),
            _ => return Err(WireError::WrongTopic),
        };
        Ok([prefix, &self.hub, ":", kind, name].concat())
    }

    /// The topic of a channel as Redis names it, prefix included.
    ///
    /// # Errors
    /// [`WireError::ForeignChannel`] when it is none of this hub's.
    pub fn topic(&self, channel: &[u8]) -> Result<Topic, WireError> {
        let name = channel.strip_prefix(self.prefix.as_bytes()).ok_or(WireError::ForeignChannel)?;
        self.topic_unprefixed(std::str::from_utf8(name).map_err(|_| WireError::NotUtf8)?)
    }

    pub(super) fn topic_unprefixed(&self, name: &str) -> Result<Topic, WireError> {
        let name = name.strip_prefix(&*self.hub).and_then(|rest| rest.strip_prefix(':'));
        let name = name.ok_or(WireError::ForeignChannel)?;
        let kinds: [Kind; 6] = [
            (ACK, |node| Topic::Ack(node.into())),
            (RETURN, |node| Topic::Return(node.into())),
            (FLEET, |kind| Topic::Fleet(Cow::Owned(kind.to_owned()))),
            (CONNECTION, |id| Topic::Connection(ConnectionId::from(id))),
            (GROUP, |group| Topic::Group(group.into())),
            (USER, |user| Topic::User(user.into())),
        ];
        match name {
            ALL => Ok(Topic::All),
            GROUPS => Ok(Topic::Groups),
            _ => kinds
                .iter()
                .find_map(|(kind, topic)| name.strip_prefix(kind).map(topic))
                .ok_or(WireError::ForeignChannel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_read_back() {
        let channels = Channels::new("pre*", "App.Chat+Hub");
        let topics = [
            Topic::All,
            Topic::Groups,
            Topic::Ack("n".into()),
            Topic::Return("n".into()),
            Topic::connection("c"),
            Topic::group(""),
            Topic::group("a:group:b"),
            Topic::user("all"),
            Topic::Fleet("presence".into()),
        ];
        for topic in topics {
            let name = channels.name(&topic).unwrap();
            assert_eq!(channels.topic(name.as_bytes()), Ok(topic), "{name}");
        }
        assert_eq!(channels.name(&Topic::All).unwrap(), "pre*App.Chat+Hub:all");
    }

    #[test]
    fn foreign_channels_are_refused() {
        let channels = Channels::new("p", "Hub");
        for name in
            ["Hub:all", "pHub", "pHub:", "pHub2:all", "phub:all", "pHub:All", "pHub:internal:x", "pHub:all:x"]
        {
            assert_eq!(channels.topic(name.as_bytes()), Err(WireError::ForeignChannel), "{name}");
        }
        assert_eq!(channels.topic(b"pHub:group:\xff"), Err(WireError::NotUtf8));
    }
}
