//! Slots that move from one node of a Cluster to another while messages are published.
//!
//! Owns the steps between seeing a new table of owners and using it: new nodes are dialled while everything goes on;
//! then nothing is published until all that is in flight was answered and has come here, and a moment longer, so that what
//! took the old way arrives before what takes the new one, at other servers too.

use crate::cluster::dial_nodes;
use crate::fan::Fan;
use crate::pipe::Pipe;
use crate::settings::Settings;
use crate::slots::{Node, Table};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long the Cluster may take to carry a message that it has confirmed from node to node.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Default)]
pub(crate) struct Moves {
    dialling: Option<JoinHandle<Change>>,
    /// Whether the table that is dialled for is the one in use.
    same: bool,
    ready: Option<Change>,
    until: Option<Instant>,
    /// What took the old way may still be on its way to this server.
    marked: bool,
}

/// A new table, and connections to owners that there were none to.
pub(crate) type Change = (Table, Vec<(Node, Pipe)>);

impl Moves {
    /// Takes note of the table as it is now.
    pub(crate) fn consider(&mut self, settings: &Settings, fan: &Fan, table: Table) {
        let missing = fan.missing(&table);
        let same = fan.table() == Some(&table);
        if self.dialling.is_some() || self.ready.is_some() || (same && missing.is_empty()) {
            return;
        }
        self.same = same;
        let settings = settings.clone();
        self.dialling = Some(tokio::spawn(async move {
            let pipes = dial_nodes(&settings, &missing).await;
            (table, pipes)
        }));
    }

    /// Ready when the next step can be made. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        if let Some(until) = self.until {
            tokio::time::sleep_until(until).await;
            self.until = None;
        } else if let Some(dialling) = &mut self.dialling {
            let change = dialling.await;
            self.dialling = None;
            // A node that is still away is tried again with the next table.
            self.ready = change.ok().filter(|(_, pipes)| !self.same || !pipes.is_empty());
        } else {
            std::future::pending().await
        }
    }

    /// Whether nothing may be published now.
    pub(crate) fn holds(&self) -> bool {
        self.ready.is_some() || self.until.is_some() || self.marked
    }

    /// What to use from now on, given that nothing is in flight; the pause begins. It ends after [`passed`](Self::passed).
    pub(crate) fn take(&mut self) -> Option<Change> {
        let change = self.ready.take()?;
        self.until = Some(Instant::now() + PAUSE);
        self.marked = true;
        Some(change)
    }

    /// What took the old way has come, or is not waited for any more.
    pub(crate) fn passed(&mut self) {
        self.marked = false;
    }
}

impl Drop for Moves {
    fn drop(&mut self) {
        if let Some(dialling) = &self.dialling {
            dialling.abort();
        }
    }
}
