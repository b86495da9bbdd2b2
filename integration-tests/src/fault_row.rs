//! One row of the table of faults: what a fleet said, lost and heard twice, and how long it took to be well again.
//!
//! Owns the form of a row and where it goes: to standard output, and to the end of the file that
//! [`TABLE`](FaultRow::TABLE) names. `cargo xtask test` and `cargo xtask cluster` name one and print it when all faults are
//! over (`xtask/src/faults.rs`). The numbers are the tests' business.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};

/// The books of all servers of a fleet, added up.
#[derive(Debug, Clone, Default)]
pub struct FaultRow {
    /// The kind of Redis.
    pub kind: String,
    /// What went wrong.
    pub fault: String,
    /// Messages that clients sent.
    pub said: u64,
    /// Those of them that at least one other server did not deliver.
    pub lost: u64,
    /// What the senders counted as dropped.
    pub dropped: u64,
    /// What the senders counted as unknown.
    pub unknown: u64,
    /// Deliveries of a message that a client had already.
    pub doubled: u64,
    /// Servers that reported a gap: they may lack what nobody dropped.
    pub gaps: u64,
    /// From the end of the fault until every server was well.
    pub recovery: Duration,
}

impl FaultRow {
    /// Names the file to which rows are added; rows are only printed without it.
    pub const TABLE: &'static str = "SIGNALR_FAULT_TABLE";

    /// Prints the row and adds it to the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn tell(&self) -> Result<()> {
        println!("{self}");
        let Some(path) = std::env::var_os(Self::TABLE) else { return Ok(()) };
        let file = OpenOptions::new().create(true).append(true).open(&path);
        // In one piece: other tests write too.
        let written = file.and_then(|mut file| file.write_all(format!("{self}\n").as_bytes()));
        written.with_context(|| format!("cannot write {}", path.display()))
    }
}

/// `fault|KIND|FAULT|SAID|LOST|DROPPED|UNKNOWN|DOUBLED|GAPS|MILLISECONDS`
impl fmt::Display for FaultRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, fault, said, lost, dropped, unknown, doubled, gaps, recovery } = self;
        let recovery = recovery.as_millis();
        write!(f, "fault|{kind}|{fault}|{said}|{lost}|{dropped}|{unknown}|{doubled}|{gaps}|{recovery}")
    }
}
