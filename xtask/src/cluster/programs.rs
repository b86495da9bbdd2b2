//! The programs of a cluster: built, or found.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process;
use crate::setup::{DOTNET_PEER, Env};
use crate::workspace::{Workspace, cargo};

/// Where they are.
pub(super) struct Programs {
    pub(super) peer: PathBuf,
    pub(super) topology: PathBuf,
    dotnet: Option<PathBuf>,
}

impl Programs {
    /// Builds ours as `test` does, so that neither undoes what the other has built.
    pub(super) fn build(workspace: &Workspace, env: &Env) -> Result<Self> {
        let mut command = Command::new(cargo());
        command.args(["build", "--workspace", "--all-features", "--bin", "peer", "--bin", "redis-topology"]);
        command.current_dir(&workspace.root);
        eprintln!("  cargo build --bin peer --bin redis-topology");
        process::must("cargo build", command, Duration::from_secs(1500))?;
        let folder = workspace.target.join("debug");
        let dotnet = env.iter().find(|(name, _)| name == DOTNET_PEER).map(|(_, value)| value.into());
        Ok(Self { peer: folder.join("peer"), topology: folder.join("redis-topology"), dotnet })
    }

    /// The reference's.
    ///
    /// # Errors
    /// Nobody has asked for it.
    pub(super) fn dotnet(&self) -> Result<&Path> {
        self.dotnet.as_deref().with_context(|| format!("{DOTNET_PEER} is not known"))
    }
}
