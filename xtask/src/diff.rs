//! `diff`: plays every recorded conversation against our server, and against the reference where it is at hand.
//!
//! The tests judge (`transcripts` compares ours with what was recorded, `dotnet_reference` the recording with the reference); this
//! runs them, adds up what they say and lists what differs on purpose, with the reasons. `--record` writes the recordings anew.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::process::{self, Job};
use crate::setup::{Env, Need};
use crate::workspace::{Workspace, cargo};

/// Options of `diff`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the scenarios whose names contain this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Write the reference's answers into the repository, before they are compared with ours
    #[arg(long)]
    record: bool,
}

/// The command.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let workspace = Workspace::load()?;
    let reference = Need::DotnetPeer.ensure(&workspace)?;
    let recorded = match &reference {
        Ok(env) => against_reference(&workspace, options, env)?,
        Err(missing) if options.record => bail!("nothing to record from: {}", missing.because),
        Err(missing) => {
            println!(
                "the reference was not asked, because {}; to do it: {}",
                missing.because, missing.to_run
            );
            true
        }
    };
    let output = play(&workspace, options, "transcripts", &Env::new())?;
    println!("{}", report(&output.text));
    Ok(recorded && output.is_success)
}

fn against_reference(workspace: &Workspace, options: &Options, env: &Env) -> Result<bool> {
    let mut env = env.clone();
    if options.record {
        env.push(("SIGNALR_RECORD".to_owned(), "1".to_owned()));
    }
    let output = play(workspace, options, "dotnet_reference", &env)?;
    let what = if options.record { "recorded anew" } else { "as recorded" };
    println!("the reference answers {}", if output.is_success { what } else { "OTHERWISE than recorded" });
    for line in output.text.lines().filter(|line| line.starts_with("unstable")) {
        println!("  {line}");
    }
    Ok(output.is_success)
}

struct Output {
    text: String,
    is_success: bool,
}

fn play(workspace: &Workspace, options: &Options, test: &str, env: &Env) -> Result<Output> {
    let mut command = Command::new(cargo());
    command.args(["test", "-p", "signalr-integration-tests", "--test", test, "--", "--nocapture"]);
    command.envs(env.iter().cloned()).current_dir(&workspace.root);
    if let Some(only) = &options.only {
        command.arg("scenario").env("SIGNALR_SCENARIO", only);
    }
    let log = workspace.scratch().join(format!("logs/diff-{test}.log"));
    let budget = Duration::from_secs(1200);
    let outcome = Job { name: "diff".to_owned(), command, budget, log: Some(log) }.run()?;
    let is_success = outcome.ending.is_success();
    if !is_success {
        println!("{}", process::tail(&outcome.output, 200));
    }
    Ok(Output { text: outcome.output, is_success })
}

/// What differs on purpose, by reason, and the sums.
fn report(output: &str) -> String {
    let mut allowed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut sums = Vec::new();
    for line in output.lines() {
        if let Some((name, reason)) = line.strip_prefix("allowed: `").and_then(|rest| rest.split_once("`: "))
        {
            allowed.entry(reason).or_default().push(name);
        }
        if line.starts_with("scenarios: ") || line.starts_with("cases: ") {
            sums.push(line);
        }
    }
    let mut text = String::from("different on purpose:\n");
    for (reason, names) in &allowed {
        text.push_str(&format!("  {reason}\n"));
        names.iter().for_each(|name| text.push_str(&format!("    {name}\n")));
    }
    text + &sums.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_grouped_and_sums_come_last() {
        let output = "allowed: `a`: because\nnoise\nallowed: `b: c`: because\nscenarios: 3 equal\n";
        assert_eq!(report(output), "different on purpose:\n  because\n    a\n    b: c\nscenarios: 3 equal");
    }
}
