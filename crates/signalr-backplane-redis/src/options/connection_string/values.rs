//! The values of connection strings: what each type of option takes, as .NET reads it, and how it is written back.

use super::super::error::RedisConfigError;
use crate::options::endpoint;
use std::fmt;

/// A version of Redis: two to four numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RedisVersion {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number, if given.
    pub patch: Option<u32>,
    /// The fourth number, if given.
    pub revision: Option<u32>,
}

impl RedisVersion {
    /// A version of three numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch: Some(patch), revision: None }
    }
}

impl fmt::Display for RedisVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        for more in [self.patch, self.revision].into_iter().flatten() {
            write!(f, ".{more}")?;
        }
        Ok(())
    }
}

/// A version of the protocol of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RespProtocol {
    /// RESP2.
    Resp2,
    /// RESP3.
    Resp3,
}

/// A proxy between the library and Redis. None of them has publish and subscribe, so the backplane refuses all but
/// [`Proxy::None`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proxy {
    /// No proxy.
    None,
    /// Twemproxy.
    Twemproxy,
    /// Envoy.
    Envoyproxy,
    /// A number that means nothing, which the library takes too.
    Other(i32),
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Twemproxy => f.write_str("Twemproxy"),
            Self::Envoyproxy => f.write_str("Envoyproxy"),
            Self::Other(number) => write!(f, "{number}"),
        }
    }
}

/// A set of TLS versions, as the flags of .NET's `SslProtocols`. `Display` writes .NET's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SslProtocols(pub(crate) i32);

impl SslProtocols {
    /// Whatever is usual: 1.2 and 1.3.
    pub const NONE: Self = Self(0);
    /// TLS 1.2.
    pub const TLS12: Self = Self(3072);
    /// TLS 1.3.
    pub const TLS13: Self = Self(12288);

    /// These versions and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all versions of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// .NET's names, from the highest flag down. `Default` is SSL 3 and TLS 1.0.
const FLAGS: [(&str, i32); 7] = [
    ("Tls13", 12288),
    ("Tls12", 3072),
    ("Tls11", 768),
    ("Default", 240),
    ("Tls", 192),
    ("Ssl3", 48),
    ("Ssl2", 12),
];

impl fmt::Display for SslProtocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("None");
        }
        let mut rest = self.0;
        let mut names = Vec::new();
        for (name, flag) in FLAGS {
            if rest & flag == flag {
                rest &= !flag;
                names.push(name);
            }
        }
        if rest != 0 {
            return write!(f, "{}", self.0);
        }
        names.reverse();
        f.write_str(&names.join(", "))
    }
}

pub(crate) fn integer(key: &str, value: &str) -> Result<i32, RedisConfigError> {
    endpoint::integer(value).ok_or_else(|| RedisConfigError::value(key, value, "a whole number"))
}

pub(crate) fn at_least_one(key: &str, value: &str) -> Result<i32, RedisConfigError> {
    match integer(key, value)? {
        number if number >= 1 => Ok(number),
        _ => Err(RedisConfigError::value(key, value, "a number of at least 1")),
    }
}

pub(crate) fn boolean(key: &str, value: &str) -> Result<bool, RedisConfigError> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
    if is(&["true", "1", "yes", "on"]) {
        Ok(true)
    } else if is(&["false", "0", "no", "off"]) {
        Ok(false)
    } else {
        Err(RedisConfigError::value(key, value, "`true` or `false`"))
    }
}

pub(crate) fn version(key: &str, value: &str) -> Result<RedisVersion, RedisConfigError> {
    let number = |part: &str| endpoint::integer(part).and_then(|number| u32::try_from(number).ok());
    let parts: Option<Vec<u32>> = value.split('.').map(number).collect();
    let (major, minor, patch, revision) = match parts.as_deref() {
        Some([major]) => (*major, 0, None, None),
        Some([major, minor]) => (*major, *minor, None, None),
        Some([major, minor, patch]) => (*major, *minor, Some(*patch), None),
        Some([major, minor, patch, revision]) => (*major, *minor, Some(*patch), Some(*revision)),
        _ => return Err(RedisConfigError::value(key, value, "a version, for example `7.2`")),
    };
    Ok(RedisVersion { major, minor, patch, revision })
}

pub(super) fn proxy(key: &str, value: &str) -> Result<Proxy, RedisConfigError> {
    let names = [Proxy::None, Proxy::Twemproxy, Proxy::Envoyproxy];
    if let Some(number) = endpoint::integer(value) {
        let known = usize::try_from(number).ok().and_then(|number| names.get(number).copied());
        return Ok(known.unwrap_or(Proxy::Other(number)));
    }
    let named = names.into_iter().find(|proxy| proxy.to_string().eq_ignore_ascii_case(value));
    named.ok_or_else(|| RedisConfigError::value(key, value, "`None`, `Twemproxy` or `Envoyproxy`"))
}

pub(crate) fn protocol(key: &str, value: &str) -> Result<RespProtocol, RedisConfigError> {
    match value.to_ascii_lowercase().as_str() {
        "2" | "resp2" => Ok(RespProtocol::Resp2),
        "3" | "resp3" => Ok(RespProtocol::Resp3),
        _ => Err(RedisConfigError::value(key, value, "`resp2` or `resp3`")),
    }
}

pub(crate) fn ssl_protocols(key: &str, value: &str) -> Result<SslProtocols, RedisConfigError> {
    if let Some(flags) = endpoint::integer(value) {
        return Ok(SslProtocols(flags));
    }
    let flag = |name: &str| {
        let name = name.trim();
        if name.eq_ignore_ascii_case("none") {
            return Some(0);
        }
        FLAGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, flag)| *flag)
    };
    let flags = value.split('|').map(flag).try_fold(0, |all, flag| flag.map(|flag| all | flag));
    flags
        .map(SslProtocols)
        .ok_or_else(|| RedisConfigError::value(key, value, "`Tls12`, `Tls13` or `Tls12|Tls13`"))
}

/// `http:host:port`, or with slashes; written without.
pub(super) fn tunnel(key: &str, value: &str) -> Result<String, RedisConfigError> {
    let wrong = || RedisConfigError::value(key, value, "an HTTP proxy, written `http:host:port`");
    let authority = value.strip_prefix("http:").or_else(|| strip_slashed_http(value)).ok_or_else(wrong)?;
    let authority = authority.strip_prefix("//").unwrap_or(authority);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default().to_lowercase();
    let target = endpoint::Endpoint::parse(&authority).map_err(|_| wrong())?;
    Ok(format!("http:{}", target.with_default_port(80)))
}

fn strip_slashed_http(value: &str) -> Option<&str> {
    let (scheme, rest) = value.split_once("://")?;
    scheme.eq_ignore_ascii_case("http").then_some(rest)
}
