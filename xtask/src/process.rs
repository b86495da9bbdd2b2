//! Runs one tool: its own process group, a time budget, a log file, progress while it lasts.
//!
//! Does not judge the output; callers get it as text. Nothing that a tool started outlives it: its whole group is killed when
//! it ends, when the budget is spent, and (by a watchdog that notices a closed pipe) when xtask itself is interrupted.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// One tool to run.
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) command: Command,
    /// Wall-clock time after which the tool's process group is killed.
    pub(crate) budget: Duration,
    /// Where the whole output goes, if anywhere.
    pub(crate) log: Option<PathBuf>,
}

/// How a tool ended and what it said on both its outputs, in order.
pub(crate) struct Outcome {
    pub(crate) output: String,
    pub(crate) took: Duration,
    pub(crate) ending: Ending,
}

/// Why a tool is no longer running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Exited(i32),
    Signalled(i32),
    OutOfTime,
}

impl Ending {
    pub(crate) fn is_success(self) -> bool {
        self == Self::Exited(0)
    }

    /// One phrase for the summary.
    pub(crate) fn describe(self, budget: Duration) -> String {
        match self {
            Self::Exited(code) => format!("exit code {code}"),
            Self::Signalled(signal) => format!("killed by signal {signal}"),
            Self::OutOfTime => format!("over its budget of {} s, killed", budget.as_secs()),
        }
    }
}

impl Job {
    /// Runs the tool to its end. Fails only when it cannot be started or its log cannot be written.
    pub(crate) fn run(mut self) -> Result<Outcome> {
        let started = Instant::now();
        let mut log = self.log.as_deref().map(create_log).transpose()?;
        let (reader, writer) = std::io::pipe().context("no pipe for the output")?;
        self.command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
        let program = self.command.get_program().to_string_lossy().into_owned();
        let child = self.command.spawn().with_context(|| format!("cannot start {program}"))?;
        // The command holds the pipe's writing ends; the reader sees the end only when they are gone.
        drop(std::mem::replace(&mut self.command, Command::new("true")));
        let mut group = Group::new(child)?;
        let lines = read_lines(reader);
        let mut progress = Progress::new(&self.name);
        let mut output = String::new();
        let mut ended: Option<(Ending, Instant)> = None;
        loop {
            match lines.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => {
                    progress.line(&line);
                    if let Some(log) = &mut log {
                        log.write_all(line.as_bytes())?;
                    }
                    output.push_str(&line);
                }
                Err(RecvTimeoutError::Timeout) => progress.tick(started.elapsed()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if ended.is_none() {
                if let Some(status) = group.child.try_wait()? {
                    ended = Some((ending_of(status), Instant::now()));
                } else if started.elapsed() > self.budget {
                    ended = Some((Ending::OutOfTime, Instant::now()));
                    group.kill();
                }
            }
            // Something that the tool started still holds the pipe: give it a moment, then end it.
            if ended.as_ref().is_some_and(|(_, at)| at.elapsed() > Duration::from_secs(2)) {
                group.kill();
                break;
            }
        }
        let ending = match ended {
            Some((ending, _)) => ending,
            None => group.wait_until(started + self.budget)?,
        };
        drop(group);
        Ok(Outcome { output, took: started.elapsed(), ending })
    }
}

/// Runs a tool that must succeed and returns what it said.
pub(crate) fn must(name: &str, command: Command, budget: Duration) -> Result<String> {
    let outcome = Job { name: name.to_owned(), command, budget, log: None }.run()?;
    if !outcome.ending.is_success() {
        bail!("{name}: {}\n{}", outcome.ending.describe(budget), tail(&outcome.output, 40));
    }
    Ok(outcome.output)
}

/// The last `count` lines of `text`.
pub(crate) fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// From now on the output of every tool is shown as it comes.
pub(crate) fn set_verbose(on: bool) {
    VERBOSE.store(on, Ordering::Relaxed);
}

/// A child, its process group, and the shell that ends the group when this process is gone. Dropping it ends the group.
pub(crate) struct Group {
    child: Child,
    watchdog: Option<Child>,
}

impl Group {
    /// Takes over a child that leads its own process group.
    pub(crate) fn new(child: Child) -> Result<Self> {
        let mut watchdog = Command::new("sh");
        // `read` returns when the pipe closes, which happens however this process ends.
        watchdog.args(["-c", &format!("read -r _; {KILL_GROUP}")]).arg(child.id().to_string());
        watchdog.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let watchdog = watchdog.spawn().ok();
        Ok(Self { child, watchdog })
    }

