//! `setup`: installs what the tests need and this machine lacks, or names the exact command.
//!
//! Quick and without effect when all is there. Debian packages come by apt-get when we are root, Node packages by npm from the
//! lock file (`node`), Python packages and an old Redis by pip below the target folder (`python`). Rust itself is the user's.

mod node;
mod python;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::{Workspace, find_program};

/// Something a suite cannot run without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Redis,
    /// A server of Redis 5 besides.
    Redis5,
    Haproxy,
    Nginx,
    Chromium,
    NodePackages,
    PythonPackages,
    DotnetPeer,
}

/// A need that could not be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) because: String,
    pub(crate) to_run: String,
}

/// Environment variables that a met need gives to its suites.
pub(crate) type Env = Vec<(String, String)>;

/// The command: meets every need that can be met here and says what is missing.
pub(crate) fn run() -> Result<bool> {
    let workspace = Workspace::load()?;
    let mut complete = true;
    for need in EVERYTHING {
        match need.ensure(&workspace)? {
            Ok(_) => println!("  {:<16} ready", need.label()),
            Err(missing) => {
                // The .NET peer is a second opinion; a machine without it is complete.
                complete &= need == Need::DotnetPeer;
                println!(
                    "  {:<16} missing, because {}; to get it: {}",
                    need.label(),
                    missing.because,
                    missing.to_run
                );
            }
        }
    }
    Ok(complete)
}

impl Need {
    /// Makes sure that the need is met, installing what is missing if this process may.
    pub(crate) fn ensure(self, workspace: &Workspace) -> Result<Result<Env, Missing>> {
        match self {
            Self::Redis => debian(&["redis-server"], "redis-server").map(|met| met.map(|_| Env::new())),
            Self::Redis5 => python::redis5(workspace),
            Self::Haproxy => debian(&["haproxy"], "haproxy").map(|met| met.map(|_| Env::new())),
            Self::Nginx => debian(&["nginx"], "nginx").map(|met| met.map(|_| Env::new())),
            Self::Chromium => debian(&["chromium", "chromium-browser", "google-chrome"], "chromium")
                .map(|met| met.map(|path| vec![("CHROMIUM".to_owned(), path.display().to_string())])),
            Self::NodePackages => node::packages(workspace),
            Self::PythonPackages => python::packages(workspace),
            Self::DotnetPeer => dotnet_peer(workspace),
        }
    }

    /// What people call it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Redis => "Redis",
            Self::Redis5 => "Redis 5",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Chromium => "Chromium",
            Self::NodePackages => "Node packages",
            Self::PythonPackages => "Python packages",
            Self::DotnetPeer => ".NET peer",
        }
    }
}

/// A program from a Debian package: found on the PATH, else installed.
fn debian(programs: &[&str], package: &str) -> Result<Result<PathBuf, Missing>> {
    if let Some(path) = find_program(programs) {
        return Ok(Ok(path));
    }
    let missing = |because: String| Missing { because, to_run: format!("sudo apt-get install -y {package}") };
    if find_program(&["apt-get"]).is_none() {
        let because = format!("there is no {} on the PATH and no apt-get to install it", programs[0]);
        return Ok(Err(Missing {
            because,
            to_run: format!("install {package} by your system's package manager"),
        }));
    }
    if !is_root() {
        return Ok(Err(missing(format!("there is no {} on the PATH and we are not root", programs[0]))));
    }
    // An index that cannot be fetched may still be there from before, so the install is the judge.
    apt(&["update"], 300).ok();
    let installed = apt(&["install", "-y", "--no-install-recommends", package], 900);
    match (installed, find_program(programs)) {
        (_, Some(path)) => Ok(Ok(path)),
        (Err(error), None) => Ok(Err(missing(format!("apt-get failed: {}", last_line(&error))))),
        (Ok(_), None) => Ok(Err(missing(format!("the package brought no {}", programs[0])))),
    }
}

/// libFuzzer is C++.
pub(crate) fn cpp_compiler() -> Result<Result<PathBuf, Missing>> {
    debian(&["c++", "g++", "clang++"], "g++")
}

