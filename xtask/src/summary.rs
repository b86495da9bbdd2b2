//! The report at the end: every step by name with its time, its counts, or why it did not run and how to run it.
//!
//! Its last line, `total: N passed, M failed`, is what other tools read; a failed step without tests of its own counts as one
//! failure there, so that the line can never look better than the exit code.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::counts::Counts;

/// What every step of a command came to.
#[derive(Default)]
pub(crate) struct Summary {
    rows: Vec<Row>,
}

/// One step's line.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) took: Duration,
    pub(crate) budget: Option<Duration>,
    pub(crate) result: StepResult,
}

/// How a step ended.
pub(crate) enum StepResult {
    /// A check without tests of its own.
    Ok { note: String },
    /// A suite whose tests all passed.
    Passed { counts: Counts, note: String },
    /// A check or suite that failed, with the reason.
    Failed { counts: Counts, because: String },
    /// Something that this machine cannot run.
    NotRun { because: String, to_run: String },
}

impl Summary {
    pub(crate) fn push(&mut self, row: Row) {
        println!("{}", row.line());
        self.rows.push(row);
    }

    pub(crate) fn is_success(&self) -> bool {
        !self.rows.iter().any(|row| matches!(row.result, StepResult::Failed { .. }))
    }

    /// The names of what this machine could not run.
    pub(crate) fn not_run(&self) -> BTreeSet<String> {
        let rows = self.rows.iter().filter(|row| matches!(row.result, StepResult::NotRun { .. }));
        rows.map(|row| row.name.clone()).collect()
    }

    /// The whole report; ends with the total.
    pub(crate) fn render(&self) -> String {
        let mut text = String::from("\nsummary\n");
        for row in &self.rows {
            text.push_str(&row.line());
            text.push('\n');
        }
        let took: Duration = self.rows.iter().map(|row| row.took).sum();
        text.push_str(&format!("  time in all: {}\n", seconds(took)));
        text.push_str(&self.total());
        text
    }

    fn total(&self) -> String {
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for row in &self.rows {
            match &row.result {
                StepResult::Ok { .. } => {}
                StepResult::Passed { counts, .. } => {
                    passed += counts.passed;
                    skipped += counts.ignored;
                }
                StepResult::Failed { counts, .. } => {
                    passed += counts.passed;
                    failed += counts.failed.max(1);
                    skipped += counts.ignored;
                }
                StepResult::NotRun { .. } => skipped += 1,
            }
        }
        let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        format!("total: {passed} passed, {failed} failed{skipped}")
    }
}

impl Row {
    fn line(&self) -> String {
        let budget = self.budget.map(|budget| format!(" of {:>4} s", budget.as_secs())).unwrap_or_default();
        let head = format!("  {:<24} {:>8}{budget:<10}", self.name, seconds(self.took));
        match &self.result {
            StepResult::Ok { note } if note.is_empty() => format!("{head}  ok"),
            StepResult::Ok { note } => format!("{head}  ok, {note}"),
            StepResult::Passed { counts, note } if note.is_empty() => {
                format!("{head}  ok, {}", describe(*counts))
            }
            StepResult::Passed { note, .. } => format!("{head}  ok, {note}"),
            StepResult::Failed { counts, because } if counts.total() == 0 => {
                format!("{head}  FAILED: {because}")
            }
            StepResult::Failed { counts, because } => {
                format!("{head}  FAILED: {}; {because}", describe(*counts))
            }
            StepResult::NotRun { because, to_run } => {
                format!("  {:<24} not run, because {because}; to run it: {to_run}", self.name)
            }
        }
    }
}

fn describe(counts: Counts) -> String {
    let ignored = if counts.ignored > 0 { format!(", {} ignored", counts.ignored) } else { String::new() };
    format!("{} passed, {} failed{ignored}", counts.passed, counts.failed)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(results: Vec<(&str, StepResult)>) -> Summary {
        let mut summary = Summary::default();
        for (name, result) in results {
            summary.push(Row {
                name: name.to_owned(),
                took: Duration::from_millis(1500),
                budget: Some(Duration::from_secs(60)),
                result,
            });
        }
        summary
    }

    #[test]
    fn the_last_line_is_the_plain_total() {
        let counts = Counts { passed: 7, failed: 0, ignored: 0 };
        let summary = summary(vec![
            ("fmt", StepResult::Ok { note: String::new() }),
            ("core", StepResult::Passed { counts, note: String::new() }),
        ]);
        assert!(summary.is_success());
        assert_eq!(summary.render().lines().last(), Some("total: 7 passed, 0 failed"));
    }

    #[test]
    fn a_failed_check_is_seen_in_the_total() {
        let failed = StepResult::Failed { counts: Counts::default(), because: "exit code 1".to_owned() };
        let summary = summary(vec![("fmt", failed)]);
        assert!(!summary.is_success());
        assert!(summary.render().contains("FAILED: exit code 1"));
        assert_eq!(summary.render().lines().last(), Some("total: 0 passed, 1 failed"));
    }

    #[test]
    fn what_did_not_run_is_named_with_its_command() {
        let summary = summary(vec![(
            "browser",
            StepResult::NotRun {
                because: "there is no chromium".to_owned(),
                to_run: "apt-get install chromium".to_owned(),
            },
        )]);
        let text = summary.render();
        assert!(text.contains("browser"));
        assert!(text.contains("not run, because there is no chromium; to run it: apt-get install chromium"));
        assert_eq!(text.lines().last(), Some("total: 0 passed, 0 failed, 1 skipped"));
    }
}
