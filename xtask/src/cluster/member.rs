//! One process of a cluster: started, waited for until it says that it is ready, ended with the value.
//!
//! Owns the process and its log file. The words of readiness come from the caller.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{self, Group};

/// A running process. Dropping it ends it and whatever it started.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) pid: u32,
    pub(crate) log: PathBuf,
    _group: Group,
}

/// What all members have in common.
pub(crate) struct Starter {
    /// Where logs and other files go.
    pub(crate) folder: PathBuf,
    /// Gets the name of a member that has ended.
    pub(crate) telling: SyncSender<String>,
}

impl Starter {
    /// Starts a program and waits until `address` recognises a line of its output.
    pub(crate) fn member(
        &self,
        name: &str,
        mut command: Command,
        address: impl Fn(&str) -> Option<String> + Send + 'static,
    ) -> Result<Member> {
        let log = self.folder.join(format!("{name}.log"));
        let mut file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file.try_clone()?).process_group(0);
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let stdout = child.stdout.take().context("the output is piped")?;
        let pid = child.id();
        let group = Group::new(child)?;
        let (found, ready) = sync_channel(1);
        let (telling, own) = (self.telling.clone(), name.to_owned());
        std::thread::spawn(move || {
            follow(stdout, &mut file, address, &found);
            drop(found);
            // Nobody listens while a suite runs.
            telling.try_send(own).ok();
        });
        match ready.recv_timeout(PATIENCE) {
            Ok(address) => Ok(Member { name: name.to_owned(), address, pid, log, _group: group }),
            Err(RecvTimeoutError::Disconnected) => {
                drop(group);
                bail!("{name} has ended instead of getting ready: {}", said(&log))
            }
            Err(RecvTimeoutError::Timeout) => {
                drop(group);
                bail!("{name} did not get ready within {} s: {}", PATIENCE.as_secs(), said(&log))
            }
        }
    }
}

/// Copies the output into the log until it ends, and tells the address once.
fn follow(
    stdout: ChildStdout,
    log: &mut File,
    address: impl Fn(&str) -> Option<String>,
    found: &SyncSender<String>,
) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        writeln!(log, "{line}").ok();
        if let Some(address) = address(&line) {
            found.try_send(address).ok();
        }
    }
}

fn said(log: &Path) -> String {
    process::tail(&std::fs::read_to_string(log).unwrap_or_default(), 20)
}

const PATIENCE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    fn starter(name: &str) -> Starter {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Starter { folder, telling: sync_channel(1).0 }
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_member_is_ready_when_it_says_so_and_ends_with_its_value() {
        let start = starter("member");
        let ready = |line: &str| line.strip_prefix("at ").map(str::to_owned);
        let member = start.member("m", shell("echo hello; echo at here; sleep 600"), ready).unwrap();
        assert_eq!(member.address, "here");
        let status = format!("/proc/{}/stat", member.pid);
        assert!(std::fs::exists(&status).unwrap());
        drop(member);
        assert!(!std::fs::exists(&status).unwrap(), "it was not collected");
        std::fs::remove_dir_all(&start.folder).unwrap();
    }

    #[test]
    fn a_member_that_ends_instead_is_an_error_with_its_last_words() {
        let start = starter("dead-member");
        let error = start.member("m", shell("echo no such thing >&2"), |_| None).err().unwrap().to_string();
        assert!(error.contains("no such thing") && error.contains("has ended"), "{error}");
        std::fs::remove_dir_all(&start.folder).unwrap();
    }
}
