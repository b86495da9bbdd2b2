//! What the vector tests share: loading a file of `tests/vectors`, and a report that counts every entry of it.
//!
//! The report prints one machine-readable line per section, then a line per entry that does not apply or failed.

#![allow(dead_code, reason = "every test binary uses a part of this")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::path::Path;

/// What became of an entry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// It does exactly what the reference does.
    Strict,
    /// It differs where the entry says that one may.
    Quirk,
    /// It does exactly what the reference does, with a type of .NET.
    DotNet,
    /// It cannot be asked of this library, and why.
    NotApplicable(String),
    /// It does something else.
    Failed(String),
}

/// One vector file.
pub(crate) struct Vectors {
    file: String,
    document: Value,
}

impl Vectors {
    /// Reads `tests/vectors/<file>`.
    pub(crate) fn load(file: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { file: file.to_owned(), document: serde_json::from_str(&text).unwrap() }
    }

    /// Runs every entry of every section, prints the counts and fails if an entry failed. `run` gets the section's
    /// name and the entry; a panic in it is a failure of the entry.
    pub(crate) fn run(&self, run: impl Fn(&str, &Value) -> Outcome) {
        let mut failed = 0;
        for (section, entries) in self.document.as_object().unwrap() {
            if let Some(entries) = entries.as_array() {
                failed += self.run_section(section, entries, &run);
            }
        }
        assert_eq!(failed, 0, "entries of {} failed", self.file);
    }

    fn run_section(&self, section: &str, entries: &[Value], run: &impl Fn(&str, &Value) -> Outcome) -> usize {
        let (mut strict, mut quirk, mut dotnet, mut notes, mut failed) = (0, 0, 0, Vec::new(), 0);
        for entry in entries {
            let name = text(entry, "name");
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(section, entry)))
                .unwrap_or_else(|_| Outcome::Failed("panicked".into()));
            match outcome {
                Outcome::Strict => strict += 1,
                Outcome::Quirk => quirk += 1,
                Outcome::DotNet => dotnet += 1,
                Outcome::NotApplicable(reason) => notes.push(format!("  {name}: {reason}")),
                Outcome::Failed(reason) => {
                    failed += 1;
                    notes.push(format!("  {name}: FAILED: {reason}"));
                }
            }
        }
        let na = notes.len() - failed;
        println!(
            "VECTORS file={} section={section} strict={strict} quirk={quirk} dotnet={dotnet} na={na} failed={failed}",
            self.file
        );
        for note in notes {
            println!("{}", note.replace('\n', "\\n"));
        }
        failed
    }
}

/// A text of an entry; empty when it is not there.
pub(crate) fn text<'a>(entry: &'a Value, name: &str) -> &'a str {
    entry[name].as_str().unwrap_or_default()
}

/// Bytes from base64.
pub(crate) fn from_base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

/// The bytes of an entry: its `text`, or one of the base64 fields.
pub(crate) fn input(entry: &Value) -> Vec<u8> {
    if let Some(text) = entry["text"].as_str() {
        return text.as_bytes().to_vec();
    }
    ["bytes_b64", "framed_b64"].iter().find_map(|n| entry[*n].as_str()).map(from_base64).unwrap()
}

/// Strict when equal; otherwise a quirk if the entry allows any other writing of the same JSON, else a failure.
pub(crate) fn compare_text(entry: &Value, actual: &[u8], expected: &[u8]) -> Outcome {
    if actual == expected {
        return Outcome::Strict;
    }
    let mismatch =
        format!("wrote {} instead of {}", String::from_utf8_lossy(actual), String::from_utf8_lossy(expected));
    let same_meaning = ["may be written raw as well", "any JSON number of the same value"];
    let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes.strip_suffix(b"\x1e").unwrap_or(bytes));
    let allowed = same_meaning.iter().any(|allowed| text(entry, "quirk").contains(allowed));
    match (value(actual), value(expected)) {
        (Ok(actual), Ok(expected)) if allowed && actual == expected => Outcome::Quirk,
        _ => Outcome::Failed(mismatch),
    }
}
