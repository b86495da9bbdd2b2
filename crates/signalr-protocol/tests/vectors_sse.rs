//! Runs `vectors/sse.json`: events as Server-Sent Events carry them.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed entry")]

mod support;

use signalr_protocol::sse;
use support::{Outcome, Vectors, from_base64, text};

#[test]
fn sse() {
    Vectors::load("sse.json").run(|section, entry| {
        let mut out = Vec::new();
        if section == "stream" {
            out.extend_from_slice(sse::STREAM_START);
        }
        let expected =
            match (entry["expected"]["bytes_b64"].as_str(), entry["expected"]["bytes_text"].as_str()) {
                (Some(bytes), _) => from_base64(bytes),
                (None, Some(text)) => text.as_bytes().to_vec(),
                // The start of the stream stands in the entry's text.
                (None, None) => return equal(&out, text(entry, "text").as_bytes()),
            };
        if section != "stream" || !text(entry, "text").is_empty() {
            sse::write_event(&mut out, text(entry, "text").as_bytes());
        }
        equal(&out, &expected)
    });
}

fn equal(actual: &[u8], expected: &[u8]) -> Outcome {
    if actual == expected {
        return Outcome::Strict;
    }
    Outcome::Failed(format!("{:?} instead of {:?}", actual.escape_ascii(), expected.escape_ascii()))
}
