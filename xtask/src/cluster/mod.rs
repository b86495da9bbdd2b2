//! `cluster`: a real Redis of any kind, several real servers of ours and of the reference on it, and if asked one address
//! before them.
//!
//! Owns the options. Runs until it is interrupted, or runs one suite, or every suite on every kind of Redis (`runs`).
//! Processes are held by `member`; whatever ends this process, they end too. The suites themselves are `integration-tests`.

mod fleet;
mod front;
mod member;
mod programs;
mod redis;
mod runs;

use std::net::{Ipv4Addr, TcpListener};
use std::time::Instant;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::faults::Faults;
use crate::setup::{Env, Need};
use crate::summary::Summary;
use crate::workspace::Workspace;
use fleet::Fleet;
use programs::Programs;
use redis::Topology;
use runs::Run;

/// Options of `cluster`.
#[derive(Debug, Clone, clap::Args)]
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
    /// Run every suite on every kind of Redis, and end with a table
    #[arg(long, conflicts_with_all = ["run", "redis", "dotnet", "prefix"])]
    all: bool,
}

/// The command.
pub(crate) fn run(options: &Options) -> Result<bool> {
    if options.nodes + options.dotnet == 0 {
        bail!("a cluster needs at least one server: --nodes 1 or --dotnet 1");
    }
    let workspace = Workspace::load()?;
    let mut env = met(Need::Redis, &workspace)?;
    if options.dotnet > 0 || options.all || options.run.is_some_and(Run::needs_dotnet) {
        env.extend(met(Need::DotnetPeer, &workspace)?);
    }
    if options.all || options.redis == Topology::Redis5 {
        env.extend(met(Need::Redis5, &workspace)?);
    }
    let programs = Programs::build(&workspace, &env)?;
    let wanted = match (options.all, options.run) {
        (true, _) => everything(),
        (false, Some(run)) => match run.objection(options.redis) {
            Some(why) => bail!("this suite does not run on --redis {}: {why}", options.redis.name()),
            None => vec![(options.redis, run)],
        },
        (false, None) => {
            let fleet = Fleet::start(&workspace, &programs, options, options.redis)?;
            fleet.print();
            println!("Ctrl-C ends all of it.");
            return fleet.watch();
        }
    };
    let mut summary = Summary::default();
    let faults = Faults::begin(&workspace)?;
    env.push(faults.env());
    for (topology, run) in wanted {
        let since = Instant::now();
        let row = runs::run(&workspace, &programs, options, topology, run, env.clone());
        summary.push(row.unwrap_or_else(|error| runs::not_begun(topology, run, since.elapsed(), &error)));
    }
    print!("{}", faults.render());
    println!("{}", summary.render());
    Ok(summary.is_success())
}

fn everything() -> Vec<(Topology, Run)> {
    let topologies = Topology::value_variants().iter();
    let all = topologies.flat_map(|topology| Run::value_variants().iter().map(|run| (*topology, *run)));
    all.filter(|(topology, run)| run.objection(*topology).is_none()).collect()
}

fn met(need: Need, workspace: &Workspace) -> Result<Env> {
    match need.ensure(workspace)? {
        Ok(env) => Ok(env),
        Err(missing) => {
            bail!("{} is missing, because {}; to get it: {}", need.label(), missing.because, missing.to_run)
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
