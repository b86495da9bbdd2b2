//! Which commands a server offers, and under which names: hosted services disable some, careful operators rename some.
//!
//! Owns the map; the rule that a disabled command is never sent is kept by whoever sends. The maps come from the
//! builder, from `$COMMAND=NAME` in connection strings, and from the proxies that a connection string names.

use super::commands::{KNOWN, NOT_BEHIND_ENVOY, NOT_BEHIND_PROXIES, NOT_BEHIND_TWEMPROXY, OF_SENTINEL};
use super::error::RedisConfigError;
use super::suggest::nearest;
use std::collections::BTreeMap;

/// The commands of a server that differ from plain Redis. Default: none does.
///
/// Names are compared without regard to case and sent in upper case, as StackExchange.Redis does.
///
/// ```
/// use signalr_backplane_redis::options::CommandMap;
///
/// let map = CommandMap::create(["INFO", "CONFIG", "CLUSTER"], false).unwrap();
/// assert_eq!(map.get("INFO"), None);
/// assert_eq!(map.get("PUBLISH"), Some("PUBLISH"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandMap {
    /// By place in the list of known commands; an empty name means disabled.
    changes: BTreeMap<usize, String>,
}

impl CommandMap {
    /// The map of a server that offers exactly these commands (`available` true), or all but these (false): the
    /// reference's `CommandMap.Create`.
    ///
    /// # Errors
    ///
    /// [`RedisConfigError::UnknownCommand`] for a name that Redis does not have (the reference ignores it).
    pub fn create<'a>(
        commands: impl IntoIterator<Item = &'a str>,
        available: bool,
    ) -> Result<Self, RedisConfigError> {
        let named = commands.into_iter().map(place_or_error).collect::<Result<Vec<_>, _>>()?;
        let disabled = (0..KNOWN.len()).filter(|place| named.contains(place) != available);
        Ok(Self { changes: disabled.map(|place| (place, String::new())).collect() })
    }

    /// What a Sentinel answers: the reference's `CommandMap.Sentinel`. Together with a service name it describes the
    /// Sentinels only, and the servers behind them keep all their commands.
    pub fn sentinel() -> Self {
        Self::all_but(|command| !OF_SENTINEL.contains(&command))
    }

    /// What Twemproxy offers. It has no publish and subscribe, so no backplane works behind it.
    pub fn twemproxy() -> Self {
        Self::all_but(|command| {
            NOT_BEHIND_PROXIES.contains(&command) || NOT_BEHIND_TWEMPROXY.contains(&command)
        })
    }

    /// What Envoy's Redis proxy offers. It has no publish and subscribe, so no backplane works behind it.
    pub fn envoyproxy() -> Self {
        Self::all_but(|command| NOT_BEHIND_PROXIES.contains(&command) || NOT_BEHIND_ENVOY.contains(&command))
    }

    /// The same map with one command less.
    ///
    /// # Errors
    ///
    /// [`RedisConfigError::UnknownCommand`].
    pub fn disable(self, command: &str) -> Result<Self, RedisConfigError> {
        self.rename(command, "")
    }

    /// The same map with one command under another name (`rename-command` in redis.conf).
    ///
    /// # Errors
    ///
    /// [`RedisConfigError::UnknownCommand`].
    pub fn rename(mut self, command: &str, name: &str) -> Result<Self, RedisConfigError> {
        self.change_at(place_or_error(command)?, name);
        Ok(self)
    }

    /// The name to send for a command, `None` when it is disabled and must not be sent. A command that is not in the
    /// list is sent as it is.
    pub fn get<'a>(&'a self, command: &'a str) -> Option<&'a str> {
        let changed = place(command).and_then(|place| self.changes.get(&place));
        match changed {
            Some(name) if name.is_empty() => None,
            Some(name) => Some(name),
            None => Some(command),
        }
    }

    /// Whether a command may be sent, under whatever name.
    pub fn is_available(&self, command: &str) -> bool {
        self.get(command).is_some()
    }

    /// Whether nothing differs from plain Redis.
    pub fn is_default(&self) -> bool {
        self.changes.is_empty()
    }

    pub(crate) fn knows(command: &str) -> bool {
        place(command).is_some()
    }

    /// Notes a change as connection strings do: a command that is not known changes nothing.
    pub(crate) fn change(&mut self, command: &str, name: &str) {
        if let Some(place) = place(command) {
            self.change_at(place, name);
        }
    }

    /// The differences as connection strings write them: `$INFO=,$GET=GET2`.
    pub(crate) fn parts(&self) -> impl Iterator<Item = String> + '_ {
        self.changes.iter().map(|(place, name)| format!("${}={name}", KNOWN[*place]))
    }

    fn change_at(&mut self, place: usize, name: &str) {
        let name = name.to_uppercase();
        if name == KNOWN[place] {
            self.changes.remove(&place);
        } else {
            self.changes.insert(place, name);
        }
    }

    fn all_but(disabled: impl Fn(&str) -> bool) -> Self {
        let places = (0..KNOWN.len()).filter(|place| disabled(KNOWN[*place]));
        Self { changes: places.map(|place| (place, String::new())).collect() }
    }
}

fn place(command: &str) -> Option<usize> {
    KNOWN.iter().position(|known| known.eq_ignore_ascii_case(command))
}

fn place_or_error(command: &str) -> Result<usize, RedisConfigError> {
    place(command).ok_or_else(|| RedisConfigError::UnknownCommand {
        command: command.to_owned(),
        suggestion: nearest(command, KNOWN).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guides_map_for_elasticache() {
        let commands = ["INFO", "CONFIG", "CLUSTER", "PING", "ECHO", "CLIENT"];
        let map = CommandMap::create(commands, false).unwrap();
        for command in commands {
            assert!(!map.is_available(command), "{command}");
        }
        assert!(map.is_available("publish") && map.is_available("SUBSCRIBE") && map.is_available("AUTH"));
    }

    #[test]
    fn a_renamed_command_is_sent_under_its_new_name() {
        let map = CommandMap::default().rename("publish", "pub_9").unwrap();
        assert_eq!(map.get("PUBLISH"), Some("PUB_9"));
        assert_eq!(map.parts().collect::<Vec<_>>(), ["$PUBLISH=PUB_9"]);
        assert!(map.rename("PUBLISH", "PUBLISH").unwrap().is_default());
    }

    #[test]
    fn a_slip_is_named() {
        let error = CommandMap::default().disable("SUBSCRBE").unwrap_err();
        assert_eq!(error.to_string(), "`SUBSCRBE` is not a command of Redis; did you mean `SUBSCRIBE`?");
    }

    #[test]
    fn sentinels_and_proxies() {
        assert!(CommandMap::sentinel().is_available("SENTINEL"));
        assert!(!CommandMap::sentinel().is_available("PUBLISH"));
        assert!(!CommandMap::twemproxy().is_available("SUBSCRIBE"));
        assert!(CommandMap::envoyproxy().is_available("MULTI"));
        assert!(!CommandMap::envoyproxy().is_available("SORT"));
    }
}