    /// Ends every process of the group. An empty group is fine.
    fn kill(&self) {
        let mut kill = Command::new("sh");
        kill.args(["-c", KILL_GROUP]).arg(self.child.id().to_string());
        kill.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        kill.status().ok();
    }

    /// Waits for a child that has closed its outputs but not yet exited.
    fn wait_until(&mut self, deadline: Instant) -> Result<Ending> {
        let (never, waiting) = sync_channel::<()>(1);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(ending_of(status));
            }
            waiting.recv_timeout(Duration::from_millis(20)).ok();
        }
        drop(never);
        Ok(Ending::OutOfTime)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            watchdog.kill().ok();
            watchdog.wait().ok();
        }
        self.kill();
        self.child.wait().ok();
    }
}

/// Says on standard error that a long step is still alive.
struct Progress<'a> {
    name: &'a str,
    last: String,
    next: Duration,
}

impl<'a> Progress<'a> {
    fn new(name: &'a str) -> Self {
        Self { name, last: String::new(), next: PROGRESS_EVERY }
    }

    fn line(&mut self, line: &str) {
        if VERBOSE.load(Ordering::Relaxed) {
            eprint!("{line}");
        }
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('{') {
            self.last = line.chars().take(90).collect();
        }
    }

    fn tick(&mut self, elapsed: Duration) {
        if elapsed >= self.next {
            eprintln!("    {} s in {}: {}", elapsed.as_secs(), self.name, self.last);
            self.next = elapsed + PROGRESS_EVERY;
        }
    }
}

fn ending_of(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, signal) => Ending::Signalled(signal.unwrap_or(0)),
    }
}

fn create_log(path: &std::path::Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

fn read_lines(reader: PipeReader) -> Receiver<String> {
    let (sender, receiver) = sync_channel(1024);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    receiver
}

static VERBOSE: AtomicBool = AtomicBool::new(false);
/// By the shell, because a minimal system has no `kill` program; in the one form that every shell understands.
const KILL_GROUP: &str = "kill -KILL \"-$0\"";
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, budget: Duration) -> Outcome {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Job { name: "test".to_owned(), command, budget, log: None }.run().unwrap()
    }

    #[test]
    fn both_outputs_and_the_exit_code_come_back() {
        let outcome = shell("echo out; echo err >&2; exit 3", Duration::from_secs(20));
        assert_eq!(outcome.ending, Ending::Exited(3));
        assert_eq!(outcome.output, "out\nerr\n");
    }

    #[test]
    fn a_tool_over_its_budget_is_killed_with_all_it_started() {
        // Both processes would last far longer than this test may.
        let outcome = shell("sleep 600 & echo $!; wait", Duration::from_millis(300));
        assert_eq!(outcome.ending, Ending::OutOfTime);
        let grandchild = outcome.output.trim().to_owned();
        assert!(!is_running(&grandchild), "{grandchild} is still running");
    }

    #[test]
    fn what_a_tool_leaves_behind_is_killed() {
        let outcome = shell("sleep 600 & echo $!", Duration::from_secs(60));
        assert_eq!(outcome.ending, Ending::Exited(0));
        assert!(outcome.took < Duration::from_secs(50));
        assert!(!is_running(outcome.output.trim()));
    }

    #[test]
    fn a_tool_does_not_outlive_us() {
        let child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let mut group = Group::new(child).unwrap();
        assert_eq!(group.child.try_wait().unwrap(), None);
        // What the end of this process does, however it comes.
        drop(group.watchdog.as_mut().unwrap().stdin.take());
        assert_eq!(group.wait_until(Instant::now() + Duration::from_secs(20)).unwrap(), Ending::Signalled(9));
    }

    #[test]
    fn the_end_of_a_text_is_its_last_lines() {
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a", 5), "a");
    }

    /// Whether the process exists and is more than a zombie that nobody has collected.
    fn is_running(pid: &str) -> bool {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if status.is_empty() || status.contains(") Z ") {
                return false;
            }
            if Instant::now() > deadline {
                return true;
            }
            std::thread::yield_now();
        }
    }
}
