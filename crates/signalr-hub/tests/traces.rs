//! The spans of calls and life-cycle events: names, attributes, ends, failures (B-11.3).

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use signalr_hub::{HubEndpoint, HubOptions};
use signalr_protocol::Protocol;
use signalr_testkit::TestClient;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use support::{Served, recorder};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CALL: &str = "Microsoft.AspNetCore.SignalR.Server.InvocationIn";

#[derive(Debug, Clone, Default)]
struct Seen {
    name: &'static str,
    is_root: bool,
    closed: bool,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}

impl Seen {
    /// Name, then the fields in order of their names.
    fn line(&self) -> String {
        let fields: Vec<_> = self.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} {}", self.name, fields.join(" "))
    }
}

/// Every span of this library that was opened in this thread, in order.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<(Id, Seen)>>>);

impl Spans {
    fn capture() -> (Self, DefaultGuard) {
        let spans = Self::default();
        let subscriber = tracing_subscriber::registry().with(spans.clone());
        (spans, tracing::subscriber::set_default(subscriber))
    }

    fn change(&self, id: &Id, change: impl FnOnce(&mut Seen)) {
        let mut spans = self.0.lock().unwrap();
        if let Some((_, seen)) = spans.iter_mut().rev().find(|(seen, _)| seen == id) {
            change(seen);
        }
    }

    fn named(&self, end: &str) -> Vec<Seen> {
        let spans = self.0.lock().unwrap();
        spans.iter().map(|(_, seen)| seen.clone()).filter(|seen| seen.name.ends_with(end)).collect()
    }

    /// The only span of a name, which must have ended.
    fn only(&self, end: &str) -> Seen {
        let spans = self.named(end);
        assert_eq!(spans.len(), 1, "{spans:?}");
        assert!(spans[0].closed, "{spans:?}");
        spans[0].clone()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let name = attributes.metadata().name();
        let mut seen = Seen { name, is_root: attributes.is_root(), ..Seen::default() };
        attributes.record(&mut seen);
        self.0.lock().unwrap().push((id.clone(), seen));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.change(id, |seen| values.record(seen));
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.change(&id, |seen| seen.closed = true);
    }
}

fn call_line(method: &str, error: Option<&str>, trace: &str) -> String {
    let failed = error.map(|error| format!("error.type={error} ")).unwrap_or_default();
    let status = if error.is_some() { "otel.status_code=ERROR " } else { "" };
    format!(
        "{CALL} {failed}otel.kind=server otel.name=TestHub/{method} {status}rpc.method={method} rpc.service=TestHub \
         rpc.system=signalr{trace}"
    )
}

fn hook_line(event: &str, error: Option<&str>) -> String {
    let failed = error.map(|error| format!("error.type={error} ")).unwrap_or_default();
    let status = if error.is_some() { "otel.status_code=ERROR " } else { "" };
    format!(
        "Microsoft.AspNetCore.SignalR.Server.{event} {failed}otel.kind=internal otel.name=Recorder/{event}Async \
         {status}rpc.method={event}Async rpc.service=Recorder rpc.system=signalr"
    )
}

