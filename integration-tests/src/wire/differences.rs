//! Where our server answers otherwise than the reference on purpose.
//!
//! Owns `data/differences.toml`: each entry names scenarios, gives a reason, and says which lines of the reference's
//! transcript become which of ours. An entry that changes nothing is a mistake, and so is one without a reason.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

/// The file.
#[derive(Debug, Default, Deserialize)]
pub struct Differences {
    /// Its entries.
    #[serde(default)]
    pub difference: Vec<Difference>,
}

/// One deliberate difference.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Names of scenarios; a `*` at the end stands for any rest.
    pub scenarios: Vec<String>,
    /// Why.
    pub reason: String,
    /// Whole lines of the reference, each with what stands in its place here: one or more lines, or nothing.
    #[serde(default)]
    pub lines: Vec<(String, String)>,
    /// Not there yet: whatever we answer is put up with.
    #[serde(default)]
    pub open: bool,
    /// Everything from this line on, with what stands in its place.
    pub from: Option<(String, String)>,
}

impl Differences {
    /// Reads the file.
    pub fn read() -> Result<Self> {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/data/differences.toml"));
        let text = std::fs::read_to_string(path).context("data/differences.toml is missing")?;
        toml::from_str(&text).context("data/differences.toml")
    }

    /// What we answer to a scenario, made of what the reference answers; with the entries that were used.
    pub fn apply(&self, scenario: &str, theirs: &[String]) -> (Vec<String>, Vec<&Difference>) {
        let mut lines = theirs.to_vec();
        let mut used = Vec::new();
        for difference in self.difference.iter().filter(|difference| difference.is_about(scenario)) {
            let changed = difference.apply(&lines);
            if changed != lines {
                used.push(difference);
            }
            lines = changed;
        }
        (lines, used)
    }
}

impl Differences {
    /// Why a scenario cannot be compared yet.
    pub fn open(&self, scenario: &str) -> Option<&str> {
        let open = self.difference.iter().find(|difference| difference.open && difference.is_about(scenario));
        open.map(|difference| difference.reason.as_str())
    }
}

impl Difference {
    /// Whether it names this scenario.
    pub fn is_about(&self, scenario: &str) -> bool {
        self.scenarios.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => scenario.starts_with(start),
            None => pattern == scenario,
        })
    }

    fn apply(&self, lines: &[String]) -> Vec<String> {
        let split = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let mut out = Vec::new();
        for line in lines {
            if let Some((_, ours)) = self.from.as_ref().filter(|(from, _)| from == line) {
                out.extend(split(ours));
                break;
            }
            match self.lines.iter().find(|(theirs, _)| theirs == line) {
                Some((_, ours)) => out.extend(split(ours)),
                None => out.push(line.clone()),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_replaced_left_out_and_cut() {
        let difference = Difference {
            scenarios: vec!["post: *".to_owned()],
            reason: "r".to_owned(),
            lines: vec![("a".to_owned(), "b\nc".to_owned()), ("x".to_owned(), String::new())],
            open: false,
            from: Some(("y".to_owned(), "z".to_owned())),
        };
        let all = Differences { difference: vec![difference] };
        let theirs = ["a", "x", "k", "y", "rest"].map(str::to_owned);
        assert_eq!(all.apply("post: one", &theirs).0, ["b", "c", "k", "z"]);
        assert_eq!(all.apply("get", &theirs).0, theirs);
    }
}
