//! `tidy`: the house rules as a test.
//!
//! Reads every file that git knows or would add, never the target folder. The rules for Rust are in `rules`, those for manifests
//! in `manifests`, what is read out of a source file in `source`; this file walks, prints and counts.

mod manifests;
mod rules;
mod source;
mod stats;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process;
use crate::workspace;
use source::Source;

/// Options of `tidy`.
#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Also print lines of code by crate and the longest files and functions
    #[arg(long)]
    stats: bool,
}

/// A rule that a file breaks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) rule: &'static str,
    pub(crate) text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} ({})", self.file, self.line, self.text, self.rule)
    }
}

/// The command.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let root = workspace::root();
    let files = list(&root)?;
    let (sources, mut violations) = read_sources(&root, &files)?;
    for source in &sources {
        violations.extend(rules::check(source));
    }
    for file in &files {
        violations.extend(check_text(&root, file)?);
    }
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    if options.stats {
        println!("{}", stats::render(&sources));
    }
    println!("{}", stats::line(&sources));
    println!("tidy: {} files, {} violations", files.len(), violations.len());
    Ok(violations.is_empty())
}

/// Paths relative to the root of all files that are or could be committed.
fn list(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let output = process::must("git ls-files", git, Duration::from_secs(30))?;
    let mut files: Vec<String> =
        output.lines().map(str::to_owned).filter(|file| root.join(file).is_file()).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

fn read_sources(root: &Path, files: &[String]) -> Result<(Vec<Source>, Vec<Violation>)> {
    let (mut sources, mut violations) = (Vec::new(), Vec::new());
    for file in files.iter().filter(|file| file.ends_with(".rs") && !is_compile_case(file)) {
        let text = std::fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"))?;
        match Source::parse(file, &text) {
            Ok(source) => sources.push(source),
            Err(error) => violations.push(Violation {
                file: file.clone(),
                line: error.span().start().line,
                rule: "syntax",
                text: error.to_string(),
            }),
        }
    }
    let test_files: Vec<PathBuf> = sources.iter().flat_map(Source::test_module_files).collect();
    for source in &mut sources {
        if test_files.iter().any(|test| test == Path::new(&source.file)) {
            source.is_test = true;
        }
    }
    Ok((sources, violations))
}

/// Programs that exist to be refused by the compiler have no house shape.
fn is_compile_case(file: &str) -> bool {
    ["/tests/ui/", "/tests/trybuild/", "/tests/compile_fail/"].iter().any(|folder| file.contains(folder))
}

/// The rules for any text file.
fn check_text(root: &Path, file: &str) -> Result<Vec<Violation>> {
    // Cargo writes its registry's index into the lock file of every project.
    if file.ends_with("Cargo.lock") {
        return Ok(Vec::new());
    }
    let bytes = std::fs::read(root.join(file)).with_context(|| format!("cannot read {file}"))?;
    let Ok(text) = String::from_utf8(bytes) else { return Ok(Vec::new()) };
    let mut violations = rules::check_hosts(file, &text);
    if file.ends_with("Cargo.toml") && file != "Cargo.toml" && !file.starts_with("fuzz/") {
        violations.extend(manifests::check(file, &text));
    }
    Ok(violations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_reads_like_a_compiler_message() {
        let violation =
            Violation { file: "a.rs".to_owned(), line: 3, rule: "header", text: "no header".to_owned() };
        assert_eq!(violation.to_string(), "a.rs:3: no header (header)");
    }

    #[test]
    fn compile_cases_are_left_alone() {
        assert!(is_compile_case("crates/signalr/tests/ui/generic.rs"));
        assert!(!is_compile_case("crates/signalr/tests/ui.rs"));
    }

    #[test]
    fn the_files_of_this_repository_are_found() {
        let files = list(&workspace::root()).unwrap();
        assert!(files.contains(&"xtask/src/tidy/mod.rs".to_owned()));
        assert!(files.iter().all(|file| !file.starts_with("target/")));
    }
}
