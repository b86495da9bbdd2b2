//! A Redis of a test's own: a process on a free port that ends with the value.
//!
//! Owns starting and ending it. Nothing is kept on disk.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::within;

/// A running `redis-server`. Dropping it kills the process.
#[derive(Debug)]
pub struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    /// Starts one and waits until it accepts connections.
    pub async fn start() -> Result<Self> {
        // Somebody else may take the port in between: then another one.
        for _ in 0..20 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            if let Some(process) = launch(port).await? {
                return Ok(Self { process, port });
            }
        }
        bail!("redis-server did not start on any of 20 ports")
    }

    /// `127.0.0.1:PORT`, a connection string for every server.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops the process without its knowledge: connections stay open and nothing is answered.
    pub async fn pause(&self) -> Result<()> {
        crate::process::signal(self.process.id().context("redis-server has ended")?, "STOP").await
    }

    /// Ends a [`pause`](Self::pause).
    pub async fn resume(&self) -> Result<()> {
        crate::process::signal(self.process.id().context("redis-server has ended")?, "CONT").await
    }

    /// Lets it do nothing at all for so long, as a command does that takes its time. Returns at once.
    pub async fn do_nothing(&self, seconds: u32) -> Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        Ok(stream.write_all(format!("DEBUG SLEEP {seconds}\r\n").as_bytes()).await?)
    }

    /// Whether it answers now.
    pub async fn answers(&self) -> bool {
        tokio::time::timeout(Duration::from_millis(500), self.command("PING"))
            .await
            .is_ok_and(|pong| pong.is_ok())
    }

    /// Sends one inline command on a connection of its own; gives the first line of the answer.
    ///
    /// # Errors
    /// Redis refuses the command, or cannot be reached.
    pub async fn command(&self, command: &str) -> Result<String> {
        within(command, async {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
            stream.write_all(format!("{command}\r\n").as_bytes()).await?;
            let line = BufReader::new(stream).lines().next_line().await?.context("no answer")?;
            ensure!(!line.starts_with('-'), "{command}: {line}");
            Ok(line)
        })
        .await?
    }

    /// Kills the process, as by `kill -9`.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    /// Starts it again on its port.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = launch(self.port).await?.context("redis-server did not start again")?;
        Ok(())
    }
}

async fn launch(port: u16) -> Result<Option<Child>> {
    let mut process = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(["--enable-debug-command", "yes", "--dir", "/tmp"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("redis-server does not start; run: apt-get install -y redis-server")?;
    let mut lines = BufReader::new(process.stdout.take().context("stdout is piped")?).lines();
    while let Some(line) = within("redis-server to start", lines.next_line()).await?? {
        if line.contains("Ready to accept connections") {
            // It would stop when nobody read its log.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(Some(process));
        }
    }
    process.wait().await?;
    Ok(None)
}
