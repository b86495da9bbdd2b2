//! `fuzz`: runs the fuzz targets of `fuzz/` for a while each, from a corpus made of the vectors.
//!
//! Builds them with libFuzzer on the tool chain at hand: the coverage passes that cargo-fuzz asks for are stable, only its
//! sanitizers are not, and our code is free of `unsafe`. Where no C++ compiler is to be had, the same bodies run under proptest
//! with more cases, and the report says so. `cargo +nightly fuzz run TARGET` works on the same folder.

mod seeds;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::counts::Counts;
use crate::process::{self, Job};
use crate::setup::{self, Missing};
use crate::summary::{Row, StepResult, Summary};
use crate::workspace::{Workspace, cargo};

/// Options of `fuzz`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// One target only
    target: Option<String>,
}

/// The command.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let workspace = Workspace::load()?;
    let mut summary = Summary::default();
    run_targets(&workspace, options.seconds, options.target.as_deref(), &mut summary)?;
    println!("{}", summary.render());
    Ok(summary.is_success())
}

/// Runs all targets (or the one named) and adds a row for each.
pub(crate) fn run_targets(
    workspace: &Workspace,
    seconds: u64,
    only: Option<&str>,
    summary: &mut Summary,
) -> Result<()> {
    let all = targets(&workspace.root)?;
    if let Some(only) = only
        && !all.iter().any(|target| target == only)
    {
        bail!("there is no fuzz target `{only}`; there are: {}", all.join(", "));
    }
    if let Err(missing) = setup::cpp_compiler()? {
        summary.push(proptest(workspace, &missing)?);
        return Ok(());
    }
    let started = Instant::now();
    let built = build(workspace);
    let result = match &built {
        Ok(_) => StepResult::Ok { note: String::new() },
        Err(error) => {
            println!("{error:#}");
            StepResult::Failed {
                counts: Counts::default(),
                because: "the fuzz targets do not build".to_owned(),
            }
        }
    };
    summary.push(Row {
        name: "fuzz: build".to_owned(),
        took: started.elapsed(),
        budget: Some(BUILD),
        result,
    });
    if let Ok(programs) = built {
        for target in all.iter().filter(|target| only.is_none_or(|only| only == *target)) {
            summary.push(run_target(workspace, &programs, target, seconds)?);
        }
    }
    Ok(())
}

/// The names of the files in `fuzz/fuzz_targets`.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut targets: Vec<String> =
        names.filter_map(|name| name.strip_suffix(".rs").map(str::to_owned)).collect();
    targets.sort();
    if targets.is_empty() {
        bail!("{} has no targets", folder.display());
    }
    Ok(targets)
}

/// Builds every target and returns the folder with the programs.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let host = host()?;
    let target = workspace.scratch().join("fuzz");
    let mut command = Command::new(cargo());
    command.args(["build", "--release", "--bins", "--target", &host, "--manifest-path"]);
    command.arg(workspace.root.join("fuzz/Cargo.toml")).arg("--target-dir").arg(&target);
    // With a target named, the flags reach neither build scripts nor macros.
    command.env("RUSTFLAGS", FLAGS.join(" ")).env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::must("build of the fuzz targets", command, BUILD)?;
    Ok(target.join(host).join("release"))
}

fn run_target(workspace: &Workspace, programs: &Path, target: &str, seconds: u64) -> Result<Row> {
    let fuzz = workspace.root.join("fuzz");
    let corpus = fuzz.join("corpus").join(target);
    let artifacts = fuzz.join("artifacts").join(target);
    std::fs::create_dir_all(&artifacts)?;
    let vectors = ["signalr-protocol", "signalr-backplane-redis"]
        .map(|name| workspace.root.join("crates").join(name).join("tests/vectors"));
    let seeds = seeds::write(&vectors, target, &corpus)?;
    let mut command = Command::new(programs.join(target));
    command
        .arg(&corpus)
        .arg(format!("-max_total_time={seconds}"))
        .arg("-timeout=10")
        .arg("-rss_limit_mb=2048");
    command.arg("-max_len=65536").arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.current_dir(&workspace.root);
    // Reading the corpus comes before the first second is counted.
    let budget = Duration::from_secs(seconds + 60);
    let log = Some(workspace.scratch().join(format!("logs/fuzz-{target}.log")));
    let outcome = Job { name: format!("fuzz: {target}"), command, budget, log }.run()?;
    let runs = runs(&outcome.output);
    let result = match runs {
        Some(runs) if outcome.ending.is_success() && runs > 0 => {
            // A target that held counts as one test.
            let counts = Counts { passed: 1, ..Counts::default() };
            StepResult::Passed { counts, note: format!("{runs} runs from {seeds} seeds") }
        }
        _ => {
            println!("{}", process::tail(&outcome.output, 60));
            let because =
                format!("{}; the input is in {}", outcome.ending.describe(budget), artifacts.display());
            StepResult::Failed { counts: Counts::default(), because }
        }
    };
    Ok(Row { name: format!("fuzz: {target}"), took: outcome.took, budget: Some(budget), result })
}

/// The same bodies without a fuzzer.
fn proptest(workspace: &Workspace, missing: &Missing) -> Result<Row> {
    let budget = Duration::from_secs(900);
    let mut command = Command::new(cargo());
    command.args(["test", "-p", "signalr-protocol", "--all-features", "--no-fail-fast"]);
    command.current_dir(&workspace.root).env("PROPTEST_CASES", "20000");
    let log = Some(workspace.scratch().join("logs/fuzz-proptest.log"));
    let outcome = Job { name: "fuzz: proptest".to_owned(), command, budget, log }.run()?;
    let result = if outcome.ending.is_success() {
        let note = format!("20,000 cases each instead of libFuzzer, because {}", missing.because);
        StepResult::Ok { note: format!("{note}; to run it: {}", missing.to_run) }
    } else {
        println!("{}", process::tail(&outcome.output, 60));
        StepResult::Failed { counts: Counts::default(), because: outcome.ending.describe(budget) }
    };
    Ok(Row { name: "fuzz: proptest".to_owned(), took: outcome.took, budget: Some(budget), result })
}

/// `Done 12345 runs in 11 second(s)`
fn runs(output: &str) -> Option<u64> {
    let line = output.lines().rev().find_map(|line| line.strip_prefix("Done "))?;
    line.split_once(" runs in ")?.0.parse().ok()
}

fn host() -> Result<String> {
    let mut command = Command::new("rustc");
    command.arg("-vV");
    let output = process::must("rustc -vV", command, Duration::from_secs(30))?;
    let host = output.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say for which machine it is")
}

const BUILD: Duration = Duration::from_secs(900);

/// What cargo-fuzz passes, without a sanitizer.
const FLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "--cfg=fuzzing",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_runs_is_read() {
        let output = "#2 INITED cov: 5\n#131072 pulse\nDone 262144 runs in 11 second(s)\n";
        assert_eq!(runs(output), Some(262_144));
        assert_eq!(runs("==1== ERROR: libFuzzer: deadly signal"), None);
    }

    #[test]
    fn the_tool_chain_names_its_machine() {
        assert!(host().unwrap().contains("linux"));
    }
}
