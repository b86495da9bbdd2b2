//! The programs of a cluster: built, or found.

use std::ffi::OsStr;
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
    /// What needs that are met have given, for all of them.
    pub(super) env: Env,
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
        Ok(Self { peer: folder.join("peer"), topology: folder.join("redis-topology"), env: env.clone() })
    }

    /// The reference's.
    ///
    /// # Errors
    /// Nobody has asked for it.
    pub(super) fn dotnet(&self) -> Result<&Path> {
        let found = self.env.iter().find(|(name, _)| name == DOTNET_PEER);
        let (_, program) = found.with_context(|| format!("{DOTNET_PEER} is not known"))?;
        Ok(OsStr::new(program).as_ref())
    }
}
