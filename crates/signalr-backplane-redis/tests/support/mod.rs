//! Real Redis processes for tests.
//!
//! Owns starting, stopping, freezing and restarting them. Each test has its own, so that nothing is shared; the process
//! ends with the value.

#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "support of several tests; may fail loudly")]

pub mod cluster;
pub mod fleet;
pub mod given;
pub mod relay;
pub mod secure;
pub mod sentinel;
pub mod sink;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A `redis-server` on a free port of this machine, without persistence.
pub struct RedisServer {
    process: Child,
    port: u16,
    arguments: Vec<String>,
}

impl RedisServer {
    pub fn start() -> Self {
        Self::start_with(Vec::new())
    }

    /// With settings of its own, as they stand on the command line.
    pub fn start_with(arguments: Vec<String>) -> Self {
        // Somebody else may take the port in between: then another one.
        for _ in 0..20 {
            if let Some(server) = Self::try_start(&arguments) {
                return server;
            }
        }
        panic!("redis-server did not start on any of 20 ports");
    }

    /// As one older than Redis 6, or behind a proxy that knows no RESP3. `arguments` are settings besides.
    pub fn without_hello(arguments: &[&str]) -> Self {
        let own = ["--rename-command", "HELLO", ""];
        Self::start_with(own.iter().chain(arguments).map(|word| (*word).to_owned()).collect())
    }

    /// What it is started with from now on.
    pub fn rearrange(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
    }

    /// One attempt; `None` when a port was taken meanwhile.
    pub fn try_start(arguments: &[String]) -> Option<Self> {
        let port = free_port();
        let process = launch(port, arguments)?;
        Some(Self { process, port, arguments: arguments.to_vec() })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The process vanishes, as by `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts again on the same port; returns when it accepts connections.
    pub fn restart(&mut self) {
        self.process =
            launch(self.port, &self.arguments).expect("redis-server did not start again on its port");
    }

    /// Starts again on the same port; returns when it reads its data from disk, which may take long.
    pub fn restart_loading(&mut self) {
        let ready = "Server initialized";
        self.process =
            launch_until(ready, self.port, &self.arguments).expect("redis-server did not start again");
    }

    /// Stops without closing anything, as a machine that hangs.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// A Redis that is not there yet: its port only.
    pub fn absent() -> Absent {
        Absent(free_port())
    }

    /// Cuts all connections that receive.
    pub fn cut_subscribers(&self) {
        self.ask("CLIENT KILL TYPE pubsub");
    }

    /// Cuts all connections that do not receive.
    pub fn cut_publishers(&self) {
        self.ask("CLIENT KILL TYPE normal");
    }

    /// Sends one command on a connection of its own and gives the first line of the answer.
    pub fn ask(&self, command: &str) -> String {
        let answer = ask(self.port, command);
        answer.lines().next().expect("an answer").to_owned()
    }

    /// Sends commands on one connection and gives all lines of all answers.
    pub fn ask_all(&self, commands: &[&str]) -> Vec<String> {
        ask(self.port, &commands.join("\r\n")).lines().map(str::to_owned).collect()
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(sent.expect("the kill program").success(), "kill {signal} failed");
    }
}

/// The whole answer to commands, one per line, on a connection of its own. A server that is just being demoted closes all
/// connections: whoever gets no answer asks again.
pub fn ask(port: u16, commands: &str) -> String {
    let mut answer = String::new();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection to Redis");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    stream.write_all(format!("{commands}\r\n").as_bytes()).expect("commands");
    // Closing our side makes the server answer and close its own.
    stream.shutdown(std::net::Shutdown::Write).expect("an open connection");
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// A Redis that will be.
pub struct Absent(u16);

impl Absent {
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.0)
    }

    pub fn start(self) -> RedisServer {
        let process = launch(self.0, &[]).expect("redis-server did not start on its port");
        RedisServer { process, port: self.0, arguments: Vec::new() }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Starts a server and waits until it accepts connections; `None` when it ended instead.
fn launch(port: u16, arguments: &[String]) -> Option<Child> {
    launch_until("Ready to accept connections", port, arguments)
}

fn launch_until(ready: &str, port: u16, arguments: &[String]) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(["--enable-debug-command", "yes", "--daemonize", "no", "--dir", "/tmp"]);
    command.args(["--rdb-del-sync-files", "yes"]);
    command.args(arguments);
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut process = match started {
        Ok(process) => process,
        Err(error) => {
            panic!("redis-server cannot be started ({error}); run: apt-get install -y redis-server")
        }
    };
    let mut log = BufReader::new(process.stdout.take().expect("its output"));
    let mut line = String::new();
    while log.read_line(&mut line).is_ok_and(|read| read > 0) {
        if line.contains(ready) {
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

/// Waits for a condition in real time; false when the deadline passed.
pub async fn comes_true(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let wait = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while !condition() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(limit, wait).await.is_ok()
}
