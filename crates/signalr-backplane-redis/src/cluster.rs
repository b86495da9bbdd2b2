//! A Redis Cluster: finding its nodes, and dialling those that matter.
//!
//! Owns what is known of the Cluster from one connection to the next. Plain publish and subscribe works on every node,
//! also while slots are not covered; publishing on the owner of a channel's slot is what gives a topic one order.

use crate::dial::{Link, Push, dial};
use crate::fan::Fan;
use crate::pipe::Pipe;
use crate::settings::{Address, Settings};
use crate::slots::{Node, Table, slot};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use redis::{RedisResult, Value};
use signalr_core::{BackplaneError, BackplaneErrorKind};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long one node may take to answer; another one may be quicker.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of the Cluster.
#[derive(Debug, Default)]
pub(crate) struct Cluster(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    table: Table,
    /// Where the subscriber is, or was last.
    subscriber: Option<Node>,
    turn: usize,
}

impl Cluster {
    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing in here panics between two states.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a new table. True when the subscriber's node is none of its masters any more.
    pub(crate) fn learn(&self, table: &Table) -> bool {
        let mut known = self.lock();
        known.table = table.clone();
        known.subscriber.as_ref().is_some_and(|node| !table.masters().contains(node))
    }

    /// Dials every node that owns slots; those that cannot be reached now are left out.
    pub(crate) async fn dial_masters(&self, settings: &Settings) -> Result<Fan, BackplaneError> {
        let table = self.look(settings).await?;
        let pipes = dial_nodes(settings, table.masters()).await;
        if pipes.is_empty() {
            return Err(unreachable(settings));
        }
        Ok(Fan::cluster(settings, table, pipes))
    }

    /// Dials one node that owns slots, another one than last time if there is one.
    pub(crate) async fn dial_subscriber(
        &self,
        settings: &Settings,
        push: Push,
    ) -> Result<Link, BackplaneError> {
        self.look(settings).await?;
        let mut error = unreachable(settings);
        for node in self.candidates() {
            match dial_node(settings, &node, Some(push.clone())).await {
                Ok(link) => {
                    self.lock().subscriber = Some(node);
                    return Ok(link);
                }
                Err(why) => error = why,
            }
        }
        Err(error)
    }

    /// The nodes that own slots, asked for if none is known.
    pub(crate) async fn owners(&self, settings: &Settings) -> Result<Vec<Address>, BackplaneError> {
        if self.lock().table.masters().is_empty() {
            self.look(settings).await?;
        }
        Ok(self.known_owners())
    }

    pub(crate) fn known_owners(&self) -> Vec<Address> {
        self.lock().table.masters().iter().map(Node::address).collect()
    }

    /// Who owns the slot of a key, asked for if nothing is known.
    pub(crate) async fn owner(
        &self,
        settings: &Settings,
        key: &[u8],
    ) -> Result<Option<Address>, BackplaneError> {
        self.owners(settings).await?;
        Ok(self.lock().table.owner(slot(key)).map(Node::address))
    }

    /// The masters in turn, the one that was used last at the end. Each process begins somewhere else.
    fn candidates(&self) -> Vec<Node> {
        let mut known = self.lock();
        if known.turn == 0 {
            let mut chance = [0; 2];
            // Without a source of chance all begin at the same node, which works as well.
            let _ = getrandom::fill(&mut chance);
            known.turn = usize::from(u16::from_be_bytes(chance));
        }
        known.turn = known.turn.wrapping_add(1);
        let mut nodes = known.table.masters().to_vec();
        if !nodes.is_empty() {
            let first = known.turn % nodes.len();
            nodes.rotate_left(first);
        }
        // Stable: the order stays but for the last one.
        nodes.sort_by_key(|node| Some(node) == known.subscriber.as_ref());
        nodes
    }

    /// Asks all servers that are known for the table, and takes the first answer.
    pub(crate) async fn look(&self, settings: &Settings) -> Result<Table, BackplaneError> {
        let seeds = settings.cluster.iter().flatten().map(|(host, port)| Node {
            id: String::new(),
            host: host.clone(),
            port: *port,
        });
        let mut nodes = self.lock().table.masters().to_vec();
        for seed in seeds {
            if !nodes.iter().any(|node| (&node.host, node.port) == (&seed.host, seed.port)) {
                nodes.push(seed);
            }
        }
        let mut answers: FuturesUnordered<_> = nodes.iter().map(|node| table_of(settings, node)).collect();
        let mut error = unreachable(settings);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(table) => {
                    self.learn(&table);
                    return Ok(table);
                }
                // A refusal says more than a node that is away.
                Err(why) if error.is_transient() => error = why,
                Err(_) => {}
            }
        }
        Err(error)
    }
}

/// Dials these at the same time; those that cannot be reached are left out.
pub(crate) async fn dial_nodes(settings: &Settings, nodes: &[Node]) -> Vec<(Node, Pipe)> {
    let dialled = join_all(nodes.iter().map(|node| async move {
        match dial_node(settings, node, None).await {
            Ok(link) => Some((node.clone(), link.into_pipe(settings).await?)),
            Err(error) => {
                tracing::debug!(%error, "a node of the Cluster is left out");
                None
            }
        }
    }));
    dialled.await.into_iter().flatten().collect()
}

/// What most of these answers to `CLUSTER SLOTS` say; `None` when there is no majority.
pub(crate) fn majority(answers: Vec<(String, RedisResult<Value>)>) -> Option<Table> {
    let all = answers.len();
    let mut counts: HashMap<Table, usize> = HashMap::new();
    for (host, answer) in answers {
        let table = answer.ok().and_then(|answer| Table::read(&answer, &host));
        if let Some(table) = table {
            *counts.entry(table).or_default() += 1;
        }
    }
    counts.into_iter().find(|(_, count)| 2 * count > all).map(|(table, _)| table)
}

async fn dial_node(settings: &Settings, node: &Node, push: Option<Push>) -> Result<Link, BackplaneError> {
    let mut settings = settings.at(&node.host, node.port);
    settings.connect_timeout = settings.connect_timeout.min(PATIENCE);
    dial(&settings, push).await
}

async fn table_of(settings: &Settings, node: &Node) -> Result<Table, BackplaneError> {
    let link = dial_node(settings, node, None).await?;
    let mut conn = link.conn();
    let question = redis::cmd(&settings.commands.cluster).arg("SLOTS").to_owned();
    let answer = tokio::time::timeout(PATIENCE, question.query_async::<Value>(&mut conn)).await;
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(refused(node, &error)),
        Err(_) => return Err(unreachable(settings)),
    };
    Table::read(&answer, &node.host).ok_or_else(|| {
        let text = format!("Redis at {}:{} knows of no owner of slots", node.host, node.port);
        BackplaneError::new(BackplaneErrorKind::Unavailable, text)
    })
}

fn refused(node: &Node, error: &redis::RedisError) -> BackplaneError {
    let kind = match error.kind() {
        redis::ErrorKind::Server(_) | redis::ErrorKind::Extension => BackplaneErrorKind::Refused,
        _ => BackplaneErrorKind::Unavailable,
    };
    let text = format!(
        "Redis at {}:{} does not tell the slots of its Cluster: {error}; write redis:// if it is a single server",
        node.host, node.port
    );
    BackplaneError::new(kind, text)
}

fn unreachable(settings: &Settings) -> BackplaneError {
    let count = settings.cluster.as_ref().map_or(0, Vec::len);
    let text = format!("no node of the Redis Cluster can be reached, of {count} that are configured");
    BackplaneError::new(BackplaneErrorKind::Unavailable, text)
}
