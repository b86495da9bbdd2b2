//! Refuses settings that cannot work together, or with this backplane, before anything is dialled.
//!
//! Pure. Runs once, for each way to make options.

use super::command_map::CommandMap;
use super::connection_string::{ConnectionString, Proxy, SslProtocols};
use super::endpoint::Endpoint;
use super::error::RedisConfigError;
use super::outage::OutagePolicy;
use super::redis_options::Ours;
use super::retry::ReconnectRetryPolicy;

type Checked = Result<(), RedisConfigError>;

/// Everything that must hold.
pub(super) fn check(library: &ConnectionString, ours: &Ours) -> Checked {
    check_words(library)?;
    check_numbers(library)?;
    check_topology(library, ours)?;
    check_commands(library, ours)?;
    check_encryption(library, ours)?;
    check_ours(ours)
}

/// Refuses values that would be read back as something else.
pub(super) fn check_writable(library: &ConnectionString, include_password: bool) -> Checked {
    let password = library.password.as_ref().filter(|_| include_password).map(|password| password.expose());
    let texts = [
        ("name", library.client_name.as_deref()),
        ("serviceName", library.service_name.as_deref()),
        ("user", library.user.as_deref()),
        ("password", password),
        ("tiebreaker", library.tie_breaker.as_deref()),
        ("sslHost", library.ssl_host.as_deref()),
        ("configChannel", library.configuration_channel.as_deref()),
        ("channelPrefix", library.channel_prefix.as_deref()),
    ];
    for (option, text) in texts {
        if text.is_some_and(|text| text.contains(',') || text.trim() != text) {
            return Err(RedisConfigError::NotWritable { option: option.to_owned() });
        }
    }
    Ok(())
}

/// Words that the library takes for hosts, or drops.
fn check_words(library: &ConnectionString) -> Checked {
    for (at, endpoint) in library.endpoints.iter().enumerate() {
        // A secret may stand in a word that is no address when it is next to a password.
        let hidden =
            |error| if library.password.is_some() { RedisConfigError::BrokenPassword } else { error };
        endpoint.check().map_err(hidden)?;
        if let Endpoint::Address { port: None, .. } = endpoint
            && endpoint.to_string().starts_with("0.0.")
        {
            return Err(RedisConfigError::endpoint(
                &endpoint.to_string(),
                "a number alone is an address, and this one looks like a port: write `localhost:6379`",
            ));
        }
        if at > 0
            && let Endpoint::Name { host, port: None } = endpoint
            && let Some(name) = super::connection_string::option_name(host)
        {
            return Err(RedisConfigError::endpoint(
                host,
                format!(
                    "it is the name of an option: write `{name}=VALUE`, or give the port if it is a host"
                ),
            ));
        }
    }
    match library.ignored.first() {
        Some(_) if library.password.is_some() => Err(RedisConfigError::BrokenPassword),
        Some(word) => Err(RedisConfigError::endpoint(word, ignored_fix(word))),
        None if library.endpoints.is_empty() => Err(RedisConfigError::NoEndpoint),
        None => Ok(()),
    }
}

fn ignored_fix(word: &str) -> String {
    let name = word.split(':').next().unwrap_or_default();
    if word.starts_with('$') {
        return "Redis has no such command; write `$COMMAND=NAME` with a command of Redis".to_owned();
    }
    match super::connection_string::option_name(name) {
        Some(name) => format!("write `{name}=VALUE` for the option"),
        None => "write `host:port` with a number, or `!/path` for a Unix socket".to_owned(),
    }
}

fn check_numbers(library: &ConnectionString) -> Checked {
    let least = [
        ("connectTimeout", library.connect_timeout, 1),
        ("syncTimeout", library.sync_timeout, 1),
        ("asyncTimeout", library.async_timeout, 1),
        ("connectRetry", library.connect_retry, 0),
        ("defaultDatabase", library.default_database, -1),
    ];
    for (option, value, least) in least {
        if let Some(value) = value.filter(|value| *value < least) {
            let least = least.max(0);
            return Err(RedisConfigError::value(
                option,
                &value.to_string(),
                format!("a number of at least {least}"),
            ));
        }
    }
    Ok(())
}

