//! The reference's answers, kept as data, so that servers can be compared with it where it is not at hand.
//!
//! Owns `data/transcripts.json`. It is written only by recording from the reference (`SIGNALR_RECORD=1`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Case, Step, play, play::hex};
use crate::server::Server;

/// A server for each profile, and one more for each whose patience is short.
#[derive(Debug)]
pub struct Servers {
    usual: [Server; 2],
    impatient: [Server; 2],
}

impl Servers {
    /// Starts four servers of a program.
    pub async fn start(program: &Path) -> Result<Self> {
        let start = async |flags: &[&str], more: &[&str]| {
            Server::start_program(program, 0, &[flags, more].concat()).await
        };
        let [plain, detailed] = PROFILES.map(|(_, flags)| flags);
        Ok(Self {
            usual: [start(plain, &[]).await?, start(detailed, &[]).await?],
            impatient: [start(plain, IMPATIENT).await?, start(detailed, IMPATIENT).await?],
        })
    }

    /// Plays a case against the two servers that are meant for it.
    pub async fn answer(&self, case: &Case) -> Result<[Vec<String>; 2]> {
        let [plain, detailed] = if case.waits { &self.impatient } else { &self.usual };
        let (plain, detailed) = tokio::join!(play(plain.port(), case), play(detailed.port(), case));
        Ok([plain.with_context(|| case.name)?, detailed.with_context(|| case.name)?])
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Server> {
        self.usual.iter().chain(&self.impatient)
    }
}

const IMPATIENT: &[&str] = &["--handshake-timeout-ms", "1000", "--client-timeout-ms", "1500"];

/// The names and flags of the two servers that answer every case: without and with detailed errors.
pub const PROFILES: [(&str, &[&str]); 2] = [
    ("plain", &["--hubs", "scale", "--name", "transcript"]),
    ("detailed", &["--hubs", "scale", "--name", "transcript", "--detailed-errors"]),
];

/// The file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Golden {
    /// The version of the reference that answered.
    pub reference: String,
    /// By case name.
    pub cases: BTreeMap<String, Entry>,
}

/// What was sent and what the reference answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// For the reader: the inputs, shortened where they are long.
    pub sent: Vec<String>,
    /// The lines without detailed errors.
    pub plain: Vec<String>,
    /// The lines with detailed errors.
    pub detailed: Vec<String>,
}

impl Golden {
    /// Reads the file.
    pub fn read() -> Result<Self> {
        let text = std::fs::read_to_string(path()).context("data/transcripts.json is missing")?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Writes the file.
    pub fn write(&self) -> Result<()> {
        Ok(std::fs::write(path(), serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// Asks servers for their answers to every case.
    pub async fn record(cases: &[Case], servers: &Servers, reference: String) -> Result<Self> {
        let mut golden = Self { reference, cases: BTreeMap::new() };
        for case in cases {
            golden.cases.insert(case.name.to_owned(), Self::entry(case, servers).await?);
        }
        Ok(golden)
    }

    /// The answers of servers of both profiles to one case.
    pub async fn entry(case: &Case, servers: &Servers) -> Result<Entry> {
        let [plain, detailed] = servers.answer(case).await?;
        Ok(Entry { sent: case.steps.iter().map(describe).collect(), plain, detailed })
    }

    /// What a server should answer to a case: the reference's lines, or ours where we differ on purpose.
    pub fn expected(&self, case: &Case) -> Result<[Vec<String>; 2]> {
        let entry =
            self.cases.get(case.name).with_context(|| format!("`{}` was never recorded", case.name))?;
        let theirs = [entry.plain.clone(), entry.detailed.clone()];
        Ok(match &case.deviation {
            Some(deviation) => deviation.ours.lines(theirs),
            None => theirs,
        })
    }
}

fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/data/transcripts.json"))
}

fn describe(step: &Step) -> String {
    let text = match step {
        Step::Text(payload) => format!("text {}", String::from_utf8_lossy(payload)),
        Step::Binary(payload) => format!("binary {}", hex(payload)),
        Step::Raw(bytes) => format!("raw {}", hex(bytes)),
        Step::Await(usize::MAX) => "(wait for the end)".to_owned(),
        Step::Await(messages) => format!("(wait for {messages})"),
    };
    match text.char_indices().nth(400) {
        Some((cut, _)) => format!("{}... ({} bytes)", &text[..cut], text.len()),
        None => text,
    }
}
