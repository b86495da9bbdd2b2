//! Real Redis Clusters for tests: three masters without replicas, on free ports of this machine.
//!
//! Owns forming them, moving slots and asking single nodes. The nodes know each other from their start, by the files in
//! which a node keeps what it knows, so that no time is spent on meeting.

use super::{RedisServer, comes_true, free_port, launch};
use signalr_backplane_redis::RedisBackplane;
use signalr_core::Backplane;
use signalr_testkit::conformance::Fleet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
const SHARES: [(u16, u16); 3] = [(0, 5460), (5461, 10922), (10923, 16383)];

pub struct RedisCluster {
    nodes: Vec<ClusterNode>,
    home: PathBuf,
}

pub struct ClusterNode {
    pub server: RedisServer,
    id: String,
}

impl RedisCluster {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings of its own for each node, as they stand on the command line.
    pub async fn start_with(settings: &[&str]) -> Self {
        for _ in 0..20 {
            if let Some(cluster) = Self::try_start(settings) {
                cluster.wait_until_connected().await;
                return cluster;
            }
        }
        panic!("no three nodes of a Redis Cluster started on any of 20 sets of ports");
    }

    fn try_start(settings: &[&str]) -> Option<Self> {
        let ports: Vec<(u16, u16)> = SHARES.iter().map(|_| (free_port(), free_port())).collect();
        let home =
            std::env::temp_dir().join(format!("signalr-cluster-{}-{}", std::process::id(), ports[0].0));
        let mut cluster = Self { nodes: Vec::new(), home };
        for (own, &(port, bus)) in ports.iter().enumerate() {
            let folder = cluster.home.join(own.to_string());
            std::fs::create_dir_all(&folder).expect("a folder for a node");
            std::fs::write(folder.join("nodes.conf"), known_nodes(&ports, own)).expect("a file for a node");
            let arguments = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"];
            let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
            arguments.extend(["--cluster-port".to_owned(), bus.to_string()]);
            arguments.extend(["--cluster-node-timeout".to_owned(), "2000".to_owned()]);
            arguments.extend(["--dir".to_owned(), folder.display().to_string()]);
            arguments.extend(settings.iter().map(|word| (*word).to_owned()));
            let process = launch(port, &arguments)?;
            cluster.nodes.push(ClusterNode { server: RedisServer { process, port, arguments }, id: id(own) });
        }
        Some(cluster)
    }

    /// Waits until every node can hand messages on to every other one.
    pub async fn wait_until_connected(&self) {
        let connected = |node: &ClusterNode| {
            let nodes = node.query("CLUSTER NODES");
            nodes.lines().filter(|line| line.contains(" connected") && !line.contains("fail")).count()
        };
        let all = comes_true(PATIENCE, || self.nodes.iter().all(|node| connected(node) == self.nodes.len()));
        assert!(all.await, "the nodes of the Cluster do not find each other");
    }

    /// Waits until the nodes take keys: later than messages, which they always take.
    pub async fn wait_until_keys_are_served(&self) {
        let serves = |node: &ClusterNode| node.query("CLUSTER INFO").contains("cluster_state:ok");
        let all = comes_true(PATIENCE, || self.nodes.iter().all(serves));
        assert!(all.await, "the Cluster serves no keys");
    }

    /// All nodes by their addresses.
    pub fn url(&self) -> String {
        let addresses: Vec<_> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.server.port())).collect();
        format!("redis-cluster://{}", addresses.join(","))
    }

    pub fn node(&self, number: usize) -> &ClusterNode {
        &self.nodes[number]
    }

    pub fn nodes(&self) -> &[ClusterNode] {
        &self.nodes
    }

    pub fn kill(&mut self, number: usize) {
        self.nodes[number].server.kill();
    }

    pub fn restart(&mut self, number: usize) {
        self.nodes[number].server.restart();
    }

    /// Which node owned a channel when the Cluster was formed.
    pub fn owner(&self, channel: &str) -> usize {
        let slot = self.slot(channel);
        SHARES.iter().position(|(first, last)| (*first..=*last).contains(&slot)).expect("an owner")
    }

    fn slot(&self, channel: &str) -> u16 {
        let node = self.nodes.iter().find_map(|node| node.try_ask(&format!("CLUSTER KEYSLOT {channel}")));
        node.expect("a node that answers").trim_start_matches(':').parse().expect("a slot")
    }

    /// Gives the slot of a channel to another node, on one node after the other as tools do.
    pub fn give(&self, channel: &str, to: usize) {
        let command = format!("CLUSTER SETSLOT {} NODE {}", self.slot(channel), self.nodes[to].id);
        let others = (0..self.nodes.len()).filter(|&number| number != to);
        for number in std::iter::once(to).chain(others) {
            assert_eq!(self.nodes[number].server.ask(&command), "+OK");
        }
    }
}

