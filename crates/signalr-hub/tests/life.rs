//! The life of a connection: handshake, hooks, endings and what the client is told (B-3, 7.7, 7.8, 7.10, 7.11).

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use signalr_backplane_memory::MemoryBus;
use signalr_core::{CloseReason, WorkEnd};
use signalr_hub::{HubBuilder, HubEndpoint, HubOptions};
use signalr_protocol::Protocol;
use signalr_testkit::TestClient;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Served, recorder};
use tokio::time::Instant;

type Log = Arc<Mutex<Vec<String>>>;

fn recording(fail: &'static str, options: HubOptions) -> (Log, Arc<HubEndpoint>) {
    let log = Log::default();
    (log.clone(), HubEndpoint::new(recorder(&log, fail), options))
}

async fn rest(client: &mut TestClient) -> String {
    client.ended().await.unwrap();
    String::from_utf8(client.take_bytes()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn handshakes_are_answered_with_the_references_bytes() {
    let cases = [
        (r#"{"protocol":"json","version":1}"#, "{}\u{1e}"),
        (r#"{"protocol":"JSON","version":2}"#, "{}\u{1e}"),
        (r#"{"protocol":"xml","version":1}"#, "{\"error\":\"The protocol 'xml' is not supported.\"}\u{1e}"),
        (
            r#"{"protocol":"json","version":3}"#,
            "{\"error\":\"The server does not support version 3 of the 'json' protocol.\"}\u{1e}",
        ),
        (
            r#"{"protocol":1}"#,
            "{\"error\":\"An unexpected error occurred during connection handshake.\"}\u{1e}",
        ),
    ];
    for (request, answer) in cases {
        let mut client = TestClient::connect(Served::new().handler());
        client.send_record(request);
        assert_eq!(client.read(answer.len()).await.unwrap(), answer.as_bytes(), "{request}");
        if answer.contains("error") {
            assert_eq!(client.ended().await.unwrap(), WorkEnd::Normal);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_refused_after_the_handshake_time_out() {
    let start = Instant::now();
    let mut client = TestClient::connect(Served::new().handler());
    assert_eq!(rest(&mut client).await, "{\"error\":\"Handshake was canceled.\"}\u{1e}");
    let waited = start.elapsed();
    assert!(waited >= Duration::from_secs(15) && waited <= Duration::from_secs(17), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn messages_right_behind_the_handshake_are_kept_for_after_the_connect_hook() {
    let (log, endpoint) = recording("", HubOptions::default());
    let mut client = TestClient::connect(endpoint.handler());
    client.send_text("{\"protocol\":\"json\",\"version\":1}\u{1e}{\"type\":1,\"invocationId\":\"1\",\"target\":\"Note\",\"arguments\":[\"a\"]}\u{1e}");
    let answer = "{}\u{1e}{\"type\":3,\"invocationId\":\"1\",\"result\":null}\u{1e}";
    assert_eq!(client.read(answer.len()).await.unwrap(), answer.as_bytes());
    assert_eq!(*log.lock().unwrap(), ["connected", "call a"]);
}

#[tokio::test(start_paused = true)]
async fn the_hooks_run_once_each_and_the_tables_are_empty_afterwards() {
    let (log, endpoint) = recording("", HubOptions::default());
    let mut client = TestClient::builder().start(endpoint.handler(), Protocol::Json).await.unwrap();
    client.send("Note", ("last words",)).unwrap();
    client.close();
    assert_eq!(client.ended().await.unwrap(), WorkEnd::Normal);
    assert_eq!(*log.lock().unwrap(), ["connected", "call last words", "disconnected"]);
    assert_eq!(endpoint.manager().connection_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failing_connect_hook_closes_without_the_disconnect_hook() {
    let (log, endpoint) = recording("connect", HubOptions::default());
    let mut client = TestClient::builder().start(endpoint.handler(), Protocol::Json).await.unwrap();
    let close = "{\"type\":7,\"error\":\"Connection closed with an error. HubException: not today\"}\u{1e}";
    assert_eq!(rest(&mut client).await, close);
    assert_eq!(*log.lock().unwrap(), ["connected"]);
    assert_eq!(endpoint.manager().connection_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_topics_the_backplane_refuses_is_ended_and_forgotten() {
    let (log, endpoint) = recording("", HubOptions::default());
    let backplane = MemoryBus::new().backplane();
    endpoint.join(&backplane).await.unwrap();
    backplane.cut_off();
    let mut client = TestClient::builder().start(endpoint.handler(), Protocol::Json).await.unwrap();
    assert_eq!(client.ended().await.unwrap(), WorkEnd::Failed);
    assert_eq!(client.take_bytes(), b"", "no Close message");
    assert_eq!(*log.lock().unwrap(), [""; 0]);
    assert_eq!(endpoint.manager().connection_count(), 0);

    backplane.restore();
    let mut client = TestClient::builder().start(endpoint.handler(), Protocol::Json).await.unwrap();
    client.invoke::<()>("Note", ("a",)).await.unwrap();
    assert_eq!(*log.lock().unwrap(), ["connected", "call a"]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_disconnect_hook_ends_the_connection_with_an_error() {
    let (_, endpoint) = recording("disconnect", HubOptions::default());
    let mut client = TestClient::builder().start(endpoint.handler(), Protocol::Json).await.unwrap();
    client.close();
    assert_eq!(client.ended().await.unwrap(), WorkEnd::Failed);
}

#[tokio::test(start_paused = true)]
async fn each_ending_has_its_close_message_and_its_error() {
    let cases: [(&str, &str, &str); 4] = [
        (r#"{"type":7}"#, r#"{"type":7}"#, "disconnected"),
        (r#"{"type":7,"error":"tired"}"#, r#"{"type":7}"#, "disconnected HubException: tired"),
        (
            "nonsense",
            r#"{"type":7,"error":"Connection closed with an error.","allowReconnect":true}"#,
            "disconnected InvalidDataException: Error reading JSON.",
        ),
        (
            r#"{"type":1,"target":"Note"}"#,
            r#"{"type":7,"error":"Connection closed with an error.","allowReconnect":true}"#,
            "disconnected InvalidDataException: Missing required property 'arguments'.",
        ),
    ];
    for (record, close, event) in cases {
        let (log, endpoint) = recording("", HubOptions::default());
        let mut client = TestClient::builder().start(endpoint.handler(), Protocol::Json).await.unwrap();
        client.send_record(record);
        assert_eq!(rest(&mut client).await, format!("{close}\u{1e}"), "{record}");
        assert_eq!(log.lock().unwrap().last().unwrap(), event);
    }
}

#[tokio::test(start_paused = true)]
async fn abort_and_shutdown_are_told_apart() {
    let served = Served::new();
    let mut client = served.json().await;
    // Neither the call itself nor one behind it is answered any more.
    client.send_record(
        "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Abort\",\"arguments\":[]}\u{1e}\
         {\"type\":1,\"invocationId\":\"2\",\"target\":\"Count\",\"arguments\":[]}",
    );
    assert_eq!(rest(&mut client).await, "{\"type\":7}\u{1e}");
    let mut client = served.json().await;
    client.connection().request_close(CloseReason::ServerShutdown);
    assert_eq!(rest(&mut client).await, "{\"type\":7,\"allowReconnect\":true}\u{1e}");
}

#[tokio::test(start_paused = true)]
async fn too_large_a_message_closes_and_the_limit_itself_does_not() {
    let mut client = Served::detailed().json().await;
    let fits = |size: usize| {
        let frame = r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[""]}"#.len() + 1;
        format!(
            r#"{{"type":1,"invocationId":"1","target":"Echo","arguments":["{}"]}}"#,
            "x".repeat(size - frame)
        )
    };
    client.send_record(&fits(32 * 1024));
    assert!(client.next_message().await.unwrap().text().contains("result"));
    client.send_record(&fits(32 * 1024 + 1));
    let close = rest(&mut client).await;
    assert!(
        close.contains("InvalidDataException: The maximum message size of 32768B was exceeded."),
        "{close}"
    );
}

#[tokio::test(start_paused = true)]
async fn input_that_ends_inside_a_message_is_an_error() {
    let (log, endpoint) = recording("", HubOptions::default());
    let mut client = TestClient::builder().start(endpoint.handler(), Protocol::Json).await.unwrap();
    client.send_text(r#"{"type":1,"tar"#);
    client.close();
    client.ended().await.unwrap();
    assert!(log.lock().unwrap()[1].contains("Connection terminated while reading a message."));
}

#[tokio::test(start_paused = true)]
async fn pings_come_every_interval_and_only_pinging_clients_time_out() {
    let served = Served::new();
    let start = Instant::now();
    let mut quiet = served.json().await;
    assert_eq!(quiet.next_or_ping().await.unwrap().text(), r#"{"type":6}"#);
    assert!(start.elapsed() >= Duration::from_secs(15) && start.elapsed() <= Duration::from_secs(17));
    quiet.stays_silent(Duration::from_secs(120)).await.unwrap();
    assert!(!quiet.connection().is_ended());

    let mut pinged = served.json().await;
    pinged.ping();
    let start = Instant::now();
    let close = rest(&mut pinged).await;
    let waited = start.elapsed();
    assert!(waited >= Duration::from_secs(30) && waited <= Duration::from_secs(32), "{waited:?}");
    assert!(close.ends_with(
        "{\"type\":7,\"error\":\"Connection closed with an error.\",\"allowReconnect\":true}\u{1e}"
    ));
}

#[tokio::test(start_paused = true)]
async fn a_client_time_out_below_the_ping_interval_is_kept() {
    let mut options = HubOptions::default();
    options.client_timeout = Duration::from_secs(3);
    let (_, endpoint) = recording("", options);
    let mut client = TestClient::builder().start(endpoint.handler(), Protocol::Json).await.unwrap();
    client.ping();
    let start = Instant::now();
    rest(&mut client).await;
    let waited = start.elapsed();
    assert!(waited >= Duration::from_secs(3) && waited <= Duration::from_secs(5), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_blocked_by_the_parallel_limit_does_not_time_out() {
    let served = Served::new();
    let mut client = served.json().await;
    client.ping();
    let slow = client.call("Wait", ("slow",)).unwrap();
    client.call("Echo", ("next",)).unwrap();
    client.stays_silent(Duration::from_secs(100)).await.unwrap();
    served.gate.notify_one();
    assert!(client.completion(&slow).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_dies_with_its_connection() {
    let served = Served::new();
    let mut client = served.json().await;
    client.call("Wait", ("forever",)).unwrap();
    tokio::task::yield_now().await;
    client.close();
    assert_eq!(client.ended().await.unwrap(), WorkEnd::Normal);
    assert_eq!(served.endpoint.manager().connection_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_running_call_that_blocks_nothing_does_not_stop_the_clients_clock() {
    let mut options = HubOptions::default();
    options.maximum_parallel_invocations = 2;
    let served = Served::with(options);
    let mut client = served.json().await;
    client.ping();
    client.call("Wait", ("slow",)).unwrap();
    client.call("Echo", ("next",)).unwrap();
    let mut last = String::new();
    while let Ok(message) = client.next_message().await {
        last = message.text();
    }
    assert!(last.starts_with(r#"{"type":7,"error":"Connection closed with an error."#), "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_when_the_connection_ends_hinders_no_hook() {
    let (told, mut ended) = tokio::sync::mpsc::channel(1);
    let hub = HubBuilder::new("Panics")
        .on_connected(|cx| async move {
            let end = cx.ended();
            tokio::spawn(async move {
                end.cancelled().await;
                panic!("a task of the application");
            });
            Ok(())
        })
        .on_disconnected(move |_, error| {
            let _nobody = told.try_send(error.is_none());
            async { Ok(()) }
        });
    let hub = HubEndpoint::new(hub, HubOptions::default());
    let mut client = TestClient::builder().start(hub.handler(), Protocol::Json).await.unwrap();
    client.close();
    assert_eq!(client.ended().await.unwrap(), WorkEnd::Normal);
    assert!(ended.recv().await.unwrap());
}
