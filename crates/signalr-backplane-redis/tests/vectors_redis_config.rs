//! Runs `vectors/redis_config.json`: the answers of StackExchange.Redis to 225 connection strings.
//!
//! `ConnectionString` must agree with every answer, field by field. `RedisOptions` must agree too, or refuse for the
//! reason that stands in [`refusal`]: those entries count as quirks. No text that any of them prints may show a password.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed entry")]

use serde_json::{Map, Value, json};
use signalr_backplane_redis::options::{
    ConnectionString, Endpoint, Proxy, ReconnectRetryPolicy, RedisConfigError, RedisOptions, RespProtocol,
    Secret,
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

fn entries() -> Vec<Value> {
    let document: Value = serde_json::from_str(include_str!("vectors/redis_config.json")).unwrap();
    document["connection_strings"].as_array().unwrap().clone()
}

fn text(entry: &Value, name: &str) -> String {
    entry[name].as_str().unwrap().to_owned()
}

#[test]
fn redis_config() {
    let (mut strict, mut quirk, mut failures) = (0, 0, Vec::new());
    for entry in entries() {
        match std::panic::catch_unwind(|| check(&entry)).unwrap_or_else(|_| Err("panicked".to_owned())) {
            Ok(true) => strict += 1,
            Ok(false) => quirk += 1,
            Err(reason) => failures.push(format!("  {}: FAILED: {reason}", text(&entry, "name"))),
        }
    }
    let failed = failures.len();
    println!(
        "VECTORS file=redis_config.json section=connection_strings strict={strict} quirk={quirk} dotnet=0 na=0 failed={failed}"
    );
    failures.iter().for_each(|failure| println!("{}", failure.replace('\n', "\\n")));
    assert_eq!((strict + quirk + failed, failed), (225, 0));
}

/// `Ok(true)`: as the library. `Ok(false)`: as the library, but the options refuse it.
fn check(entry: &Value) -> Result<bool, String> {
    let (name, input) = (text(entry, "name"), text(entry, "text"));
    let expected = &entry["expected"];
    let parsed = match ConnectionString::parse(&input) {
        Ok(parsed) if expected.get("error").is_some() => return Err(format!("accepted as {parsed:?}")),
        Ok(parsed) => parsed,
        Err(error) => {
            check_error(&expected["error"], &error)?;
            return match RedisOptions::parse(&input) {
                Err(again) if again == error => Ok(true),
                other => Err(format!("the options say {other:?}")),
            };
        }
    };
    check_fields(expected, &parsed)?;
    let password = parsed.password.as_ref().map_or("", Secret::expose);
    same("password", &json!(password), entry.get("password").unwrap_or(&json!("")))?;
    check_canonical(&name, expected, &parsed)?;
    match (RedisOptions::from_connection_string(parsed.clone()), refusal(&name)) {
        (Ok(options), None) => check_options(expected, &options).map(|()| name != "rediss:// URL with user"),
        (Err(error), Some(word)) if error.to_string().contains(word) => Ok(false),
        (Ok(_), Some(word)) => Err(format!("the options accept what they should refuse with {word}")),
        (Err(error), _) => Err(format!("the options refuse it: {error}")),
    }
}

/// Entries that the library's parser lets pass, and what the options say instead of connecting nowhere or elsewhere.
fn refusal(name: &str) -> Option<&'static str> {
    Some(match name {
        "IPv6 long, bare with what looks like a port" => return None,
        "unix socket, no mark" | "unix: scheme" => "!/path",
        "redis:// URL" => "!/path",
        "rediss:// URL with user" => "!/path",
        "port not a number" | "port empty" | "host empty" | "two ports" => "host:port",
        "only a number" => "looks like a port",
        "blank inside a host" | "empty key" | "only an equals sign" => "letters, digits",
        "same host, default port once written out" => "named twice",
        "semicolon instead of comma" => "commas",
        "only a comma" | "options only" => "names no server",
        "no value" => "write `ssl=VALUE`",
        "typo: ssl:true" => "write `ssl=VALUE`",
        "password with a comma in quotes" => "a password with a comma",
        "proxy=twemproxy" | "proxy=1" | "command with twemproxy" => "Twemproxy",
        "proxy=Envoyproxy" | "everything at once" => "Envoyproxy",
        "tunnel http" | "tunnel http without port" | "tunnel with slashes" => "`tunnel` is not supported",
        "command that is not known" | "command with blanks" | "only the command mark" => "no such command",
        "command without a value" => "$COMMAND=",
        "number negative" => "at least 1",
        "connectRetry negative" => "at least 0",
        _ => return None,
    })
}

fn check_error(expected: &Value, error: &RedisConfigError) -> Result<(), String> {
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
        RedisConfigError::InvalidValue { option, value, .. } => names(option) && names(value),
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("{error} instead of {message}")) }
}

