//! A server program as a child process: started on a free port, ready when it says so, ended by its own id.
//!
//! Owns the process and what it writes to stderr. Which program it is comes from the caller, or from
//! `SIGNALR_PEER_BIN`; without that the peer of this workspace is built.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::within;

/// A running server. Dropping it kills the process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
    log: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    /// Starts the program under test on a free port with these flags after `serve --urls ...`.
    pub async fn start(flags: &[&str]) -> Result<Self> {
        Self::start_program(peer()?, 0, flags).await
    }

    /// Starts the program under test on a given port.
    pub async fn start_on(port: u16, flags: &[&str]) -> Result<Self> {
        Self::start_program(peer()?, port, flags).await
    }

    /// Starts any program that takes the peer's flags and prints its address in the peer's way.
    pub async fn start_program(program: &Path, port: u16, flags: &[&str]) -> Result<Self> {
        let mut child = Command::new(program)
            .args(["serve", "--urls", &format!("http://127.0.0.1:{port}")])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let log = Arc::default();
        collect(&mut child, &log)?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = within("the server to say that it listens", lines.next_line()).await??;
        let Some(port) =
            line.as_deref().and_then(|line| line.strip_prefix("Now listening on: http://127.0.0.1:"))
        else {
            let status = child.wait().await?;
            bail!("the server said {line:?} and ended with {status}: {}", text(&log));
        };
        let port = port.parse()?;
        // Nothing else is to come on stdout; a server that writes more must not block on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, port, log })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT` followed by a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The id of the process.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("the server has ended")
    }

    /// Everything that it wrote to stderr so far.
    pub fn log(&self) -> String {
        text(&self.log)
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Resident memory in bytes, from the kernel.
    pub fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }

    /// Stops the process without its knowledge, as a machine that hangs.
    pub async fn pause(&self) -> Result<()> {
        crate::process::signal(self.pid()?, "STOP").await
    }

    /// Ends a [`pause`](Self::pause).
    pub async fn resume(&self) -> Result<()> {
        crate::process::signal(self.pid()?, "CONT").await
    }

    /// Kills the process and waits for its end: connections see a reset, nothing is flushed.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks for an orderly end by `POST /control/stop` and waits for exit code 0.
    pub async fn stop(mut self) -> Result<()> {
        crate::http::control(self.port, "stop", &serde_json::json!({})).await?;
        let status = within("the server to end", self.child.wait()).await??;
        ensure!(status.success(), "the server ended with {status}: {}", self.log());
        Ok(())
    }
}

/// Keeps what the process writes to stderr.
fn collect(child: &mut Child, log: &Arc<Mutex<Vec<u8>>>) -> Result<()> {
    let mut stderr = child.stderr.take().context("stderr is piped")?;
    let log = log.clone();
    tokio::spawn(async move {
        let mut piece = vec![0; 4096];
        while let Ok(length @ 1..) = stderr.read(&mut piece).await {
            log.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..length]);
        }
    });
    Ok(())
}

fn text(log: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&log.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

/// The program under test: `SIGNALR_PEER_BIN`, else this workspace's `peer`, built if need be.
pub fn peer() -> Result<&'static Path> {
    static PEER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = PEER.get_or_init(|| match std::env::var_os("SIGNALR_PEER_BIN") {
        Some(program) => Ok(program.into()),
        None => build_peer().map_err(|error| format!("{error:#}")),
    });
    found.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn build_peer() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = std::process::Command::new(cargo)
        .args(["build", "--package", "peer", "--bin", "peer", "--all-features"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()?;
    ensure!(output.status.success(), "peer does not build: {}", String::from_utf8_lossy(&output.stderr));
    // Test programs lie in target/debug/deps, the peer in target/debug.
    let tests = std::env::current_exe()?;
    let folder = tests.parent().and_then(Path::parent).context("test programs lie two folders deep")?;
    Ok(folder.join("peer"))
}
