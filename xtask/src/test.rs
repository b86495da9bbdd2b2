//! `test`: builds once, runs every suite of the table with its needs met, and ends with the summary.
//!
//! One cargo invocation builds all libraries, programs and tests with one set of features; the built programs are then run
//! directly, so that each suite has its own time, budget and log. A suite that runs no test has failed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use cargo_metadata::{Message, TargetKind};

use crate::checklist;
use crate::counts::{self, Counts};
use crate::faults::Faults;
use crate::process::{self, Ending, Job};
use crate::setup::{Env, Missing, Need};
use crate::suites::{self, Suite, TestTarget, Work};
use crate::summary::{Row, StepResult, Summary};
use crate::workspace::{Workspace, cargo};

/// Options of `test`.
#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Run this suite only (may be given more than once)
    #[arg(long, value_name = "SUITE")]
    only: Vec<String>,
    /// Name the suites with what they need, and run nothing
    #[arg(long)]
    list: bool,
}

/// The command.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let workspace = Workspace::load()?;
    let suites = chosen(suites::all(&workspace), &options.only)?;
    if options.list {
        for suite in &suites {
            let needs: Vec<&str> = suite.needs.iter().map(|need| need.label()).collect();
            let needs =
                if needs.is_empty() { String::new() } else { format!("; needs {}", needs.join(", ")) };
            println!("{:<20} {} (within {} s{needs})", suite.name, suite.about, suite.budget.as_secs());
        }
        return Ok(true);
    }
    let mut summary = Summary::default();
    run_suites(&workspace, &suites, &mut summary)?;
    if options.only.is_empty() {
        check_list(&workspace, &mut summary)?;
    }
    println!("{}", summary.render());
    Ok(summary.is_success())
}

/// Runs every suite there is, for `ci`.
pub(crate) fn run_all(workspace: &Workspace, summary: &mut Summary) -> Result<()> {
    run_suites(workspace, &suites::all(workspace), summary)?;
    check_list(workspace, summary)
}

/// Every test of the reference has one of ours that has just passed.
fn check_list(workspace: &Workspace, summary: &mut Summary) -> Result<()> {
    let started = Instant::now();
    let report = checklist::check(workspace, &summary.not_run())?;
    let result = if report.is_success() {
        StepResult::Ok { note: report.sums() }
    } else {
        println!("{}", report.render());
        StepResult::Failed { counts: Counts::default(), because: report.sums() }
    };
    summary.push(Row { name: "checklist".to_owned(), took: started.elapsed(), budget: None, result });
    Ok(())
}

fn chosen(suites: Vec<Suite>, only: &[String]) -> Result<Vec<Suite>> {
    for name in only {
        if !suites.iter().any(|suite| suite.name == *name) {
            let names: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
            bail!("there is no suite `{name}`; there are: {}", names.join(", "));
        }
    }
    Ok(suites.into_iter().filter(|suite| only.is_empty() || only.contains(&suite.name)).collect())
}

fn run_suites(workspace: &Workspace, suites: &[Suite], summary: &mut Summary) -> Result<()> {
    let built = build(workspace, summary)?;
    let mut needs = Needs { workspace, met: Vec::new() };
    let faults = Faults::begin(workspace)?;
    for suite in suites {
        let started = Instant::now();
        let result = match needs.all(&suite.needs)? {
            Ok(mut env) => {
                env.push(faults.env());
                Runner { workspace, built: &built, suite, env }.run()?
            }
            Err(missing) => StepResult::NotRun { because: missing.because, to_run: missing.to_run },
        };
        let budget = Some(suite.budget);
        summary.push(Row { name: suite.name.clone(), took: started.elapsed(), budget, result });
    }
    print!("{}", faults.render());
    Ok(())
}

/// What one build gave: test programs by target, and the programs that suites start.
#[derive(Default)]
struct Built {
    tests: BTreeMap<TestTarget, Program>,
    programs: BTreeMap<String, PathBuf>,
}

/// A built test program and the folder in which it expects to run.
#[derive(Clone)]
struct Program {
    file: PathBuf,
    folder: PathBuf,
}

/// Builds everything at once, so that features and profile are the same for tests and servers.
fn build(workspace: &Workspace, summary: &mut Summary) -> Result<Built> {
    let budget = Duration::from_secs(1500);
    let mut command = Command::new(cargo());
    command.args(["build", "--workspace", "--all-features", "--lib", "--bins", "--tests", "--examples"]);
    command.args(["--keep-going", "--message-format=json-render-diagnostics"]).current_dir(&workspace.root);
    let log = Some(workspace.scratch().join("logs/build.log"));
    let outcome = Job { name: "build".to_owned(), command, budget, log }.run()?;
    let result = if outcome.ending.is_success() {
        StepResult::Ok { note: String::new() }
    } else {
        let said: Vec<&str> = outcome.output.lines().filter(|line| !line.starts_with('{')).collect();
        println!("{}", process::tail(&said.join("\n"), 120));
        StepResult::Failed { counts: Counts::default(), because: outcome.ending.describe(budget) }
    };
    summary.push(Row { name: "build".to_owned(), took: outcome.took, budget: Some(budget), result });
    Ok(artifacts(&outcome.output))
}

