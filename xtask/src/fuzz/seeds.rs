//! A starting corpus from the vectors: every text and every run of bytes that they hold, one file each.
//!
//! Which files concern a target follows from its name; a target of an unknown name gets them all. Seeds longer than 64 KiB are
//! left out, because the fuzzer would spend its time on their length.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Writes the seeds of a target into its corpus and says how many there are.
pub(crate) fn write(vectors: &[PathBuf], target: &str, corpus: &Path) -> Result<usize> {
    std::fs::create_dir_all(corpus)?;
    let mut seeds = BTreeSet::new();
    let mut entries = Vec::new();
    for folder in vectors {
        let found = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        entries.extend(found.flatten().map(|entry| entry.path()));
    }
    for path in entries {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "json") && concerns(target, &name) {
            let text = std::fs::read_to_string(&path)?;
            let document =
                serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
            collect(&document, &mut seeds);
        }
    }
    for (index, seed) in seeds.iter().enumerate() {
        std::fs::write(corpus.join(format!("vector-{index:04}")), seed)?;
    }
    Ok(seeds.len())
}

/// Whether a file of vectors holds input of the kind that a target reads.
fn concerns(target: &str, file: &str) -> bool {
    let known: &[(&str, &[&str])] = &[
        ("redis", &["redis_protocol"]),
        ("json", &["hub_protocol_json"]),
        ("text", &["hub_protocol_json", "framing", "handshake"]),
        ("handshake", &["handshake"]),
        ("negotiate", &["negotiate"]),
        ("sse", &["sse"]),
        ("lz4", &["lz4"]),
        ("msgpack", &["hub_protocol_messagepack", "lz4"]),
        ("messagepack", &["hub_protocol_messagepack", "lz4"]),
        ("binary", &["hub_protocol_messagepack", "framing"]),
    ];
    match known.iter().find(|(word, _)| target.contains(word)) {
        Some((_, files)) => files.contains(&file),
        None => true,
    }
}

fn collect(value: &Value, seeds: &mut BTreeSet<Vec<u8>>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, seeds)),
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) => {
                        seeds.extend(seed(name, text).filter(|seed| seed.len() <= LONGEST))
                    }
                    Value::Array(parts) if name == "framed_parts" => {
                        seeds.extend(joined(parts).filter(|seed| seed.len() <= LONGEST));
                    }
                    other => collect(other, seeds),
                }
            }
        }
        _ => {}
    }
}

fn seed(name: &str, text: &str) -> Option<Vec<u8>> {
    match name {
        "text" | "query" => Some(text.as_bytes().to_vec()),
        _ if name == "b64" || name.ends_with("_b64") => STANDARD.decode(text).ok(),
        _ => None,
    }
}

/// `[{"b64": "lg==", "times": 2}, ...]`
fn joined(parts: &[Value]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for part in parts {
        let times = part["times"].as_u64().unwrap_or(1);
        let part = STANDARD.decode(part["b64"].as_str()?).ok()?;
        if part.len() as u64 * times > LONGEST as u64 {
            return None;
        }
        (0..times).for_each(|_| bytes.extend_from_slice(&part));
    }
    Some(bytes)
}

const LONGEST: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_bytes_and_parts_become_seeds() {
        let document = json!({
            "source": "not a seed",
            "entries": [
                {"name": "a", "text": "{}\u{1e}"},
                {"name": "b", "body_b64": "AQI="},
                {"name": "c", "framed_parts": [{"b64": "AQ=="}, {"b64": "kQ==", "times": 3}]},
                {"name": "d", "framed_parts": [{"b64": "kQ==", "times": 100_000}]},
                {"name": "e", "body_b64": "not base64"}
            ]
        });
        let mut seeds = BTreeSet::new();
        collect(&document, &mut seeds);
        let expected: Vec<Vec<u8>> = vec![vec![1, 2], vec![1, 0x91, 0x91, 0x91], b"{}\x1e".to_vec()];
        assert_eq!(seeds.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn targets_get_the_files_of_their_format() {
        assert!(concerns("json_parse", "hub_protocol_json"));
        assert!(!concerns("json_parse", "lz4"));
        assert!(concerns("lz4_decode", "lz4"));
        assert!(concerns("msgpack_arguments", "hub_protocol_messagepack"));
        assert!(concerns("redis_messages", "redis_protocol") && !concerns("redis_replies", "redis_config"));
        assert!(concerns("websocket_frames", "handshake"));
    }
}
