//! The reference's transcripts, kept as data, so that servers can be compared with it where it is not at hand.
//!
//! Owns `data/wire.json`. It is written only by recording from the reference (`cargo xtask diff --record`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Golden {
    /// The version of the reference that answered.
    pub reference: String,
    /// Transcripts by scenario.
    pub scenarios: BTreeMap<String, Vec<String>>,
}

impl Golden {
    /// Reads the file.
    pub fn read() -> Result<Self> {
        let text = std::fs::read_to_string(path()).context("data/wire.json is missing")?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Writes the file.
    pub fn write(&self) -> Result<()> {
        Ok(std::fs::write(path(), serde_json::to_string_pretty(self)? + "\n")?)
    }
}

fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/data/wire.json"))
}
