//! The workspace's own commands: `cargo xtask <command>`.
//!
//! Owns the command line and the exit code, nothing else: each command lives in the file of its name. Commands print to
//! standard output, progress goes to standard error, and a command that found something wrong exits with 1.

mod checklist;
mod ci;
mod cluster;
mod counts;
mod deny;
mod diff;
mod faults;
mod fuzz;
mod layers;
mod process;
mod setup;
mod suites;
mod summary;
mod test;
mod tidy;
mod vectors;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Commands of the signalr workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    /// Show the whole output of every tool, not only progress and the end of what failed
    #[arg(long, short, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the tests need and this machine lacks (Redis, Chromium, Node and Python packages)
    Setup,
    /// Set up, build, and run every test suite, real clients included
    Test(test::Options),
    /// Start a Redis and several servers on it, and leave them running or run a suite
    Cluster(cluster::Options),
    /// Everything that must hold before a change lands: format, lints, docs, rules, then `test`
    Ci,
    /// Check that crates depend only downwards and show no foreign types
    CheckLayers,
    /// Run the reference's vectors and count them, file by file
    Vectors,
    /// Play every recorded conversation against our server and the reference, and compare
    Diff(diff::Options),
    /// Check that every test of the reference has a test of ours that passed, or a reason
    Checklist,
    /// Fuzz every parser for a while, starting from the vectors
    Fuzz(fuzz::Options),
    /// Check licences and sources of every dependency against deny.toml
    Deny,
    /// Check the house rules: headers, lengths, no sleep, no unwrap, manifests
    Tidy(tidy::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    process::set_verbose(cli.verbose);
    let outcome = match cli.command {
        Command::Setup => setup::run(),
        Command::Test(options) => test::run(&options),
        Command::Cluster(options) => cluster::run(&options),
        Command::Ci => ci::run(),
        Command::CheckLayers => layers::run(),
        Command::Vectors => vectors::run(),
        Command::Diff(options) => diff::run(&options),
        Command::Checklist => checklist::run(),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Deny => workspace::Workspace::load().and_then(|workspace| deny::run(&workspace)),
        Command::Tidy(options) => tidy::run(&options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