/// Reads what was built from cargo's messages.
fn artifacts(output: &str) -> Built {
    let mut built = Built::default();
    for line in output.lines().filter(|line| line.starts_with('{')) {
        let Ok(Message::CompilerArtifact(artifact)) = serde_json::from_str(line) else {
            continue;
        };
        let Some(file) = artifact.executable else { continue };
        let file = file.into_std_path_buf();
        let folder =
            artifact.manifest_path.parent().map(|path| path.as_std_path().to_path_buf()).unwrap_or_default();
        let package = package_name(&artifact.package_id.repr);
        if artifact.profile.test {
            if let Some(kind) = suites::kind_of(&artifact.target) {
                let target = artifact.target.name.clone();
                built
                    .tests
                    .insert(TestTarget { package, target, kind: kind.to_owned() }, Program { file, folder });
            }
        } else if artifact.target.kind.contains(&TargetKind::Bin) {
            built.programs.insert(artifact.target.name, file);
        }
    }
    built
}

/// The name within a package id: `path+file:///folder/signalr-core#0.1.0` or `path+file:///folder#name@0.1.0`.
fn package_name(id: &str) -> String {
    let (url, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    match fragment.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => url.rsplit('/').next().unwrap_or(url).to_owned(),
    }
}

/// Needs that were asked for, so that each is met or refused once.
struct Needs<'a> {
    workspace: &'a Workspace,
    met: Vec<(Need, Result<Env, Missing>)>,
}

impl Needs<'_> {
    fn all(&mut self, needs: &[Need]) -> Result<Result<Env, Missing>> {
        let mut env = Env::new();
        for need in needs {
            match self.one(*need)? {
                Ok(more) => env.extend(more),
                Err(missing) => return Ok(Err(missing)),
            }
        }
        Ok(Ok(env))
    }

    fn one(&mut self, need: Need) -> Result<Result<Env, Missing>> {
        if let Some((_, known)) = self.met.iter().find(|(known, _)| *known == need) {
            return Ok(known.clone());
        }
        let answer = need.ensure(self.workspace)?;
        self.met.push((need, answer.clone()));
        Ok(answer)
    }
}

/// One suite about to run.
struct Runner<'a> {
    workspace: &'a Workspace,
    built: &'a Built,
    suite: &'a Suite,
    env: Env,
}

impl Runner<'_> {
    fn run(&self) -> Result<StepResult> {
        let commands = match self.commands() {
            Ok(commands) => commands,
            Err(because) => return Ok(StepResult::Failed { counts: Counts::default(), because }),
        };
        let deadline = Instant::now() + self.suite.budget;
        let mut sum = Counts::default();
        let mut because = Vec::new();
        for (label, command) in commands {
            let budget = deadline.saturating_duration_since(Instant::now());
            let log = self.workspace.scratch().join(format!("logs/{}.{label}.log", self.suite.name));
            let outcome =
                Job { name: self.suite.name.clone(), command, budget, log: Some(log.clone()) }.run()?;
            sum.add(counts::parse(&outcome.output));
            for line in table_lines(&outcome.output) {
                println!("    {line}");
            }
            if !outcome.ending.is_success() {
                println!("--- the end of {}", log.display());
                println!("{}\n---", process::tail(&outcome.output, 80));
                because.push(format!("{label}: {}", self.reason(outcome.ending)));
            }
        }
        if sum.total() == 0 && because.is_empty() {
            if self.suite.may_be_empty {
                return Ok(StepResult::Ok { note: "has no tests of its own".to_owned() });
            }
            because.push("it ran no test".to_owned());
        }
        if sum.failed > 0 && because.is_empty() {
            because.push("tests failed".to_owned());
        }
        Ok(match because.is_empty() {
            true => StepResult::Passed { counts: sum, note: String::new() },
            false => StepResult::Failed { counts: sum, because: because.join("; ") },
        })
    }

    fn reason(&self, ending: Ending) -> String {
        ending.describe(self.suite.budget)
    }

    /// The commands of this suite with a label each, or why there are none.
    fn commands(&self) -> Result<Vec<(String, Command)>, String> {
        // Without this a suite would find the program of an earlier build and judge that.
        let missing = SERVERS.into_iter().find(|name| !self.built.programs.contains_key(*name));
        if let Some(name) = missing.filter(|_| self.suite.starts_servers()) {
            return Err(format!("the server `{name}` did not build"));
        }
        let mut commands = match &self.suite.work {
            Work::Programs(targets) => {
                targets.iter().map(|target| self.program(target)).collect::<Result<_, _>>()?
            }
            Work::Doctests => vec![("cargo".to_owned(), self.doctests())],
            Work::Node(files) => vec![("node".to_owned(), self.node(files))],
            Work::Python => vec![("pytest".to_owned(), self.python()?)],
        };
        for (_, command) in &mut commands {
            for name in SERVERS {
                if let Some(file) = self.built.programs.get(name) {
                    command.env(format!("SIGNALR_{}_BIN", name.to_uppercase()), file);
                }
            }
            command.envs(self.env.iter().map(|(name, value)| (name, value)));
        }
        Ok(commands)
    }

    /// A test program as cargo itself would start it.
    fn program(&self, target: &TestTarget) -> Result<(String, Command), String> {
        let label = format!("{}-{}", target.target, target.kind);
        let Some(program) = self.built.tests.get(target) else {
            return Err(format!("{} of {} did not build", target.target, target.package));
        };
        let mut command = Command::new(&program.file);
        command.current_dir(&program.folder);
        command.env("CARGO", cargo()).env("CARGO_MANIFEST_DIR", &program.folder);
        command.env("CARGO_PKG_NAME", &target.package).env("CARGO_TARGET_DIR", &self.workspace.target);
        if target.target.starts_with("cluster_") {
            // They wait for outages to pass, most of the time.
            command.env("RUST_TEST_THREADS", "3");
        }
        if let Some(libraries) = rust_libraries() {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        Ok((label, command))
    }

    fn doctests(&self) -> Command {
        let mut command = Command::new(cargo());
        command.args(["test", "--workspace", "--all-features", "--doc", "--no-fail-fast"]);
        command.current_dir(&self.workspace.root);
        command
    }

    fn node(&self, files: &[String]) -> Command {
        let node = self.env.iter().find(|(name, _)| name == "SIGNALR_NODE").map_or("node", |(_, node)| node);
        let mut command = Command::new(node);
        command.args(["--test", "--test-reporter=spec"]).args(files).current_dir(self.workspace.js());
        command
    }

    fn python(&self) -> Result<Command, String> {
        let Some((_, python)) = self.env.iter().find(|(name, _)| name == "SIGNALR_PYTHON") else {
            return Err("there is no Python environment".to_owned());
        };
        let mut command = Command::new(python);
        command.args(["-m", "pytest", "-q"]).current_dir(self.workspace.python());
        Ok(command)
    }
}

