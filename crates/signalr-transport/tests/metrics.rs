//! The metrics of connections (B-11.1): counted from the choice of a transport to the end, in pairs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(unreachable_pub, dead_code, reason = "shared by several test programs, each of which uses a part")]
mod support;

use http::Method;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use signalr_transport::{EndpointOptions, Server};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{App, Client, answer, negotiate, parts, server, ticket};
use tokio::task::JoinHandle;

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

impl CounterFn for Noted {
    fn increment(&self, value: u64) {
        self.note(format!("+{value}"));
    }

    fn absolute(&self, value: u64) {
        self.note(format!("={value}"));
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

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
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

#[tokio::test(start_paused = true)]
async fn absences_are_counted_by_how_they_end() {
    let notes = Notes::default();
    let _recording = metrics::set_default_local_recorder(&notes);
    let absences = || {
        let taken = std::mem::take(&mut *notes.0.lock().unwrap());
        let of_absences = taken.into_iter().filter(|note| note.starts_with("signalr.server.absences "));
        of_absences.collect::<Vec<_>>()
    };
    let counted = |outcome: &str| [format!("signalr.server.absences outcome={outcome} +1")];
    let app = App::default();
    let server = server(&app, EndpointOptions::default().allow_stateful_reconnects(true));

    let (token, away) = leave(&server).await;
    let mut back = Client::connect_to(&server, &format!("/hub?id={token}")).await;
    assert_eq!(back.read_text().await, "{\"type\":9,\"sequenceId\":1}\u{1e}");
    assert_eq!(absences(), counted("resumed"));
    back.vanish();
    away.await.unwrap();
    assert_eq!(absences(), counted("inactive"), "nobody came for 15 s");

    let (_, away) = leave(&server).await;
    let connection = app.opened.lock().unwrap().clone().unwrap();
    (0..3).for_each(|_| connection.send_payload(&[b'x'; 60]));
    away.await.unwrap();
    assert_eq!(absences(), counted("resume_buffer_full"));

    let (_, away) = leave(&server).await;
    server.stop(Duration::from_secs(1)).await;
    away.await.unwrap();
    assert_eq!(absences(), counted("server_shutdown"));
}

/// A client that may come back and has gone: its token, and the connection's task.
async fn leave(server: &Server) -> (String, JoinHandle<()>) {
    let target = "/hub/negotiate?negotiateVersion=1&useStatefulReconnect=true";
    let body = answer(server, Method::POST, target, &[]).await.into_body();
    let text = std::str::from_utf8(&body).unwrap();
    assert!(text.starts_with("{\"useStatefulReconnect\":true,"), "{text}");
    let token = text.split("\"connectionToken\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut client = Client::connect_to(server, &format!("/hub?id={token}")).await;
    client.text("arm 100").await;
    assert_eq!(client.read_text().await, "armed");
    let task = client.vanish();
    // Virtual time: the server notices before any passes.
    tokio::time::sleep(Duration::from_millis(1)).await;
    (token, task)
}