fn check_fields(expected: &Value, parsed: &ConnectionString) -> Result<(), String> {
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

fn same(name: &str, actual: &Value, wanted: &Value) -> Result<(), String> {
    if actual == wanted { Ok(()) } else { Err(format!("{name} is {actual} instead of {wanted}")) }
}

/// The parsed string in the words of the file.
fn fields(parsed: &ConnectionString) -> Map<String, Value> {
    let protocol = parsed.effective_protocol().map(|protocol| match protocol {
        RespProtocol::Resp3 => "Resp3",
        _ => "Resp2",
    });
    let proxy = match parsed.proxy {
        Some(Proxy::Twemproxy) => "Twemproxy",
        Some(Proxy::Envoyproxy) => "Envoyproxy",
        _ => "None",
    };
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
fn endpoint(endpoint: &Endpoint) -> String {
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

/// Written as the library writes it; and read again it is the same, but for what only the library drops.
fn check_canonical(name: &str, expected: &Value, parsed: &ConnectionString) -> Result<(), String> {
    let written = parsed.to_text(false);
    if name == "rediss:// URL with user" {
        // The library takes the URL for a host and shows the password in it.
        return same("canonical", &json!(written), &json!("*****"));
    }
    same("canonical", &json!(written), &expected["canonical"])?;
    let whole = parsed.to_text(true);
    if whole.is_empty() {
        return Ok(());
    }
    let again = ConnectionString::parse(&whole)
        .map_err(|error| format!("{written} cannot be read again: {error}"))?;
    same("the string read again", &json!(again.to_text(true)), &json!(whole))
}

/// What the dialler reads agrees with the library too.
fn check_options(expected: &Value, options: &RedisOptions) -> Result<(), String> {
    let milliseconds = |time: std::time::Duration| json!(u64::try_from(time.as_millis()).unwrap());
    let addresses: Vec<String> = options.connect_to().iter().map(endpoint).collect();
    same("connect_to", &json!(addresses), &expected["connectTo"])?;
    same("ssl", &json!(options.ssl()), &expected["ssl"])?;
    same("abort_on_connect_fail", &json!(options.abort_on_connect_fail()), &expected["abortOnConnectFail"])?;
    same("connect_timeout", &milliseconds(options.connect_timeout()), &expected["connectTimeout"])?;
    same("sync_timeout", &milliseconds(options.sync_timeout()), &expected["syncTimeout"])?;
    same("async_timeout", &milliseconds(options.async_timeout()), &expected["asyncTimeout"])?;
    same("connect_retry", &json!(options.connect_retry()), &expected["connectRetry"])?;
    same("channel_prefix", &json!(options.channel_prefix()), &expected["channelPrefix"])?;
    same("default_version", &json!(options.default_version().to_string()), &expected["defaultVersion"])?;
    same("tie_breaker", &json!(options.tie_breaker()), &expected["tieBreaker"])?;
    same("password", &json!(options.password().is_some()), &expected["passwordSet"])?;
    let empty_is_none =
        |name: &str| expected[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    same("user", &json!(options.user()), &json!(empty_is_none("user")))?;
    same("client_name", &json!(options.client_name()), &json!(empty_is_none("clientName")))?;
    same("service_name", &json!(options.service_name()), &json!(empty_is_none("serviceName")))?;
    same("ssl_host", &json!(options.ssl_host()), &json!(empty_is_none("sslHost")))?;
    let database = expected["defaultDatabase"].as_i64().unwrap_or(0).max(0);
    same("default_database", &json!(options.default_database()), &json!(database))?;
    same("canonical", &json!(options.to_connection_string(false).unwrap()), &expected["canonical"])
}

/// Every string of the file, with its password and with one put into each place where it may stand.
#[test]
fn passwords_are_printed_nowhere() {
    const CANARY: &str = "S3cr3t-Canary";
    let mut seen = 0;
    for entry in entries() {
        let original = text(&entry, "text");
        let mut strings = vec![
            format!("{original},password={CANARY}"),
            format!("password={CANARY},{original}"),
            format!("{original},PASSWORD = {CANARY}\u{1F511}, nonsense=1"),
            format!("redis://app:{CANARY}@{original}"),
            format!("redis+sentinel://:{CANARY}@{original}/mymaster?sentinelPassword={CANARY}"),
            format!("redis://{original}?password={CANARY}&nonsense"),
        ];
        if let Some(password) = entry["password"].as_str().filter(|password| !password.is_empty()) {
            strings.push(original.replace(&format!("={password}"), &format!("={CANARY}")));
        }
        for string in strings {
            seen += assert_hidden(&string, CANARY);
        }
    }
    assert!(seen > 300, "only {seen} of the strings were accepted");
}

/// 1 when the options were accepted.
fn assert_hidden(string: &str, secret: &str) -> usize {
    let mut printed = match ConnectionString::parse(string) {
        // A URL is not for this parser, which reads it as hosts and options that happen to look strange.
        _ if string.starts_with("redis") && string.contains("://") => String::new(),
        Ok(parsed) => format!("{parsed:?} {}", parsed.to_text(false)),
        Err(error) => format!("{error} {error:?}"),
    };
    let accepted = match RedisOptions::parse(string) {
        Ok(options) => {
            let written = options.to_connection_string(false);
            printed.push_str(&format!(
                "{options:?} {written:?} {:?} {:?}",
                options.password(),
                options.topology()
            ));
            1
        }
        Err(error) => {
            printed.push_str(&format!("{error} {error:?}"));
            0
        }
    };
    assert!(!printed.contains(secret), "{string:?} prints {printed}");
    accepted
}
