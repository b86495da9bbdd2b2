//! `cluster`: a real Redis, several real servers of ours and of the reference on it, and if asked one address before them.
//!
//! Owns the options, the order of starting, and what is printed. Runs until it is interrupted, or runs one suite. Processes
//! are held by `member`; whatever ends this process, they end too. The suites themselves are `integration-tests`.

mod front;
mod member;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{self, Job};
use crate::setup::{DOTNET_PEER, Env, Need};
use crate::workspace::{Workspace, cargo};
use member::Member;

/// Options of `cluster`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Servers of ours
    #[arg(long, default_value_t = 3, value_name = "N")]
    nodes: usize,
    /// Servers of ASP.NET Core beside them
    #[arg(long, default_value_t = 0, value_name = "N")]
    dotnet: usize,
    /// How Redis is set up
    #[arg(long, value_enum, default_value_t = Topology::Standalone)]
    redis: Topology,
    /// Put a haproxy before all of them, so that clients know one address
    #[arg(long)]
    front: bool,
    /// Prefix of the Redis channels
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// Run this suite, then end; without it all runs until Ctrl-C
    #[arg(long, value_enum, value_name = "SUITE")]
    run: Option<Run>,
    /// How long the suite `soak` lasts
    #[arg(long, default_value_t = 60, value_name = "N")]
    seconds: u64,
}

/// A kind of Redis that can be started here.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Topology {
    Standalone,
}

/// The suites of fleets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Run {
    /// Every send from everywhere to everywhere, on this fleet
    Targets,
    /// The same with ASP.NET Core in fleets of its own
    Mixed,
    /// Redis' bad days, in fleets of its own
    Faults,
    /// From 2 servers to 12 and back, in a fleet of its own
    Elastic,
    /// Mixed load for `--seconds`, in a fleet of its own, with ASP.NET Core if it can be had
    Soak,
}

/// The command.
pub(crate) fn run(options: &Options) -> Result<bool> {
    if options.nodes + options.dotnet == 0 {
        bail!("a cluster needs at least one server: --nodes 1 or --dotnet 1");
    }
    let workspace = Workspace::load()?;
    let mut env = met(Need::Redis, &workspace)?;
    if options.dotnet > 0 || options.run == Some(Run::Mixed) {
        env.extend(met(Need::DotnetPeer, &workspace)?);
    }
    let peer = build_peer(&workspace)?;
    env.push(("SIGNALR_PEER_BIN".to_owned(), peer.display().to_string()));
    match options.run {
        Some(Run::Mixed) => return node_suite(&workspace, "cluster/mixed.test.mjs", env),
        Some(Run::Faults) => return faults(&workspace, env),
        Some(Run::Elastic) => {
            met(Need::Haproxy, &workspace)?;
            return node_suite(&workspace, "cluster/elastic.test.mjs", env);
        }
        Some(Run::Soak) => return soak(&workspace, options.seconds, env),
        Some(Run::Targets) | None => {}
    }
    let fleet = Fleet::start(&workspace, options, &env)?;
    env.extend(fleet.print());
    if options.run.is_some() {
        return node_suite(&workspace, "cluster/targets.test.mjs", env);
    }
    println!("Ctrl-C ends all of it.");
    fleet.watch()
}

/// Everything that runs. Dropping it ends all of it, servers first.
struct Fleet {
    servers: Vec<Member>,
    front: Option<Member>,
    redis: Member,
    /// Processes that have ended before their time tell it here.
    ended: Receiver<String>,
}

