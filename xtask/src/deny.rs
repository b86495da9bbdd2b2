//! `deny`: licences and origins of every dependency, as `deny.toml` allows them.
//!
//! Runs cargo-deny where it is installed. Where it is not, reads the same file and checks licences and registries from cargo
//! metadata; that check knows no advisories and says so.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use cargo_metadata::Package;
use toml::{Table, Value};

use crate::process;
use crate::workspace::{Workspace, cargo, find_program};

/// The command.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    if find_program(&["cargo-deny"]).is_some() {
        let mut command = Command::new(cargo());
        command.args(["deny", "--all-features", "check", "licenses", "sources", "bans"]);
        command.current_dir(&workspace.root);
        process::must("cargo deny", command, Duration::from_secs(300))?;
        println!("deny: cargo-deny found nothing");
        return Ok(true);
    }
    let file = workspace.root.join("deny.toml");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let rules = Rules::parse(&text)?;
    let mut violations = Vec::new();
    for package in workspace.metadata.packages.iter().filter(|package| package.source.is_some()) {
        violations.extend(rules.check(package));
    }
    violations.iter().for_each(|violation| println!("{violation}"));
    let packages = workspace.metadata.packages.len();
    println!("deny: {packages} packages, {} violations (built-in check: no advisories)", violations.len());
    Ok(violations.is_empty())
}

/// The part of `deny.toml` that the built-in check understands.
struct Rules {
    licences: Vec<String>,
    banned: Vec<String>,
}

impl Rules {
    fn parse(text: &str) -> Result<Self> {
        let table: Table = text.parse().context("deny.toml is not TOML")?;
        let list = |section: &str, key: &str| {
            let list = table.get(section).and_then(|section| section.get(key)).and_then(Value::as_array);
            list.with_context(|| format!("deny.toml has no list `{key}` in [{section}]"))
        };
        let licences =
            list("licenses", "allow")?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let banned = list("bans", "deny")?.iter();
        let banned =
            banned.filter_map(|ban| ban.get("crate").and_then(Value::as_str)).map(str::to_owned).collect();
        Ok(Self { licences, banned })
    }

    fn check(&self, package: &Package) -> Vec<String> {
        let label = format!("{} {}", package.name, package.version);
        let mut violations = Vec::new();
        match &package.license {
            Some(licence) if self.allows(licence) => {}
            Some(licence) => violations.push(format!("{label}: the licence `{licence}` is not allowed")),
            None => violations.push(format!("{label}: states no licence")),
        }
        if self.banned.contains(&package.name) {
            violations.push(format!("{label}: is banned"));
        }
        if package.source.as_ref().is_some_and(|source| !source.repr.starts_with("registry+")) {
            violations.push(format!("{label}: does not come from the registry"));
        }
        violations
    }

    /// Whether an SPDX expression can be met: `OR` needs one side, `AND` both.
    fn allows(&self, expression: &str) -> bool {
        // Before SPDX a slash meant OR.
        let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = expression.split_whitespace().collect();
        let mut rest = words.as_slice();
        self.any(&mut rest) == Some(true) && rest.is_empty()
    }

    /// None when the expression is malformed.
    fn any(&self, words: &mut &[&str]) -> Option<bool> {
        let mut allowed = self.all(words)?;
        while let Some(rest) = words.strip_prefix(&["OR"]) {
            *words = rest;
            allowed |= self.all(words)?;
        }
        Some(allowed)
    }

    fn all(&self, words: &mut &[&str]) -> Option<bool> {
        let mut allowed = self.term(words)?;
        while let Some(rest) = words.strip_prefix(&["AND"]) {
            *words = rest;
            allowed &= self.term(words)?;
        }
        Some(allowed)
    }

    fn term(&self, words: &mut &[&str]) -> Option<bool> {
        let (first, rest) = words.split_first()?;
        *words = rest;
        if *first == "(" {
            let allowed = self.any(words)?;
            *words = words.strip_prefix(&[")"])?;
            return Some(allowed);
        }
        let mut licence = (*first).to_owned();
        if let [with, exception, rest @ ..] = *words
            && *with == "WITH"
        {
            licence = format!("{licence} WITH {exception}");
            *words = rest;
        }
        Some(self.licences.contains(&licence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules::parse("[licenses]\nallow = [\"MIT\", \"Apache-2.0\", \"Apache-2.0 WITH LLVM-exception\"]\n[bans]\ndeny = [{ crate = \"openssl\" }]\n")
            .unwrap()
    }

    #[test]
    fn expressions_are_met_when_one_choice_is_allowed() {
        let rules = rules();
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0 OR MIT",
            "Unlicense/MIT",
            "(MIT OR GPL-3.0) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        ] {
            assert!(rules.allows(good), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR GPL-3.0) AND BSL-1.1", "", "MIT OR", "(MIT"] {
            assert!(!rules.allows(bad), "{bad}");
        }
    }

    #[test]
    fn bans_are_read() {
        assert_eq!(rules().banned, ["openssl"]);
        assert!(Rules::parse("[licenses]\n").is_err());
    }
}
