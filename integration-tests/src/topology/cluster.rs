//! A Redis Cluster of three masters with a replica each.
//!
//! Owns forming it and moving slots. The nodes know each other from their start, by the files in which a node keeps what
//! it knows, so that no time is spent on meeting.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{Topology, comes_true, subfolder};
use crate::redis::{Ports, Redis, Setup, free_port};

/// How many nodes own slots at the start.
pub(super) const MASTERS: usize = 3;
const SHARES: [(u16, u16); MASTERS] = [(0, 5460), (5461, 10922), (10923, 16383)];
const NODES: usize = 2 * MASTERS;

pub(super) async fn start(folder: &Path, setup: &Setup) -> Result<Vec<Redis>> {
    for attempt in 0..20 {
        let folder = subfolder(folder, &format!("nodes{attempt}"))?;
        if let Some(nodes) = try_start(&folder, setup).await? {
            for node in &nodes {
                comes_true("the nodes of the Cluster to be whole", || is_whole(node)).await?;
            }
            return Ok(nodes);
        }
    }
    bail!("no six nodes of a Redis Cluster started on any of 20 sets of ports")
}

async fn try_start(folder: &Path, setup: &Setup) -> Result<Option<Vec<Redis>>> {
    let places = (0..NODES).map(|_| anyhow::Ok((Ports::free(setup.has_tls)?, free_port()?)));
    let places = places.collect::<Result<Vec<_>>>()?;
    let mut nodes = Vec::new();
    for (own, (ports, bus)) in places.iter().enumerate() {
        let folder = subfolder(folder, &own.to_string())?;
        std::fs::write(folder.join("nodes.conf"), known_nodes(&places, own))?;
        let mut setup = setup.clone();
        let folder = folder.display().to_string();
        let words = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--dir", &folder];
        setup.arguments.extend(words.map(str::to_owned));
        let words = ["--cluster-node-timeout", "2000", "--cluster-port", &bus.to_string()];
        setup.arguments.extend(words.map(str::to_owned));
        match Redis::start_on(*ports, setup).await? {
            Some(node) => nodes.push(node),
            None => return Ok(None),
        }
    }
    Ok(Some(nodes))
}

/// Whether a node can hand messages on to every other one, and follows its master if it has one.
async fn is_whole(node: &Redis) -> Result<bool> {
    let known = node.ask("CLUSTER NODES").await?;
    let connected =
        known.lines().filter(|line| line.contains(" connected") && !line.contains("fail")).count();
    let role = node.ask("INFO replication").await?;
    let in_sync = role.contains("role:master") || role.contains("master_link_status:up");
    let state = node.ask("CLUSTER INFO").await?;
    Ok(connected == NODES && in_sync && state.contains("cluster_state:ok"))
}

impl Topology {
    /// Which master owned a channel when the Cluster was formed.
    pub async fn owner(&self, channel: &str) -> Result<usize> {
        let slot = self.slot(channel).await?;
        SHARES.iter().position(|(first, last)| (*first..=*last).contains(&slot)).context("an owner")
    }

    /// Gives the slot of a channel to another master, on one node after the other as tools do.
    pub async fn give(&self, channel: &str, to: usize) -> Result<()> {
        let command = format!("CLUSTER SETSLOT {} NODE {}", self.slot(channel).await?, id(to));
        let others = (0..MASTERS).filter(|&number| number != to);
        for number in std::iter::once(to).chain(others) {
            self.servers[number].command(&command).await?;
        }
        Ok(())
    }

    async fn slot(&self, channel: &str) -> Result<u16> {
        let node = self.servers.first().context("a Cluster has nodes")?;
        Ok(node.ask(&format!("CLUSTER KEYSLOT {channel}")).await?.parse()?)
    }
}

fn id(node: usize) -> String {
    format!("{:040x}", node + 1)
}

/// What a node that was in the Cluster before would have written down. It names the ports that the nodes use among
/// themselves.
fn known_nodes(places: &[(Ports, u16)], own: usize) -> String {
    let mut lines = String::new();
    for (number, (ports, bus)) in places.iter().enumerate() {
        let port = ports.tls.unwrap_or(ports.plain);
        let me = if number == own { "myself," } else { "" };
        let rest = match SHARES.get(number) {
            Some((first, last)) => format!("{me}master - 0 0 {} connected {first}-{last}", number + 1),
            None => format!("{me}slave {} 0 0 {} connected", id(number - MASTERS), number - MASTERS + 1),
        };
        // Writing into a string cannot fail.
        writeln!(lines, "{} 127.0.0.1:{port}@{bus} {rest}", id(number)).ok();
    }
    lines + "vars currentEpoch 3 lastVoteEpoch 0\n"
}
