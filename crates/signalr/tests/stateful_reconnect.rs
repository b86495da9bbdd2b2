//! Stateful reconnect, byte for byte and in virtual time: a client in memory whose socket is cut wherever the test
//! wants it (B-6).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what a test unwraps is what it claims")]

#[path = "support/wire.rs"]
mod wire;

use signalr::memory::MemoryBus;
use signalr::prelude::*;
use signalr::{CloseReason, EndpointOptions, Server};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use wire::{Session, Wire, call, item, stop_task};

/// Writes down what it is asked, so that a call that was carried out twice shows.
#[derive(Default, Clone)]
struct Ledger {
    entries: Arc<Mutex<Vec<String>>>,
}

impl Ledger {
    fn entries(&self) -> Vec<String> {
        self.entries.lock().unwrap().clone()
    }

    fn note(&self, text: impl Into<String>) {
        self.entries.lock().unwrap().push(text.into());
    }
}

fn hub(ledger: &Ledger) -> HubBuilder {
    let (notes, gone, connected) = (ledger.clone(), ledger.clone(), ledger.clone());
    HubBuilder::new("Tests.Ledger")
        .method("Note", move |_: Context, text: String| {
            notes.note(&text);
            async move { Ok(text) }
        })
        .method("ToGroup", |cx: Context, group: String, text: String| async move {
            cx.clients().group(group).send("Said", (text,)).await
        })
        .method(
            "ToAll",
            |cx: Context, text: String| async move { cx.clients().all().send("Said", (text,)).await },
        )
        .method("Join", |cx: Context, group: String| async move { cx.groups().add(group).await })
        .method("Ask", |cx: Context, id: String| async move {
            cx.clients().client(id).invoke::<i32>("Answer", ()).await
        })
        .method("Abort", |cx: Context| async move {
            cx.abort();
            Ok(())
        })
        .method("Page", |cx: Context| async move {
            let latest = cx.latest_info().request.query_value("page");
            let first = cx.info().request.query_value("page");
            Ok(format!("{first:?} {latest:?}"))
        })
        .stream("Count", |_: Context, count: u32, length: usize| async move {
            Ok(futures_util::stream::iter((0..count).map(move |n| Ok(format!("{n:0length$}")))))
        })
        .method("SlowSum", |_: Context, mut items: ClientStream<u32>| async move {
            let mut sum = 0;
            while let Some(item) = items.next().await {
                // Virtual time.
                tokio::time::sleep(Duration::from_secs(1)).await;
                sum += item?;
            }
            Ok(sum)
        })
        .on_connected(move |cx| {
            connected.note("connected");
            async move { cx.groups().add("everybody").await }
        })
        .on_disconnected(move |_, error| {
            gone.note(match error {
                Some(error) => format!("disconnected {error:?}"),
                None => "disconnected".to_owned(),
            });
            async move { Ok(()) }
        })
}

fn options() -> HubOptions {
    let mut options = HubOptions::default();
    options.detailed_errors = true;
    options.maximum_parallel_invocations = 4;
    options
}

async fn serve_with(options: HubOptions, allow: bool) -> (Server, Ledger) {
    let ledger = Ledger::default();
    let server = SignalR::builder()
        .options(options)
        .endpoint_options(EndpointOptions::new().allow_stateful_reconnects(allow))
        .hub("/hub", hub(&ledger))
        .build()
        .await
        .unwrap();
    (server, ledger)
}

async fn serve() -> (Server, Ledger) {
    serve_with(options(), true).await
}

