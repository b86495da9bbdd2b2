//! The spans of hub code: one for each call, for each connect and each disconnect (B-11.3).
//!
//! Owns names, fields and how a failure is recorded. There are no arguments, results or error texts in a span. Where a
//! span begins and ends is decided in `connection`; what becomes of it, by whoever subscribes.

use signalr_protocol::Headers;
use tracing::level_filters::LevelFilter;
use tracing::span::EnteredSpan;
use tracing::{Span, field};

/// The reference's name of the operation, so that what looks for it there finds it here.
const CALL: &str = "Microsoft.AspNetCore.SignalR.Server.InvocationIn";
/// How long a `tracestate` may be; longer ones are left out.
const MAX_STATE: usize = 512;

/// The span of a plain call, which begins when its arguments have turned out to be of use: a call that cannot be bound
/// has none.
pub(crate) struct Beginning<'a> {
    pub(crate) hub: &'a str,
    pub(crate) headers: &'a Headers<'a>,
    /// The span, from then on.
    pub(crate) entered: &'a mut Option<EnteredSpan>,
}

impl Beginning<'_> {
    pub(crate) fn begin(self, method: &str) {
        *self.entered = Some(call(self.hub, method, self.headers).entered());
    }
}

/// A call's span, disabled when nobody wants it. It begins a trace of its own, or goes on with the one that the client
/// named in the message's headers (fields `traceparent`, `tracestate`), and follows from what runs now.
pub(crate) fn call(hub: &str, method: &str, headers: &Headers<'_>) -> Span {
    // tracing does more for a span that nobody wants than for none.
    if LevelFilter::current() < LevelFilter::INFO {
        return Span::none();
    }
    let span = tracing::info_span!(
        parent: None,
        "Microsoft.AspNetCore.SignalR.Server.InvocationIn",
        otel.name = %format_args!("{hub}/{method}"),
        otel.kind = "server",
        rpc.method = method,
        rpc.system = "signalr",
        rpc.service = hub,
        otel.status_code = field::Empty,
        "error.type" = field::Empty,
        traceparent = field::Empty,
        tracestate = field::Empty,
    );
    if !span.is_disabled() {
        span.follows_from(Span::current().id());
        record_headers(&span, headers);
    }
    span
}

/// The span of one of a hub's events. Names of spans are constants.
macro_rules! event {
    ($event:literal, $hub:expr) => {
        tracing::info_span!(
            concat!("Microsoft.AspNetCore.SignalR.Server.", $event),
            otel.name = %format_args!(concat!("{}/", $event, "Async"), $hub),
            otel.kind = "internal",
            rpc.method = concat!($event, "Async"),
            rpc.system = "signalr",
            rpc.service = $hub,
            otel.status_code = field::Empty,
            "error.type" = field::Empty,
        )
    };
}

/// The span of a hub's connect event: a child of what runs now.
pub(crate) fn connected(hub: &str) -> Span {
    event!("OnConnected", hub)
}

/// The span of a hub's disconnect event: a child of what runs now.
pub(crate) fn disconnected(hub: &str) -> Span {
    event!("OnDisconnected", hub)
}

/// The span of the call that runs now; a disabled one outside of calls, or inside a span of the application.
pub(crate) fn current_call() -> Span {
    let span = Span::current();
    if span.metadata().is_some_and(|data| data.name() == CALL) { span } else { Span::none() }
}

/// Records that the work of a span has failed, and with what type of error.
pub(crate) fn failed(span: &Span, error: &str) {
    span.record("otel.status_code", "ERROR").record("error.type", error);
}

/// Only what looks like a trace context: the client may send anything under these names.
fn record_headers(span: &Span, headers: &Headers<'_>) {
    let Some(parent) = headers.get("traceparent").filter(|text| is_trace_parent(text)) else { return };
    span.record("traceparent", parent);
    if let Some(state) =
        headers.get("tracestate").filter(|text| text.len() <= MAX_STATE && is_printable(text))
    {
        span.record("tracestate", state);
    }
}

/// `version-trace-parent-flags` of W3C trace context, version 0.
fn is_trace_parent(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').take(5).collect();
    let is_hex = |part: &&str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    parts.iter().map(|part| part.len()).eq([2, 32, 16, 2]) && parts.iter().all(is_hex)
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::is_trace_parent;

    #[test]
    fn only_trace_parents_are_taken_for_some() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_trace_parent(good));
        for bad in
            ["", "00", &good.to_uppercase(), &good[1..], &format!("{good}-00"), &good.replace('a', "é")]
        {
            assert!(!is_trace_parent(bad), "{bad}");
        }
    }
}
