//! The names of this crate's metrics, each with the one place that emits it.
//!
//! Through the `metrics` facade: without a recorder they cost a load and a branch. Nothing here runs once per
//! delivered message.

use crate::close_reason::CloseReason;

/// Bytes that were queued for a client and never written, and pushes to connections that had ended.
pub(crate) fn dropped_bytes(bytes: usize) {
    if bytes > 0 {
        metrics::counter!("signalr.server.dropped_bytes").increment(bytes as u64);
    }
}

/// A client that was cut because it does not read.
pub(crate) fn slow_client(reason: CloseReason) {
    metrics::counter!("signalr.server.slow_clients", "reason" => reason.label()).increment(1);
}

/// A client with stateful reconnect that was away: it came back, or its connection ended without it.
pub(crate) fn absence(outcome: &'static str) {
    metrics::counter!("signalr.server.absences", "outcome" => outcome).increment(1);
}
