//! Addresses of Redis servers: reading them as StackExchange.Redis does, and writing them.
//!
//! Pure; no name is looked up here. Text comes from connection strings, URLs and the builder.

use super::error::RedisConfigError;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a server listens. `Display` writes it as connection strings do, without a port that was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoint {
    /// A name to be looked up each time a connection is made.
    Name {
        /// The name as it was written.
        host: String,
        /// The port; `None` takes the default of the kind of server.
        port: Option<u16>,
    },
    /// An address.
    Address {
        /// The address.
        ip: IpAddr,
        /// The scope of a link-local IPv6 address, else 0.
        scope: u32,
        /// The port; `None` takes the default of the kind of server.
        port: Option<u16>,
    },
    /// The path of a Unix socket, written `!/path`.
    Unix(String),
}

impl Endpoint {
    /// Reads `host`, `host:port`, `[IPv6]:port`, an address, or `!/path/of/a.sock`. Port 0 counts as none.
    ///
    /// # Errors
    ///
    /// [`RedisConfigError::InvalidEndpoint`] or [`RedisConfigError::InvalidPort`].
    pub fn parse(text: &str) -> Result<Self, RedisConfigError> {
        let text = text.trim();
        let endpoint = Self::read(text)?.ok_or_else(|| {
            RedisConfigError::endpoint(text, "write `host:port`, for example `localhost:6379`")
        })?;
        endpoint.check()?;
        Ok(endpoint)
    }

    /// The host as it is connected to: a name, or an address without brackets, or a path.
    pub fn host(&self) -> String {
        match self {
            Self::Name { host, .. } => host.clone(),
            Self::Address { ip, scope: 0, .. } => ip.to_string(),
            Self::Address { ip, scope, .. } => format!("{ip}%{scope}"),
            Self::Unix(path) => path.clone(),
        }
    }

    /// The port that was given.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Name { port, .. } | Self::Address { port, .. } => *port,
            Self::Unix(_) => None,
        }
    }

    /// The same endpoint with this port if it has none.
    pub(crate) fn with_default_port(mut self, default: u16) -> Self {
        if let Self::Name { port, .. } | Self::Address { port, .. } = &mut self {
            port.get_or_insert(default);
        }
        self
    }

    /// Whether two endpoints are the same server: names are compared without regard to case.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name { host: one, port }, Self::Name { host: two, port: other }) => {
                port == other && one.to_lowercase() == two.to_lowercase()
            }
            _ => self == other,
        }
    }

    /// Reads an endpoint exactly as the library does, which takes nearly everything for a name. `None`: the library
    /// drops such a word without a sound.
    pub(crate) fn read(text: &str) -> Result<Option<Self>, RedisConfigError> {
        if let Some(path) = text.strip_prefix('!') {
            return Ok((!path.is_empty()).then(|| Self::Unix(path.to_owned())));
        }
        let (host, port) = split_port(text);
        let port = match port.map(integer) {
            None => None,
            Some(None) => return Ok(None),
            Some(Some(port)) => match u16::try_from(port) {
                Ok(port) => Some(port).filter(|port| *port != 0),
                Err(_) => return Err(RedisConfigError::InvalidPort { port: port.to_string() }),
            },
        };
        if host.is_empty() {
            return Err(RedisConfigError::endpoint(text, "write `host:port`, with a host"));
        }
        Ok(Some(match address(host) {
            Some((ip, scope)) => Self::Address { ip, scope, port },
            None => Self::Name { host: host.to_owned(), port },
        }))
    }

    /// Refuses names that no server can have.
    pub(crate) fn check(&self) -> Result<(), RedisConfigError> {
        let Self::Name { host, .. } = self else { return Ok(()) };
        let fix = if host.contains(';') {
            "separate servers with commas"
        } else if host.contains('/') {
            "write `!/path` for a Unix socket, and one URL only"
        } else if host.contains('%') {
            "write the scope of an IPv6 address as a number"
        } else if host.contains(':') {
            "write `host:port`, and `[address]:port` for IPv6"
        } else if host.starts_with('$') {
            "write `$COMMAND=` to disable a command, or `$COMMAND=NAME` to rename it"
        } else if host.chars().all(|letter| letter.is_ascii_digit() || letter == '.') {
            "an IPv4 address has four numbers of 0 to 255"
        } else if host.is_empty() || host.contains(|letter: char| !is_host_letter(letter)) {
            "a host has letters, digits, `-`, `_` and dots only"
        } else {
            return Ok(());
        };
        Err(RedisConfigError::endpoint(host, fix))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host();
        match self {
            Self::Unix(_) => write!(f, "!{host}"),
            Self::Address { ip: IpAddr::V6(_), port: Some(port), .. } => write!(f, "[{host}]:{port}"),
            Self::Name { port: Some(port), .. } | Self::Address { port: Some(port), .. } => {
                write!(f, "{host}:{port}")
            }
            _ => f.write_str(&host),
        }
    }
}

