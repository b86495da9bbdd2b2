//! Redis as it is run in production: alone, watched by Sentinels, as a Cluster, encrypted, or for one user only.
//!
//! Owns which processes make up each kind, and what servers of ours and of the reference must be told to reach them. All
//! of it is real processes on free ports of this machine, which end with the value.

mod cluster;
mod secrets;
mod sentinel;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

pub use secrets::Secrets;
pub use sentinel::Sentinel;

use crate::redis::{Redis, Setup};

/// A kind of Redis that can be started here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One server.
    Standalone,
    /// A primary, a replica and three Sentinels.
    Sentinel,
    /// Three masters with a replica each.
    Cluster,
    /// One server that wants certificates.
    Tls,
    /// One server for one user with few rights.
    Acl,
    /// Sentinels and servers for one user with few rights.
    SentinelAcl,
    /// Sentinels and servers that want certificates, from each other too.
    SentinelTls,
    /// A Cluster that wants certificates, between its nodes too.
    ClusterTls,
    /// One server of Redis 5, which knows neither RESP3 nor users.
    Redis5,
}

/// Running processes of one kind. Dropping it ends them.
#[derive(Debug)]
pub struct Topology {
    kind: Kind,
    /// The primary and its replica; of a Cluster the masters, then their replicas in the same order.
    pub servers: Vec<Redis>,
    /// None but of the kinds with Sentinel.
    pub sentinels: Vec<Sentinel>,
    secrets: Option<Secrets>,
    _folder: Folder,
}

impl Kind {
    /// All of them with their names.
    pub const ALL: [(&'static str, Self); 9] = [
        ("standalone", Self::Standalone),
        ("sentinel", Self::Sentinel),
        ("cluster", Self::Cluster),
        ("tls", Self::Tls),
        ("acl", Self::Acl),
        ("sentinel-acl", Self::SentinelAcl),
        ("sentinel-tls", Self::SentinelTls),
        ("cluster-tls", Self::ClusterTls),
        ("redis5", Self::Redis5),
    ];

    /// The kind of this name.
    pub fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        let names = || Self::ALL.map(|(name, _)| name).join(", ");
        Ok(found.with_context(|| format!("`{name}` is none of {}", names()))?.1)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    fn has_sentinels(self) -> bool {
        matches!(self, Self::Sentinel | Self::SentinelAcl | Self::SentinelTls)
    }

    /// Whether it is a Redis Cluster.
    pub fn is_cluster(self) -> bool {
        matches!(self, Self::Cluster | Self::ClusterTls)
    }

    fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::SentinelTls | Self::ClusterTls)
    }

    fn has_users(self) -> bool {
        matches!(self, Self::Acl | Self::SentinelAcl)
    }
}

impl Topology {
    /// Starts all of it and waits until it is whole: replicas are in sync, Sentinels and nodes know each other.
    pub async fn start(kind: Kind) -> Result<Self> {
        let folder = Folder::new()?;
        let secrets = kind.is_encrypted().then(|| Secrets::make(&folder.0)).transpose()?;
        let setup = Setup {
            program: (kind == Kind::Redis5).then(redis5).transpose()?,
            arguments: arguments(kind, secrets.as_ref()),
            admin: kind.has_users().then_some(ADMIN),
            has_tls: kind.is_encrypted(),
        };
        let mut topology =
            Self { kind, servers: Vec::new(), sentinels: Vec::new(), secrets, _folder: folder };
        if kind.is_cluster() {
            topology.servers = cluster::start(&topology._folder.0, &setup).await?;
        } else if kind.has_sentinels() {
            (topology.servers, topology.sentinels) =
                sentinel::start(&topology._folder.0, &setup, topology.secrets.as_ref()).await?;
        } else {
            topology.servers.push(Redis::start_with(setup).await?);
        }
        Ok(topology)
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What servers of ours are told.
    pub fn url(&self) -> String {
        let encrypted = if self.kind.is_encrypted() { "s" } else { "" };
        let shape = match self.kind {
            kind if kind.has_sentinels() => "+sentinel",
            kind if kind.is_cluster() => "-cluster",
            _ => "",
        };
        let user = if self.kind.has_users() { format!("{}:{}@", USER.0, USER.1) } else { String::new() };
        let service =
            if self.kind.has_sentinels() { format!("/{}", sentinel::SERVICE) } else { String::new() };
        format!("redis{encrypted}{shape}://{user}{}{service}", self.addresses())
    }

    /// What servers of the reference are told: a connection string of StackExchange.Redis.
    pub fn connection_string(&self) -> String {
        let mut text = self.addresses();
        if self.kind.has_sentinels() {
            text += &format!(",serviceName={}", sentinel::SERVICE);
        }
        if self.kind.is_encrypted() {
            text += ",ssl=true";
        }
        if self.kind.has_users() {
            text += &format!(",user={},password={}", REFERENCE.0, REFERENCE.1);
        }
        text
    }

    /// The same with all that goes with it, as flags of a server of ours.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = vec!["--redis".to_owned(), self.url()];
        if let Some(secrets) = &self.secrets {
            let (certificate, key) = secrets.identity("client");
            let files =
                [("--redis-ca", secrets.authority()), ("--redis-cert", certificate), ("--redis-key", key)];
            flags.extend(files.into_iter().flat_map(|(flag, file)| [flag.to_owned(), file]));
        }
        flags
    }