impl RedisCluster {
    /// Begins to move the slot of a key: what the old owner does not have, the new one is to be asked for.
    pub fn begin_move(&self, key: &str, from: usize, to: usize) {
        let (slot, nodes) = (self.slot(key), &self.nodes);
        let importing = format!("CLUSTER SETSLOT {slot} IMPORTING {}", nodes[from].id);
        assert_eq!(nodes[to].server.ask(&importing), "+OK");
        let migrating = format!("CLUSTER SETSLOT {slot} MIGRATING {}", nodes[to].id);
        assert_eq!(nodes[from].server.ask(&migrating), "+OK");
    }

    /// Hands a key over.
    pub fn migrate(&self, key: &str, from: usize, to: usize) {
        let command = format!("MIGRATE 127.0.0.1 {} {key} 0 5000", self.nodes[to].server.port());
        assert_eq!(self.nodes[from].server.ask(&command), "+OK");
    }
}

impl Drop for RedisCluster {
    fn drop(&mut self) {
        self.nodes.clear();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

impl ClusterNode {
    /// The name that the Cluster knows it by.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How often it was asked to publish.
    pub fn publishes(&self) -> u64 {
        let stats = self.query("INFO commandstats");
        let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_publish:calls="));
        calls.and_then(|line| line.split(',').next()).map_or(0, |calls| calls.parse().expect("a number"))
    }

    /// How many of its own clients listen to a channel.
    pub fn listeners(&self, channel: &str) -> u64 {
        let all = self.query(&format!("EVAL \"return redis.call('PUBSUB','NUMSUB','{channel}')[2]\" 0"));
        all.trim_start_matches(':').parse().unwrap_or_else(|_| panic!("no number of listeners: {all}"))
    }

    fn try_ask(&self, command: &str) -> Option<String> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.server.port())).ok()?;
        Some(self.server.ask(command))
    }

    /// Sends one command and gives the answer: the text of a bulk string, or the line.
    fn query(&self, command: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.server.port())).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        stream.write_all(format!("{command}\r\n").as_bytes()).expect("a command");
        let (mut reader, mut line) = (BufReader::new(stream), String::new());
        reader.read_line(&mut line).expect("an answer");
        let Some(length) = line.trim().strip_prefix('$') else { return line.trim().to_owned() };
        let mut text = vec![0; length.parse().expect("a length")];
        reader.read_exact(&mut text).expect("the rest of the answer");
        String::from_utf8(text).expect("text")
    }
}

fn id(node: usize) -> String {
    format!("{:040x}", node + 1)
}

/// What a node that was in the Cluster before would have written down.
fn known_nodes(ports: &[(u16, u16)], own: usize) -> String {
    let mut lines = String::new();
    for (number, ((port, bus), (first, last))) in ports.iter().zip(SHARES).enumerate() {
        let (name, me) = (id(number), if number == own { "myself,master" } else { "master" });
        let epoch = number + 1;
        lines += &format!("{name} 127.0.0.1:{port}@{bus} {me} - 0 0 {epoch} connected {first}-{last}\n");
    }
    lines + "vars currentEpoch 3 lastVoteEpoch 0\n"
}

/// A fleet on a Cluster that other fleets use too, with a prefix of its own.
pub struct ClusterFleet {
    cluster: tokio::sync::OnceCell<Arc<RedisCluster>>,
    prefix: String,
}

static SHARED: Mutex<Weak<RedisCluster>> = Mutex::new(Weak::new());
static STARTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
static FLEETS: AtomicU32 = AtomicU32::new(0);

impl ClusterFleet {
    pub fn start() -> Self {
        let number = FLEETS.fetch_add(1, Ordering::Relaxed);
        Self { cluster: tokio::sync::OnceCell::new(), prefix: format!("fleet{number}") }
    }
}

/// The Cluster that lives as long as some test uses it.
async fn shared() -> Arc<RedisCluster> {
    let _one_at_a_time = STARTING.lock().await;
    let running = SHARED.lock().unwrap().upgrade();
    if let Some(cluster) = running {
        return cluster;
    }
    let cluster = Arc::new(RedisCluster::start().await);
    *SHARED.lock().unwrap() = Arc::downgrade(&cluster);
    cluster
}

#[async_trait::async_trait]
impl Fleet for ClusterFleet {
    async fn server(&self) -> Arc<dyn Backplane> {
        let cluster = self.cluster.get_or_init(shared).await;
        let url = format!("{}?channelPrefix={}", cluster.url(), self.prefix);
        Arc::new(RedisBackplane::connect(&url).await.expect("the addresses of the Cluster"))
    }

    /// A node counts its own clients only when it publishes.
    fn tickets_count(&self) -> bool {
        false
    }
}
