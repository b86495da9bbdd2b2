//! The table of faults: what each cost the fleet that suffered it, from the rows that the suites of faults leave behind.
//!
//! Owns the file of rows during a run and the table that is printed behind it. A row is written by
//! `integration-tests/src/fault_row.rs`; nothing is judged here, the tests have done that.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// The rows of one run.
pub(crate) struct Faults {
    file: PathBuf,
}

impl Faults {
    /// No row yet; those of an earlier run are forgotten.
    pub(crate) fn begin(workspace: &Workspace) -> Result<Self> {
        let file = workspace.scratch().join("faults.txt");
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", file.display()))
            }
            _ => Ok(Self { file }),
        }
    }

    /// What suites are told.
    pub(crate) fn env(&self) -> (String, String) {
        ("SIGNALR_FAULT_TABLE".to_owned(), self.file.display().to_string())
    }

    /// The table; empty when no suite of faults has run.
    pub(crate) fn render(&self) -> String {
        table(&std::fs::read_to_string(&self.file).unwrap_or_default())
    }
}

fn table(rows: &str) -> String {
    let mut rows: Vec<Vec<&str>> = rows.lines().filter_map(cells).collect();
    if rows.is_empty() {
        return String::new();
    }
    rows.sort_unstable();
    rows.insert(0, HEAD.to_vec());
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = TITLE.to_owned();
    for row in &rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let cell = if column < WORDS { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            text.push_str(&format!("  {cell}"));
        }
        text.push('\n');
    }
    text
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let cells: Vec<&str> = line.strip_prefix("fault|")?.split('|').collect();
    (cells.len() == HEAD.len()).then_some(cells)
}

const TITLE: &str = "What each fault cost the fleet. `lost` lies between `dropped` and `dropped` + `unknown`, and above that only where
servers (`gaps`) reported that they had not heard everything:\n";
const HEAD: [&str; 9] =
    ["Redis", "fault", "said", "lost", "dropped", "unknown", "doubled", "gaps", "recovery (ms)"];
/// Columns of text; the others are numbers.
const WORDS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_a_table_in_order() {
        let rows =
            "noise\nfault|tls|a|5|4|3|2|0|1|77\nfault|acl|longer name|12345|0|0|0|0|0|8\nfault|short\n";
        let table = table(rows);
        let lines: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(lines.len(), 3, "{table}");
        assert!(lines[0].starts_with("  Redis  fault         said  lost"), "{table}");
        assert!(lines[1].starts_with("  acl    longer name  12345     0"), "{table}");
        assert!(lines[2].starts_with("  tls    a                5     4"), "{table}");
        assert!(lines[2].ends_with(" 77"));
    }

    #[test]
    fn without_rows_there_is_no_table() {
        assert_eq!(table("test a ... ok\n"), "");
    }
}