fn apt(arguments: &[&str], seconds: u64) -> Result<String> {
    let mut command = Command::new("apt-get");
    // RUNLEVEL keeps Debian from starting the service: the tests start their own on free ports.
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    let name = format!("apt-get {}", arguments.join(" "));
    eprintln!("  {name}");
    process::must(&name, command, Duration::from_secs(seconds))
}

/// The reference server and client: named by the environment, else built by a .NET SDK.
fn dotnet_peer(workspace: &Workspace) -> Result<Result<Env, Missing>> {
    if let Some(peer) = std::env::var_os(DOTNET_PEER) {
        let peer = PathBuf::from(peer);
        let value = (DOTNET_PEER.to_owned(), peer.display().to_string());
        let because = format!("{DOTNET_PEER} names {}, which is not a file", peer.display());
        let to_run = format!("set {DOTNET_PEER} to the built dotnet-peer program");
        return Ok(if peer.is_file() { Ok(vec![value]) } else { Err(Missing { because, to_run }) });
    }
    let sources = workspace.root.join("integration-tests/dotnet-peer");
    let built = workspace.scratch().join("dotnet-peer/dotnet-peer");
    let env: Env = vec![(DOTNET_PEER.to_owned(), built.display().to_string())];
    if built.is_file() {
        return Ok(Ok(env));
    }
    let to_run = format!("install the .NET 10 SDK, or set {DOTNET_PEER} to a built dotnet-peer");
    if find_program(&["dotnet"]).is_none() || !sources.is_dir() {
        let because = format!("{DOTNET_PEER} is not set and there is no .NET SDK");
        return Ok(Err(Missing { because, to_run }));
    }
    let mut publish = Command::new("dotnet");
    publish.args(["publish", "-c", "Release", "-o"]).arg(workspace.scratch().join("dotnet-peer")).arg(".");
    publish.current_dir(&sources);
    eprintln!("  dotnet publish in integration-tests/dotnet-peer");
    Ok(match process::must("dotnet publish", publish, Duration::from_secs(600)) {
        Ok(_) => Ok(env),
        Err(error) => {
            Err(Missing { because: format!("dotnet publish failed: {}", last_line(&error)), to_run })
        }
    })
}

/// "These packages are what that lock file says": a copy of the lock file beside what was installed from it.
struct Stamp {
    file: PathBuf,
    source: PathBuf,
}

impl Stamp {
    fn is_fresh(&self) -> bool {
        let read = |path: &Path| std::fs::read(path).ok();
        read(&self.file).is_some_and(|installed| Some(installed) == read(&self.source))
    }

    fn write(&self) -> Result<()> {
        std::fs::copy(&self.source, &self.file)
            .with_context(|| format!("cannot write {}", self.file.display()))
            .map(|_| ())
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn last_line(error: &anyhow::Error) -> String {
    format!("{error:#}")
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("no reason given")
        .trim()
        .to_owned()
}

/// What `setup` brings beforehand; the rest comes when a suite asks for it.
const EVERYTHING: [Need; 6] =
    [Need::Redis, Need::Redis5, Need::NodePackages, Need::Chromium, Need::PythonPackages, Need::DotnetPeer];

/// Names the program of the reference server and client.
pub(crate) const DOTNET_PEER: &str = "SIGNALR_DOTNET_PEER";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_fresh_until_its_source_changes() {
        let folder = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let stamp = Stamp { file: folder.join("stamp"), source: folder.join("lock") };
        assert!(!stamp.is_fresh(), "neither file exists");
        std::fs::write(&stamp.source, "one").unwrap();
        assert!(!stamp.is_fresh());
        stamp.write().unwrap();
        assert!(stamp.is_fresh());
        std::fs::write(&stamp.source, "two").unwrap();
        assert!(!stamp.is_fresh());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_program_that_is_there_is_not_installed() {
        assert!(debian(&["no-such-program", "sh"], "dash").unwrap().is_ok());
    }

    #[test]
    fn the_reason_is_the_last_thing_said() {
        assert_eq!(
            last_line(&anyhow::anyhow!("npm ci: exit code 1\nsome noise\nE404 not found\n\n")),
            "E404 not found"
        );
    }
}
