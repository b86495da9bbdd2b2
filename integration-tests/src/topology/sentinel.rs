//! A primary, a replica and three Sentinels.
//!
//! Owns starting them, and the questions that tests put to the Sentinels. They take two seconds of silence for an end, and
//! look often, because everything is on one machine.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::{Secrets, comes_true};
use crate::redis::{Ports, Redis, Setup, dial, launch, line, whole};
use crate::within;

/// The name by which Sentinels know the primary.
pub(super) const SERVICE: &str = "mymaster";

/// A running Sentinel. Dropping it kills the process.
#[derive(Debug)]
pub struct Sentinel {
    process: Child,
    port: u16,
    tls: Option<u16>,
    admin: Option<(&'static str, &'static str)>,
}

/// Ready for a failover: the replica is in sync, and all know each other.
pub(super) async fn start(
    folder: &Path,
    setup: &Setup,
    secrets: Option<&Secrets>,
) -> Result<(Vec<Redis>, Vec<Sentinel>)> {
    let (primary, replica) =
        (Redis::start_with(setup.clone()).await?, Redis::start_with(setup.clone()).await?);
    replica.command(&format!("REPLICAOF 127.0.0.1 {}", primary.client_port())).await?;
    comes_true("the replica to be in sync", || async {
        Ok(replica.ask("INFO replication").await?.contains("master_link_status:up"))
    })
    .await?;
    let mut sentinels = Vec::new();
    for _ in 0..3 {
        sentinels.push(Sentinel::start(folder, primary.client_port(), setup, secrets).await?);
    }
    for sentinel in &sentinels {
        sentinel.ask("SENTINEL DEBUG info-period 300 publish-period 300 ping-period 200").await?;
    }
    for sentinel in &sentinels {
        comes_true("the Sentinels to know each other and the replica", || sentinel.knows_all()).await?;
    }
    Ok((vec![primary, replica], sentinels))
}

impl Sentinel {
    async fn start(folder: &Path, primary: u16, setup: &Setup, secrets: Option<&Secrets>) -> Result<Self> {
        for _ in 0..20 {
            let Ports { plain: port, tls } = Ports::free(setup.has_tls)?;
            let file = folder.join(format!("sentinel-{port}.conf"));
            let mut text = configuration(folder, port, primary, setup);
            if let (Some(tls), Some(secrets)) = (tls, secrets) {
                text += &encryption(tls, secrets);
            }
            std::fs::write(&file, text)?;
            let mut command = Command::new("redis-server");
            command.arg(&file).arg("--sentinel");
            if let Some(process) = launch(command, "+monitor master").await? {
                return Ok(Self { process, port, tls, admin: setup.admin });
            }
        }
        bail!("no Sentinel started on any of 20 ports")
    }

    /// `127.0.0.1:PORT`, as clients should reach it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.tls.unwrap_or(self.port))
    }

    /// The id of the process.
    pub fn pid(&self) -> Result<u32> {
        self.process.id().context("the Sentinel has ended")
    }

    /// Sends one inline command; gives the whole answer, an element a line.
    pub async fn ask(&self, command: &str) -> Result<String> {
        within(command, async {
            let mut stream = dial(self.port, self.admin).await?;
            stream.write_all(format!("{command}\r\n").as_bytes()).await?;
            let first = line(&mut stream).await?;
            whole(first, &mut stream).await.with_context(|| command.to_owned())
        })
        .await?
    }

    /// The port of the server that it holds for the primary.
    pub async fn primary(&self) -> Result<u16> {
        let answer = self.ask(&format!("SENTINEL GET-MASTER-ADDR-BY-NAME {SERVICE}")).await?;
        let port = answer.lines().nth(1).context("it knows no primary")?;
        Ok(port.parse()?)
    }

    async fn knows_all(&self) -> Result<bool> {
        let answer = self.ask(&format!("SENTINEL MASTER {SERVICE}")).await?;
        let lines: Vec<&str> = answer.lines().collect();
        ensure!(lines.len() > 2, "no fields");
        let is = |name: &str, value: &str| lines.windows(2).any(|pair| pair == [name, value]);
        Ok(is("num-slaves", "1") && is("num-other-sentinels", "2"))
    }
}

fn configuration(folder: &Path, port: u16, primary: u16, setup: &Setup) -> String {
    let mut text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {SERVICE} 127.0.0.1 {primary} 2\n\
         sentinel down-after-milliseconds {SERVICE} 2000\nsentinel failover-timeout {SERVICE} 6000\n",
        folder.display()
    );
    if let Some((user, password)) = setup.admin {
        text += &format!("sentinel auth-user {SERVICE} {user}\nsentinel auth-pass {SERVICE} {password}\n");
        text += &format!("sentinel sentinel-user {user}\nsentinel sentinel-pass {password}\n");
        for line in super::users_of_sentinels() {
            text += &format!("user {line}\n");
        }
    }
    text
}

/// A port for TLS, and TLS on the way to servers and other Sentinels.
fn encryption(port: u16, secrets: &Secrets) -> String {
    let (certificate, key) = secrets.identity("server");
    format!(
        "tls-port {port}\ntls-ca-cert-file {}\ntls-cert-file {certificate}\ntls-key-file {key}\n\
         tls-auth-clients yes\ntls-replication yes\n",
        secrets.authority()
    )
}
