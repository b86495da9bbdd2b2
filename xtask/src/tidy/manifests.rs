//! The rules for the members' Cargo.toml files: versions and lints are decided once, in the workspace's own.

use toml::{Table, Value};

use super::Violation;

/// Every rule on one member's manifest.
pub(crate) fn check(file: &str, text: &str) -> Vec<Violation> {
    let violation = |text: String| Violation { file: file.to_owned(), line: 1, rule: "manifest", text };
    let manifest: Table = match text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![violation(format!("is not TOML: {error}"))],
    };
    let mut violations = Vec::new();
    if !is_inherited(manifest.get("lints")) {
        violations.push(violation("`[lints] workspace = true` is missing".to_owned()));
    }
    let package = manifest.get("package").and_then(Value::as_table);
    for field in ["version", "edition", "rust-version", "license"] {
        let value = package.and_then(|package| package.get(field));
        let excused = field == "edition" && is_named_after(file, value);
        if !is_inherited(value) && !excused {
            violations.push(violation(format!("`{field}.workspace = true` is missing in [package]")));
        }
    }
    for (section, name, dependency) in dependencies(&manifest) {
        if !is_inherited(Some(dependency)) {
            violations.push(violation(format!("`{name}` in [{section}] does not come from the workspace")));
        }
    }
    violations
}

fn is_inherited(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
}

/// A member whose folder is called `edition-2021` is there to prove that crates of that edition are served.
fn is_named_after(file: &str, edition: Option<&Value>) -> bool {
    let folder = file.strip_suffix("/Cargo.toml").and_then(|path| path.rsplit('/').next());
    edition.and_then(Value::as_str).is_some_and(|edition| folder == Some(&format!("edition-{edition}")))
}

fn dependencies(manifest: &Table) -> Vec<(&'static str, &String, &Value)> {
    let mut all = Vec::new();
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    for table in std::iter::once(manifest).chain(targets.filter_map(Value::as_table)) {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let entries = table.get(section).and_then(Value::as_table).into_iter().flatten();
            all.extend(entries.map(|(name, value)| (section, name, value)));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"a\"\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\n[lints]\nworkspace = true\n\
        [dependencies]\nbytes.workspace = true\ntokio = { workspace = true, features = [\"rt\"] }\n";

    #[test]
    fn an_inheriting_manifest_is_tidy() {
        assert_eq!(check("crates/a/Cargo.toml", GOOD), []);
    }

    #[test]
    fn what_is_not_inherited_is_found() {
        let text = GOOD
            .replace("bytes.workspace = true", "bytes = \"1\"")
            .replace("[lints]\nworkspace = true\n", "");
        let found: Vec<String> = check("crates/a/Cargo.toml", &text).into_iter().map(|v| v.text).collect();
        assert_eq!(
            found,
            [
                "`[lints] workspace = true` is missing",
                "`bytes` in [dependencies] does not come from the workspace"
            ]
        );
    }

    #[test]
    fn only_a_member_named_after_it_has_another_edition() {
        let text = GOOD.replace("edition.workspace = true", "edition = \"2021\"");
        assert_eq!(check("tests/edition-2021/Cargo.toml", &text), []);
        assert_eq!(check("tests/edition-2018/Cargo.toml", &text).len(), 1);
        assert_eq!(check("crates/a/Cargo.toml", &text).len(), 1);
    }

    #[test]
    fn target_specific_dependencies_count_too() {
        let text = format!("{GOOD}[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n");
        assert_eq!(check("crates/a/Cargo.toml", &text).len(), 1);
    }
}
