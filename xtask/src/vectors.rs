//! `vectors`: runs the reference's data files through the crates that read them and says how many entries hold, file by file.
//!
//! The tests themselves judge; this reads their `VECTORS` lines, adds them up and lists every entry that does not apply, with the
//! reason that the test gave. A run that reports nothing has failed.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::process::{self, Job};
use crate::workspace::{Workspace, cargo};

/// The command.
pub(crate) fn run() -> Result<bool> {
    let workspace = Workspace::load()?;
    let mut command = Command::new(cargo());
    command.args([
        "test",
        "-p",
        "signalr-protocol",
        "-p",
        "signalr-backplane-redis",
        "--all-features",
        "--no-fail-fast",
        "--test",
        "vectors_*",
    ]);
    // One at a time, so that the lines of two files never mix.
    command.args(["--", "--nocapture", "--test-threads=1"]).current_dir(&workspace.root);
    let log = workspace.scratch().join("logs/vectors-report.log");
    let budget = Duration::from_secs(900);
    let outcome = Job { name: "vectors".to_owned(), command, budget, log: Some(log) }.run()?;
    let report = Report::parse(&outcome.output);
    if report.files.is_empty() {
        println!("{}", process::tail(&outcome.output, 60));
        bail!("the vector tests reported nothing: {}", outcome.ending.describe(budget));
    }
    if !outcome.ending.is_success() {
        println!("{}", process::tail(&outcome.output, 60));
    }
    println!("{}", report.render());
    Ok(outcome.ending.is_success() && report.sum().failed == 0)
}

/// What the tests reported.
#[derive(Debug, Default)]
struct Report {
    files: BTreeMap<String, Entries>,
    /// Lines with the name of an entry and what is said about it, below the section that they belong to.
    remarks: Vec<String>,
}

/// Entries by outcome.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Entries {
    strict: u64,
    quirk: u64,
    dotnet: u64,
    not_applicable: u64,
    failed: u64,
}

impl Entries {
    fn passed(self) -> u64 {
        self.strict + self.quirk + self.dotnet
    }

    fn add(&mut self, other: Self) {
        self.strict += other.strict;
        self.quirk += other.quirk;
        self.dotnet += other.dotnet;
        self.not_applicable += other.not_applicable;
        self.failed += other.failed;
    }

    fn row(self, name: &str) -> String {
        format!(
            "{name:<32} {:>7} {:>7} {:>12} {:>15} {:>7}\n",
            self.strict, self.quirk, self.dotnet, self.not_applicable, self.failed
        )
    }
}

impl Report {
    fn parse(output: &str) -> Self {
        let mut report = Self::default();
        let mut in_section = false;
        for line in output.lines() {
            if let Some((file, section, entries)) = line.find("VECTORS ").and_then(|at| section(&line[at..]))
            {
                report.files.entry(file.clone()).or_default().add(entries);
                in_section = entries.not_applicable + entries.failed > 0;
                if in_section {
                    report.remarks.push(format!("{file}, {section}:"));
                }
            } else if in_section && line.starts_with("  ") && line.contains(": ") {
                report.remarks.push(line.to_owned());
            } else {
                in_section = false;
            }
        }
        report
    }

    fn sum(&self) -> Entries {
        let mut sum = Entries::default();
        self.files.values().for_each(|entries| sum.add(*entries));
        sum
    }

    fn render(&self) -> String {
        let mut text = String::new();
        if !self.remarks.is_empty() {
            text.push_str(&format!("not applicable or failed:\n{}\n\n", self.remarks.join("\n")));
        }
        text.push_str(&format!(
            "{:<32} {:>7} {:>7} {:>12} {:>15} {:>7}\n",
            "file", "strict", "quirk", ".NET values", "not applicable", "failed"
        ));
        for (file, entries) in &self.files {
            text.push_str(&entries.row(file));
        }
        let sum = self.sum();
        text.push_str(&sum.row("all"));
        text.push_str(&format!("\n{} passed, {} failed", sum.passed(), sum.failed));
        text
    }
}

/// `VECTORS file=sse.json section=events strict=20 quirk=1 dotnet=0 na=3 failed=0`
fn section(line: &str) -> Option<(String, String, Entries)> {
    let rest = line.strip_prefix("VECTORS ")?;
    let fields: BTreeMap<&str, &str> =
        rest.split_whitespace().filter_map(|field| field.split_once('=')).collect();
    let count = |name: &str| fields.get(name).and_then(|number| number.parse::<u64>().ok());
    let entries = Entries {
        strict: count("strict")?,
        quirk: count("quirk")?,
        dotnet: count("dotnet")?,
        not_applicable: count("na")?,
        failed: count("failed")?,
    };
    Some(((*fields.get("file")?).to_owned(), (*fields.get("section")?).to_owned(), entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 1 test
VECTORS file=lz4.json section=written strict=32 quirk=0 dotnet=0 na=0 failed=0
VECTORS file=lz4.json section=refused strict=15 quirk=1 dotnet=0 na=1 failed=0
  a block without a length: our reader never asks for it
VECTORS file=sse.json section=events strict=20 quirk=0 dotnet=2 na=0 failed=1
  two lines: wrote one
test events ... FAILED
  some other indented line: not ours

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    #[test]
    fn sections_are_added_up_by_file() {
        let report = Report::parse(OUTPUT);
        assert_eq!(
            report.files["lz4.json"],
            Entries { strict: 47, quirk: 1, dotnet: 0, not_applicable: 1, failed: 0 }
        );
        assert_eq!(report.sum().passed(), 70);
    }

    #[test]
    fn entries_that_do_not_count_are_listed_with_their_reasons() {
        assert_eq!(
            Report::parse(OUTPUT).remarks,
            [
                "lz4.json, refused:",
                "  a block without a length: our reader never asks for it",
                "sse.json, events:",
                "  two lines: wrote one"
            ]
        );
    }

    #[test]
    fn the_report_ends_with_the_plain_total() {
        assert_eq!(Report::parse(OUTPUT).render().lines().last(), Some("70 passed, 1 failed"));
    }

    #[test]
    fn a_line_behind_the_name_of_its_test_is_read() {
        let report = Report::parse(
            "test events ... VECTORS file=a section=b strict=1 quirk=0 dotnet=0 na=0 failed=0\n",
        );
        assert_eq!(report.sum().passed(), 1);
        assert!(Report::parse("VECTORS file=a section=b strict=x").files.is_empty());
    }
}
