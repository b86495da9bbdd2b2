//! `check-layers`: crates depend only downwards, and the public signatures of core and hub show only what they may.
//!
//! The dependency graph comes from cargo metadata (`graph`), the signatures from rustdoc's JSON (`signatures`); this file runs
//! both and prints what they find.

mod graph;
mod signatures;

use anyhow::Result;

use crate::workspace::Workspace;

/// The command.
pub(crate) fn run() -> Result<bool> {
    let workspace = Workspace::load()?;
    let graph = graph::Graph::from_metadata(&workspace)?;
    let mut found = graph.check();
    found.iter().for_each(|violation| println!("{violation}"));
    println!("check-layers: {} crates of ours, {} packages in all", graph.members(), graph.packages());
    for name in CLOSED {
        let checked = signatures::check(&workspace, name)?;
        checked.violations.iter().for_each(|violation| println!("{violation}"));
        println!("check-layers: {} public items of {name}", checked.items);
        found.extend(checked.violations);
    }
    println!("check-layers: {} violations", found.len());
    Ok(found.is_empty())
}

/// What a backplane or a transport author depends on: its signatures bind us to every type they name.
const CLOSED: [&str; 2] = ["signalr-core", "signalr-hub"];
