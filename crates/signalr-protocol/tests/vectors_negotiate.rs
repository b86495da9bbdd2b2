//! Runs `vectors/negotiate.json`: written documents, answers to queries, and what a client reads.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed entry")]

mod support;

use serde_json::{Value, json};
use signalr_protocol::negotiate::{AvailableTransport, NegotiateRequest, NegotiateResponse};
use std::borrow::Cow;
use support::{Outcome, Vectors, compare_text, text};

#[test]
fn negotiate() {
    Vectors::load("negotiate.json").run(|section, entry| match section {
        "write" if entry.get("query").is_some() => query(entry),
        "write" => write(entry),
        "parse_valid" => parse_valid(entry),
        "parse_invalid" => parse_invalid(entry),
        other => Outcome::Failed(format!("unknown section {other}")),
    });
}

/// The document that an endpoint with the entry's settings answers, ids replaced as in the file.
fn query(entry: &Value) -> Outcome {
    let endpoint = &entry["endpoint"];
    let minimum = endpoint["minimum_protocol_version"].as_i64().unwrap_or(0) as i32;
    let enabled = |name: &str| endpoint["transports"].as_array().is_none_or(|t| t.contains(&json!(name)));
    let response = match NegotiateRequest::from_query(text(entry, "query"), minimum) {
        Ok(request) => NegotiateResponse {
            use_stateful_reconnect: request.use_stateful_reconnect
                && endpoint["allow_stateful_reconnects"] == json!(true),
            version: request.version,
            connection_id: Some("<id>".into()),
            connection_token: Some("<token>".into()),
            available_transports: Some(
                [
                    ("WebSockets", &["Text", "Binary"][..]),
                    ("ServerSentEvents", &["Text"]),
                    ("LongPolling", &["Text", "Binary"]),
                ]
                .into_iter()
                .filter(|(name, _)| enabled(name))
                .map(|(name, formats)| AvailableTransport {
                    transport: name.into(),
                    transfer_formats: formats.iter().map(|f| Cow::Borrowed(*f)).collect(),
                })
                .collect(),
            ),
            ..NegotiateResponse::default()
        },
        Err(refusal) => NegotiateResponse::refused(refusal.to_string()),
    };
    written(entry, &response)
}

fn write(entry: &Value) -> Outcome {
    let value = &entry["value"];
    let texts = |v: &Value| -> Vec<Cow<'static, str>> {
        v.as_array().into_iter().flatten().map(|t| t.as_str().unwrap().to_owned().into()).collect()
    };
    let optional = |name: &str| value[name].as_str().map(|t| Cow::Owned(t.to_owned()));
    let mut transports = Vec::new();
    for transport in value["availableTransports"].as_array().into_iter().flatten() {
        let Some(name) = transport["transport"].as_str() else {
            return Outcome::NotApplicable("the name of a transport cannot be null in Rust".into());
        };
        let transfer_formats = texts(&transport["transferFormats"]);
        transports.push(AvailableTransport { transport: name.to_owned().into(), transfer_formats });
    }
    let response = NegotiateResponse {
        error: optional("error"),
        use_stateful_reconnect: value["useStatefulReconnect"].as_bool().unwrap_or(false),
        version: value["negotiateVersion"].as_i64().unwrap_or(0) as i32,
        url: optional("url"),
        access_token: optional("accessToken"),
        connection_id: optional("connectionId"),
        connection_token: optional("connectionToken"),
        available_transports: value["availableTransports"].as_array().map(|_| transports),
    };
    written(entry, &response)
}

fn written(entry: &Value, response: &NegotiateResponse<'_>) -> Outcome {
    let mut out = Vec::new();
    response.write(&mut out);
    compare_text(entry, &out, text(entry, "text").as_bytes())
}

fn parse_valid(entry: &Value) -> Outcome {
    let response = match NegotiateResponse::parse(text(entry, "text").as_bytes()) {
        Ok(response) => response,
        Err(fault) => return Outcome::Failed(fault.to_string()),
    };
    let transports = response.available_transports.as_ref();
    let actual = json!({
        "connectionId": response.connection_id,
        "connectionToken": response.connection_token,
        "url": response.url,
        "accessToken": response.access_token,
        "error": response.error,
        "negotiateVersion": response.version,
        "useStatefulReconnect": response.use_stateful_reconnect,
        "transports": transports.map(|t| t.iter().map(|t| &t.transport).collect::<Vec<_>>()),
        "transferFormats": transports.map(|t| t.iter().map(|t| &t.transfer_formats).collect::<Vec<_>>()),
    });
    let expected = entry["expected"].as_object().unwrap();
    if expected.iter().all(|(name, value)| actual.get(name) == Some(value)) {
        return Outcome::Strict;
    }
    Outcome::Failed(format!("{actual} instead of {}", entry["expected"]))
}

fn parse_invalid(entry: &Value) -> Outcome {
    let expected = text(&entry["expected"], "inner_error");
    match NegotiateResponse::parse(text(entry, "text").as_bytes()) {
        Err(fault) if fault.text() == expected => Outcome::Strict,
        Err(_) if text(entry, "quirk").contains("the text is that of the .NET reader") => Outcome::Quirk,
        Err(fault) => Outcome::Failed(format!("{fault} instead of {expected}")),
        Ok(response) => Outcome::Failed(format!("read as {response:?}")),
    }
}