async fn recording(fail: &'static str) -> TestClient {
    let endpoint = HubEndpoint::new(recorder(&Arc::default(), fail), HubOptions::default());
    TestClient::builder().start(endpoint.handler(), Protocol::Json).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn calls_and_events_have_spans() {
    let (spans, _guard) = Spans::capture();
    let mut options = HubOptions::default();
    options.maximum_parallel_invocations = 2;
    let served = Served::with(options);
    let mut client = served.json().await;
    let _: String = client.invoke("Echo", ("secret",)).await.unwrap();
    let echo = spans.only("InvocationIn");
    assert_eq!(echo.line(), call_line("Echo", None, ""));
    assert!(echo.is_root);
    let waiting = client.call("Wait", ("later",)).unwrap();
    let _: i32 = client.invoke("Add", (1, 2)).await.unwrap();
    let ended: Vec<_> = spans.named("InvocationIn").iter().map(|span| span.closed).collect();
    assert_eq!(ended, [true, false, true]);
    served.gate.notify_one();
    client.completion(&waiting).await.unwrap();
    assert!(spans.named("InvocationIn").iter().all(|span| span.closed));
    client.close();
    client.ended().await.unwrap();
    assert_eq!(spans.only("OnConnected").fields["otel.name"], "TestHub/OnConnectedAsync");
    assert_eq!(spans.only("OnDisconnected").fields["otel.name"], "TestHub/OnDisconnectedAsync");

    let mut client = recording("").await;
    client.close();
    client.ended().await.unwrap();
    assert_eq!(spans.named("OnConnected")[1].line(), hook_line("OnConnected", None));
    assert_eq!(spans.named("OnDisconnected")[1].line(), hook_line("OnDisconnected", None));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_before_the_call_has_no_span() {
    let (spans, _guard) = Spans::capture();
    let mut client = Served::new().json().await;
    for target in ["Missing", "Add", "Counter"] {
        let id = client.call(target, ("nothing that fits",)).unwrap();
        client.completion(&id).await.unwrap();
    }
    assert_eq!(spans.named("InvocationIn").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_with_the_trace_of_its_headers() {
    let (spans, _guard) = Spans::capture();
    let mut client = Served::new().json().await;
    for (parent, state) in [(PARENT, "a=b"), ("nonsense", "a=b")] {
        client.send_record(&format!(
            r#"{{"type":1,"headers":{{"traceparent":"{parent}","tracestate":"{state}","other":"x"}},"invocationId":"9","target":"Echo","arguments":["a"]}}"#
        ));
        client.completion("9").await.unwrap();
    }
    let lines: Vec<_> = spans.named("InvocationIn").iter().map(Seen::line).collect();
    let trace = format!(" traceparent={PARENT} tracestate=a=b");
    assert_eq!(lines, [call_line("Echo", None, &trace), call_line("Echo", None, "")]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_one_span_until_its_end() {
    let (spans, _guard) = Spans::capture();
    let mut client = Served::new().json().await;
    let id = client.open_stream("Endless", ()).unwrap();
    let _: i32 = client.invoke("Add", (1, 2)).await.unwrap();
    assert!(!spans.named("InvocationIn")[0].closed);
    client.send_record(&format!(r#"{{"type":5,"invocationId":"{id}"}}"#));
    client.completion(&id).await.unwrap();
    let stream = spans.named("InvocationIn")[0].clone();
    assert!(stream.closed && stream.is_root);
    // Cancelled is not failed.
    assert_eq!(stream.line(), call_line("Endless", None, ""));
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_with_the_trace_of_its_headers() {
    let (spans, _guard) = Spans::capture();
    let mut client = Served::new().json().await;
    client.send_record(&format!(
        r#"{{"type":4,"headers":{{"traceparent":"{PARENT}"}},"invocationId":"9","target":"Counter","arguments":[0]}}"#
    ));
    client.completion("9").await.unwrap();
    let trace = format!(" traceparent={PARENT}");
    assert_eq!(spans.only("InvocationIn").line(), call_line("Counter", None, &trace));
}

#[tokio::test(start_paused = true)]
async fn a_failed_connect_event_shows_in_its_span() {
    let (spans, _guard) = Spans::capture();
    recording("connect").await.ended().await.unwrap();
    assert_eq!(spans.only("OnConnected").line(), hook_line("OnConnected", Some("HubException")));
    assert_eq!(spans.named("OnDisconnected").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_disconnect_event_shows_in_its_span() {
    let (spans, _guard) = Spans::capture();
    let mut client = recording("disconnect").await;
    client.close();
    client.ended().await.unwrap();
    assert_eq!(spans.only("OnConnected").line(), hook_line("OnConnected", None));
    assert_eq!(spans.only("OnDisconnected").line(), hook_line("OnDisconnected", Some("HubException")));
}

#[tokio::test(start_paused = true)]
async fn a_failed_stream_shows_in_its_span() {
    let (spans, _guard) = Spans::capture();
    let mut client = Served::new().json().await;
    for (method, arguments) in [("Breaks", vec!["other"]), ("NoStream", vec![])] {
        let arguments: Vec<_> = arguments.iter().map(|text| format!("\"{text}\"")).collect();
        client.send_record(&format!(
            r#"{{"type":4,"invocationId":"{method}","target":"{method}","arguments":[{}]}}"#,
            arguments.join(",")
        ));
        client.completion(method).await.unwrap();
    }
    let lines: Vec<_> = spans.named("InvocationIn").iter().map(Seen::line).collect();
    let error = Some("InvalidOperationException");
    assert_eq!(lines, [call_line("Breaks", error, ""), call_line("NoStream", error, "")]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_shows_in_its_span() {
    let (spans, _guard) = Spans::capture();
    let mut client = Served::new().json().await;
    client.invoke::<()>("Throw", ("other", "secret")).await.unwrap_err();
    client.invoke::<()>("PanicsLater", ()).await.unwrap_err();
    let calls = spans.named("InvocationIn");
    assert_eq!(calls[0].line(), call_line("Throw", Some("InvalidOperationException"), ""));
    assert_eq!(calls[1].fields["otel.status_code"], "ERROR");
    assert!(calls.iter().all(|span| span.closed));
}