fn check_topology(library: &ConnectionString, ours: &Ours) -> Checked {
    let sentinel = library.service_name.as_deref().is_some_and(|name| !name.is_empty());
    if sentinel && ours.cluster {
        return Err(RedisConfigError::impossible(
            "`serviceName` is for Sentinel and does not go with a Cluster",
            "take one of them away",
        ));
    }
    if ours.cluster && library.default_database.is_some_and(|number| number > 0) {
        return Err(RedisConfigError::impossible(
            "a Cluster has only database 0",
            "take `defaultDatabase` away",
        ));
    }
    let socket = library.endpoints.iter().any(|endpoint| matches!(endpoint, Endpoint::Unix(_)));
    if socket && (sentinel || ours.cluster || library.effective_ssl()) {
        return Err(RedisConfigError::impossible(
            "a Unix socket goes with neither TLS, nor Sentinel, nor a Cluster",
            "name the server by host and port",
        ));
    }
    if !sentinel && (ours.sentinel_user.is_some() || ours.sentinel_password.is_some()) {
        return Err(RedisConfigError::impossible(
            "a user or password for Sentinels needs Sentinels",
            "give the service name too, or use `user` and `password`",
        ));
    }
    Ok(())
}

fn check_commands(library: &ConnectionString, ours: &Ours) -> Checked {
    if let Some(proxy) = library.proxy.filter(|proxy| *proxy != Proxy::None) {
        return Err(RedisConfigError::impossible(
            format!("`proxy={proxy}` has no publish and subscribe, which a backplane lives on"),
            "connect to Redis itself",
        ));
    }
    if library.tunnel.is_some() {
        return Err(RedisConfigError::impossible(
            "`tunnel` is not supported",
            "make the connections yourself with a connection factory",
        ));
    }
    let map = library.effective_command_map();
    let sentinel = library.service_name.as_deref().is_some_and(|name| !name.is_empty());
    let mut needed = vec!["PUBLISH", "SUBSCRIBE", "UNSUBSCRIBE"];
    if ours.cluster {
        needed.push("CLUSTER");
    }
    if sentinel && map == CommandMap::sentinel() {
        return Ok(());
    }
    if sentinel {
        needed.push("SENTINEL");
    }
    if library.password.as_ref().is_some_and(|password| !password.is_empty()) {
        needed.push("AUTH");
    }
    match needed.into_iter().find(|command| !map.is_available(command)) {
        Some(command) => Err(RedisConfigError::impossible(
            format!("the command map disables {command}, which this configuration needs"),
            format!("take `${command}=` away"),
        )),
        None => Ok(()),
    }
}

fn check_encryption(library: &ConnectionString, ours: &Ours) -> Checked {
    let known = SslProtocols::TLS12.and(SslProtocols::TLS13);
    if let Some(asked) =
        library.ssl_protocols.filter(|asked| *asked != SslProtocols::NONE && asked.0 & known.0 == 0)
    {
        return Err(RedisConfigError::value(
            "sslProtocols",
            &asked.to_string(),
            "`Tls12`, `Tls13` or both; older ones are broken",
        ));
    }
    if !library.effective_ssl() && !ours.certificates.is_empty() {
        return Err(RedisConfigError::impossible(
            "certificates are given, but connections are not encrypted",
            "set `ssl`, or take a `rediss://` URL",
        ));
    }
    ours.certificates.validate()
}

fn check_ours(ours: &Ours) -> Checked {
    if let OutagePolicy::Buffer { bytes, ttl } = ours.outage
        && (bytes == 0 || ttl.is_zero())
    {
        return Err(RedisConfigError::impossible(
            "an outage buffer without room or time keeps nothing",
            "use `OutagePolicy::LocalOnly`, or give it both",
        ));
    }
    let zeros = [
        ("in_flight_bytes", ours.in_flight_bytes == 0),
        ("pool_size", ours.pool_size == 0),
        ("probe_period", ours.probe_period.is_zero()),
        ("probe_timeout", ours.probe_timeout.is_zero()),
    ];
    if let Some((option, _)) = zeros.into_iter().find(|(_, zero)| *zero) {
        return Err(RedisConfigError::value(option, "0", "more than zero"));
    }
    match ours.reconnect_retry_policy {
        Some(ReconnectRetryPolicy::Linear { delta } | ReconnectRetryPolicy::Exponential { delta, .. })
            if delta.is_zero() =>
        {
            Err(RedisConfigError::value("reconnect_retry_policy", "0", "a wait of more than zero"))
        }
        Some(ReconnectRetryPolicy::Exponential { delta, max }) if max < delta => {
            Err(RedisConfigError::value(
                "reconnect_retry_policy",
                &format!("{}:{}", delta.as_millis(), max.as_millis()),
                "a longest wait that is not shorter than the first",
            ))
        }
        _ => Ok(()),
    }
}