fn is_host_letter(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

/// Splits as the library does: by the last colon, brackets around IPv6, several colons are an IPv6 address.
fn split_port(text: &str) -> (&str, Option<&str>) {
    let Some(colon) = text.rfind(':').filter(|colon| *colon > 0) else { return (text, None) };
    if let Some(bracket) = text.rfind(']').filter(|bracket| *bracket > 0) {
        let start = text.chars().next().map_or(0, char::len_utf8).min(bracket);
        let port = (bracket < colon).then(|| &text[colon + 1..]);
        return (&text[start..bracket], port);
    }
    if text.find(':') != Some(colon) {
        return (text, None);
    }
    (&text[..colon], Some(&text[colon + 1..]))
}

/// A whole number as .NET reads it: blanks around it and a sign are fine.
pub(crate) fn integer(text: &str) -> Option<i32> {
    text.trim_matches(|letter: char| matches!(letter, '\t'..='\r' | ' ')).parse().ok()
}

fn address(host: &str) -> Option<(IpAddr, u32)> {
    if let Some(ip) = ipv4(host) {
        return Some((ip.into(), 0));
    }
    let (ip, scope) = match host.split_once('%') {
        Some((ip, scope)) => (ip, scope.parse().ok()?),
        None => (host, 0),
    };
    Some((ip.parse::<Ipv6Addr>().ok()?.into(), scope))
}

/// Reads IPv4 addresses in all the forms of old: one to four parts, decimal, octal or hexadecimal.
fn ipv4(host: &str) -> Option<Ipv4Addr> {
    let parts = host.split('.').map(ipv4_part).collect::<Option<Vec<u32>>>()?;
    let (last, leading) = parts.split_last()?;
    if leading.len() > 3 || leading.iter().any(|part| *part > 255) {
        return None;
    }
    let room = 32 - 8 * u32::try_from(leading.len()).ok()?;
    if u64::from(*last) >= 1 << room {
        return None;
    }
    let upper = leading.iter().enumerate().fold(0_u32, |sum, (at, part)| sum | part << (24 - 8 * at));
    Some(Ipv4Addr::from(upper | last))
}

fn ipv4_part(part: &str) -> Option<u32> {
    let (digits, radix) = match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if part.len() > 1 && part.starts_with('0') => (&part[1..], 8),
        None => (part, 10),
    };
    let plain = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    plain.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_forms_of_ipv4() {
        for (text, address) in
            [("6379", "0.0.24.235"), ("10.1", "10.0.0.1"), ("0x7f.1", "127.0.0.1"), ("010.0.0.1", "8.0.0.1")]
        {
            assert_eq!(Endpoint::read(text).unwrap().unwrap().host(), address);
        }
        assert!(matches!(Endpoint::read("1.2.3.4.5"), Ok(Some(Endpoint::Name { .. }))));
    }

    #[test]
    fn brackets_and_scopes() {
        for (text, written) in [
            ("[::1]x", "::1"),
            ("[FE80::1%3]:7", "[fe80::1%3]:7"),
            ("10.0.0.1:+5", "10.0.0.1:5"),
            ("[::1]:0", "::1"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), written);
        }
    }

    #[test]
    fn broken_addresses_say_what_to_write() {
        for (text, word) in [
            ("a;b", "commas"),
            ("a b", "letters"),
            ("/x.sock", "!/path"),
            ("", "host:port"),
            ("[]:1", "host"),
            ("é]:1", "host"),
            ("a:b", "host:port"),
            ("a:70000", "70000"),
            ("1.2.3.256", "255"),
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
