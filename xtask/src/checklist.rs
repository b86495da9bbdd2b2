//! `checklist`: every test of the reference has a test of ours, or a reason why it cannot have one; and each acceptance
//! scenario has its tests (`integration-tests/acceptance.toml`).
//!
//! `integration-tests/data/checklist.txt` holds the reference's names by theme, `integration-tests/checklist.toml` says for each
//! what shows it here. Whether a named test exists and passed is read from the logs of the suites' last run; recorded scenarios
//! and cases are looked up in their data files and pass with the test that plays them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// The command.
pub(crate) fn run() -> Result<bool> {
    let workspace = Workspace::load()?;
    let report = check(&workspace, &BTreeSet::new())?;
    println!("{}", report.render());
    Ok(report.is_success())
}

/// Checks the list against the logs. What suites show that this machine cannot run is believed.
pub(crate) fn check(workspace: &Workspace, not_run: &BTreeSet<String>) -> Result<Report> {
    let folder = workspace.root.join("integration-tests");
    let names = names(&std::fs::read_to_string(folder.join("data/checklist.txt"))?);
    let table: toml::Table = std::fs::read_to_string(folder.join("checklist.toml"))?
        .parse()
        .context("integration-tests/checklist.toml")?;
    let mut passed = Passed::of_logs(&workspace.scratch().join("logs"))?;
    passed.not_run.clone_from(not_run);
    passed.add_recorded(&folder.join("data"))?;
    let mut report = compare(&names, &table, &passed);
    let scenarios: toml::Table = std::fs::read_to_string(folder.join("acceptance.toml"))?
        .parse()
        .context("integration-tests/acceptance.toml")?;
    report.add_scenarios(&scenarios, &passed);
    Ok(report)
}

/// What the checklist came to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    covered: usize,
    not_applicable: usize,
    scenarios: usize,
    open: Vec<String>,
    wrong: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong. What is still open is told, with its reason, and is no failure.
    pub(crate) fn is_success(&self) -> bool {
        self.wrong.is_empty()
    }

    /// One line: the sums.
    pub(crate) fn sums(&self) -> String {
        let (covered, not_applicable, open) = (self.covered, self.not_applicable, self.open.len());
        let scenarios = self.scenarios;
        format!(
            "{covered} covered, {not_applicable} not applicable, {open} open; {scenarios} acceptance scenarios"
        )
    }

    /// Each scenario names at least one test, and all that it names have passed.
    fn add_scenarios(&mut self, table: &toml::Table, passed: &Passed) {
        for (scenario, tests) in table {
            let tests: Vec<&str> =
                tests.as_array().into_iter().flatten().filter_map(toml::Value::as_str).collect();
            let missing: Vec<&str> = tests.iter().copied().filter(|test| !passed.has(test)).collect();
            let gone = missing
                .iter()
                .map(|test| format!("{scenario}: `{test}` does not exist, did not run or failed"));
            self.wrong.extend(gone);
            if tests.is_empty() {
                self.wrong.push(format!("{scenario}: it names no test"));
            }
            self.scenarios += usize::from(missing.is_empty() && !tests.is_empty());
        }
    }

    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        for line in &self.open {
            text.push_str(&format!("open: {line}\n"));
        }
        for line in &self.wrong {
            text.push_str(&format!("wrong: {line}\n"));
        }
        text + &self.sums()
    }
}

/// Names by theme, in the order of the file: `== THEME`, then one name in each line.
fn names(text: &str) -> Vec<(String, String)> {
    let mut theme = String::new();
    let mut names = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_prefix("== ") {
            Some(title) => theme = title.to_owned(),
            None => names.push((theme.clone(), line.to_owned())),
        }
    }
    names
}

fn compare(names: &[(String, String)], table: &toml::Table, passed: &Passed) -> Report {
    let mut report = Report::default();
    for (theme, name) in names {
        let label = format!("{theme}: {name}");
        let entry = table.get(theme).and_then(|theme| theme.get(name));
        let word = |key: &str| entry.and_then(|entry| entry.get(key)).and_then(|reason| reason.as_str());
        let tests: Vec<&str> = match entry {
            Some(toml::Value::String(test)) => vec![test],
            Some(toml::Value::Array(tests)) => tests.iter().filter_map(|test| test.as_str()).collect(),
            _ => Vec::new(),
        };
        if word("not_applicable").is_some_and(|reason| reason.len() > 10) {
            report.not_applicable += 1;
        } else if let Some(reason) = word("open") {
            report.open.push(format!("{label}: {reason}"));
        } else if tests.is_empty() {
            report.wrong.push(format!("{label}: nothing is said about it"));
        } else {
            let missing: Vec<&str> = tests.iter().copied().filter(|test| !passed.has(test)).collect();
            report.wrong.extend(
                missing.iter().map(|test| format!("{label}: `{test}` does not exist, did not run or failed")),
            );
            report.covered += usize::from(missing.is_empty());
        }
    }
    let known: BTreeSet<(&str, &str)> =
        names.iter().map(|(theme, name)| (theme.as_str(), name.as_str())).collect();
    for (theme, entries) in table {
        for name in entries.as_table().into_iter().flat_map(toml::Table::keys) {
            if !known.contains(&(theme.as_str(), name.as_str())) {
                report.wrong.push(format!("{theme}: {name} is no name of the reference"));
            }
        }
    }
    report
}

