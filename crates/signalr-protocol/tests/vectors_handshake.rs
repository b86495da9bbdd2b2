//! Runs `vectors/handshake.json`: requests, responses, and what a server answers.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed entry")]

mod support;

use serde_json::{Value, json};
use signalr_protocol::handshake::{self, HandshakeRefusal, HandshakeRequest};
use signalr_protocol::{Protocol, ProtocolError};
use support::{Outcome, Vectors, compare_text, from_base64, input, text};

/// The reference's default limit on what it receives.
const LIMIT: usize = 32768;

#[test]
fn handshake() {
    Vectors::load("handshake.json").run(|section, entry| match section {
        "request_valid" | "request_invalid" => request(entry),
        "response_valid" | "response_invalid" => response(entry),
        "server_responses" => server_response(entry),
        other => Outcome::Failed(format!("unknown section {other}")),
    });
}

fn request(entry: &Value) -> Outcome {
    let input = input(entry);
    let Some((body, consumed)) = handshake::split(&input, Some(LIMIT)).unwrap() else {
        return compare(entry, &json!({ "parsed": false, "consumed": 0 }));
    };
    let actual = match HandshakeRequest::parse(body) {
        Ok(request) => json!({
            "protocol": request.protocol,
            "version": request.version,
            "rest": input.len() - consumed,
        }),
        Err(fault) => error(&fault),
    };
    compare(entry, &actual)
}

fn response(entry: &Value) -> Outcome {
    let input = input(entry);
    let (body, consumed) = handshake::split(&input, Some(LIMIT)).unwrap().unwrap();
    let actual = match handshake::parse_response(body) {
        Ok(text) => json!({ "error": text, "rest": input.len() - consumed }),
        Err(fault) => error(&fault),
    };
    compare(entry, &actual)
}

fn error(fault: &ProtocolError) -> Value {
    json!({ "error_type": fault.kind().name(), "error": fault.text() })
}

/// Every expected property must be equal; with the quirk, any error will do.
fn compare(entry: &Value, actual: &Value) -> Outcome {
    let expected = entry["expected"].as_object().unwrap();
    let equal = expected.iter().all(|(name, value)| {
        name == "in_pieces" || actual.get(name) == Some(value) || value.is_null() && actual[name].is_null()
    });
    let any_error = !text(entry, "quirk").is_empty() && actual.get("error_type").is_some();
    match (equal, any_error) {
        (true, _) => Outcome::Strict,
        (false, true) => Outcome::Quirk,
        _ => Outcome::Failed(format!("{actual} instead of {}", entry["expected"])),
    }
}

fn server_response(entry: &Value) -> Outcome {
    let mut request = text(entry, "request").as_bytes().to_vec();
    for part in entry["request_parts"].as_array().into_iter().flatten() {
        let times = part["times"].as_u64().unwrap_or(1) as usize;
        request.extend(from_base64(text(part, "b64")).repeat(times));
    }
    let binary_allowed = text(entry, "transport") != "ServerSentEvents";
    let detailed = entry["detailed_errors"].as_bool().unwrap_or(false);
    let mut out = Vec::new();
    match answer(&request, binary_allowed, detailed) {
        Ok(_) => handshake::write_success(&mut out),
        Err(refusal) => handshake::write_refusal(&mut out, &refusal),
    }
    match compare_text(entry, &out, text(entry, "text").as_bytes()) {
        Outcome::Failed(_) if text(entry, "quirk").contains("any handshake error will do") => {
            let prefix = b"{\"error\":\"An unexpected error occurred during connection handshake. ";
            if out.starts_with(prefix) { Outcome::Quirk } else { Outcome::Failed("no detail".into()) }
        }
        outcome => outcome,
    }
}

fn answer(request: &[u8], binary_allowed: bool, detailed: bool) -> Result<Protocol, HandshakeRefusal> {
    // An incomplete request ends when its time is over.
    let (body, _) = handshake::split(request, Some(LIMIT))?.ok_or(HandshakeRefusal::Canceled)?;
    let request =
        HandshakeRequest::parse(body).map_err(|fault| HandshakeRefusal::unreadable(fault, detailed))?;
    request.choose(&Protocol::ALL, binary_allowed)
}
