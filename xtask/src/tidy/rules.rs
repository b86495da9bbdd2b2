//! The rules for Rust files and for text of any kind.
//!
//! Each rule is a function from a parsed file to what breaks it. Limits are at the bottom; the reasons are in CONTRIBUTING.md.

use super::Violation;
use super::source::{Function, Source, Token};

/// Every rule on one Rust file.
pub(crate) fn check(source: &Source) -> Vec<Violation> {
    let rules: [fn(&Source) -> Vec<Violation>; 6] =
        [header, file_length, function_length, panics, sleeps, tests];
    rules.iter().flat_map(|rule| rule(source)).collect()
}

/// No file names a package registry's host: which one is used is the machine's business.
pub(crate) fn check_hosts(file: &str, text: &str) -> Vec<Violation> {
    let hosts = HOSTS.map(|(name, end)| format!("{name}.{end}"));
    let mut violations = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(host) = hosts.iter().find(|host| line.contains(host.as_str())) {
            let text = format!("names the registry host {host}");
            violations.push(Violation { file: file.to_owned(), line: index + 1, rule: "hosts", text });
        }
    }
    violations
}

fn header(source: &Source) -> Vec<Violation> {
    let starts = source.lines.first().is_some_and(|line| line.starts_with("//! "));
    let text = "starts without a `//!` header that says what the file owns";
    one(source, !starts, 1, "header", text.to_owned())
}

fn file_length(source: &Source) -> Vec<Violation> {
    let lines = source.production_lines();
    let text = format!("has {lines} lines outside its tests, {MAX_FILE} at most");
    one(source, lines > MAX_FILE, 1, "file length", text)
}

fn function_length(source: &Source) -> Vec<Violation> {
    let length = |function: &Function| function.lines.end() - function.lines.start() + 1;
    let long = source.functions.iter().filter(|function| length(function) > MAX_FUNCTION);
    long.flat_map(|function| {
        let text = format!("`{}` has {} lines, {MAX_FUNCTION} at most", function.name, length(function));
        one(source, true, *function.lines.start(), "function length", text)
    })
    .collect()
}

/// Outside tests a call that can panic says why it never does.
fn panics(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    for window in source.tokens.windows(4) {
        let Some(what) = panicking(window) else { continue };
        let line = window[1].line;
        let unfinished = matches!(what, "todo!" | "unimplemented!");
        if unfinished || !source.in_test(line) && !source.is_explained(line) {
            let advice = if unfinished { "" } else { " without a comment that states the invariant" };
            violations.extend(one(source, true, line, "panics", format!("`{what}`{advice}")));
        }
    }
    violations
}

fn panicking(window: &[Token]) -> Option<&'static str> {
    match [0, 1, 2, 3].map(|index| window[index].text.as_str()) {
        [".", "unwrap", "(", ")"] => Some(".unwrap()"),
        [".", "unwrap_err", "(", ")"] => Some(".unwrap_err()"),
        // A parser's own `expect(b':')` is no panic; the message tells them apart.
        [".", "expect", "(", message] if message.starts_with('"') => Some(".expect(..)"),
        [".", "expect_err", "(", message] if message.starts_with('"') => Some(".expect_err(..)"),
        [before, name, "!", "(" | "{" | "["] if before != "::" => match name {
            "panic" => Some("panic!"),
            "unreachable" => Some("unreachable!"),
            "todo" => Some("todo!"),
            "unimplemented" => Some("unimplemented!"),
            _ => None,
        },
        _ => None,
    }
}

