//! The options behind the `?` of a URL: those of connection strings, and ours.

use super::super::builder::RedisOptionsBuilder;
use super::super::command_map::CommandMap;
use super::super::connection_string::{NAMES, boolean};
use super::super::error::RedisConfigError;
use super::super::outage::OutagePolicy;
use super::super::retry::ReconnectRetryPolicy;
use super::super::suggest::{nearest, plain};
use super::percent::decode;
use super::problem;
use std::time::Duration;

/// Other names of options of connection strings: the builder's, and those that URLs of other tools use.
const ALIASES: [(&str, &str); 10] = [
    ("abortOnConnectFail", "abortConnect"),
    ("clientName", "name"),
    ("configurationChannel", "configChannel"),
    ("database", "defaultDatabase"),
    ("db", "defaultDatabase"),
    ("defaultVersion", "version"),
    ("setClientLibrary", "setlib"),
    ("tieBreaker", "tiebreaker"),
    ("tls", "ssl"),
    ("username", "user"),
];

/// The options that connection strings lack.
const OURS: [&str; 13] = [
    "bufferBytes",
    "bufferTtl",
    "disable",
    "inFlightBytes",
    "orderedDirect",
    "outage",
    "poolSize",
    "probePeriod",
    "probeTimeout",
    "reconnectRetryPolicy",
    "sentinelPassword",
    "sentinelUser",
    "topology",
];

/// Options whose value is a time in milliseconds.
const TIMES: [&str; 3] = ["connectTimeout", "syncTimeout", "asyncTimeout"];

/// Sets all options of a query.
pub(super) fn apply(
    mut builder: RedisOptionsBuilder,
    query: &str,
) -> Result<RedisOptionsBuilder, RedisConfigError> {
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| problem("an option behind `?` has no `=`; write `option=value`"))?;
        let (key, value) = (decode(key)?, decode(value)?);
        if let Some(command) = key.strip_prefix('$') {
            let map = builder.library.command_map.take().unwrap_or_default();
            builder.library.command_map = Some(map.rename(command, &value)?);
        } else if let Some(name) = OURS.iter().find(|name| plain(name) == plain(&key)) {
            ours(&mut builder, name, &value)?;
        } else {
            library(&mut builder, &key, &value)?;
        }
    }
    Ok(builder)
}

fn library(builder: &mut RedisOptionsBuilder, key: &str, value: &str) -> Result<(), RedisConfigError> {
    let names = || NAMES.iter().map(|(name, _)| (*name, *name)).chain(ALIASES);
    let found = names().find(|(alias, _)| plain(alias) == plain(key)).map(|(_, name)| name);
    let unknown =
        || RedisConfigError::unknown_option(key, nearest(key, names().map(|(alias, _)| alias).chain(OURS)));
    let name = found.ok_or_else(unknown)?;
    if name == "ssl" && builder.library.ssl == Some(true) && !boolean(key, value)? {
        return Err(RedisConfigError::impossible(
            format!("`{key}={value}` contradicts the scheme, which encrypts"),
            "take one of them away",
        ));
    }
    if TIMES.contains(&name) {
        return builder.library.set(name, &time(key, value)?.as_millis().to_string());
    }
    if name == "keepAlive" && value.parse::<i32>().is_err() {
        return builder.library.set(name, &time(key, value)?.as_secs().to_string());
    }
    builder.library.set(name, value)
}

