//! The suites that run on a cluster: which there are for which kind of Redis, and how each is started.
//!
//! The suites themselves are `integration-tests` and the tests of `signalr-backplane-redis`.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use super::redis::Topology;
use super::{Options, fleet::Fleet, met, programs::Programs};
use crate::counts::{self, Counts};
use crate::process::{self, Job};
use crate::setup::{Env, Need};
use crate::summary::{Row, StepResult};
use crate::workspace::{Workspace, cargo};

/// The suites of fleets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Run {
    /// The written contract of every backplane, on this Redis
    Conformance,
    /// Every send from everywhere to everywhere, on this fleet
    Targets,
    /// The same with ASP.NET Core, in fleets of its own on this Redis
    Mixed,
    /// The bad days of this kind of Redis, in fleets of its own
    Faults,
    /// From 2 servers to 12 and back, in a fleet of its own
    Elastic,
    /// Mixed load for `--seconds`, in a fleet of its own, with ASP.NET Core if it can be had
    Soak,
}

impl Run {
    /// What the command line calls it.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Whether it needs the reference.
    pub(super) fn needs_dotnet(self) -> bool {
        self == Self::Mixed
    }

    /// Why it cannot run on this kind of Redis, if so.
    pub(super) fn objection(self, topology: Topology) -> Option<&'static str> {
        use Topology::{Cluster, Sentinel, Standalone};
        match self {
            Self::Soak if !matches!(topology, Standalone | Sentinel | Cluster) => Some(
                "it asks the servers of Redis what they hold, and knows neither passwords nor certificates",
            ),
            _ => None,
        }
    }
}

/// A suite that could not even begin has failed too.
pub(super) fn not_begun(topology: Topology, run: Run, took: Duration, error: &anyhow::Error) -> Row {
    println!("{error:#}");
    let because = error.to_string().lines().next().unwrap_or_default().to_owned();
    let result = StepResult::Failed { counts: Counts::default(), because };
    Row { name: name(run, topology), took, budget: None, result }
}

fn name(run: Run, topology: Topology) -> String {
    format!("{} on {}", run.name(), topology.name())
}

/// One suite on one kind of Redis, from nothing to its end.
pub(super) fn run(
    workspace: &Workspace,
    programs: &Programs,
    options: &Options,
    topology: Topology,
    run: Run,
    mut env: Env,
) -> Result<Row> {
    // Faults end servers of their Redis, so each test of theirs starts its own.
    let servers = match run {
        Run::Targets => Some(options.clone()),
        // It kills and starts a single Redis by itself.
        Run::Soak if topology == Topology::Standalone => None,
        Run::Conformance | Run::Mixed | Run::Elastic | Run::Soak => {
            Some(Options { nodes: 0, dotnet: 0, front: false, ..options.clone() })
        }
        Run::Faults => None,
    };
    let fleet = servers.map(|options| Fleet::start(workspace, programs, &options, topology)).transpose()?;
    env.extend(fleet.iter().flat_map(Fleet::env));
    env.push(("SIGNALR_PEER_BIN".to_owned(), programs.peer.display().to_string()));
    env.push(("SIGNALR_CLUSTER_KIND".to_owned(), topology.name()));
    let command = match run {
        Run::Conformance => rust("conformance_redis", &[]),
        Run::Targets => node(workspace, &mut env, "cluster/targets.test.mjs")?,
        Run::Mixed => node(workspace, &mut env, "cluster/mixed.test.mjs")?,
        Run::Faults => faults(topology),
        Run::Elastic => {
            met(Need::Haproxy, workspace)?;
            node(workspace, &mut env, "cluster/elastic.test.mjs")?
        }
        Run::Soak => soak(workspace, options.seconds, &mut env)?,
    };
    let budget = if run == Run::Soak { BUDGET + Duration::from_secs(options.seconds) } else { BUDGET };
    suite(workspace, &name(run, topology), command, env, budget)
}

fn node(workspace: &Workspace, env: &mut Env, file: &str) -> Result<Command> {
    env.extend(met(Need::NodePackages, workspace)?);
    let node = env.iter().find(|(name, _)| name == "SIGNALR_NODE").map_or("node", |(_, node)| node);
    let mut command = Command::new(node);
    command.args(["--test", "--test-reporter=spec", file]).current_dir(workspace.js());
    Ok(command)
}

/// As long as it is told to, and with the reference in its fleet if there is one.
fn soak(workspace: &Workspace, seconds: u64, env: &mut Env) -> Result<Command> {
    match Need::DotnetPeer.ensure(workspace)? {
        Ok(found) => env.extend(found),
        Err(missing) => println!("  without ASP.NET Core, because {}", missing.because),
    }
    env.push(("SIGNALR_SOAK_SECONDS".to_owned(), seconds.to_string()));
    node(workspace, env, "cluster/soak.test.mjs")
}

fn faults(topology: Topology) -> Command {
    match topology {
        Topology::Standalone => rust("cluster_faults", &["--nocapture"]),
        Topology::Redis5 => rust("cluster_redis5", &["--nocapture"]),
        other => {
            let module = format!("on_{}::", other.name().replace('-', "_"));
            rust("cluster_topologies", &["--nocapture", &module])
        }
    }
}

/// A test program, with the features that `test` builds it with.
fn rust(target: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(cargo());
    command.args(["test", "--workspace", "--all-features", "--test", target, "--"]).args(arguments);
    command
}

fn suite(workspace: &Workspace, name: &str, mut command: Command, env: Env, budget: Duration) -> Result<Row> {
    command.envs(env);
    if command.get_current_dir().is_none() {
        command.current_dir(&workspace.root);
    }
    let log = workspace.scratch().join("logs").join(format!("cluster.{}.log", name.replace(' ', "-")));
    let outcome = Job { name: name.to_owned(), command, budget, log: Some(log) }.run()?;
    println!("{}", process::tail(&outcome.output, 60));
    let counts = counts::parse(&outcome.output);
    let result = if !outcome.ending.is_success() {
        StepResult::Failed { counts, because: outcome.ending.describe(budget) }
    } else if counts.total() == 0 {
        StepResult::Failed { counts, because: "it ran no test".to_owned() }
    } else {
        StepResult::Passed { counts, note: String::new() }
    };
    Ok(Row { name: name.to_owned(), took: outcome.took, budget: Some(budget), result })
}

/// How long a suite may take.
const BUDGET: Duration = Duration::from_secs(900);