/// The lines of a table that a suite wants to be seen, whatever else it prints.
fn table_lines(output: &str) -> impl Iterator<Item = &str> {
    output.lines().filter_map(|line| line.trim_start().strip_prefix("MATRIX "))
}

/// Where the standard library lies that tests of procedural macros load.
fn rust_libraries() -> Option<PathBuf> {
    let output = Command::new("rustc").args(["--print", "target-libdir"]).output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(folder.trim()))
}

/// The programs that real clients talk to.
const SERVERS: [&str; 2] = ["peer", "chat"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_names_are_read_from_both_forms_of_ids() {
        assert_eq!(package_name("path+file:///w/crates/signalr-core#0.1.0"), "signalr-core");
        assert_eq!(
            package_name("path+file:///w/integration-tests#signalr-integration-tests@0.1.0"),
            "signalr-integration-tests"
        );
    }

    #[test]
    fn tables_are_found_in_what_a_suite_prints() {
        let output = "▶ features\n  ✔ one\nMATRIX | client | invoke |\nMATRIX -: text only\nℹ tests 1\n";
        assert_eq!(table_lines(output).collect::<Vec<_>>(), ["| client | invoke |", "-: text only"]);
    }

    #[test]
    fn an_unknown_suite_is_named_with_the_known_ones() {
        let suite = Suite {
            name: "core".to_owned(),
            about: String::new(),
            needs: Vec::new(),
            budget: Duration::from_secs(1),
            work: Work::Doctests,
            may_be_empty: false,
        };
        let error = chosen(vec![suite.clone()], &["cor".to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "there is no suite `cor`; there are: core");
        assert_eq!(chosen(vec![suite.clone()], &["core".to_owned()]).unwrap().len(), 1);
        assert_eq!(chosen(vec![suite], &[]).unwrap().len(), 1);
    }

    #[test]
    fn test_programs_and_servers_are_told_apart() {
        let message = |name: &str, kind: &str, test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"path+file:///w/{name}#0.1.0","manifest_path":"/w/{name}/Cargo.toml","target":{{"kind":["{kind}"],"crate_types":["bin"],"name":"{name}","src_path":"/w/{name}/src/main.rs","edition":"2024","doc":true,"doctest":false,"test":true}},"profile":{{"opt_level":"0","debuginfo":1,"debug_assertions":true,"overflow_checks":true,"test":{test}}},"features":[],"filenames":["/t/{name}"],"executable":"/t/{name}-{test}","fresh":false}}"#
            )
        };
        let output = format!(
            "   Compiling peer\n{}\n{}\n{}\n",
            message("peer", "bin", false),
            message("peer", "bin", true),
            message("echo", "test", true)
        );
        let built = artifacts(&output);
        assert_eq!(built.programs["peer"], PathBuf::from("/t/peer-false"));
        let keys: Vec<(&str, &str)> =
            built.tests.keys().map(|key| (key.target.as_str(), key.kind.as_str())).collect();
        assert_eq!(keys, [("echo", "test"), ("peer", "bin")]);
    }
}