/// A thread never sleeps; a test waits for a condition or runs in virtual time.
fn sleeps(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, pair) in source.tokens.windows(2).enumerate() {
        if !matches!(pair[0].text.as_str(), "sleep" | "sleep_until" | "sleep_ms") || pair[1].text != "(" {
            continue;
        }
        let line = pair[0].line;
        let is_definition = index > 0 && source.tokens[index - 1].text == "fn";
        let path: Vec<&str> =
            source.tokens[index.saturating_sub(3)..index].iter().map(|t| t.text.as_str()).collect();
        let of_thread = path == ["thread", ":", ":"];
        let comment = source.comment_at(line).to_lowercase();
        let waits = ["condition", "deadline", "virtual time"].iter().any(|word| comment.contains(word));
        let virtual_time = source.function_at(line).is_some_and(is_paused);
        let wrong =
            if source.in_test(line) { !waits && !virtual_time } else { of_thread && comment.is_empty() };
        if wrong && !is_definition {
            let text =
                "sleeps: wait for a condition with a deadline, or use paused time (and say so in a comment)";
            violations.extend(one(source, true, line, "sleep", text.to_owned()));
        }
    }
    violations
}

fn is_paused(function: &Function) -> bool {
    function.attributes.iter().any(|attribute| attribute.contains("start_paused = true"))
}

/// A test asserts something and is never ignored.
fn tests(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    for function in &source.functions {
        let start = *function.lines.start();
        let ignored = function.attributes.iter().any(|attribute| attribute.starts_with("ignore"));
        let text = format!("`{}` is ignored: fix it or remove it", function.name);
        violations.extend(one(source, ignored, start, "ignored", text));
        let panics = function.attributes.iter().any(|attribute| attribute.starts_with("should_panic"));
        let vain = function.is_test && !panics && !asserts(source, function);
        let text = format!("the test `{}` asserts nothing", function.name);
        violations.extend(one(source, vain, start, "tests", text));
    }
    for (index, line) in source.lines.iter().enumerate() {
        let example = line.trim_start().trim_start_matches(['/', '!']).trim_start();
        let ignored = example.starts_with("```") && example.contains("ignore");
        let text = "an ignored example: use `text`, or `no_run` if it compiles".to_owned();
        violations.extend(one(source, ignored, index + 1, "ignored", text));
    }
    violations
}

/// Whether a test can fail by what it sees: an assertion, an unwrap, `?`, or a call of a helper that may do so.
fn asserts(source: &Source, function: &Function) -> bool {
    let known = |name: &str| source.functions.iter().any(|other| other.name == name && !other.is_test);
    let inside = source.tokens.iter().filter(|token| function.lines.contains(&token.line));
    inside.map(|token| token.text.as_str()).any(|text| {
        text == "?"
            || ASSERTING.iter().any(|word| text.contains(word))
            || known(text) && text != function.name
    })
}

fn one(source: &Source, wrong: bool, line: usize, rule: &'static str, text: String) -> Vec<Violation> {
    if wrong { vec![Violation { file: source.file.clone(), line, rule, text }] } else { Vec::new() }
}

/// Lines outside test modules.
const MAX_FILE: usize = 800;
const MAX_FUNCTION: usize = 100;

/// Parts of names that fail a test.
const ASSERTING: &[&str] = &[
    "assert",
    "expect",
    "unwrap",
    "panic",
    "check",
    "verify",
    "must",
    "run_suite",
    "compile_fail",
    "conformance",
    "support",
];

