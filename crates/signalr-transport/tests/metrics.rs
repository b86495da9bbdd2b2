//! The metrics of connections (B-11.1): counted from the choice of a transport to the end, in pairs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(unreachable_pub, dead_code, reason = "shared by several test programs, each of which uses a part")]
mod support;

use http::Method;
use metrics::{
    Counter, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use signalr_transport::EndpointOptions;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{App, Client, answer, negotiate, parts, server, ticket};

/// Writes down every change as text.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

struct Noted {
    name: String,
    notes: Notes,
}

impl Noted {
    fn note(&self, what: String) {
        self.notes.0.lock().unwrap().push(format!("{} {what}", self.name));
    }
}

impl GaugeFn for Noted {
    fn increment(&self, value: f64) {
        self.note(format!("+{value}"));
    }

    fn decrement(&self, value: f64) {
        self.note(format!("-{value}"));
    }

    fn set(&self, value: f64) {
        self.note(format!("={value}"));
    }
}

impl HistogramFn for Noted {
    fn record(&self, value: f64) {
        self.note(format!("{value}"));
    }
}

impl Notes {
    fn of(&self, key: &Key) -> Arc<Noted> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(Noted { name: format!("{} {}", key.name(), labels.join(",")), notes: self.clone() })
    }
}

impl Recorder for Notes {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.of(key))
    }
}

#[tokio::test(start_paused = true)]
async fn connections_are_counted_from_their_transport_to_their_end() {
    let notes = Notes::default();
    let _recording = metrics::set_default_local_recorder(&notes);
    let taken = || std::mem::take(&mut *notes.0.lock().unwrap());
    let active = "signalr.server.active_connections signalr.transport=web_sockets";
    let duration = "signalr.server.connection.duration signalr.connection.status";

    let server = server(&App::default(), EndpointOptions::default());
    negotiate(&server).await;
    assert!(taken().is_empty(), "negotiating counts nothing");

    let mut client = Client::connect(&server, 1024).await;
    client.text("x").await;
    assert_eq!(client.read_text().await, "x");
    assert_eq!(taken(), [format!("{active} +1")]);
    tokio::time::advance(Duration::from_secs(3)).await;
    client.send(0x88, &[]).await;
    client.task.await.unwrap();
    assert_eq!(
        taken(),
        [format!("{active} -1"), format!("{duration}=normal_closure,signalr.transport=web_sockets 3")]
    );

    drop(ticket(&server, "/hub").await);
    assert_eq!(taken().len(), 3, "an upgrade that comes to nothing is counted in a pair too");

    let client = Client::connect(&server, 1024).await;
    server.stop(Duration::from_secs(1)).await;
    drop(client);
    let last = taken().pop().unwrap();
    assert!(last.starts_with(&format!("{duration}=app_shutdown,")), "{last}");
}

#[tokio::test(start_paused = true)]
async fn every_transport_has_its_label_and_an_absent_client_its_status() {
    let notes = Notes::default();
    let _recording = metrics::set_default_local_recorder(&notes);
    let taken = || std::mem::take(&mut *notes.0.lock().unwrap());
    let server = server(&App::default(), EndpointOptions::default());
    let ends = async || {
        while server.connections() > 0 {
            tokio::time::advance(Duration::from_millis(500)).await;
            tokio::task::yield_now().await;
        }
        taken()
    };

    let at = format!("/hub?id={}", negotiate(&server).await);
    assert_eq!(answer(&server, Method::GET, &at, &[]).await.status(), 200);
    let seen = ends().await;
    assert_eq!(seen[0], "signalr.server.active_connections signalr.transport=long_polling +1");
    assert_eq!(seen[1], "signalr.server.active_connections signalr.transport=long_polling -1");
    let timed_out = "connection.duration signalr.connection.status=timeout,signalr.transport=long_polling ";
    assert!(seen[2].contains(timed_out), "{seen:?}");

    let at = format!("/hub?id={}", negotiate(&server).await);
    drop(server.respond(&parts(Method::GET, &at, &[("accept", "text/event-stream")])).await);
    let seen = ends().await;
    assert_eq!(seen[0], "signalr.server.active_connections signalr.transport=server_sent_events +1");
    assert!(seen[2].contains("status=normal_closure,signalr.transport=server_sent_events "), "{seen:?}");
}
