//! Which crate may depend on which, as a table, and the check of the real graph against it.
//!
//! Only normal dependencies count for layers: what a crate needs in its own tests binds nobody. The names of warp and redis are
//! stricter and may not even appear among another crate's test dependencies.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use cargo_metadata::DependencyKind;

use crate::workspace::Workspace;

/// Packages by name; several versions of one package are one node.
#[derive(Default)]
pub(crate) struct Graph {
    /// Normal dependencies, with every feature on.
    uses: BTreeMap<String, BTreeSet<String>>,
    /// What each crate of ours names in its manifest, for whatever purpose.
    names: BTreeMap<String, BTreeSet<String>>,
    /// Our crates below `crates/`, which the table must list.
    layered: BTreeSet<String>,
}

impl Graph {
    pub(crate) fn from_metadata(workspace: &Workspace) -> Result<Self> {
        let mut graph = Self::default();
        let metadata = &workspace.metadata;
        let resolve = metadata.resolve.as_ref().context("cargo metadata gave no dependency graph")?;
        for node in &resolve.nodes {
            let uses = graph.uses.entry(metadata[&node.id].name.to_string()).or_default();
            for dependency in &node.deps {
                if dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal) {
                    uses.insert(metadata[&dependency.pkg].name.to_string());
                }
            }
        }
        for member in workspace.members() {
            let names = member.dependencies.iter().map(|dependency| dependency.name.clone()).collect();
            graph.names.insert(member.name.to_string(), names);
            if member.manifest_path.starts_with(metadata.workspace_root.join("crates")) {
                graph.layered.insert(member.name.to_string());
            }
        }
        Ok(graph)
    }

    pub(crate) fn members(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn packages(&self) -> usize {
        self.uses.len()
    }

    /// Everything that the tables forbid.
    pub(crate) fn check(&self) -> Vec<String> {
        let mut violations = self.check_edges();
        for (from, forbidden) in UNREACHABLE {
            for to in *forbidden {
                if let Some(path) = self.path(from, to) {
                    violations.push(format!("{from} must not reach {to}, but does: {}", path.join(" -> ")));
                }
            }
        }
        for (name, owners) in OWNED {
            for (member, names) in &self.names {
                if names.contains(*name) && !owners.contains(&member.as_str()) {
                    violations.push(format!("{member} names {name}; only {} may", owners.join(", ")));
                }
            }
        }
        violations
    }

    /// Edges between our own crates against the table.
    fn check_edges(&self) -> Vec<String> {
        let mut violations = Vec::new();
        for member in &self.layered {
            let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| name == member) else {
                violations
                    .push(format!("{member} is not in the table of layers (xtask/src/layers/graph.rs)"));
                continue;
            };
            let uses = self.uses.get(member).into_iter().flatten();
            for other in uses.filter(|other| self.names.contains_key(*other)) {
                if !allowed.contains(&other.as_str()) {
                    violations.push(format!("{member} must not depend on {other}"));
                }
            }
        }
        violations
    }

    /// A shortest chain of dependencies.
    fn path(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut chains = std::collections::VecDeque::from([vec![from.to_owned()]]);
        let mut seen = BTreeSet::from([from.to_owned()]);
        while let Some(chain) = chains.pop_front() {
            let last = chain.last()?;
            if last == to {
                return Some(chain);
            }
            for next in self.uses.get(last).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    let mut longer = chain.clone();
                    longer.push(next.clone());
                    chains.push_back(longer);
                }
            }
        }
        None
    }
}

