//! A connection's place in the table, held by its task: when it is dropped, the entry is gone and the connection is
//! counted as ended, however the task came to its end.

use crate::limits::Room;
use crate::metric;
use crate::table::Table;
use signalr_core::Instant;
use signalr_core::{CloseReason, Connection, TransportKind};
use std::sync::Arc;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The place. See the module.
pub(crate) struct Seat {
    table: Arc<Table>,
    token: Arc<str>,
    transport: TransportKind,
    since: Instant,
    /// Why it ends, where that is not what was asked of the connection.
    reason: Option<CloseReason>,
    /// Keeps the server from being stopped while the connection lives.
    tracked: Option<TaskTrackerToken>,
    /// Counted, where connections are limited.
    _room: Option<Box<Room>>,
}

impl Seat {
    pub(crate) fn new(
        table: Arc<Table>,
        token: Arc<str>,
        transport: TransportKind,
        room: Option<Box<Room>>,
    ) -> Self {
        metric::connection_started(transport);
        Self { table, token, transport, since: Instant::now(), reason: None, tracked: None, _room: room }
    }

    pub(crate) fn track(&mut self, tracked: TaskTrackerToken) {
        self.tracked = Some(tracked);
    }

    /// The connection exists now.
    pub(crate) fn activate(&self, connection: &Arc<Connection>) {
        self.table.activate(&self.token, connection);
    }

    /// Says why the connection ends, for the metrics.
    pub(crate) fn ends_because(&mut self, reason: CloseReason) {
        self.reason.get_or_insert(reason);
    }

    /// Whether the server is shutting down.
    pub(crate) fn is_stopping(&self) -> bool {
        self.table.is_stopping()
    }

    /// Whether the server wants no task to go on.
    pub(crate) fn is_cut(&self) -> bool {
        self.table.is_cut()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let connection = self.table.remove(&self.token);
        let status = self
            .reason
            .or_else(|| connection.and_then(|connection| connection.close_requested()))
            .map_or(CloseReason::ClientGone.status(), CloseReason::status);
        metric::connection_ended(self.transport, status, self.since.elapsed());
    }
}
