//! A primary, a replica and three Sentinels, as real processes.
//!
//! Owns starting them, and the questions that tests put to the Sentinels. Configuration files, which Sentinels rewrite,
//! live in a directory that goes with the value.

use super::{RedisServer, ask, comes_true, free_port};
use signalr_backplane_redis::RedisBackplane;
use signalr_core::Backplane;
use signalr_testkit::conformance::Fleet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const SERVICE: &str = "mymaster";

/// `redis-sentinel` on a port of its own.
pub struct Sentinel {
    process: Child,
    port: u16,
}

pub struct Trio {
    pub primary: RedisServer,
    pub replica: Option<RedisServer>,
    pub sentinels: Vec<Sentinel>,
    directory: PathBuf,
}

impl Trio {
    /// Three Sentinels and the primary alone: enough where nothing fails.
    pub fn without_replica() -> Self {
        Self::around(RedisServer::start(), "")
    }

    /// `words` are lines of the Sentinels' configuration.
    fn around(primary: RedisServer, words: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("sentinels-{}-{}", std::process::id(), primary.port()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let sentinels = (0..3).map(|_| Sentinel::start(&directory, primary.port(), words)).collect();
        Self { primary, replica: None, sentinels, directory }
    }

    /// Ready for a failover: the replica is in sync, and all know each other.
    pub async fn start() -> Self {
        Self::without_replica().with_replica(RedisServer::start()).await
    }

    /// The same, and nobody knows `HELLO`, neither the Sentinels nor the servers.
    pub async fn start_without_hello() -> Self {
        let trio = Self::around(RedisServer::without_hello(&[]), "rename-command HELLO \"\"\n");
        trio.with_replica(RedisServer::without_hello(&[])).await
    }

    async fn with_replica(self, replica: RedisServer) -> Self {
        let mut trio = self;
        replica.follows(&trio.primary).await;
        trio.replica = Some(replica);
        let complete = |sentinel: &Sentinel| {
            let answer = sentinel.ask(&format!("SENTINEL MASTER {SERVICE}"));
            let field = |name: &str| {
                answer.split_once(name).and_then(|(_, rest)| rest.split("\r\n").nth(1)?.parse().ok())
            };
            (field("\r\nnum-slaves\r\n"), field("\r\nnum-other-sentinels\r\n")) == (Some(1), Some(2))
        };
        for sentinel in &trio.sentinels {
            // Faster than the defaults, which are made for machines far away.
            sentinel.ask("SENTINEL DEBUG info-period 300 publish-period 300 ping-period 200");
        }
        let known = comes_true(Duration::from_secs(40), || trio.sentinels.iter().all(complete)).await;
        assert!(known, "the Sentinels do not know each other or the replica");
        trio
    }

    pub fn url(&self) -> String {
        let ports: Vec<String> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis+sentinel://{}/{SERVICE}", ports.join(","))
    }

    pub async fn node(&self) -> RedisBackplane {
        RedisBackplane::connect(&self.url()).await.expect("the addresses of the Sentinels")
    }
}

impl Drop for Trio {
    fn drop(&mut self) {
        self.sentinels.clear();
        // What is left of it does no harm.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[async_trait::async_trait]
impl Fleet for Trio {
    async fn server(&self) -> Arc<dyn Backplane> {
        Arc::new(self.node().await)
    }
}

pub fn is_replica(server: &RedisServer) -> bool {
    ask(server.port(), "INFO replication").contains("role:slave")
}

impl RedisServer {
    /// Becomes a replica of another server; returns when it is in sync.
    pub async fn follows(&self, primary: &Self) {
        assert_eq!(self.ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port())), "+OK");
        let linked = || ask(self.port(), "INFO replication").contains("master_link_status:up");
        assert!(comes_true(Duration::from_secs(20), linked).await, "the replica is not in sync");
    }
}

impl Sentinel {
    fn start(directory: &std::path::Path, primary: u16, words: &str) -> Self {
        for _ in 0..20 {
            let port = free_port();
            let file = directory.join(format!("{port}.conf"));
            let config = format!(
                "{words}port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {SERVICE} 127.0.0.1 {primary} 2\n\
                 sentinel down-after-milliseconds {SERVICE} 2000\nsentinel failover-timeout {SERVICE} 6000\n",
                directory.display()
            );
            std::fs::write(&file, config).expect("a configuration file");
            if let Some(process) = launch(&file) {
                return Self { process, port };
            }
        }
        panic!("no Sentinel started on any of 20 ports");
    }

    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    pub fn ask(&self, command: &str) -> String {
        ask(self.port, command)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a Sentinel and waits until it works; `None` when it ended instead.
fn launch(file: &std::path::Path) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command.arg(file).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().expect("redis-server; run: apt-get install -y redis-server");
    let mut log = BufReader::new(process.stdout.take().expect("its output"));
    let mut line = String::new();
    while log.read_line(&mut line).is_ok_and(|read| read > 0) {
        if line.contains("+monitor master") {
            // It would stop when nobody read its log.
            std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
            return Some(process);
        }
        line.clear();
    }
    let _ = process.kill();
    let _ = process.wait();
    None
}
