//! The names of this crate's metrics (B-11.1), each with the one place that emits it.
//!
//! Through the `metrics` facade. Buckets of the histogram are the exporter's business; the reference uses 0.01, 0.02,
//! 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120 and 300 seconds.

use signalr_core::TransportKind;
use std::time::Duration;

/// A connection has got its transport.
pub(crate) fn connection_started(transport: TransportKind) {
    metrics::gauge!("signalr.server.active_connections", "signalr.transport" => transport.label())
        .increment(1.0);
}

/// A connection has left the table; always after [`connection_started`].
pub(crate) fn connection_ended(transport: TransportKind, status: &'static str, lasted: Duration) {
    metrics::gauge!("signalr.server.active_connections", "signalr.transport" => transport.label())
        .decrement(1.0);
    metrics::histogram!(
        "signalr.server.connection.duration",
        "signalr.connection.status" => status,
        "signalr.transport" => transport.label()
    )
    .record(lasted.as_secs_f64());
}

/// A request was above a limit: of the whole `server` or of its `client`.
pub(crate) fn request_refused(limit: &'static str) {
    metrics::counter!("signalr.server.refused_requests", "signalr.limit" => limit).increment(1);
}
