//! Sizes: lines of code by crate, the median and the longest file and function.
//!
//! Code lines are neither blank nor comment; file and function lengths are counted as the limits count them.

use std::collections::BTreeMap;

use super::source::Source;

/// Median and longest, on one line.
pub(crate) fn line(sources: &[Source]) -> String {
    let files = longest(
        sources.iter().filter(|source| !source.is_test).map(|s| (s.production_lines(), s.file.clone())),
    );
    let functions = longest(functions(sources));
    format!("files: {}; functions: {}", describe(&files), describe(&functions))
}

/// The whole table.
pub(crate) fn render(sources: &[Source]) -> String {
    let mut crates: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    for source in sources {
        let entry = crates.entry(crate_of(&source.file)).or_default();
        entry.0 += 1;
        for (index, line) in source.lines.iter().enumerate() {
            let line_is_code = !line.trim().is_empty() && !line.trim_start().starts_with("//");
            let counter = if source.in_test(index + 1) { &mut entry.2 } else { &mut entry.1 };
            *counter += usize::from(line_is_code);
        }
    }
    let mut text = format!("{:<32} {:>6} {:>10} {:>6}\n", "crate", "files", "code", "tests");
    let mut sum = (0, 0, 0);
    for (name, (files, code, tests)) in &crates {
        text.push_str(&format!("{name:<32} {files:>6} {code:>10} {tests:>6}\n"));
        sum = (sum.0 + files, sum.1 + code, sum.2 + tests);
    }
    text.push_str(&format!("{:<32} {:>6} {:>10} {:>6}\n", "all", sum.0, sum.1, sum.2));
    for (title, list) in [
        (
            "longest files",
            longest(sources.iter().filter(|s| !s.is_test).map(|s| (s.production_lines(), s.file.clone()))),
        ),
        ("longest functions", longest(functions(sources))),
    ] {
        text.push_str(&format!("{title}:\n"));
        for (length, name) in list.iter().rev().take(8) {
            text.push_str(&format!("  {length:>5}  {name}\n"));
        }
    }
    text
}

fn functions(sources: &[Source]) -> impl Iterator<Item = (usize, String)> {
    sources.iter().flat_map(|source| {
        let production = source.functions.iter().filter(|function| !source.in_test(*function.lines.start()));
        production.map(|function| {
            let length = function.lines.end() - function.lines.start() + 1;
            (length, format!("{}:{} {}", source.file, function.lines.start(), function.name))
        })
    })
}

/// Sorted by length, shortest first.
fn longest(lengths: impl Iterator<Item = (usize, String)>) -> Vec<(usize, String)> {
    let mut lengths: Vec<_> = lengths.collect();
    lengths.sort();
    lengths
}

fn describe(sorted: &[(usize, String)]) -> String {
    let median = sorted.get(sorted.len() / 2).map_or(0, |(length, _)| *length);
    let (length, name) = sorted.last().map_or((0, ""), |(length, name)| (*length, name.as_str()));
    format!("median {median} lines, longest {length} ({name})")
}

/// `crates/signalr-core/src/lib.rs` belongs to `crates/signalr-core`.
fn crate_of(file: &str) -> String {
    let folders: Vec<&str> = file.split('/').collect();
    let end = folders.iter().position(|folder| ["src", "tests", "benches", "fuzz_targets"].contains(folder));
    match end {
        Some(0) | None => folders[0].to_owned(),
        Some(end) => folders[..end].join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_crate_and_kind() {
        let text = "//! Header.\n\nfn one() {}\n\n#[cfg(test)]\nmod tests {\n    fn two() {}\n}\n";
        let source = Source::parse("crates/a/src/lib.rs", text).unwrap();
        let table = render(std::slice::from_ref(&source));
        assert!(table.contains("crates/a                              1          1      4"), "{table}");
        assert!(
            line(&[source])
                .starts_with("files: median 4 lines, longest 4 (crates/a/src/lib.rs); functions: median 1")
        );
    }

    #[test]
    fn crates_are_known_by_their_folders() {
        assert_eq!(crate_of("integration-tests/peer/src/main.rs"), "integration-tests/peer");
        assert_eq!(crate_of("benches/benches/fanout.rs"), "benches");
        assert_eq!(crate_of("fuzz/fuzz_targets/json.rs"), "fuzz");
    }
}
