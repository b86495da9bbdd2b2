//! The servers that answer scenarios: one for each profile, started when all are started, and the playing of many
//! scenarios side by side.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::play;
use super::script::Scenario;
use crate::server::Server;

/// The flags of each profile.
const PROFILES: &[(&str, &[&str])] = &[
    ("usual", &[]),
    ("detailed", &["--detailed-errors"]),
    ("stateful", &["--stateful"]),
    ("small-stateful", &["--stateful", "--stateful-buffer", "500"]),
    ("json", &["--protocols", "json"]),
    ("pack", &["--protocols", "messagepack"]),
    ("parallel", &["--parallel", "2", "--stream-buffer", "2", "--max-receive", "300", "--detailed-errors"]),
    ("unlimited", &["--max-receive", "0"]),
    ("small-buffers", &["--application-buffer", "100", "--transport-buffer", "100"]),
    (
        "impatient",
        &["--handshake-timeout-ms", "1000", "--client-timeout-ms", "1500", "--keep-alive-ms", "1000"],
    ),
    ("short-polls", &["--poll-timeout-ms", "300", "--disconnect-timeout-ms", "1000"]),
    ("expiring", &["--close-on-auth-expiry", "--token-life-ms", "4000"]),
];

/// How many servers are started at once: the reference's needs its time.
const STARTING_AT_ONCE: usize = 3;

/// How many scenarios are played at once.
const AT_ONCE: usize = 12;

/// Running servers by profile.
#[derive(Debug)]
pub struct Servers {
    by_profile: BTreeMap<String, Server>,
}

impl Servers {
    /// Starts a server of a program for each profile that these scenarios need.
    pub async fn start(program: &Path, scenarios: &[Scenario]) -> Result<Self> {
        let mut starting = JoinSet::new();
        let turns = Arc::new(Semaphore::new(STARTING_AT_ONCE));
        for (profile, flags) in PROFILES {
            if !scenarios.iter().any(|scenario| scenario.profile == *profile) {
                continue;
            }
            let (program, turns) = (program.to_owned(), turns.clone());
            starting.spawn(async move {
                let _turn = turns.acquire_owned().await;
                let flags = [&["--name", "wire"], *flags].concat();
                anyhow::Ok(((*profile).to_owned(), Server::start_program(&program, 0, &flags).await?))
            });
        }
        let mut by_profile = BTreeMap::new();
        while let Some(started) = starting.join_next().await {
            let (profile, server) = started??;
            by_profile.insert(profile, server);
        }
        Ok(Self { by_profile })
    }

    /// The transcripts of these scenarios, by name.
    pub async fn play(&self, scenarios: &[Scenario]) -> Result<BTreeMap<String, Vec<String>>> {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut playing = JoinSet::new();
        for scenario in scenarios.iter().cloned() {
            let server = self.by_profile.get(&scenario.profile);
            let port = server.with_context(|| format!("no profile `{}`", scenario.profile))?.port();
            let turns = turns.clone();
            playing.spawn(async move {
                let _turn = turns.acquire_owned().await;
                (scenario.name.clone(), play(port, &scenario).await)
            });
        }
        let mut transcripts = BTreeMap::new();
        while let Some(played) = playing.join_next().await {
            let (name, transcript) = played?;
            transcripts.insert(name, transcript);
        }
        Ok(transcripts)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Server> {
        self.by_profile.values()
    }
}