fn ours(builder: &mut RedisOptionsBuilder, name: &str, value: &str) -> Result<(), RedisConfigError> {
    let ours = &mut builder.ours;
    match name {
        "disable" => {
            let map = builder.library.command_map.take().unwrap_or_default();
            builder.library.command_map = Some(value.split(',').try_fold(map, CommandMap::disable)?);
        }
        "outage" => ours.outage = outage(ours.outage, value)?,
        "bufferBytes" => ours.outage = buffer(ours.outage, Some(bytes(name, value)?), None),
        "bufferTtl" => ours.outage = buffer(ours.outage, None, Some(time(name, value)?)),
        "inFlightBytes" => ours.in_flight_bytes = bytes(name, value)?,
        "orderedDirect" => ours.ordered_direct = boolean(name, value)?,
        "poolSize" => ours.pool_size = bytes(name, value)?,
        "probePeriod" => ours.probe_period = time(name, value)?,
        "probeTimeout" => ours.probe_timeout = time(name, value)?,
        "reconnectRetryPolicy" => ours.reconnect_retry_policy = Some(policy(value)?),
        "sentinelPassword" => ours.sentinel_password = Some(value.into()),
        "sentinelUser" => ours.sentinel_user = Some(value.to_owned()),
        _ => ours.cluster = topology(value)?,
    }
    Ok(())
}

fn outage(now: OutagePolicy, value: &str) -> Result<OutagePolicy, RedisConfigError> {
    match plain(value).as_str() {
        "fail" => Ok(OutagePolicy::Fail),
        "localonly" => Ok(OutagePolicy::LocalOnly),
        "buffer" => Ok(buffer(now, None, None)),
        _ => Err(RedisConfigError::value("outage", value, "`fail`, `local_only` or `buffer`")),
    }
}

fn buffer(now: OutagePolicy, new_bytes: Option<usize>, new_ttl: Option<Duration>) -> OutagePolicy {
    let (bytes, ttl) = match now {
        OutagePolicy::Buffer { bytes, ttl } => (bytes, ttl),
        _ => (OutagePolicy::DEFAULT_BUFFER_BYTES, OutagePolicy::DEFAULT_BUFFER_TTL),
    };
    OutagePolicy::Buffer { bytes: new_bytes.unwrap_or(bytes), ttl: new_ttl.unwrap_or(ttl) }
}

fn topology(value: &str) -> Result<bool, RedisConfigError> {
    match plain(value).as_str() {
        "cluster" => Ok(true),
        "standalone" => Ok(false),
        _ => Err(RedisConfigError::value("topology", value, "`cluster` or `standalone`")),
    }
}

/// `linear:5s`, `exponential:5s` or `exponential:5s:30s`.
fn policy(value: &str) -> Result<ReconnectRetryPolicy, RedisConfigError> {
    let name = "reconnectRetryPolicy";
    let parts: Vec<&str> = value.split(':').collect();
    match (plain(parts[0]).as_str(), &parts[1..]) {
        ("linear", [delta]) => Ok(ReconnectRetryPolicy::linear(time(name, delta)?)),
        ("exponential", [delta]) => Ok(ReconnectRetryPolicy::exponential(time(name, delta)?)),
        ("exponential", [delta, max]) => {
            Ok(ReconnectRetryPolicy::Exponential { delta: time(name, delta)?, max: time(name, max)? })
        }
        _ => Err(RedisConfigError::value(name, value, "`linear:5s` or `exponential:5s:30s`")),
    }
}

fn time(key: &str, value: &str) -> Result<Duration, RedisConfigError> {
    let digits = value.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &value[digits.len()..] {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => 0,
    };
    let number = digits.parse::<u32>().ok().filter(|_| unit > 0);
    number.map(|number| Duration::from_millis(u64::from(number) * unit)).ok_or_else(|| {
        RedisConfigError::value(key, value, "a time, for example `500ms`, `5s` or milliseconds")
    })
}

/// A number of bytes or of other things, with a unit if wanted: `512KiB`, `4MiB`.
fn bytes(key: &str, value: &str) -> Result<usize, RedisConfigError> {
    let digits = value.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: Option<usize> = match value[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        _ => None,
    };
    let number = digits.parse::<u32>().ok().and_then(|number| usize::try_from(number).ok());
    number
        .zip(unit)
        .and_then(|(number, unit)| number.checked_mul(unit))
        .ok_or_else(|| RedisConfigError::value(key, value, "a number, for example `1048576` or `1MiB`"))
}
