//! URLs of Redis: `redis://user:password@host:port/database?option=value`, and those of Sentinel, Cluster and sockets.
//!
//! Owns the splitting and the options behind `?`; the options themselves are the builder's. The forms are ours, after the
//! usual ones of Redis tools.

use super::builder::RedisOptionsBuilder;
use super::endpoint::Endpoint;
use super::error::RedisConfigError;
use super::redis_options::RedisOptions;
use super::secret::Secret;
use super::suggest::nearest;

mod parameters;
mod percent;

use percent::decode;

/// What a scheme says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Sentinel,
    Cluster,
    Socket,
}

const SCHEMES: [(&str, Kind, bool); 11] = [
    ("redis", Kind::Plain, false),
    ("rediss", Kind::Plain, true),
    ("redis+sentinel", Kind::Sentinel, false),
    ("rediss+sentinel", Kind::Sentinel, true),
    ("redis-sentinel", Kind::Sentinel, false),
    ("rediss-sentinel", Kind::Sentinel, true),
    ("redis-cluster", Kind::Cluster, false),
    ("rediss-cluster", Kind::Cluster, true),
    ("redis+cluster", Kind::Cluster, false),
    ("rediss+cluster", Kind::Cluster, true),
    ("redis+unix", Kind::Socket, false),
];

/// Whether a text begins with a scheme, known or not.
pub(super) fn is_url(text: &str) -> bool {
    text.trim_start().split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
    })
}

/// Reads a URL into a builder.
pub(super) fn parse(text: &str) -> Result<RedisOptionsBuilder, RedisConfigError> {
    let (scheme, rest) = text.trim().split_once("://").ok_or_else(|| problem("it has no `://`"))?;
    let (kind, encrypted) = find_scheme(scheme)?;
    let (rest, fragment) = split(rest, '#');
    if fragment.is_some() {
        return Err(problem("`#` begins nothing here; write `%23` for it in a password"));
    }
    let (rest, query) = split(rest, '?');
    if query.is_some_and(|query| query.contains('@')) {
        return Err(problem(
            "an `@` stands behind the `?`; write `%3F` for a `?` in a password, and `%40` for an `@`",
        ));
    }
    let mut builder = RedisOptions::builder().ssl(encrypted);
    let rest = credentials(&mut builder, rest)?;
    if kind == Kind::Socket {
        builder.add(Endpoint::Unix(decode(rest)?));
    } else {
        let (hosts, path) = split(rest, '/');
        hosts_into(&mut builder, hosts)?;
        path_into(&mut builder, kind, path.unwrap_or_default())?;
    }
    if kind == Kind::Cluster {
        builder = builder.cluster();
    }
    parameters::apply(builder, query.unwrap_or_default())
}

fn find_scheme(scheme: &str) -> Result<(Kind, bool), RedisConfigError> {
    let found = SCHEMES.iter().find(|(name, ..)| name.eq_ignore_ascii_case(scheme));
    found.map(|(_, kind, encrypted)| (*kind, *encrypted)).ok_or_else(|| RedisConfigError::UnknownScheme {
        scheme: scheme.to_owned(),
        suggestion: nearest(scheme, SCHEMES.iter().map(|(name, ..)| *name)).map(|name| format!("{name}://")),
    })
}

/// Takes `user:password@` off. The last `@` counts, so that a password with a bare `@` is never taken for a host.
fn credentials<'a>(builder: &mut RedisOptionsBuilder, rest: &'a str) -> Result<&'a str, RedisConfigError> {
    let Some((credentials, rest)) = rest.rsplit_once('@') else { return Ok(rest) };
    let (user, password) = split(credentials, ':');
    if !user.is_empty() {
        builder.library.user = Some(decode(user)?);
    }
    let password = password
        .ok_or_else(|| problem("the part before `@` has no `:`; write `user:password@` or `:password@`"))?;
    builder.library.password = Some(Secret::new(decode(password)?));
    Ok(rest)
}

fn hosts_into(builder: &mut RedisOptionsBuilder, hosts: &str) -> Result<(), RedisConfigError> {
    for host in hosts.split(',').filter(|host| !host.is_empty()) {
        if host.contains('=') {
            return Err(problem(
                "options of a URL stand behind a `?`, joined by `&`; a connection string has no `://`",
            ));
        }
        // A `/` or `?` in a password ends it early, and then its beginning stands where a host should.
        let endpoint = Endpoint::parse(host).map_err(|error| match error {
            RedisConfigError::InvalidPort { .. } | RedisConfigError::InvalidEndpoint { .. } if host.matches(':').count() == 1 => {
                problem("the host or its port is wrong; a `/`, `?`, `#` or `%` in a password is written as `%2F`, `%3F`, `%23` or `%25`")
            }
            other => other,
        })?;
        builder.add(endpoint);
    }
    Ok(())
}

fn path_into(builder: &mut RedisOptionsBuilder, kind: Kind, path: &str) -> Result<(), RedisConfigError> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let (service, database) = match kind {
        Kind::Sentinel => {
            let (service, database) = split(path, '/');
            (Some(service), database.unwrap_or_default())
        }
        _ => (None, path),
    };
    if let Some(service) = service {
        if service.is_empty() {
            return Err(problem(
                "the name of the service is missing: `redis+sentinel://host:26379/mymaster`",
            ));
        }
        builder.library.service_name = Some(decode(service)?);
    }
    if !database.is_empty() {
        let number = database.parse::<i32>().ok().filter(|number| *number >= 0);
        let wrong = || {
            problem("the path behind the hosts is not the number of a database, as in `redis://localhost/1`")
        };
        builder.library.default_database = Some(number.ok_or_else(wrong)?);
    }
    Ok(())
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn problem(text: &str) -> RedisConfigError {
    RedisConfigError::InvalidUrl { problem: text.to_owned() }
}