/// Tests that passed in the last run, by suite.
#[derive(Debug, Default)]
struct Passed {
    by_suite: BTreeMap<String, BTreeSet<String>>,
    /// Suites that this machine cannot run; the summary names them.
    not_run: BTreeSet<String>,
}

impl Passed {
    fn of_logs(folder: &Path) -> Result<Self> {
        let mut passed = Self::default();
        let entries =
            std::fs::read_dir(folder).context("no suite has run yet; run `cargo xtask test` first")?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some((suite, _)) = name.split_once('.') else { continue };
            let output = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
            passed
                .by_suite
                .entry(suite.to_owned())
                .or_default()
                .extend(output.lines().filter_map(passed_test));
        }
        Ok(passed)
    }

    /// Adds what is recorded as data and played by one test.
    fn add_recorded(&mut self, folder: &Path) -> Result<()> {
        for (kind, file, key, test) in [
            ("scenario", "wire.json", "scenarios", "every_scenario_goes_as_with_the_reference"),
            ("case", "transcripts.json", "cases", "our_answers_are_the_references"),
        ] {
            if !self.has(&format!("transcripts: {test}")) {
                continue;
            }
            let text = std::fs::read_to_string(folder.join(file))?;
            let data: serde_json::Value = serde_json::from_str(&text)?;
            let names = data[key].as_object().into_iter().flat_map(|recorded| recorded.keys().cloned());
            self.by_suite.insert(kind.to_owned(), names.collect());
        }
        Ok(())
    }

    /// Whether `SUITE: TEST` passed. A test may be named without its modules; a `*` at the end stands for any rest.
    fn has(&self, reference: &str) -> bool {
        let Some((suite, test)) = reference.split_once(": ") else { return false };
        if self.not_run.contains(suite) {
            return true;
        }
        let Some(tests) = self.by_suite.get(suite) else { return false };
        match test.strip_suffix('*') {
            Some(start) => tests.iter().any(|name| name.starts_with(start)),
            None => tests.contains(test) || tests.iter().any(|name| name.rsplit("::").next() == Some(test)),
        }
    }
}

/// The name in `test NAME ... ok` of libtest, or in `✔ NAME (1.2ms)` of node.
fn passed_test(line: &str) -> Option<String> {
    let line = line.trim();
    if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... ok")) {
        return Some(name.to_owned());
    }
    let (name, _) = line.strip_prefix("✔ ")?.rsplit_once(" (")?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(table: &str) -> Report {
        let mut passed = Passed::default();
        let tests = ["life::a_test_of_ours".to_owned(), "handshake: json [ws]".to_owned()];
        passed.by_suite.insert("hub".to_owned(), tests.into());
        let names = names("== 1 Theme\nFirst\nSecond\n");
        compare(&names, &table.parse().unwrap(), &passed)
    }

    #[test]
    fn names_are_covered_by_tests_that_passed() {
        let all = report("['1 Theme']\nFirst = 'hub: a_test_of_ours'\nSecond = ['hub: handshake: json*']\n");
        assert!(all.is_success(), "{all:?}");
        assert_eq!(all.render(), "2 covered, 0 not applicable, 0 open; 0 acceptance scenarios");
    }

    #[test]
    fn missing_tests_and_missing_names_are_told() {
        let some = report("['1 Theme']\nFirst = 'core: a_test_of_ours'\nThird = 'hub: x'\n");
        assert!(!some.is_success());
        assert_eq!(some.wrong.len(), 3, "{some:?}");
        assert_eq!(some.wrong[1], "1 Theme: Second: nothing is said about it");
    }

    #[test]
    fn scenarios_have_tests_that_passed() {
        let mut passed = Passed::default();
        passed.by_suite.insert("hub".to_owned(), ["a_test".to_owned()].into());
        let table = "'scenario 1' = ['hub: a_test']\n'scenario 2' = ['hub: gone']\n'scenario 3' = []";
        let mut report = Report::default();
        report.add_scenarios(&table.parse().unwrap(), &passed);
        assert_eq!((report.scenarios, report.wrong.len()), (1, 2), "{report:?}");
    }

    #[test]
    fn suites_that_cannot_run_here_are_believed() {
        let passed = Passed { not_run: ["cluster".to_owned()].into(), ..Passed::default() };
        assert!(passed.has("cluster: a test"));
        assert!(!passed.has("hub: a test"));
    }

    #[test]
    fn a_reason_is_needed() {
        let reasons = report(
            "['1 Theme']\nFirst = { not_applicable = 'there are no attributes in Rust' }\nSecond = { open = 'later' }\n",
        );
        assert_eq!(reasons.sums(), "0 covered, 1 not applicable, 1 open; 0 acceptance scenarios");
        assert_eq!(reasons.open, ["1 Theme: Second: later"]);
        assert!(reasons.is_success());
    }

    #[test]
    fn both_runners_are_read() {
        assert_eq!(passed_test("test life::a ... ok").as_deref(), Some("life::a"));
        assert_eq!(passed_test("test life::a ... FAILED"), None);
        assert_eq!(passed_test("  ✔ echo: a (b) (1.25ms)").as_deref(), Some("echo: a (b)"));
    }
}
