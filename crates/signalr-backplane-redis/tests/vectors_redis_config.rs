//! Runs `vectors/redis_config.json`: the answers of StackExchange.Redis to 225 connection strings.
//!
//! `ConnectionString` must agree with every answer, field by field. `RedisOptions` must agree too, or refuse for the
//! reason that stands in [`refusal`]: those entries count as quirks. No text that any of them prints may show a password.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed entry")]

mod redis_config;

use redis_config::{check_error, check_fields, endpoint, entries, same, text};
use serde_json::{Value, json};
use signalr_backplane_redis::options::{ConnectionString, RedisOptions, Secret};

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
    // The library infers a name from the Sentinels, and again from the primary once that is known.
    if options.service_name().is_none() {
        same("ssl_host", &json!(options.ssl_host()), &json!(empty_is_none("sslHost")))?;
    }
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