    /// Variables that every server needs in its environment besides: files with certificates, by the names that servers of
    /// ours and StackExchange.Redis know.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let Some(secrets) = &self.secrets else { return Vec::new() };
        let (certificate, key) = secrets.identity("client");
        vec![
            ("PEER_REDIS_CA", secrets.authority()),
            ("PEER_REDIS_CERT", certificate.clone()),
            ("PEER_REDIS_KEY", key.clone()),
            ("SERedis_IssuerCertPath", secrets.authority()),
            ("SERedis_ClientCertPemPath", certificate),
            ("SERedis_ClientCertPasswordPath", key),
        ]
    }

    /// The files with its certificates.
    ///
    /// # Errors
    /// It is of a kind that has none.
    pub fn secrets(&self) -> Result<&Secrets> {
        self.secrets.as_ref().context("it has no certificates")
    }

    /// The name, address and process id of each process.
    pub fn processes(&self) -> Result<Vec<(String, String, u32)>> {
        let servers = self.servers.iter().enumerate().map(|(number, server)| {
            let address = format!("127.0.0.1:{}", server.client_port());
            anyhow::Ok((self.name_of(number), address, server.pid()?))
        });
        let sentinels = self.sentinels.iter().enumerate().map(|(number, sentinel)| {
            Ok((format!("sentinel{}", number + 1), sentinel.address(), sentinel.pid()?))
        });
        servers.chain(sentinels).collect()
    }

    /// Whether the replica of this server has taken its place.
    pub async fn promoted(&self, instead_of: usize) -> Result<bool> {
        let replica = if self.kind.is_cluster() { instead_of + cluster::MASTERS } else { 1 - instead_of };
        let replica = self.servers.get(replica).context("it has no replica")?;
        Ok(is_primary(replica).await == Some(true))
    }

    /// Gives the user of our servers another password, and cuts those that came in by the old one.
    pub async fn rotate_password(&self, password: Option<&str>) -> Result<()> {
        let password = password.unwrap_or(USER.1);
        for server in &self.servers {
            server.command(&format!("ACL SETUSER {} resetpass >{password}", USER.0)).await?;
            server.command(&format!("CLIENT KILL USER {}", USER.0)).await?;
        }
        Ok(())
    }

    fn name_of(&self, number: usize) -> String {
        match self.kind {
            kind if kind.is_cluster() => {
                let role = if number < cluster::MASTERS { "master" } else { "replica" };
                format!("{role}{}", number % cluster::MASTERS + 1)
            }
            kind if kind.has_sentinels() => ["primary", "replica"][number.min(1)].to_owned(),
            _ => "redis".to_owned(),
        }
    }

    fn addresses(&self) -> String {
        let servers = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.client_port()));
        let addresses: Vec<String> = match self.sentinels.is_empty() {
            true => servers.collect(),
            false => self.sentinels.iter().map(Sentinel::address).collect(),
        };
        addresses.join(",")
    }
}