impl Fleet {
    fn start(workspace: &Workspace, options: &Options, env: &Env) -> Result<Self> {
        remove_leftovers(&workspace.scratch());
        let folder = workspace.scratch().join(format!("{FOLDER}{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let (telling, ended) = sync_channel(16);
        let start = member::Starter { folder: folder.clone(), telling };
        let Topology::Standalone = options.redis;
        let redis = redis(&start)?;
        let mut servers = Vec::new();
        for number in 1..=options.nodes + options.dotnet {
            let (name, program) = if number <= options.nodes {
                (format!("node{number}"), variable(env, "SIGNALR_PEER_BIN")?)
            } else {
                (format!("dotnet{}", number - options.nodes), variable(env, DOTNET_PEER)?)
            };
            let mut command = Command::new(program);
            command.args(["serve", "--urls", "http://127.0.0.1:0", "--hubs", "bench,scale", "--name", &name]);
            command.args(["--redis", &redis.address]);
            command.args(options.prefix.iter().flat_map(|prefix| ["--prefix", prefix]));
            let address = |line: &str| line.strip_prefix("Now listening on: ").map(str::to_owned);
            servers.push(start.member(&name, command, address)?);
        }
        let front = options.front.then(|| front::start(workspace, &start, &servers)).transpose()?;
        Ok(Self { servers, front, redis, ended })
    }

    /// Says where everything is; gives the same to the suites as variables.
    fn print(&self) -> Env {
        for member in [&self.redis].into_iter().chain(&self.servers).chain(&self.front) {
            println!(
                "  {:<8} {:<24} pid {:<8} {}",
                member.name,
                member.address,
                member.pid,
                member.log.display()
            );
        }
        let addresses: Vec<&str> = self.servers.iter().map(|server| server.address.as_str()).collect();
        let mut env = vec![
            ("SIGNALR_CLUSTER_NODES".to_owned(), addresses.join(";")),
            ("SIGNALR_CLUSTER_REDIS".to_owned(), self.redis.address.clone()),
        ];
        env.extend(
            self.front.iter().map(|front| ("SIGNALR_CLUSTER_FRONT".to_owned(), front.address.clone())),
        );
        env
    }

    /// Lasts until this process is interrupted, or until all others have ended.
    fn watch(self) -> Result<bool> {
        let all = 1 + self.servers.len() + self.front.iter().len();
        for name in self.ended.iter().take(all) {
            println!("  {name} has ended");
        }
        Ok(false)
    }
}

/// Removes the logs of runs that are over. An interrupted run cannot do it itself.
fn remove_leftovers(scratch: &Path) {
    for entry in std::fs::read_dir(scratch).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(FOLDER));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// A server on a free port, without anything on disk.
fn redis(start: &member::Starter) -> Result<Member> {
    let mut attempts = 0;
    loop {
        let port = free_port()?;
        let mut command = Command::new("redis-server");
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        command.args(["--enable-debug-command", "yes", "--dir"]).arg(&start.folder);
        let ready = move |line: &str| line.contains("Ready to accept").then(|| format!("127.0.0.1:{port}"));
        match start.member("redis", command, ready) {
            // Somebody else may have taken the port in between.
            Err(_) if attempts < 10 => attempts += 1,
            other => return other,
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn variable(env: &Env, name: &str) -> Result<PathBuf> {
    let found = env.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| PathBuf::from(value)).with_context(|| format!("{name} is not known"))
}

fn met(need: Need, workspace: &Workspace) -> Result<Env> {
    match need.ensure(workspace)? {
        Ok(env) => Ok(env),
        Err(missing) => {
            bail!("{} is missing, because {}; to get it: {}", need.label(), missing.because, missing.to_run)
        }
    }
}

/// In the profile of the tests, with all features as there.
fn build_peer(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = Command::new(cargo());
    command.args(["build", "--package", "peer", "--bin", "peer", "--all-features"]);
    command.current_dir(&workspace.root);
    eprintln!("  cargo build --package peer");
    process::must("cargo build --package peer", command, Duration::from_secs(1200))?;
    Ok(workspace.target.join("debug/peer"))
}

/// As long as it is told to, and with the reference in its fleet if there is one.
fn soak(workspace: &Workspace, seconds: u64, mut env: Env) -> Result<bool> {
    match Need::DotnetPeer.ensure(workspace)? {
        Ok(found) => env.extend(found),
        Err(missing) => println!("  without ASP.NET Core, because {}", missing.because),
    }
    env.push(("SIGNALR_SOAK_SECONDS".to_owned(), seconds.to_string()));
    node_suite_within(workspace, "cluster/soak.test.mjs", env, BUDGET + Duration::from_secs(seconds))
}

fn node_suite(workspace: &Workspace, file: &str, env: Env) -> Result<bool> {
    node_suite_within(workspace, file, env, BUDGET)
}

fn node_suite_within(workspace: &Workspace, file: &str, mut env: Env, budget: Duration) -> Result<bool> {
    env.extend(met(Need::NodePackages, workspace)?);
    let node = variable(&env, "SIGNALR_NODE").unwrap_or_else(|_| "node".into());
    let mut command = Command::new(node);
    command.args(["--test", "--test-reporter=spec", file]).current_dir(workspace.js());
    suite(workspace, file, command, env, budget)
}

fn faults(workspace: &Workspace, env: Env) -> Result<bool> {
    let mut command = Command::new(cargo());
    command.args([
        "test",
        "--package",
        "signalr-integration-tests",
        "--test",
        "cluster_faults",
        "--",
        "--nocapture",
    ]);
    command.current_dir(&workspace.root);
    suite(workspace, "cluster_faults", command, env, BUDGET)
}

fn suite(
    workspace: &Workspace,
    name: &str,
    mut command: Command,
    env: Env,
    budget: Duration,
) -> Result<bool> {
    command.envs(env);
    let log = workspace.scratch().join("logs").join(format!("cluster.{}.log", name.replace('/', "-")));
    let outcome = Job { name: name.to_owned(), command, budget, log: Some(log) }.run()?;
    println!("{}", process::tail(&outcome.output, 60));
    println!("{name}: {} in {:.1} s", outcome.ending.describe(budget), outcome.took.as_secs_f64());
    Ok(outcome.ending.is_success())
}

/// How long a suite may take.
const BUDGET: Duration = Duration::from_secs(900);
/// A folder's name is this and the process id.
const FOLDER: &str = "cluster-";
