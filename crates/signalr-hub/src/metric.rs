//! The names of this crate's metrics, each with the one place that emits it.

/// A hub method, or a hook, that ended with an error.
pub(crate) fn failed_call(hub: &str) {
    metrics::counter!("signalr.server.failed_invocations", "hub" => hub.to_owned()).increment(1);
}
