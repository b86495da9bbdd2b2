//! `ci`: every check, then every test, then one summary; nothing stops at the first failure.
//!
//! Owns the order and the time budgets of the checks. Each check is a tool that exits with 0 or not, or another command of ours.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::counts::Counts;
use crate::process::{self, Job};
use crate::summary::{Row, StepResult, Summary};
use crate::workspace::{Workspace, cargo, find_program};
use crate::{deny, fuzz, layers, test, tidy};

/// The command.
pub(crate) fn run() -> Result<bool> {
    ensure_components()?;
    let workspace = Workspace::load()?;
    let mut summary = Summary::default();
    let all = ["--workspace", "--all-targets", "--all-features"];
    tool(&workspace, &mut summary, "fmt", 60, cargo_command(&["fmt", "--all", "--check"]))?;
    own(&mut summary, "check-layers", layers::run);
    own(&mut summary, "tidy", || tidy::run(&tidy::Options::default()));
    own(&mut summary, "deny", || deny::run(&workspace));
    let mut clippy = cargo_command(&["clippy"]);
    clippy.args(all).args(["--keep-going", "--", "-D", "warnings"]);
    tool(&workspace, &mut summary, "clippy", 1200, clippy)?;
    let mut docs = cargo_command(&["doc", "--workspace", "--all-features", "--no-deps", "--keep-going"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    tool(&workspace, &mut summary, "docs", 900, docs)?;
    if let Err(error) = fuzz::run_targets(&workspace, FUZZ_SECONDS, None, &mut summary) {
        own(&mut summary, "fuzz", || Err(error));
    }
    test::run_all(&workspace, &mut summary)?;
    println!("{}", summary.render());
    Ok(summary.is_success())
}

/// Runs one tool as one step.
fn tool(
    workspace: &Workspace,
    summary: &mut Summary,
    name: &str,
    seconds: u64,
    mut command: Command,
) -> Result<()> {
    let budget = Duration::from_secs(seconds);
    let log = workspace.scratch().join(format!("logs/{name}.log"));
    command.current_dir(&workspace.root);
    let outcome = Job { name: name.to_owned(), command, budget, log: Some(log) }.run()?;
    let result = if outcome.ending.is_success() {
        StepResult::Ok { note: String::new() }
    } else {
        println!("{}", process::tail(&outcome.output, 120));
        StepResult::Failed { counts: Counts::default(), because: outcome.ending.describe(budget) }
    };
    summary.push(Row { name: name.to_owned(), took: outcome.took, budget: Some(budget), result });
    Ok(())
}

/// Runs another command of ours as one step.
fn own(summary: &mut Summary, name: &str, command: impl FnOnce() -> Result<bool>) {
    let started = Instant::now();
    let failed = |because: String| StepResult::Failed { counts: Counts::default(), because };
    let result = match command() {
        Ok(true) => StepResult::Ok { note: String::new() },
        Ok(false) => failed(format!("see above, or run `cargo xtask {name}`")),
        Err(error) => {
            println!("{error:#}");
            failed(format!("{error:#}").lines().next().unwrap_or_default().to_owned())
        }
    };
    summary.push(Row { name: name.to_owned(), took: started.elapsed(), budget: None, result });
}

/// A minimal tool chain has neither rustfmt nor clippy.
fn ensure_components() -> Result<()> {
    for (program, component) in [("cargo-fmt", "rustfmt"), ("cargo-clippy", "clippy")] {
        let works =
            Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
        if !works && find_program(&["rustup"]).is_some() {
            eprintln!("  rustup component add {component}");
            let mut add = Command::new("rustup");
            add.args(["component", "add", component]);
            process::must("rustup", add, Duration::from_secs(300))?;
        }
    }
    Ok(())
}

fn cargo_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(cargo());
    command.args(arguments);
    command
}

/// A smoke test: whether the targets still run, and survive the vectors and what is near them.
const FUZZ_SECONDS: u64 = 10;
