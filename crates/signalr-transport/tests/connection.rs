//! The life of a WebSocket connection over a stream in memory, in virtual time: closing in both directions (B-2.4),
//! time-outs, stopping, and what the application is told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(unreachable_pub, dead_code, reason = "shared by several test programs, each of which uses a part")]
mod support;

use http::Method;
use signalr_core::{CloseReason, InputEnd, User};
use signalr_transport::{EndpointOptions, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use support::{App, Client, Seen, UPGRADE, answer, frame, negotiate, server, ticket};
use tokio::time::Instant;

const ROOM: usize = 1 << 20;

async fn start(options: EndpointOptions, room: usize) -> (App, Server, Client) {
    let app = App::default();
    let server = server(&app, options);
    let client = Client::connect(&server, room).await;
    (app, server, client)
}

/// How long the connection's task still lives.
async fn life(client: &mut Client) -> Duration {
    let start = Instant::now();
    (&mut client.task).await.unwrap();
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_client_closes() {
    let (app, server, mut client) = start(EndpointOptions::default(), ROOM).await;
    client.text("one").await;
    assert_eq!(client.read_text().await, "one");
    client.send(0x88, &[0x03, 0xE9]).await;
    assert_eq!(client.read_close().await, 1000);
    assert!(client.read().await.is_none(), "then the stream ends");
    assert_eq!(life(&mut client).await, Duration::ZERO);
    assert_eq!(app.seen(), [Seen::Bytes(b"one".to_vec()), Seen::End(InputEnd::Closed), Seen::Dropped]);
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_application_ends() {
    for (word, code) in [("!", 1000), ("?", 1011)] {
        let (_, server, mut client) = start(EndpointOptions::default(), ROOM).await;
        client.text("last").await;
        client.text(word).await;
        assert_eq!(client.read_text().await, "last", "what was sent before still arrives");
        assert_eq!(client.read_close().await, code);
        client.text("ignored").await;
        client.send(0x88, &[]).await;
        assert_eq!(life(&mut client).await, Duration::ZERO);
        assert_eq!(server.connections(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_answer_the_close_is_dropped_after_the_close_timeout() {
    let (_, server, mut client) = start(EndpointOptions::default(), ROOM).await;
    client.text("!").await;
    assert_eq!(client.read_close().await, 1000);
    assert_eq!(life(&mut client).await, Duration::from_secs(5));
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_the_last_words_is_dropped_after_the_close_timeout() {
    let options = EndpointOptions::default().close_timeout(Duration::from_secs(3));
    let (_, _, mut client) = start(options, 256).await;
    client.text("big 100000").await;
    client.text("!").await;
    assert_eq!(life(&mut client).await, Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn frames_that_break_the_rules_are_answered_with_their_code() {
    let limited = EndpointOptions::default().max_websocket_message(Some(10));
    let cases: [(Vec<u8>, EndpointOptions, u16); 4] = [
        (vec![0x81, 1, b'x'], EndpointOptions::default(), 1002),
        (frame(0x83, b""), EndpointOptions::default(), 1002),
        (frame(0x81, b"\xFF"), EndpointOptions::default(), 1007),
        (frame(0x81, &[b'x'; 11]), limited, 1009),
    ];
    for (bytes, options, code) in cases {
        let app = App::default();
        let server = server(&app, options);
        let mut client = Client::connect_early(&server, ROOM, bytes.into()).await;
        assert_eq!(client.read_close().await, code);
        assert!(client.read().await.is_none(), "the stream ends at once");
        // Nothing of what follows counts, and the socket is not kept for ever.
        client.text("ignored").await;
        assert_eq!(life(&mut client).await, Duration::from_secs(5));
        assert_eq!(app.seen(), [Seen::End(InputEnd::Failed), Seen::Dropped], "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn pending_output_is_dropped_at_a_close_but_no_frame_is_cut() {
    let (_, _, mut client) = start(EndpointOptions::default(), 4096).await;
    client.text("big 50000").await;
    settle().await;
    // Shared buffers end at 16 KiB, so this is a frame of its own behind the one that is half written.
    client.text("big 40000").await;
    settle().await;
    client.send(0x88, &[]).await;
    let (first, payload) = client.read().await.unwrap();
    assert_eq!((first, payload.len()), (0x81, 50_000));
    assert_eq!(client.read_close().await, 1000, "the second message is gone");
    assert!(client.read().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_vanished_client_is_a_normal_end() {
    let (app, server, mut client) = start(EndpointOptions::default(), ROOM).await;
    client.text("x").await;
    assert_eq!(client.read_text().await, "x");
    client.vanish().await.unwrap();
    assert_eq!(app.seen()[1..], [Seen::End(InputEnd::Closed), Seen::Dropped]);
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_between_fragments() {
    let (app, _, mut client) = start(EndpointOptions::default(), ROOM).await;
    client.send(0x01, b"he").await;
    client.send(0x89, b"ping").await;
    client.send(0x80, b"llo").await;
    let mut echoed = Vec::new();
    let mut pongs = 0;
    while echoed.len() < 5 {
        match client.read().await.unwrap() {
            (0x8A, payload) => {
                assert_eq!(payload, b"ping");
                pongs += 1;
            }
            (_, payload) => echoed.extend(payload),
        }
    }
    assert_eq!((echoed.as_slice(), pongs), (b"hello".as_slice(), 1));
    assert!(!app.seen().contains(&Seen::Dropped));
}

#[tokio::test(start_paused = true)]
async fn bytes_that_came_with_the_upgrade_are_not_lost() {
    let app = App::default();
    let server = server(&app, EndpointOptions::default());
    let mut early = frame(0x81, b"first");
    let second = frame(0x81, b"second");
    early.extend(&second[..3]);
    let (near, far) = tokio::io::duplex(ROOM);
    let task = tokio::spawn(ticket(&server, "/hub").await.run(far, early.into()));
    let (mut reading, mut writing) = tokio::io::split(near);
    tokio::io::AsyncWriteExt::write_all(&mut writing, &second[3..]).await.unwrap();
    let mut echoed = [0; 15];
    tokio::io::AsyncReadExt::read_exact(&mut reading, &mut echoed).await.unwrap();
    assert_eq!(&echoed, b"\x81\x05first\x81\x06second");
    drop((reading, writing));
    task.await.unwrap();
}

// Time

#[tokio::test(start_paused = true)]
async fn a_negotiated_connection_that_nobody_uses_expires() {
    let server = server(&App::default(), EndpointOptions::default());
    let token = negotiate(&server).await;
    tokio::time::advance(Duration::from_secs(15)).await;
    settle().await;
    assert_eq!(server.connections(), 1, "not before the disconnect time-out");
    tokio::time::advance(Duration::from_secs(2)).await;
    settle().await;
    assert_eq!(server.connections(), 0);
    assert_eq!(answer(&server, Method::GET, &format!("/hub?id={token}"), &UPGRADE).await.status(), 404);
}

/// Lets other tasks run without letting time pass.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_gets_its_ticks_and_nothing_else() {
    let (app, server, mut client) = start(EndpointOptions::default(), ROOM).await;
    client.text("alarm 15").await;
    let start = Instant::now();
    while !app.seen().contains(&Seen::Tick) {
        tokio::time::advance(Duration::from_millis(100)).await;
        settle().await;
        assert!(start.elapsed() < Duration::from_secs(60), "no tick");
    }
    let late = start.elapsed();
    assert!((15.0..16.3).contains(&late.as_secs_f64()), "{late:?}");
    tokio::time::advance(Duration::from_secs(3600)).await;
    settle().await;
    assert_eq!(server.connections(), 1, "a connection without deadlines lives on");
    assert_eq!(app.seen().iter().filter(|seen| **seen == Seen::Tick).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_is_cut_after_the_send_timeout() {
    let (app, server, mut client) = start(EndpointOptions::default(), 1024).await;
    client.text("big 100000").await;
    let lived = life(&mut client).await;
    assert!((10.0..12.1).contains(&lived.as_secs_f64()), "{lived:?}");
    assert!(app.seen().contains(&Seen::Close(CloseReason::SendTimeout)));
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_with_much_in_its_queue_is_cut_sooner() {
    let (app, _, mut client) = start(EndpointOptions::default(), 1024).await;
    client.text("big 3000000").await;
    let lived = life(&mut client).await;
    assert!((2.0..4.1).contains(&lived.as_secs_f64()), "{lived:?}");
    assert!(app.seen().contains(&Seen::Close(CloseReason::SlowClient)));
}

// Stopping

#[tokio::test(start_paused = true)]
async fn stopping_closes_refuses_and_runs_the_hooks() {
    let app = App::default();
    let hooks = Arc::new(AtomicUsize::new(0));
    let counted = hooks.clone();
    let server = Server::builder()
        .endpoint("/hub", Arc::new(app.clone()), EndpointOptions::default())
        .on_stop(move || async move {
            counted.fetch_add(1, Ordering::SeqCst);
        })
        .build();
    let mut client = Client::connect(&server, ROOM).await;
    let token = negotiate(&server).await;
    let held = ticket(&server, "/hub").await;
    let stopping = tokio::spawn({
        let server = server.clone();
        async move { server.stop(Duration::from_secs(30)).await }
    });
    assert_eq!(client.read_text().await, "bye");
    assert_eq!(client.read_close().await, 1000);
    client.send(0x88, &[]).await;
    assert_eq!(answer(&server, Method::POST, "/hub/negotiate", &[]).await.status(), 503);
    assert_eq!(answer(&server, Method::GET, "/hub", &UPGRADE).await.status(), 503);
    assert_eq!(answer(&server, Method::GET, &format!("/hub?id={token}"), &UPGRADE).await.status(), 404);
    // An upgrade that was on its way is closed as soon as it is there.
    let (_near, far) = tokio::io::duplex(ROOM);
    let late = tokio::spawn(held.run(far, bytes::Bytes::new()));
    let summary = stopping.await.unwrap();
    late.await.unwrap();
    assert_eq!((summary.connections, summary.cut), (2, 0));
    assert_eq!(hooks.load(Ordering::SeqCst), 1);
    assert_eq!(server.connections(), 0);
    server.stop(Duration::ZERO).await;
    assert_eq!(hooks.load(Ordering::SeqCst), 1, "hooks run once");
}

#[tokio::test(start_paused = true)]
async fn what_comes_first_is_done_before_anybody_is_told_to_close() {
    let app = App::default();
    let (done, waiting) = tokio::sync::oneshot::channel::<()>();
    let server = Server::builder()
        .endpoint("/hub", Arc::new(app.clone()), EndpointOptions::default())
        .on_stopping(move || async move { assert!(waiting.await.is_ok()) })
        .on_stopping(|| async { std::future::pending().await })
        .build();
    let mut client = Client::connect(&server, ROOM).await;
    let stopping = tokio::spawn({
        let server = server.clone();
        async move { server.stop(Duration::from_secs(30)).await }
    });
    settle().await;
    assert_eq!(answer(&server, Method::POST, "/hub/negotiate", &[]).await.status(), 503);
    client.text("still here").await;
    assert_eq!(client.read_text().await, "still here");
    assert!(done.send(()).is_ok(), "the hook is gone");
    let start = Instant::now();
    assert_eq!(client.read_text().await, "bye");
    // The second hook never ends.
    assert!(start.elapsed() <= Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(client.read_close().await, 1000);
    client.send(0x88, &[]).await;
    let summary = stopping.await.unwrap();
    assert_eq!((summary.connections, summary.cut), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_will_not_end_is_cut_at_the_deadline() {
    let (app, server, mut client) = start(EndpointOptions::default(), ROOM).await;
    client.text("stubborn").await;
    client.text("x").await;
    assert_eq!(client.read_text().await, "x");
    let start = Instant::now();
    let summary = server.stop(Duration::from_secs(7)).await;
    assert_eq!((summary.connections, summary.cut), (1, 1));
    assert_eq!(start.elapsed(), Duration::from_secs(7));
    life(&mut client).await;
    assert_eq!(app.seen().last(), Some(&Seen::Dropped));
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_runs_out_closes_the_connection_when_asked_to() {
    for close in [true, false] {
        let begin = Instant::now();
        let ann =
            |_| async { Ok(Some(User::with_id("ann").expiring(SystemTime::now() + Duration::from_secs(5)))) };
        let options = EndpointOptions::default().authenticate(ann).close_on_authentication_expiration(close);
        let (app, _server, mut client) = start(options, ROOM).await;
        let said = tokio::time::timeout(Duration::from_secs(60), client.read_text()).await;
        if close {
            assert_eq!(said.as_deref(), Ok("bye"));
            assert!((5..=6).contains(&begin.elapsed().as_secs()), "at the first beat after the end");
            assert_eq!(app.seen()[0], Seen::Close(CloseReason::AuthExpired));
        } else {
            assert!(said.is_err());
            assert_eq!(app.seen(), []);
        }
    }
}