/// Each crate with those of ours that it may depend on.
const LAYERS: &[(&str, &[&str])] = &[
    ("signalr-protocol", &[]),
    ("signalr-core", &["signalr-protocol"]),
    ("signalr-hub", &["signalr-core", "signalr-protocol"]),
    ("signalr-transport", &["signalr-core", "signalr-protocol"]),
    ("signalr-warp", &["signalr-transport", "signalr-hub", "signalr-core", "signalr-protocol"]),
    ("signalr-backplane-memory", &["signalr-core", "signalr-protocol"]),
    ("signalr-backplane-redis", &["signalr-core", "signalr-protocol"]),
    ("signalr-testkit", &["signalr-core", "signalr-protocol", "signalr-backplane-memory"]),
    ("signalr-client", &["signalr-protocol"]),
    ("signalr-macros", &[]),
    (
        "signalr",
        &[
            "signalr-warp",
            "signalr-transport",
            "signalr-hub",
            "signalr-backplane-memory",
            "signalr-backplane-redis",
            "signalr-macros",
            "signalr-core",
            "signalr-protocol",
        ],
    ),
];

/// Each crate with packages that it may not reach by any chain.
const UNREACHABLE: &[(&str, &[&str])] = &[
    ("signalr-protocol", &["tokio", "tokio-util", "hyper", "warp", "redis"]),
    ("signalr-core", &["redis", "deadpool-redis", "hyper", "warp"]),
    ("signalr-hub", &["redis", "deadpool-redis", "hyper", "warp"]),
    ("signalr-transport", &["signalr-hub", "warp", "redis", "deadpool-redis"]),
    ("signalr-backplane-memory", &["redis", "deadpool-redis", "hyper", "warp"]),
    ("signalr-backplane-redis", &["signalr-hub", "hyper", "warp"]),
];

/// Packages that only these crates may name.
const OWNED: &[(&str, &[&str])] = &[
    ("warp", &["signalr-warp", "chat", "peer"]),
    ("redis", &["signalr-backplane-redis"]),
    ("deadpool-redis", &["signalr-backplane-redis"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        for (from, to) in edges {
            graph.uses.entry((*from).to_owned()).or_default().insert((*to).to_owned());
            for end in [from, to].into_iter().filter(|end| end.starts_with("signalr")) {
                graph.layered.insert((*end).to_owned());
                graph.names.entry((*end).to_owned()).or_default();
            }
            if let Some(names) = graph.names.get_mut(*from) {
                names.insert((*to).to_owned());
            }
        }
        graph
    }

    #[test]
    fn dependencies_downwards_are_fine() {
        let graph = graph(&[
            ("signalr", "signalr-warp"),
            ("signalr-warp", "warp"),
            ("signalr-warp", "signalr-transport"),
            ("signalr-transport", "signalr-core"),
            ("signalr-core", "signalr-protocol"),
            ("signalr-core", "tokio"),
            ("signalr-protocol", "bytes"),
        ]);
        assert_eq!(graph.check(), Vec::<String>::new());
    }

    #[test]
    fn a_dependency_upwards_is_found() {
        assert_eq!(
            graph(&[("signalr-core", "signalr-hub")]).check(),
            ["signalr-core must not depend on signalr-hub"]
        );
    }

    #[test]
    fn what_is_reached_through_others_is_found_with_the_way() {
        let graph = graph(&[("signalr-protocol", "codec"), ("codec", "net"), ("net", "tokio")]);
        assert_eq!(
            graph.check(),
            ["signalr-protocol must not reach tokio, but does: signalr-protocol -> codec -> net -> tokio"]
        );
    }

    #[test]
    fn names_belong_to_their_owners() {
        assert_eq!(
            graph(&[("signalr-testkit", "redis")]).check(),
            ["signalr-testkit names redis; only signalr-backplane-redis may"]
        );
    }

    #[test]
    fn a_crate_that_the_table_does_not_know_is_found() {
        let found = graph(&[("signalr-nats", "bytes")]).check();
        assert_eq!(found, ["signalr-nats is not in the table of layers (xtask/src/layers/graph.rs)"]);
    }

    #[test]
    fn the_table_lists_every_crate_of_this_workspace() {
        let graph = Graph::from_metadata(&Workspace::load().unwrap()).unwrap();
        let listed: BTreeSet<String> = LAYERS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(graph.layered, listed);
    }
}
