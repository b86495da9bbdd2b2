//! How many tests passed and failed, read from what test runners print.
//!
//! Knows libtest (`cargo test`), node's runner (TAP and spec), pytest and the plain `N passed, M failed`; runs nothing.

/// Tests by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Ignored, skipped or to-do: none of these is wanted here, so they are shown.
    pub(crate) ignored: u64,
}

impl Counts {
    pub(crate) fn total(self) -> u64 {
        self.passed + self.failed + self.ignored
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

/// The sum of every result that `output` reports.
pub(crate) fn parse(output: &str) -> Counts {
    let mut sum = Counts::default();
    for line in output.lines().map(str::trim) {
        if let Some(counts) = libtest(line).or_else(|| node(line)).or_else(|| plain(line)) {
            sum.add(counts);
        }
    }
    sum
}

/// `test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s`
fn libtest(line: &str) -> Option<Counts> {
    let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = Counts::default();
    for part in rest.split(';') {
        add_labelled(&mut counts, part.trim());
    }
    Some(counts)
}

/// `# pass 3` of TAP, `ℹ pass 3` of the spec reporter.
fn node(line: &str) -> Option<Counts> {
    let rest = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "))?;
    let (label, number) = rest.split_once(' ')?;
    let number = number.parse().ok()?;
    match label {
        "pass" => Some(Counts { passed: number, ..Counts::default() }),
        "fail" | "cancelled" => Some(Counts { failed: number, ..Counts::default() }),
        "skipped" | "todo" => Some(Counts { ignored: number, ..Counts::default() }),
        _ => None,
    }
}

/// `3 passed, 0 failed`, pytest's `== 1 failed, 3 passed in 0.12s ==`, and a word with a colon before it.
fn plain(line: &str) -> Option<Counts> {
    let line = line.trim_matches(['=', ' ']);
    let line = line.split_once(": ").map_or(line, |(_, rest)| rest);
    let line = line.split_once(" in ").map_or(line, |(counts, _)| counts);
    let mut counts = Counts::default();
    let known = line.split(", ").all(|part| add_labelled(&mut counts, part));
    (known && counts.total() > 0).then_some(counts)
}

/// Adds `3 passed`; false when the text is something else.
fn add_labelled(counts: &mut Counts, part: &str) -> bool {
    let Some((number, label)) = part.split_once(' ') else { return false };
    let Ok(number) = number.parse::<u64>() else { return false };
    match label {
        "passed" => counts.passed += number,
        "failed" | "errors" | "error" => counts.failed += number,
        "ignored" | "skipped" => counts.ignored += number,
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtest_results_are_summed() {
        let output = "\nrunning 2 tests\ntest a ... ok\n\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 5 filtered out; finished in 0.01s\n\
            test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 1.20s\n";
        assert_eq!(parse(output), Counts { passed: 5, failed: 1, ignored: 2 });
    }

    #[test]
    fn node_reports_are_read_in_both_forms() {
        let tap = "ok 1 - echo\n# tests 4\n# suites 1\n# pass 2\n# fail 1\n# cancelled 1\n# skipped 0\n# todo 0\n# duration_ms 10";
        assert_eq!(parse(tap), Counts { passed: 2, failed: 2, ignored: 0 });
        let spec = "✔ echo (1.2ms)\nℹ tests 3\nℹ pass 2\nℹ fail 0\nℹ skipped 1\n";
        assert_eq!(parse(spec), Counts { passed: 2, failed: 0, ignored: 1 });
    }

    #[test]
    fn pytest_and_the_plain_line_are_read() {
        assert_eq!(
            parse("==== 1 failed, 3 passed in 0.12s ===="),
            Counts { passed: 3, failed: 1, ignored: 0 }
        );
        assert_eq!(
            parse("total: 12 passed, 0 failed, 1 skipped"),
            Counts { passed: 12, failed: 0, ignored: 1 }
        );
    }

    #[test]
    fn other_text_counts_nothing() {
        assert_eq!(
            parse("the first 3 passed us by\n# pass through\n12 connections, 3 failed over"),
            Counts::default()
        );
        assert_eq!(parse(""), Counts::default());
    }
}