/// In two parts, so that this file does not name them either.
const HOSTS: [(&str, &str); 9] = [
    ("crates", "io"),
    ("npmjs", "org"),
    ("npmjs", "com"),
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("golang", "org"),
    ("deb.debian", "org"),
    ("nuget", "org"),
    ("maven.apache", "org"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules that a planted file breaks, with their lines.
    fn broken(file: &str, text: &str) -> Vec<(&'static str, usize)> {
        check(&Source::parse(file, text).unwrap()).into_iter().map(|v| (v.rule, v.line)).collect()
    }

    const LIB: &str = "crates/a/src/lib.rs";

    #[test]
    fn a_tidy_file_breaks_nothing() {
        let text = "//! Owns nothing.\n\n/// Adds.\nfn add(a: u8) -> Option<u8> {\n    a.checked_add(1)\n}\n\n\
            #[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() {\n        assert_eq!(super::add(1).unwrap(), 2);\n    }\n}\n";
        assert_eq!(broken(LIB, text), []);
    }

    #[test]
    fn a_missing_header_is_found() {
        assert_eq!(broken(LIB, "fn a() {}\n"), [("header", 1)]);
        assert_eq!(broken(LIB, "// A comment.\n"), [("header", 1)]);
    }

    #[test]
    fn long_files_and_functions_are_found() {
        let function = format!("//! Header.\nfn long() {{\n{}}}\n", "    a();\n".repeat(99));
        assert_eq!(broken(LIB, &function), [("function length", 2)]);
        let file = format!("//! Header.\n{}", "const A: u8 = 0;\n".repeat(800));
        assert_eq!(broken(LIB, &file), [("file length", 1)]);
        let tests =
            format!("//! Header.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "const A: u8 = 0;\n".repeat(900));
        assert_eq!(broken(LIB, &tests), []);
    }

    #[test]
    fn unexplained_panics_are_found_also_inside_macros() {
        assert_eq!(broken(LIB, "//! H.\nfn a() { b().unwrap(); }\n"), [("panics", 2)]);
        assert_eq!(
            broken(LIB, "//! H.\nfn a() { select! { _ = b().expect(\"c\") => {} } }\n"),
            [("panics", 2)]
        );
        assert_eq!(broken(LIB, "//! H.\nfn a() { panic!(\"no\") }\n"), [("panics", 2)]);
        assert_eq!(broken(LIB, "//! H.\nfn a() {\n    // Checked above.\n    b().unwrap();\n}\n"), []);
        let excused =
            "//! H.\n#[expect(clippy::unwrap_used, reason = \"static\")]\nfn a() { b().unwrap(); }\n";
        assert_eq!(broken(LIB, excused), []);
        let statement = "//! H.\nfn a() {\n    #[expect(clippy::expect_used, reason = \"r\")]\n    b::c()\n        .expect(\"d\");\n    e().unwrap();\n}\n";
        assert_eq!(broken(LIB, statement), [("panics", 6)]);
        assert_eq!(broken(LIB, "//! H.\nfn a() { self.expect(b':')?; b().unwrap_or(3); }\n"), []);
    }

    #[test]
    fn unfinished_code_is_found_even_with_a_comment() {
        assert_eq!(broken(LIB, "//! H.\nfn a() {\n    // Later.\n    todo!()\n}\n"), [("panics", 4)]);
    }

    #[test]
    fn sleeping_tests_are_found() {
        let test = |line: &str, attribute: &str| {
            format!(
                "//! H.\n#[cfg(test)]\nmod tests {{\n    #[{attribute}]\n    async fn a() {{\n        assert!(x);\n        {line}\n    }}\n}}\n"
            )
        };
        assert_eq!(broken(LIB, &test("tokio::time::sleep(d).await;", "tokio::test")), [("sleep", 7)]);
        assert_eq!(
            broken(LIB, &test("tokio::time::sleep(d).await;", "tokio::test(start_paused = true)")),
            []
        );
        assert_eq!(
            broken(LIB, &test("sleep(d).await; // between looks at the condition", "tokio::test")),
            []
        );
        assert_eq!(broken(LIB, "//! H.\nfn a() { std::thread::sleep(d); }\n"), [("sleep", 2)]);
        assert_eq!(broken(LIB, "//! H.\nasync fn a() { tokio::time::sleep(d).await }\n"), []);
    }

    #[test]
    fn vain_and_ignored_tests_are_found() {
        let text = "//! H.\n#[test]\nfn a() { let _ = b(); }\n#[test]\n#[ignore = \"slow\"]\nfn c() { assert!(d) }\n";
        assert_eq!(broken("crates/a/tests/t.rs", text), [("tests", 3), ("ignored", 6)]);
        assert_eq!(broken(LIB, "//! H.\n//! ```ignore\n//! ```\n"), [("ignored", 2)]);
    }

    #[test]
    fn registry_hosts_are_found() {
        let text = format!("see\nhttps://{}.{}/x\n", "crates", "io");
        assert_eq!(check_hosts("README.md", &text).iter().map(|v| v.line).collect::<Vec<_>>(), [2]);
        assert_eq!(check_hosts("README.md", "see docs.rs"), []);
    }
}
