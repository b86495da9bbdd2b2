//! Compares what `ConnectionString` reads with an answer of `dotnet-peer redis-config`, field by field.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed entry")]
#![allow(dead_code, reason = "every test binary uses a part of this")]

use serde_json::{Map, Value, json};
use signalr_backplane_redis::options::{
    ConnectionString, Endpoint, Proxy, ReconnectRetryPolicy, RedisConfigError, RespProtocol,
};

/// What no string can change, at the library's defaults; the backplane has no use for it.
const CONSTANT: [&str; 13] = [
    "backlogPolicy",
    "beforeSocketConnect",
    "heartbeatConsistencyChecks",
    "heartbeatInterval",
    "highPrioritySocketThreads",
    "includeDetailInExceptions",
    "includePerformanceCountersInExceptions",
    "library",
    "libraryName",
    "preserveAsyncOrder",
    "responseTimeout",
    "socketManager",
    "sslClientAuthenticationOptions",
];

/// The answers that the vectors hold.
pub(crate) fn entries() -> Vec<Value> {
    let document: Value = serde_json::from_str(include_str!("../vectors/redis_config.json")).unwrap();
    document["connection_strings"].as_array().unwrap().clone()
}

pub(crate) fn text(entry: &Value, name: &str) -> String {
    entry[name].as_str().unwrap().to_owned()
}

pub(crate) fn check_error(expected: &Value, error: &RedisConfigError) -> Result<(), String> {
    let message = text(expected, "message");
    let names = |word: &str| message.contains(&format!("'{word}'"));
    let fits = match error {
        RedisConfigError::Empty => message.starts_with("is empty"),
        RedisConfigError::UnknownOption { keyword, .. } => {
            names(keyword) && message.contains("is not supported")
        }
        RedisConfigError::InvalidPort { port } => names(port) && message.starts_with("port"),
        RedisConfigError::InvalidValue { option, .. } if option == "tunnel" => {
            message.contains("URI") || message.starts_with("Tunnel cannot be parsed")
        }
        // Versions are joined by commas in the library's words.
        RedisConfigError::InvalidValue { option, value, .. } => {
            names(option) && names(&value.replace('|', ","))
        }
        // The library repeats a word that may be the rest of a password.
        RedisConfigError::BrokenPassword => message.contains("is not supported"),
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("{error} instead of {message}")) }
}

pub(crate) fn check_fields(expected: &Value, parsed: &ConnectionString) -> Result<(), String> {
    let actual = fields(parsed);
    let constants = entries()[0]["expected"].clone();
    for (name, wanted) in expected.as_object().unwrap() {
        match actual.get(name) {
            Some(value) => same(name, value, wanted)?,
            None if CONSTANT.contains(&name.as_str()) => same(name, &constants[name], wanted)?,
            None if name == "canonical" => {}
            None => return Err(format!("{name} is not compared")),
        }
    }
    Ok(())
}

pub(crate) fn same(name: &str, actual: &Value, wanted: &Value) -> Result<(), String> {
    if actual == wanted { Ok(()) } else { Err(format!("{name} is {actual} instead of {wanted}")) }
}

/// The parsed string in the words of the file.
fn fields(parsed: &ConnectionString) -> Map<String, Value> {
    let protocol = parsed.effective_protocol().map(|protocol| match protocol {
        RespProtocol::Resp3 => "Resp3",
        _ => "Resp2",
    });
    let proxy = parsed.proxy.unwrap_or(Proxy::None).to_string();
    let secret = parsed.password.as_ref().is_some_and(|password| !password.is_empty());
    let fields = json!({
        "abortOnConnectFail": parsed.effective_abort_on_connect_fail(),
        "allowAdmin": parsed.allow_admin.unwrap_or(false),
        "asyncTimeout": parsed.effective_async_timeout(),
        "channelPrefix": parsed.channel_prefix,
        "checkCertificateRevocation": parsed.check_certificate_revocation.unwrap_or(true),
        "clientName": parsed.client_name,
        "commandMap": command_map(parsed),
        "configCheckSeconds": parsed.config_check_seconds.unwrap_or(60),
        "configurationChannel": parsed.effective_configuration_channel(),
        "connectRetry": parsed.connect_retry.unwrap_or(3),
        "connectTimeout": parsed.effective_connect_timeout(),
        "connectTo": connect_to(parsed),
        "defaultDatabase": parsed.default_database,
        "defaultVersion": parsed.effective_version().to_string(),
        "endPoints": parsed.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        "highIntegrity": parsed.high_integrity.unwrap_or(false),
        "keepAlive": parsed.keep_alive.unwrap_or(60),
        "passwordSet": secret,
        "protocol": protocol,
        "proxy": proxy,
        "reconnectRetryPolicy": policy(parsed),
        "resolveDns": parsed.resolve_dns.unwrap_or(false),
        "serviceName": parsed.service_name,
        "setClientLibrary": parsed.set_client_library.unwrap_or(true),
        "ssl": parsed.effective_ssl(),
        "sslHost": parsed.effective_ssl_host(),
        "sslProtocols": parsed.ssl_protocols.map(|versions| versions.to_string()),
        "syncTimeout": parsed.effective_sync_timeout(),
        "tcpKeepAlive": parsed.tcp_keep_alive.unwrap_or(true),
        "tieBreaker": parsed.effective_tie_breaker(),
        "tunnel": parsed.tunnel,
        "useSsl": parsed.effective_ssl(),
        "user": parsed.user,
        "writeBuffer": 0,
    });
    fields.as_object().unwrap().clone()
}

/// The map is written by the string of a configuration that has nothing else.
fn command_map(parsed: &ConnectionString) -> String {
    let mut bare = ConnectionString::default();
    bare.command_map = Some(parsed.effective_command_map());
    bare.to_text(true)
}

fn connect_to(parsed: &ConnectionString) -> Value {
    match parsed.connect_to() {
        Ok(all) => json!(all.iter().map(endpoint).collect::<Vec<_>>()),
        Err(_) => {
            json!({ "error": { "type": "ArgumentException", "message": "EndPoints must be unique (Parameter 'item')" } })
        }
    }
}

/// As the file writes it: with port 0 where none was given.
pub(crate) fn endpoint(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Unix(path) => path.clone(),
        Endpoint::Address { ip, port, .. } if ip.is_ipv6() => {
            format!("[{}]:{}", endpoint.host(), port.unwrap_or(0))
        }
        other => format!("{}:{}", other.host(), other.port().unwrap_or(0)),
    }
}

fn policy(parsed: &ConnectionString) -> Value {
    match parsed.effective_reconnect_retry_policy() {
        Some(ReconnectRetryPolicy::Exponential { delta, max }) => json!({
            "type": "ExponentialRetry",
            "deltaBackOffMilliseconds": u64::try_from(delta.as_millis()).unwrap(),
            "maxDeltaBackOffMilliseconds": u64::try_from(max.as_millis()).unwrap(),
        }),
        _ => json!({ "error": {
            "type": "ArgumentOutOfRangeException",
            "message": "deltaBackOffMilliseconds must be greater than or equal to zero (Parameter 'deltaBackOffMilliseconds')",
        } }),
    }
}