#[tokio::test(start_paused = true)]
async fn negotiate_offers_it_only_where_it_is_allowed_and_asked_for() {
    for (allow, query, offered) in [
        (true, "negotiateVersion=1&useStatefulReconnect=true", true),
        (true, "negotiateVersion=0&useStatefulReconnect=TRUE", true),
        (true, "negotiateVersion=1", false),
        (true, "negotiateVersion=1&useStatefulReconnect=1", false),
        (false, "negotiateVersion=1&useStatefulReconnect=true", false),
    ] {
        let (server, _) = serve_with(options(), allow).await;
        let body = wire::negotiate(&server, query).await;
        assert_eq!(
            body.starts_with("{\"useStatefulReconnect\":true,\"negotiateVersion\":"),
            offered,
            "{body}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_socket_loses_nothing_in_either_direction_and_doubles_nothing() {
    let (server, ledger) = serve().await;
    let session = Session::new(&server).await;
    let mut wire = session.start(&server, 2).await;
    for n in 1..=3 {
        wire.send(&call(n, "Note", &[&format!("{n}")])).await;
    }
    for n in 1..=3 {
        assert_eq!(wire.next().await, completion(n));
    }
    assert_eq!(wire.next().await, r#"{"type":8,"sequenceId":3}"#);
    wire.send(r#"{"type":8,"sequenceId":2}"#).await;
    // The first reached the server, the second did not, and neither answer arrived.
    wire.send(&call(4, "Note", &["4"])).await;
    wait_for(|| ledger.entries().contains(&"4".to_owned())).await;
    wire.cut();
    server
        .context::<signalr::HubBuilder>()
        .unwrap()
        .clients()
        .all()
        .send("Said", ("meanwhile",))
        .await
        .unwrap();

    let mut wire = session.connect(&server).await;
    assert_eq!(wire.next().await, r#"{"type":9,"sequenceId":3}"#);
    for n in 3..=4 {
        assert_eq!(wire.next().await, completion(n));
    }
    assert_eq!(wire.next().await, r#"{"type":1,"target":"Said","arguments":["meanwhile"]}"#);
    wire.send(r#"{"type":9,"sequenceId":4}"#).await;
    wire.send(&call(4, "Note", &["4"])).await;
    wire.send(&call(5, "Note", &["5"])).await;
    assert_eq!(wire.next().await, completion(5));
    assert_eq!(wire.next().await, r#"{"type":8,"sequenceId":5}"#);
    assert_eq!(ledger.entries(), ["connected", "1", "2", "3", "4", "5"]);
    assert_eq!(server.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_message_counts_and_nothing_else_does() {
    let (server, _) = serve().await;
    let session = Session::new(&server).await;
    let mut wire = session.start(&server, 2).await;
    // A ping, a message that fails binding, an unknown method, items and ends of streams that do not exist.
    wire.send(r#"{"type":6}"#).await;
    wire.send(&call(1, "Note", &[])).await;
    wire.send(&call(2, "Nothing", &[])).await;
    wire.send(r#"{"type":2,"invocationId":"9","item":1}"#).await;
    wire.send(r#"{"type":3,"invocationId":"9"}"#).await;
    wire.send(r#"{"type":5,"invocationId":"9"}"#).await;
    wire.send(r#"{"type":99}"#).await;
    wire.send(r#"{"type":4,"invocationId":"3","target":"Count","arguments":[2,1]}"#).await;
    let mut received = Vec::new();
    loop {
        let record = wire.next().await;
        if record.starts_with(r#"{"type":8"#) {
            assert_eq!(record, r#"{"type":8,"sequenceId":6}"#);
            break;
        }
        received.push(record);
    }
    assert_eq!(received.len(), 5, "{received:?}");
    wire.cut();
    let mut wire = session.connect(&server).await;
    assert_eq!(wire.next().await, r#"{"type":9,"sequenceId":1}"#);
    for record in &received {
        assert_eq!(wire.next().await, *record);
    }
    wire.silent(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_comes_within_two_beats_and_only_for_something_new() {
    let (server, _) = serve().await;
    let session = Session::new(&server).await;
    let mut wire = session.start(&server, 2).await;
    wire.silent(Duration::from_secs(10)).await;
    let sent = Instant::now();
    wire.send(&call(1, "Note", &["1"])).await;
    assert_eq!(wire.next().await, completion(1));
    assert_eq!(wire.next().await, r#"{"type":8,"sequenceId":1}"#);
    assert!(sent.elapsed() <= Duration::from_secs(2), "{:?}", sent.elapsed());
    wire.silent(Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_socket_takes_over_while_the_old_one_seems_alive() {
    let (server, ledger) = serve().await;
    let session = Session::new(&server).await;
    let mut old = session.start(&server, 2).await;
    old.send(&call(1, "Note", &["1"])).await;
    assert_eq!(old.next().await, completion(1));
    let mut new = session.connect(&server).await;
    assert_eq!(new.next().await, r#"{"type":9,"sequenceId":1}"#);
    assert_eq!(new.next().await, completion(1));
    assert!(old.ended().await, "no Close frame on the old one");
    new.send(r#"{"type":9,"sequenceId":2}"#).await;
    new.send(&call(2, "Note", &["2"])).await;
    assert_eq!(new.next().await, completion(2));
    assert_eq!(ledger.entries(), ["connected", "1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn half_a_message_of_the_old_socket_is_forgotten() {
    let (server, ledger) = serve().await;
    let session = Session::new(&server).await;
    let mut wire = session.start(&server, 2).await;
    wire.send_raw(br#"{"type":1,"invocationId":"1","target":"No"#).await;
    wire.settle().await;
    wire.cut();
    let mut wire = session.connect(&server).await;
    assert_eq!(wire.next().await, r#"{"type":9,"sequenceId":1}"#);
    wire.send(r#"{"type":9,"sequenceId":1}"#).await;
    wire.send(&call(1, "Note", &["1"])).await;
    assert_eq!(wire.next().await, completion(1));
    assert_eq!(ledger.entries(), ["connected", "1"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_stays_away_too_long_is_gone_without_an_error() {
    let (server, ledger) = serve().await;
    let session = Session::new(&server).await;
    let wire = session.start(&server, 2).await;
    let cut = Instant::now();
    let task = wire.cut();
    tokio::time::sleep(Duration::from_secs(14)).await;
    assert_eq!(ledger.entries(), ["connected"], "the hub notices nothing");
    stop_task(task).await;
    let waited = cut.elapsed();
    assert!(waited > Duration::from_secs(15) && waited <= Duration::from_secs(17), "{waited:?}");
    assert_eq!(ledger.entries(), ["connected", "disconnected"]);
    assert_eq!((session.refused(&server).await, server.connections()), (404, 0));
}

#[tokio::test(start_paused = true)]
async fn silence_and_pings_do_not_count_while_the_client_is_away() {
    let mut options = options();
    options.client_timeout = Duration::from_secs(5);
    options.keep_alive_interval = Duration::from_secs(2);
    let (server, ledger) = serve_with(options, true).await;
    let session = Session::new(&server).await;
    let mut wire = session.start(&server, 2).await;
    wire.send(r#"{"type":6}"#).await;
    wire.settle().await;
    wire.cut();
    tokio::time::sleep(Duration::from_secs(12)).await;
    let mut wire = session.connect(&server).await;
    assert_eq!(wire.next_frame().await, "{\"type\":9,\"sequenceId\":1}\u{1e}", "no stale pings before it");
    assert_eq!(wire.next_frame().await, "{\"type\":6}\u{1e}");
    assert_eq!(ledger.entries(), ["connected"]);
}

#[tokio::test(start_paused = true)]
async fn a_sequence_beyond_what_was_received_ends_the_connection() {
    let (server, ledger) = serve().await;
    let session = Session::new(&server).await;
    let task = session.start(&server, 2).await.cut();
    let mut wire = session.connect(&server).await;
    assert_eq!(wire.next().await, r#"{"type":9,"sequenceId":1}"#);
    wire.send(r#"{"type":9,"sequenceId":2}"#).await;
    assert_eq!(
        wire.next().await,
        r#"{"type":7,"error":"Connection closed with an error. InvalidOperationException: Sequence ID greater than amount of messages we've received.","allowReconnect":true}"#
    );
    assert_eq!(wire.next_close().await, 1000);
    // The socket still waits for the client's Close: the connection is busy, then unknown.
    assert_eq!(session.refused(&server).await, 409);
    wire.cut();
    stop_task(task).await;
    assert_eq!(session.refused(&server).await, 404);
    assert!(ledger.entries()[1].starts_with("disconnected "), "{:?}", ledger.entries());
}

#[tokio::test(start_paused = true)]
async fn orderly_ends_are_final() {
    for end in ["close frame", "close message", "abort", "stop"] {
        let (server, ledger) = serve().await;
        let session = Session::new(&server).await;
        let mut wire = session.start(&server, 2).await;
        match end {
            "close frame" => wire.send_close().await,
            "close message" => wire.send(r#"{"type":7}"#).await,
            "abort" => wire.send(&call(1, "Abort", &[])).await,
            _ => {
                let stopping = server.clone();
                tokio::spawn(async move { stopping.stop(Duration::from_secs(30)).await });
            }
        }
        wait_for(|| ledger.entries().len() == 2).await;
        let task = wire.cut();
        stop_task(task).await;
        assert_eq!(ledger.entries(), ["connected", "disconnected"], "{end}");
        if end != "stop" {
            assert_eq!(session.refused(&server).await, 404, "{end}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn version_1_and_connections_without_negotiation_have_nothing_of_it() {
    let (server, ledger) = serve().await;
    let session = Session::new(&server).await;
    let mut first = session.start(&server, 1).await;
    let mut second = Wire::connect(&server, "/hub").await;
    second.handshake(2).await;
    for wire in [&mut first, &mut second] {
        wire.send(r#"{"type":9,"sequenceId":77}"#).await;
        wire.send(r#"{"type":8,"sequenceId":77}"#).await;
        wire.send(&call(1, "Note", &["1"])).await;
        assert_eq!(wire.next().await, completion(1));
        wire.silent(Duration::from_secs(5)).await;
    }
    assert_eq!(session.refused(&server).await, 409);
    for wire in [first, second] {
        let cut = Instant::now();
        stop_task(wire.cut()).await;
        assert!(cut.elapsed() < Duration::from_secs(1), "it ends with its socket");
    }
    assert_eq!(session.refused(&server).await, 404);
    assert_eq!(ledger.entries().iter().filter(|entry| *entry == "disconnected").count(), 2);
}

/// Scenario 7 of the acceptance list.
#[tokio::test(start_paused = true)]
async fn scenario_7_an_absent_client_with_a_full_buffer_never_blocks_its_groups_senders() {
    let (server, ledger) = serve().await;
    let absent = Session::new(&server).await;
    let present = Session::new(&server).await;
    let away = absent.start(&server, 2).await.cut();
    let mut wire = present.start(&server, 2).await;
    let clients = server.context::<signalr::HubBuilder>().unwrap().clients();
    let text = "x".repeat(1000);
    let started = Instant::now();
    for n in 0..500 {
        clients.group("everybody").send("Said", (n, &text)).await.unwrap();
        clients.client(absent.id.clone()).send("Said", (n, "for you alone")).await.unwrap();
    }
    assert_eq!(started.elapsed(), Duration::ZERO, "nobody waited");
    for n in 0..500 {
        let record = wire.next().await;
        assert!(
            record.starts_with(&format!(r#"{{"type":1,"target":"Said","arguments":[{n},"x"#)),
            "{record:.80}"
        );
        if n % 50 == 0 {
            wire.send(&format!(r#"{{"type":8,"sequenceId":{}}}"#, n + 1)).await;
        }
    }
    stop_task(away).await;
    assert_eq!(absent.refused(&server).await, 404);
    let entries = ledger.entries();
    assert_eq!(entries.len(), 3, "{entries:?}");
    assert!(entries[2].starts_with("disconnected "), "{entries:?}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_for_its_client_and_is_complete() {
    let (server, _) = serve().await;
    let session = Session::new(&server).await;
    let mut wire = session.start(&server, 2).await;
    wire.send(r#"{"type":4,"invocationId":"1","target":"Count","arguments":[200,2000]}"#).await;
    let mut received = 0;
    let mut cuts = 0;
    loop {
        let record = wire.next().await;
        if record.starts_with(r#"{"type":3"#) {
            break;
        }
        if !record.starts_with(r#"{"type":2"#) {
            continue;
        }
        assert_eq!(record, item(1, &format!("{received:02000}")));
        received += 1;
        if received % 20 == 0 {
            wire.send(&format!(r#"{{"type":8,"sequenceId":{received}}}"#)).await;
        }
        if received % 60 == 0 {
            cuts += 1;
            wire.settle().await;
            wire.cut();
            tokio::time::sleep(Duration::from_secs(12)).await;
            wire = session.connect(&server).await;
            let sequence = wire.next().await;
            let first: usize = digits(&sequence);
            // What was received and not acknowledged comes again.
            for n in first - 1..received {
                assert_eq!(wire.next().await, item(1, &format!("{n:02000}")));
            }
        }
    }
    assert_eq!((received, cuts), (200, 3));
}

#[tokio::test(start_paused = true)]
async fn items_that_fill_a_stream_are_taken_once() {
    let (server, _) = serve().await;
    let session = Session::new(&server).await;
    let mut wire = session.start(&server, 2).await;
    let messages: Vec<String> = std::iter::once(
        r#"{"type":1,"invocationId":"1","target":"SlowSum","arguments":[],"streamIds":["s"]}"#.to_owned(),
    )
    .chain((1..=20).map(|n| format!(r#"{{"type":2,"invocationId":"s","item":{n}}}"#)))
    .chain([r#"{"type":3,"invocationId":"s"}"#.to_owned()])
    .collect();
    for message in &messages[..15] {
        wire.send(message).await;
    }
    // More than the stream holds; the method takes one per second.
    wire.settle().await;
    wire.cut();
    let mut wire = session.connect(&server).await;
    assert_eq!(wire.next().await, r#"{"type":9,"sequenceId":1}"#);
    wire.send(r#"{"type":9,"sequenceId":1}"#).await;
    for message in &messages {
        wire.send(message).await;
    }
    loop {
        let record = wire.next().await;
        if record.starts_with(r#"{"type":3"#) {
            assert_eq!(record, r#"{"type":3,"invocationId":"1","result":210}"#);
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn unconfirmed_bytes_above_the_limit_hold_the_rest_back_until_an_acknowledgement() {
    let mut options = options();
    options.stateful_reconnect_buffer_size = 500;
    let (server, _) = serve_with(options, true).await;
    let session = Session::new(&server).await;
    let mut wire = session.start(&server, 2).await;
    let clients = server.context::<signalr::HubBuilder>().unwrap().clients();
    for n in 0..10 {
        clients.all().send("Said", (n, "x".repeat(200))).await.unwrap();
    }
    for n in 0..3 {
        assert!(wire.next().await.contains(&format!("[{n},")));
    }
    wire.silent(Duration::from_secs(12)).await;
    wire.send(r#"{"type":8,"sequenceId":3}"#).await;
    for n in 3..6 {
        assert!(wire.next().await.contains(&format!("[{n},")));
    }
    // A client that returns gets the same again, and something new, although it has confirmed nothing.
    wire.cut();
    let mut wire = session.connect(&server).await;
    assert_eq!(wire.next().await, r#"{"type":9,"sequenceId":4}"#);
    for n in 3..7 {
        assert!(wire.next().await.contains(&format!("[{n},")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_result_survives_the_cut() {
    let (server, _) = serve().await;
    let session = Session::new(&server).await;
    let asking = Session::new(&server).await;
    let mut wire = session.start(&server, 2).await;
    let mut asker = asking.start(&server, 2).await;
    asker.send(&call(1, "Ask", &[&session.id])).await;
    let question = wire.next().await;
    assert!(question.starts_with(r#"{"type":1,"#) && question.contains("\"Answer\""), "{question}");
    wire.cut();
    let mut wire = session.connect(&server).await;
    assert_eq!(wire.next().await, r#"{"type":9,"sequenceId":1}"#);
    assert_eq!(wire.next().await, question);
    let id = question.split("\"invocationId\":\"").nth(1).unwrap().split('"').next().unwrap();
    wire.send(&format!(r#"{{"type":3,"invocationId":"{id}","result":42}}"#)).await;
    assert_eq!(asker.next().await, r#"{"type":3,"invocationId":"1","result":42}"#);
}

#[tokio::test(start_paused = true)]
async fn messages_of_another_server_are_kept_and_sent_again() {
    let bus = MemoryBus::new();
    let mut servers = Vec::new();
    for _ in 0..2 {
        let server = SignalR::builder()
            .options(options())
            .endpoint_options(EndpointOptions::new().allow_stateful_reconnects(true))
            .hub("/hub", hub(&Ledger::default()))
            .backplane(bus.backplane())
            .build()
            .await
            .unwrap();
        servers.push(server);
    }
    let session = Session::new(&servers[0]).await;
    let mut wire = session.start(&servers[0], 2).await;
    let far = servers[1].context::<signalr::HubBuilder>().unwrap().clients();
    far.group("everybody").send("Said", (1,)).await.unwrap();
    far.all().send("Said", (2,)).await.unwrap();
    for n in 1..=2 {
        assert_eq!(wire.next().await, format!(r#"{{"type":1,"target":"Said","arguments":[{n}]}}"#));
    }
    wire.send(r#"{"type":8,"sequenceId":1}"#).await;
    wire.settle().await;
    wire.cut();
    far.client(session.id.clone()).send("Said", (3,)).await.unwrap();
    far.group("everybody").send("Said", (4,)).await.unwrap();
    // Whoever has something to do does it before virtual time passes.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut wire = session.connect(&servers[0]).await;
    assert_eq!(wire.next().await, r#"{"type":9,"sequenceId":2}"#);
    for n in 2..=4 {
        assert_eq!(wire.next().await, format!(r#"{{"type":1,"target":"Said","arguments":[{n}]}}"#));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_who_is_away() {
    let (server, ledger) = serve().await;
    let session = Session::new(&server).await;
    let task = session.start(&server, 2).await.cut();
    let started = Instant::now();
    let summary = server.stop(Duration::from_secs(30)).await;
    assert_eq!((summary.connections, summary.cut), (1, 0));
    assert_eq!(started.elapsed(), Duration::ZERO);
    stop_task(task).await;
    assert_eq!(ledger.entries(), ["connected", "disconnected"]);
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_request_that_resumes_replaces_the_first() {
    let (server, _) = serve().await;
    let session = Session::new(&server).await;
    session.start(&server, 2).await.cut();
    let mut wire = Wire::connect(&server, &format!("/hub?id={}&page=2", session.token)).await;
    assert_eq!(wire.next().await, r#"{"type":9,"sequenceId":1}"#);
    wire.send(&call(1, "Page", &[])).await;
    assert_eq!(wire.next().await, r#"{"type":3,"invocationId":"1","result":"None Some(\"2\")"}"#);
}

#[test]
fn the_reason_of_a_full_buffer_invites_the_client_back() {
    assert!(CloseReason::ResumeBufferFull.allow_reconnect());
    assert!(CloseReason::ResumeBufferFull.drops_output());
}

fn completion(id: u32) -> String {
    format!(r#"{{"type":3,"invocationId":"{id}","result":"{id}"}}"#)
}

fn digits(text: &str) -> usize {
    text.split("\"sequenceId\":").nth(1).unwrap().trim_end_matches('}').parse().unwrap()
}

/// Lets everybody else run until something holds. Time passes only when all are idle.
async fn wait_for(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        // Virtual time: it passes when nobody else has anything to do.
        tokio::time::sleep(Duration::from_millis(1)).await;
        if holds() {
            return;
        }
        assert!(Instant::now() < deadline, "it never came to hold");
    }
}
