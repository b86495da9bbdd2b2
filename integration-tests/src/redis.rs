//! A Redis of a test's own: a process on a free port that ends with the value.
//!
//! Owns starting and ending it, and the questions that tests put to it. Nothing is kept on disk, unless its setup says so.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::within;

/// A running `redis-server`. Dropping it kills the process.
#[derive(Debug)]
pub struct Redis {
    process: Child,
    ports: Ports,
    setup: Setup,
}

/// Where a server listens on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Without encryption; always there, because tests command the server by it.
    pub plain: u16,
    /// For clients that encrypt.
    pub tls: Option<u16>,
}

/// What a server is told beside its ports.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Another program than the `redis-server` of this machine: an older one.
    pub program: Option<PathBuf>,
    /// Words of the command line.
    pub arguments: Vec<String>,
    /// User and password by which tests command it; without them everybody may.
    pub admin: Option<(&'static str, &'static str)>,
    /// Whether it has a port for TLS.
    pub has_tls: bool,
}

impl Redis {
    /// Starts one and waits until it accepts connections.
    pub async fn start() -> Result<Self> {
        Self::start_with(Setup::default()).await
    }

    /// Starts one with settings of its own.
    pub async fn start_with(setup: Setup) -> Result<Self> {
        // Somebody else may take the port in between: then another one.
        for _ in 0..20 {
            if let Some(redis) = Self::start_on(Ports::free(setup.has_tls)?, setup.clone()).await? {
                return Ok(redis);
            }
        }
        bail!("redis-server did not start on any of 20 ports")
    }

    /// Starts one on these ports; none when it ended at once, because another program has one of them.
    pub async fn start_on(ports: Ports, setup: Setup) -> Result<Option<Self>> {
        let process = launch(server(ports, &setup), "Ready to accept connections").await?;
        Ok(process.map(|process| Self { process, ports, setup }))
    }

    /// `127.0.0.1:PORT`, a connection string for every server.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.plain)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.ports.plain
    }

    /// The port that clients should use.
    pub fn client_port(&self) -> u16 {
        self.ports.tls.unwrap_or(self.ports.plain)
    }

    /// The id of the process.
    pub fn pid(&self) -> Result<u32> {
        self.process.id().context("redis-server has ended")
    }

    /// Stops the process without its knowledge: connections stay open and nothing is answered.
    pub async fn pause(&self) -> Result<()> {
        crate::process::signal(self.pid()?, "STOP").await
    }

    /// Ends a [`pause`](Self::pause).
    pub async fn resume(&self) -> Result<()> {
        crate::process::signal(self.pid()?, "CONT").await
    }

    /// Lets it do nothing at all for so long, as a command does that takes its time. Returns at once.
    pub async fn do_nothing(&self, seconds: u32) -> Result<()> {
        let mut stream = self.dial().await?;
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
        let line = within(command, async { anyhow::Ok(self.send(command).await?.0) }).await??;
        ensure!(!line.starts_with('-'), "{command}: {line}");
        Ok(line)
    }

    /// Sends one inline command on a connection of its own; gives the whole answer, an element a line.
    ///
    /// # Errors
    /// Redis refuses the command, or cannot be reached.
    pub async fn ask(&self, command: &str) -> Result<String> {
        within(command, async {
            let (line, mut rest) = self.send(command).await?;
            whole(line, &mut rest).await.with_context(|| command.to_owned())
        })
        .await?
    }

    async fn send(&self, command: &str) -> Result<(String, BufReader<TcpStream>)> {
        let mut stream = self.dial().await?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        Ok((line(&mut stream).await?, stream))
    }

    /// A connection that may do everything.
    async fn dial(&self) -> Result<BufReader<TcpStream>> {
        dial(self.ports.plain, self.setup.admin).await
    }

    /// Kills the process, as by `kill -9`.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    /// Starts it again on its port.
    pub async fn restart(&mut self) -> Result<()> {
        let started = launch(server(self.ports, &self.setup), "Ready to accept connections").await?;
        self.process = started.context("redis-server did not start again")?;
        Ok(())
    }
}

impl Ports {
    /// Ports that were free a moment ago.
    pub fn free(with_tls: bool) -> Result<Self> {
        Ok(Self { plain: free_port()?, tls: with_tls.then(free_port).transpose()? })
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn server(ports: Ports, setup: &Setup) -> Command {
    let mut command = Command::new(setup.program.as_deref().unwrap_or("redis-server".as_ref()));
    command.args([
        "--port",
        &ports.plain.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
    ]);
    command.args(["--dir", "/tmp"]);
    match setup.program {
        None => command.args(["--enable-debug-command", "yes", "--rdb-del-sync-files", "yes"]),
        // There everybody may. It reads nothing that a newer one has left there.
        Some(_) => command.args(["--dbfilename", "older.rdb"]),
    };
    if let Some(port) = ports.tls {
        command.args(["--tls-port", &port.to_string()]);
    }
    command.args(&setup.arguments);
    command
}

/// Starts a server and waits until its log says that it is ready; none when it ended instead.
pub(crate) async fn launch(mut command: Command, ready: &str) -> Result<Option<Child>> {
    let mut process = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("redis-server does not start; run: apt-get install -y redis-server")?;
    let mut lines = BufReader::new(process.stdout.take().context("stdout is piped")?).lines();
    while let Some(line) = within("redis-server to start", lines.next_line()).await?? {
        if line.contains(ready) {
            // It would stop when nobody read its log.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(Some(process));
        }
    }
    process.wait().await?;
    Ok(None)
}

/// A connection to a server or a Sentinel, logged in.
pub(crate) async fn dial(port: u16, admin: Option<(&str, &str)>) -> Result<BufReader<TcpStream>> {
    let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?);
    if let Some((user, password)) = admin {
        stream.write_all(format!("AUTH {user} {password}\r\n").as_bytes()).await?;
        let answer = line(&mut stream).await?;
        ensure!(answer == "+OK", "the administrator of a test may not log in: {answer}");
    }
    Ok(stream)
}

pub(crate) async fn line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    ensure!(stream.read_line(&mut line).await? > 0, "no answer");
    Ok(line.trim_end().to_owned())
}

/// The answer that begins with this line, without the marks of its types.
pub(crate) async fn whole(first: String, rest: &mut BufReader<TcpStream>) -> Result<String> {
    let (mut all, mut next, mut wanted) = (Vec::new(), Some(first), 1_usize);
    while wanted > 0 {
        let line = match next.take() {
            Some(first) => first,
            None => line(rest).await?,
        };
        wanted -= 1;
        let (mark, value) = line.split_at_checked(1).context("an empty line")?;
        match mark {
            "-" => bail!("refused: {value}"),
            "*" => wanted += value.parse::<usize>().unwrap_or(0),
            "$" if value != "-1" => {
                let mut text = vec![0; value.parse::<usize>()? + 2];
                rest.read_exact(&mut text).await?;
                text.truncate(text.len() - 2);
                all.push(String::from_utf8(text)?);
            }
            _ => all.push(value.to_owned()),
        }
    }
    Ok(all.join("\n"))
}
