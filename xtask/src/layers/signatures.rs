//! Which foreign types the public signatures of a crate show, read from rustdoc's JSON.
//!
//! The JSON's form changes with the compiler, so it is read as plain values: whatever has a `path` and an `id` is a mention of a
//! type or a trait, and the table of paths says whose it is. A document in which nothing is found is an error, not a success.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::process;
use crate::workspace::{Workspace, cargo};

/// What was looked at and what was found.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) items: usize,
    pub(crate) violations: Vec<String>,
}

/// Documents the crate and checks every public signature.
pub(crate) fn check(workspace: &Workspace, package: &str) -> Result<Checked> {
    let mut command = Command::new(cargo());
    command.args(["rustdoc", "-p", package, "--lib", "--all-features", "--", "-Zunstable-options"]);
    command.args(["--output-format", "json"]).current_dir(&workspace.root);
    command.env("RUSTDOC", rustdoc(workspace)?).env_remove("RUSTDOCFLAGS");
    process::must(&format!("rustdoc of {package}"), command, Duration::from_secs(600))?;
    let file = workspace.target.join("doc").join(package.replace('-', "_")).with_extension("json");
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("rustdoc left no {}", file.display()))?;
    let document = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    check_document(package, &document)
}

/// JSON is behind an unstable flag. Only rustdoc is told so: the same variable would make cargo build half the world anew.
fn rustdoc(workspace: &Workspace) -> Result<PathBuf> {
    let script = workspace.scratch().join("rustdoc-json");
    std::fs::create_dir_all(workspace.scratch())?;
    std::fs::write(&script, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n")?;
    std::fs::set_permissions(&script, Permissions::from_mode(0o755))?;
    Ok(script)
}

fn check_document(package: &str, document: &Value) -> Result<Checked> {
    let document = Document::new(document)?;
    let mut checked = Checked { items: 0, violations: Vec::new() };
    for (id, item) in document.index {
        if item["crate_id"] != 0 || is_generated(&item["inner"]) {
            continue;
        }
        checked.items += 1;
        let mut mentions = Vec::new();
        collect(&item["inner"], &mut mentions);
        for mention in mentions {
            if let Some(path) = document.foreign(mention)
                && !is_allowed(&path)
            {
                let place = document.place(id, item);
                checked.violations.push(format!("{package}: the public {place} shows {}", path.join("::")));
            }
        }
    }
    if checked.items == 0 {
        bail!("rustdoc's JSON of {package} has no items that we understand; has its form changed?");
    }
    checked.violations.sort();
    checked.violations.dedup();
    Ok(checked)
}

/// rustdoc's document with a way from each item to the one that holds it.
struct Document<'a> {
    index: &'a Map<String, Value>,
    paths: &'a Map<String, Value>,
    crates: &'a Map<String, Value>,
    parents: BTreeMap<String, &'a str>,
}

impl<'a> Document<'a> {
    fn new(document: &'a Value) -> Result<Self> {
        let part = |name: &str| {
            let part = document.get(name).and_then(Value::as_object);
            part.with_context(|| format!("rustdoc's JSON has no `{name}`; has its form changed?"))
        };
        let index = part("index")?;
        let mut parents = BTreeMap::new();
        for (id, item) in index {
            children(&item["inner"], &mut |child| {
                parents.insert(child, id.as_str());
            });
        }
        Ok(Self { index, paths: part("paths")?, crates: part("external_crates")?, parents })
    }

    /// The full path of a mentioned type, the crate's name first, when it is another crate's.
    fn foreign(&self, id: &Value) -> Option<Vec<String>> {
        let summary = self.paths.get(&key(id)).or_else(|| self.index.get(&key(id)))?;
        let owner = summary.get("crate_id").filter(|owner| **owner != 0)?;
        let name = self.crates.get(&key(owner))?.get("name")?.as_str()?;
        let path = summary.get("path").and_then(Value::as_array).into_iter().flatten().skip(1);
        Some(std::iter::once(name).chain(path.filter_map(Value::as_str)).map(str::to_owned).collect())
    }

    /// `queue::Queue::push (src/queue.rs:12)`
    fn place(&self, id: &str, item: &Value) -> String {
        let mut names: Vec<&str> = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next {
            names.extend(self.index.get(id).and_then(|item| item["name"].as_str()));
            next = self.parents.get(id).copied().filter(|_| names.len() < 20);
        }
        names.reverse();
        let file = item["span"]["filename"].as_str().unwrap_or("?");
        let line = &item["span"]["begin"][0];
        format!("{} ({file}:{line})", names.join("::"))
    }
}

