//! A fleet of servers on one Redis, and if asked one address before them.
//!
//! Owns the order of starting and ending, and what is printed. Processes are held by `member`.

use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, sync_channel};

use anyhow::{Context, Result};

use super::member::{Member, Starter};
use super::redis::{self, Redis, Topology};
use super::{Options, front, programs::Programs};
use crate::setup::Env;
use crate::workspace::Workspace;

/// Everything that runs. Dropping it ends all of it, servers first.
pub(super) struct Fleet {
    servers: Vec<Member>,
    front: Option<Member>,
    redis: Redis,
    /// Processes that have ended before their time tell it here.
    ended: Receiver<String>,
}

impl Fleet {
    /// As many servers as the options say, none among it.
    pub(super) fn start(
        workspace: &Workspace,
        programs: &Programs,
        options: &Options,
        topology: Topology,
    ) -> Result<Self> {
        remove_leftovers(&workspace.scratch());
        let folder = workspace.scratch().join(format!("{FOLDER}{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let (telling, ended) = sync_channel(16);
        let start = Starter { folder, telling };
        let redis = redis::start(programs, &start, topology)?;
        let mut servers = Vec::new();
        for number in 1..=options.nodes {
            let name = format!("node{number}");
            servers.push(server(&start, &name, &programs.peer, &redis.ours, &redis, options)?);
        }
        for number in 1..=options.dotnet {
            let name = format!("dotnet{number}");
            servers.push(server(&start, &name, programs.dotnet()?, &redis.reference, &redis, options)?);
        }
        let front = options.front.then(|| front::start(workspace, &start, &servers)).transpose()?;
        Ok(Self { servers, front, redis, ended })
    }

    /// Says where everything is.
    pub(super) fn print(&self) {
        self.redis.print();
        for member in self.servers.iter().chain(&self.front) {
            let (name, address, log) = (&member.name, &member.address, member.log.display());
            println!("  {name:<10} {address:<24} pid {:<8} {log}", member.pid);
        }
    }

    /// What suites are told.
    pub(super) fn env(&self) -> Env {
        let mut env = self.redis.env();
        let addresses: Vec<&str> = self.servers.iter().map(|server| server.address.as_str()).collect();
        env.push(("SIGNALR_CLUSTER_NODES".to_owned(), addresses.join(";")));
        let front =
            self.front.iter().map(|front| ("SIGNALR_CLUSTER_FRONT".to_owned(), front.address.clone()));
        env.extend(front);
        env
    }

    /// Lasts until this process is interrupted, or until all others have ended.
    pub(super) fn watch(self) -> Result<bool> {
        let all = 1 + self.servers.len() + self.front.iter().len();
        for name in self.ended.iter().take(all) {
            println!("  {name} has ended");
        }
        Ok(false)
    }
}

fn server(
    start: &Starter,
    name: &str,
    program: &Path,
    configuration: &str,
    redis: &Redis,
    options: &Options,
) -> Result<Member> {
    let mut command = Command::new(program);
    command.args(["serve", "--urls", "http://127.0.0.1:0", "--hubs", "bench,scale", "--name", name]);
    command.args(["--redis", configuration]).envs(redis.variables.iter().cloned());
    command.args(options.prefix.iter().flat_map(|prefix| ["--prefix", prefix]));
    start.member(name, command, |line| line.strip_prefix("Now listening on: ").map(str::to_owned))
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

/// A folder's name is this and the process id.
const FOLDER: &str = "cluster-";
