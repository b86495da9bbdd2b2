//! The Redis under a cluster, of any kind: one process that starts all others and says where they are.
//!
//! Owns the kinds by name and the reading of what `redis-topology` says; how a kind is made up is its business
//! (`integration-tests/src/topology`).

use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::Value;

use super::member::{Member, Starter};
use super::programs::Programs;
use crate::setup::Env;

/// A kind of Redis that can be started here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Topology {
    /// One server
    Standalone,
    /// A primary, a replica and three Sentinels
    Sentinel,
    /// Three masters with a replica each
    Cluster,
    /// One server that wants certificates
    Tls,
    /// One server for one user with few rights
    Acl,
    /// Sentinels and servers for one user with few rights
    SentinelAcl,
    /// Sentinels and servers that want certificates
    SentinelTls,
    /// A Cluster that wants certificates
    ClusterTls,
    /// One server of Redis 5, which knows neither RESP3 nor users
    #[value(name = "redis5")]
    Redis5,
}

impl Topology {
    /// What the command line calls it.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// What runs, and how servers reach it.
pub(super) struct Redis {
    member: Member,
    /// For servers of ours.
    pub(super) ours: String,
    /// For the reference's.
    pub(super) reference: String,
    /// The environment of both: where certificates lie.
    pub(super) variables: Env,
    processes: Vec<Value>,
}

/// Starts it by its program, and waits until it is whole.
pub(super) fn start(programs: &Programs, start: &Starter, topology: Topology) -> Result<Redis> {
    let mut command = Command::new(&programs.topology);
    // It is killed with its group and cannot remove its files; those of a cluster go with the next one.
    command.arg(topology.name()).envs(programs.env.iter().cloned()).env("TMPDIR", &start.folder);
    let member = start.member("redis", command, |line| line.starts_with('{').then(|| line.to_owned()))?;
    let said: Value = serde_json::from_str(&member.address).context("redis-topology says no JSON")?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("redis-topology says too little");
    let variables = said["variables"].as_object().into_iter().flatten();
    Ok(Redis {
        ours: text(&said["redis"])?,
        reference: text(&said["reference"])?,
        variables: variables.map(|(name, value)| Ok((name.clone(), text(value)?))).collect::<Result<_>>()?,
        processes: said["processes"].as_array().cloned().unwrap_or_default(),
        member,
    })
}

impl Redis {
    /// Says where everything is.
    pub(super) fn print(&self) {
        for process in &self.processes {
            let text = |name: &str| process[name].as_str().unwrap_or_default();
            println!("  {:<10} {:<24} pid {}", text("name"), text("address"), process["pid"]);
        }
        println!("  Redis for servers of ours:    {}", self.ours);
        println!("  Redis for the reference's:    {}", self.reference);
        for (name, value) in &self.variables {
            println!("    {name}={value}");
        }
        println!("  its log: {}", self.member.log.display());
    }

    /// What suites are told.
    pub(super) fn env(&self) -> Env {
        let mut env = self.variables.clone();
        env.push(("SIGNALR_CLUSTER_REDIS".to_owned(), self.ours.clone()));
        env.push(("SIGNALR_CLUSTER_REDIS_DOTNET".to_owned(), self.reference.clone()));
        env.push(("SIGNALR_CLUSTER_PROCESSES".to_owned(), Value::from(self.processes.clone()).to_string()));
        env
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// xtask is built before everything else and does not depend on what it builds.
    #[test]
    fn the_kinds_are_those_that_can_be_started() {
        let source = include_str!("../../../integration-tests/src/topology/mod.rs");
        let list = source.split_once("pub const ALL").and_then(|(_, rest)| rest.split_once("];")).unwrap().0;
        let there: Vec<&str> = list.lines().filter_map(|line| line.trim().strip_prefix("(\"")).collect();
        let there: Vec<&str> = there.iter().filter_map(|line| line.split('"').next()).collect();
        let here: Vec<String> = Topology::value_variants().iter().map(|kind| kind.name()).collect();
        assert_eq!(here, there);
    }
}