/// The `redis-server` of Redis 5.
///
/// # Errors
/// Nobody has said where it is.
pub fn redis5() -> Result<PathBuf> {
    let program = std::env::var_os("SIGNALR_REDIS5");
    Ok(program
        .context("SIGNALR_REDIS5 names no redis-server of Redis 5; `cargo xtask test` gets one")?
        .into())
}

/// Whether a server says that it is nobody's replica. It hangs up on everybody when its role changes, and then says nothing.
pub async fn is_primary(server: &Redis) -> Option<bool> {
    Some(server.ask("INFO replication").await.ok()?.contains("role:master"))
}

/// What each server of a kind is told.
fn arguments(kind: Kind, secrets: Option<&Secrets>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut add = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
    if let Some(secrets) = secrets {
        let (certificate, key) = secrets.identity("server");
        add(&["--tls-ca-cert-file", &secrets.authority(), "--tls-cert-file", &certificate]);
        add(&["--tls-key-file", &key, "--tls-auth-clients", "yes"]);
        if kind.is_cluster() {
            add(&["--tls-cluster", "yes"]);
        }
        if kind != Kind::Tls {
            add(&["--tls-replication", "yes"]);
        }
    }
    if kind.has_users() {
        for line in users(kind) {
            let mut line: Vec<&str> = line.split(' ').collect();
            line.insert(0, "--user");
            add(&line);
        }
        add(&["--masteruser", ADMIN.0, "--masterauth", ADMIN.1]);
    }
    words
}

/// Those who may come in, as lines of a configuration; the default user may not.
fn users(kind: Kind) -> [String; 4] {
    let role = if kind.has_sentinels() { " +role" } else { "" };
    [
        "default off".to_owned(),
        format!("{} on >{} ~* &* +@all", ADMIN.0, ADMIN.1),
        // The rights that the manual of the backplane names, with an empty channel prefix.
        format!("{} on >{} resetchannels &* {RIGHTS}{role}", USER.0, USER.1),
        // Neither its manual nor its code says what is enough; it asks for much when it connects.
        format!(
            "{} on >{} ~* &* +@all -@dangerous +info +config|get +client +role",
            REFERENCE.0, REFERENCE.1
        ),
    ]
}

/// The same people at a Sentinel, which knows few commands.
fn users_of_sentinels() -> [String; 4] {
    [
        "default off".to_owned(),
        format!("{} on >{} ~* &* +@all", ADMIN.0, ADMIN.1),
        format!("{} on >{} resetchannels &* +hello +auth +subscribe +sentinel", USER.0, USER.1),
        format!("{} on >{} &* +@all", REFERENCE.0, REFERENCE.1),
    ]
}

/// A folder that vanishes with the value.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("signalr-topology-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind does no harm.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Looks again and again until the condition holds; answers that fail do not count.
async fn comes_true<F: Future<Output = Result<bool>>>(
    what: &str,
    mut holds: impl FnMut() -> F,
) -> Result<()> {
    let deadline = tokio::time::Instant::now() + 3 * crate::PATIENCE;
    while !holds().await.unwrap_or(false) {
        if tokio::time::Instant::now() > deadline {
            bail!("waited in vain for {what}");
        }
        // Between two looks at the condition.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A folder for one process.
fn subfolder(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    std::fs::create_dir_all(&path)?;
    Ok(path)
}

/// The user of our servers, and its password.
pub const USER: (&str, &str) = ("app", "open-sesame");
const REFERENCE: (&str, &str) = ("reference", "also-open-sesame");
const ADMIN: (&str, &str) = ("admin", "may-do-everything");
const RIGHTS: &str = "+hello +auth +select +publish +subscribe +unsubscribe +pubsub|numsub";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for (name, kind) in Kind::ALL {
            assert_eq!(Kind::named(name).unwrap(), kind);
        }
        assert!(Kind::named("swarm").unwrap_err().to_string().contains("sentinel-acl"));
    }
}