/// Implementations that the compiler writes for every type say nothing about ours.
fn is_generated(inner: &Value) -> bool {
    let implementation = &inner["impl"];
    implementation["is_synthetic"] == true
        || implementation.get("blanket_impl").is_some_and(|of| !of.is_null())
}

/// Every mention of a type or trait below a value.
fn collect<'a>(value: &'a Value, mentions: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, mentions)),
        Value::Object(fields) => {
            if let Some(id) = fields.get("id")
                && (fields.contains_key("path") || fields.contains_key("source"))
            {
                mentions.push(id);
            }
            fields.values().for_each(|field| collect(field, mentions));
        }
        _ => {}
    }
}

/// The ids of what an item holds.
fn children(value: &Value, found: &mut impl FnMut(String)) {
    let Value::Object(fields) = value else { return };
    for (name, field) in fields {
        match field {
            Value::Array(ids)
                if ["items", "impls", "variants", "fields", "tuple"].contains(&name.as_str()) =>
            {
                ids.iter().filter(|id| id.is_number() || id.is_string()).for_each(|id| found(key(id)));
            }
            other => children(other, found),
        }
    }
}

/// Ids are numbers in some versions and strings in others; as keys they are strings.
fn key(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

fn is_allowed(path: &[String]) -> bool {
    let owner = path.first().map_or("", String::as_str);
    let of_tokio_util = owner == "tokio_util" && path.last().is_some_and(|name| name == "CancellationToken");
    of_tokio_util || ALLOWED.contains(&owner) || owner.starts_with("signalr")
}

/// Crates whose types belong to the vocabulary of every Rust server.
const ALLOWED: [&str; 8] = ["std", "core", "alloc", "bytes", "http", "serde", "serde_core", "futures_core"];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A crate with `queue::Queue::push`, whose argument has the type with this id.
    fn document(argument: u32) -> Value {
        json!({
            "format_version": 57,
            "index": {
                "1": {"id": 1, "crate_id": 0, "name": "queue", "span": null, "inner": {"module": {"items": [2]}}},
                "2": {"id": 2, "crate_id": 0, "name": "Queue", "span": null, "inner": {"struct": {"impls": [3, 5]}}},
                "3": {"id": 3, "crate_id": 0, "name": null, "span": null, "inner": {"impl": {
                    "is_synthetic": false, "blanket_impl": null, "trait": null, "items": [4],
                    "for": {"resolved_path": {"path": "Queue", "id": 2, "args": null}}}}},
                "4": {"id": 4, "crate_id": 0, "name": "push", "span": {"filename": "src/queue.rs", "begin": [12, 1]},
                    "inner": {"function": {"sig": {"inputs": [["item", {"resolved_path":
                        {"path": "Item", "id": argument, "args": null}}]], "output": null}}}},
                "5": {"id": 5, "crate_id": 0, "name": null, "span": null, "inner": {"impl": {
                    "is_synthetic": false, "blanket_impl": {"generic": "T"}, "items": [],
                    "trait": {"path": "Instrument", "id": 21, "args": null}}}}
            },
            "paths": {
                "2": {"crate_id": 0, "path": ["ours", "queue", "Queue"], "kind": "struct"},
                "20": {"crate_id": 7, "path": ["bytes", "bytes", "Bytes"], "kind": "struct"},
                "21": {"crate_id": 8, "path": ["tokio", "sync", "Notify"], "kind": "struct"},
                "22": {"crate_id": 9, "path": ["tokio_util", "sync", "CancellationToken"], "kind": "struct"},
                "23": {"crate_id": 9, "path": ["tokio_util", "task", "TaskTracker"], "kind": "struct"}
            },
            "external_crates": {"7": {"name": "bytes"}, "8": {"name": "tokio"}, "9": {"name": "tokio_util"}}
        })
    }

    #[test]
    fn types_of_the_list_may_be_shown() {
        for argument in [2, 20, 22] {
            let checked = check_document("ours", &document(argument)).unwrap();
            assert_eq!((checked.items, checked.violations.len()), (4, 0), "{checked:?}");
        }
    }

    #[test]
    fn other_types_are_found_with_the_place_that_shows_them() {
        let checked = check_document("ours", &document(21)).unwrap();
        assert_eq!(
            checked.violations,
            ["ours: the public queue::Queue::push (src/queue.rs:12) shows tokio::sync::Notify"]
        );
        assert_eq!(check_document("ours", &document(23)).unwrap().violations.len(), 1);
    }

    #[test]
    fn a_document_that_says_nothing_is_an_error() {
        let empty = json!({"index": {}, "paths": {}, "external_crates": {}});
        assert!(check_document("ours", &empty).unwrap_err().to_string().contains("no items"));
        assert!(check_document("ours", &json!({})).unwrap_err().to_string().contains("no `index`"));
    }
}
