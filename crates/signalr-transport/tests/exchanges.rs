//! Connections over Server-Sent Events and long polling, in virtual time: input by POST, output by GET, every time-out,
//! every end (B-2.3, 2.5 to 2.9).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(unreachable_pub, dead_code, reason = "shared by several test programs, each of which uses a part")]
mod support;

use bytes::Bytes;
use futures_core::Stream;
use http::{Method, Response};
use signalr_core::{CloseReason, InputEnd, OutboxLimits};
use signalr_transport::{EndpointOptions, EventStream, Reply, Server};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use support::{App, Seen, UPGRADE, answer, negotiate, parts, server, ticket};
use tokio::task::JoinHandle;
use tokio::time::Instant;

const SSE: [(&str, &str); 1] = [("accept", "text/event-stream")];

/// One client of `/hub` with a token.
#[derive(Clone)]
struct Client {
    server: Server,
    at: String,
}

type Piece = Result<Bytes, &'static str>;

impl Client {
    async fn negotiate(server: &Server) -> Self {
        Self { server: server.clone(), at: format!("/hub?id={}", negotiate(server).await) }
    }

    async fn get(&self) -> Response<Bytes> {
        answer(&self.server, Method::GET, &self.at, &[]).await
    }

    async fn delete(&self) -> Response<Bytes> {
        answer(&self.server, Method::DELETE, &self.at, &[]).await
    }

    /// A poll on its own task, which has begun to wait when this returns.
    async fn poll(&self) -> JoinHandle<Response<Bytes>> {
        let client = self.clone();
        let poll = tokio::spawn(async move { client.get().await });
        settle().await;
        poll
    }

    async fn post_pieces(&self, pieces: Vec<Piece>) -> Response<Bytes> {
        match self.server.respond(&parts(Method::POST, &self.at, &[])).await {
            Some(Reply::Upload(ticket)) => ticket.receive(Body(pieces.into())).await,
            Some(Reply::Answer(answer)) => answer,
            other => panic!("no answer: {other:?}"),
        }
    }

    async fn post(&self, text: &str) {
        assert_eq!(status(&self.post_pieces(vec![Ok(text.to_owned().into())]).await), 200);
    }

    async fn events(&self) -> Response<EventStream> {
        match self.server.respond(&parts(Method::GET, &self.at, &SSE)).await {
            Some(Reply::Events(events)) => events,
            other => panic!("no events: {other:?}"),
        }
    }
}

struct Body(std::collections::VecDeque<Piece>);

impl Stream for Body {
    type Item = Piece;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<Option<Piece>> {
        Poll::Ready(self.0.pop_front())
    }
}

async fn next(events: &mut EventStream) -> Option<String> {
    let bytes = poll_fn(|cx| Pin::new(&mut *events).poll_next(cx)).await?;
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

fn status(answer: &Response<Bytes>) -> u16 {
    answer.status().as_u16()
}

fn kind(answer: &Response<Bytes>) -> &str {
    answer.headers()["content-type"].to_str().unwrap()
}

/// Lets other tasks run without letting time pass.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

async fn pass(seconds: u64) {
    for _ in 0..seconds * 2 {
        tokio::time::advance(Duration::from_millis(500)).await;
        settle().await;
    }
}

async fn start(options: EndpointOptions) -> (App, Server, Client) {
    let app = App::default();
    let server = server(&app, options);
    let client = Client::negotiate(&server).await;
    (app, server, client)
}

/// As [`start`], after the first poll.
async fn polling(options: EndpointOptions) -> (App, Server, Client) {
    let (app, server, client) = start(options).await;
    let first = client.get().await;
    assert_eq!((status(&first), kind(&first), first.body().len()), (200, "application/octet-stream", 0));
    (app, server, client)
}

// Long polling

#[tokio::test(start_paused = true)]
async fn polls_bring_everything_that_waits() {
    let (_, _, client) = polling(EndpointOptions::default()).await;
    let waiting = client.poll().await;
    client.post("one").await;
    let got = waiting.await.unwrap();
    assert_eq!((status(&got), kind(&got), &got.body()[..]), (200, "application/octet-stream", &b"one"[..]));
    assert_eq!(got.headers()["cache-control"], "no-cache, no-store");
    client.post("two").await;
    settle().await;
    client.post("three").await;
    settle().await;
    assert_eq!(client.get().await.body(), "twothree");
}

#[tokio::test(start_paused = true)]
async fn a_poll_without_data_ends_after_the_poll_timeout() {
    let (_, server, client) = polling(EndpointOptions::default()).await;
    let start = Instant::now();
    let empty = client.get().await;
    assert_eq!((status(&empty), kind(&empty), empty.body().len()), (200, "text/plain", 0));
    assert_eq!(start.elapsed(), Duration::from_secs(90));
    let short = EndpointOptions::default().poll_timeout(Duration::from_secs(3));
    let (_, _, client) = polling(short).await;
    let start = Instant::now();
    assert_eq!(status(&client.get().await), 200);
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert_eq!(server.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_newer_poll_ends_the_older_one() {
    let (_, _, client) = polling(EndpointOptions::default()).await;
    let older = client.poll().await;
    let newer = client.poll().await;
    let ended = older.await.unwrap();
    assert_eq!((status(&ended), kind(&ended), ended.body().len()), (204, "text/plain", 0));
    client.post("x").await;
    assert_eq!(newer.await.unwrap().body(), "x");
}

#[tokio::test(start_paused = true)]
async fn of_two_polls_that_race_for_the_place_one_loses() {
    let (_, _, client) = polling(EndpointOptions::default()).await;
    let older = client.poll().await;
    let (a, b) = (client.clone(), client.clone());
    let a = tokio::spawn(async move { a.get().await });
    let b = tokio::spawn(async move { b.get().await });
    settle().await;
    assert_eq!(status(&older.await.unwrap()), 204);
    client.post("x").await;
    let mut both = [a.await.unwrap(), b.await.unwrap()];
    both.sort_by_key(status);
    assert_eq!(both.each_ref().map(status), [200, 409]);
    assert_eq!(both[0].body(), "x");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_application_is_told_after_its_last_words() {
    let (app, server, client) = polling(EndpointOptions::default()).await;
    client.post("last").await;
    settle().await;
    client.post("!").await;
    settle().await;
    assert_eq!(client.get().await.body(), "last");
    let end = client.get().await;
    assert_eq!((status(&end), kind(&end)), (204, "text/plain"));
    assert_eq!(server.connections(), 0, "the id is unknown as soon as the client knows");
    assert_eq!(status(&client.get().await), 404);
    assert_eq!(app.seen().last(), Some(&Seen::Dropped));
}

#[tokio::test(start_paused = true)]
async fn a_failed_application_answers_500_until_nobody_asks() {
    let (_, server, client) = polling(EndpointOptions::default()).await;
    let waiting = client.poll().await;
    client.post("?").await;
    for answer in [waiting.await.unwrap(), client.get().await, client.get().await] {
        assert_eq!((status(&answer), kind(&answer), answer.body().len()), (500, "text/plain", 0));
    }
    pass(18).await;
    assert_eq!(server.connections(), 0);
    assert_eq!(status(&client.get().await), 404);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_poll_is_gone_after_the_disconnect_timeout() {
    let (app, server, client) = polling(EndpointOptions::default()).await;
    let poll = client.poll().await;
    pass(60).await;
    assert_eq!(server.connections(), 1, "a poll that waits is no absence");
    poll.abort();
    assert!(poll.await.unwrap_err().is_cancelled());
    pass(14).await;
    assert_eq!(server.connections(), 1);
    pass(4).await;
    assert_eq!(server.connections(), 0);
    assert_eq!(app.seen(), [Seen::End(InputEnd::Closed), Seen::Dropped]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_vanishes_loses_nothing() {
    let (_, _, client) = polling(EndpointOptions::default()).await;
    let poll = client.poll().await;
    poll.abort();
    assert!(poll.await.unwrap_err().is_cancelled());
    client.post("kept").await;
    assert_eq!(client.get().await.body(), "kept");
}

#[tokio::test(start_paused = true)]
async fn delete_ends_the_connection() {
    let (app, server, client) = polling(EndpointOptions::default()).await;
    client.post("before").await;
    let gone = client.delete().await;
    assert_eq!((status(&gone), kind(&gone), gone.body().len()), (202, "text/plain", 0));
    settle().await;
    assert_eq!(server.connections(), 0);
    let seen = app.seen();
    assert_eq!(seen, [Seen::Bytes(b"before".to_vec()), Seen::End(InputEnd::Closed), Seen::Dropped]);
    assert_eq!(status(&client.delete().await), 404);
    assert_eq!(status(&client.get().await), 404);
}

#[tokio::test(start_paused = true)]
async fn delete_ends_a_poll_that_waits() {
    let (_, server, client) = polling(EndpointOptions::default()).await;
    let waiting = client.poll().await;
    assert_eq!(status(&client.delete().await), 202);
    assert_eq!(status(&waiting.await.unwrap()), 204);
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_application_hangs_is_disposed_for_requests() {
    let (_, server, client) = polling(EndpointOptions::default()).await;
    client.post("hang").await;
    settle().await;
    assert_eq!(status(&client.delete().await), 202);
    settle().await;
    assert_eq!(server.connections(), 1);
    let poll = client.get().await;
    assert_eq!((status(&poll), kind(&poll), poll.body().len()), (404, "text/plain", 0));
    let post = client.post_pieces(vec![Ok("x".into())]).await;
    assert_eq!((status(&post), kind(&post), post.body().len()), (404, "text/plain", 0));
}

// Posting

#[tokio::test(start_paused = true)]
async fn a_body_is_a_stream_of_pieces() {
    let (app, _, client) = polling(EndpointOptions::default()).await;
    let pieces = vec![Ok("a".into()), Ok("".into()), Ok("b".into())];
    let done = client.post_pieces(pieces).await;
    assert_eq!((status(&done), kind(&done), done.body().len()), (200, "text/plain", 0));
    settle().await;
    assert_eq!(client.get().await.body(), "ab");
    assert_eq!(app.seen(), [Seen::Bytes(b"ab".to_vec())]);
    let broken = client.post_pieces(vec![Ok("c".into()), Err("reset")]).await;
    assert_eq!((status(&broken), kind(&broken), broken.body().len()), (400, "text/plain", 0));
    assert_eq!(client.get().await.body(), "c", "what came before still counts");
}

#[tokio::test(start_paused = true)]
async fn posts_wait_for_an_application_that_does_not_read() {
    for (options, fits) in [
        (EndpointOptions::default(), 64 * 1024),
        (EndpointOptions::default().application_max_buffer_size(10_000), 10_000),
    ] {
        let (_, _, client) = polling(options).await;
        client.post("hang").await;
        settle().await;
        client.post(&"x".repeat(fits - 1)).await;
        let waiting = [client.clone(), client.clone()].map(|client| {
            tokio::spawn(async move { client.post_pieces(vec![Ok("y".repeat(5000).into())]).await })
        });
        pass(12).await;
        assert!(waiting.iter().all(|post| !post.is_finished()), "a POST waits while the connection lives");
        assert_eq!(status(&client.delete().await), 202);
        for post in waiting {
            assert_eq!(status(&post.await.unwrap()), 404);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_posts_never_wait() {
    let (_, _, client) = polling(EndpointOptions::default().application_max_buffer_size(0)).await;
    client.post("hang").await;
    settle().await;
    client.post(&"x".repeat(3_000_000)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_posted_before_a_transport_is_chosen_waits() {
    let (app, _, client) = start(EndpointOptions::default()).await;
    client.post("early").await;
    assert_eq!(app.seen(), []);
    assert_eq!(status(&client.get().await), 200);
    assert_eq!(client.get().await.body(), "early");

    let (_, server, client) = start(EndpointOptions::default()).await;
    client.post("early").await;
    let (mut near, far) = tokio::io::duplex(1024);
    let _task = tokio::spawn(ticket(&server, &client.at).await.run(far, Bytes::new()));
    let mut echoed = [0; 7];
    tokio::io::AsyncReadExt::read_exact(&mut near, &mut echoed).await.unwrap();
    assert_eq!(&echoed, b"\x81\x05early");

    // A flood waits, and ends when the negotiated connection expires.
    let (_, server, client) = start(EndpointOptions::default()).await;
    let flood = tokio::spawn(async move { client.post_pieces(vec![Ok("x".repeat(100_000).into())]).await });
    pass(10).await;
    assert!(!flood.is_finished());
    pass(8).await;
    assert_eq!(status(&flood.await.unwrap()), 404);
    assert_eq!(server.connections(), 0);
}

// Server-Sent Events

#[tokio::test(start_paused = true)]
async fn events_begin_with_a_comment_and_come_one_by_one() {
    let (_, _, client) = start(EndpointOptions::default()).await;
    let response = client.events().await;
    let header = |name: &str| response.headers()[name].to_str().unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("cache-control"), "no-cache,no-store");
    assert_eq!(header("pragma"), "no-cache");
    assert_eq!(header("content-encoding"), "identity");
    assert_eq!(header("x-accel-buffering"), "no");
    let mut events = response.into_body();
    assert_eq!(next(&mut events).await.unwrap(), ":\r\n");
    client.post("one").await;
    assert_eq!(next(&mut events).await.unwrap(), "data: one\r\n\r\n");
    client.post("a\nb").await;
    assert_eq!(next(&mut events).await.unwrap(), "data: a\r\ndata: b\r\n\r\n");
}

#[tokio::test(start_paused = true)]
async fn the_application_ends_an_event_stream() {
    for word in ["!", "?"] {
        let (_, server, client) = start(EndpointOptions::default()).await;
        let mut events = client.events().await.into_body();
        assert_eq!(next(&mut events).await.unwrap(), ":\r\n");
        client.post("last").await;
        settle().await;
        client.post(word).await;
        settle().await;
        assert_eq!(next(&mut events).await.unwrap(), "data: last\r\n\r\n");
        assert_eq!(next(&mut events).await, None);
        drop(events);
        settle().await;
        assert_eq!(server.connections(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_drops_its_events_has_gone() {
    let (app, server, client) = start(EndpointOptions::default()).await;
    let events = client.events().await;
    client.post("sent before").await;
    drop(events);
    settle().await;
    let sent = Seen::Bytes(b"sent before".to_vec());
    assert_eq!(app.seen(), [sent, Seen::End(InputEnd::Closed), Seen::Dropped]);
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_second_event_stream_is_refused() {
    let (_, server, client) = start(EndpointOptions::default()).await;
    let events = client.events().await;
    let second = answer(&server, Method::GET, &client.at, &SSE).await;
    assert_eq!((status(&second), kind(&second), second.body().len()), (409, "text/plain", 0));
    assert!(!second.headers().contains_key("cache-control"));
    client.post("hang").await;
    settle().await;
    drop(events);
    settle().await;
    let third = answer(&server, Method::GET, &client.at, &SSE).await;
    assert_eq!((status(&third), kind(&third)), (404, "text/plain"), "disposed, and its application hangs");
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_that_is_not_read_is_cut() {
    let mut limits = OutboxLimits::default();
    limits.soft = 1000;
    for (options, length, seconds) in
        [(EndpointOptions::default(), 100, 10..=12), (EndpointOptions::default().outbox(limits), 5000, 2..=4)]
    {
        let (app, server, client) = start(options).await;
        let mut events = client.events().await.into_body();
        assert_eq!(next(&mut events).await.unwrap(), ":\r\n");
        client.post(&format!("big {length}")).await;
        settle().await;
        let start = Instant::now();
        while server.connections() > 0 {
            pass(1).await;
            assert!(start.elapsed() < Duration::from_secs(60), "not cut");
        }
        assert!(seconds.contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        let cut =
            |seen: &Seen| matches!(seen, Seen::Close(CloseReason::SendTimeout | CloseReason::SlowClient));
        assert!(app.seen().iter().any(cut));
        assert_eq!(next(&mut events).await, None);
    }
}

// Wrong uses

#[tokio::test(start_paused = true)]
async fn a_transport_is_chosen_for_good() {
    let change = "Cannot change transports mid-connection";
    let no_delete = "Cannot terminate this connection using the DELETE endpoint.";
    let refused = async |client: &Client, method: Method, headers: &[(&str, &str)], expected: (u16, &str)| {
        let answer = answer(&client.server, method, &client.at, headers).await;
        assert_eq!((status(&answer), answer.body().as_ref()), (expected.0, expected.1.as_bytes()));
        assert_eq!(kind(&answer), "text/plain");
    };
    let (_, _, client) = start(EndpointOptions::default()).await;
    refused(&client, Method::DELETE, &[], (400, no_delete)).await;
    let _events = client.events().await;
    refused(&client, Method::GET, &[], (400, change)).await;
    refused(&client, Method::GET, &UPGRADE, (400, change)).await;
    refused(&client, Method::DELETE, &[], (400, no_delete)).await;

    let (_, _, client) = polling(EndpointOptions::default()).await;
    refused(&client, Method::GET, &SSE, (400, change)).await;
    refused(&client, Method::GET, &UPGRADE, (400, change)).await;
}

// Stopping

#[tokio::test(start_paused = true)]
async fn stopping_says_good_bye_on_every_transport() {
    let (_, server, polled) = polling(EndpointOptions::default()).await;
    let streamed = Client::negotiate(&server).await;
    let mut events = streamed.events().await.into_body();
    assert_eq!(next(&mut events).await.unwrap(), ":\r\n");
    let waiting = polled.poll().await;
    let idle = Client::negotiate(&server).await;
    let stopping = tokio::spawn({
        let server = server.clone();
        async move { server.stop(Duration::from_secs(30)).await }
    });
    assert_eq!(waiting.await.unwrap().body(), "bye");
    assert_eq!(next(&mut events).await.unwrap(), "data: bye\r\n\r\n");
    assert_eq!(next(&mut events).await, None);
    drop(events);
    let start = Instant::now();
    let summary = stopping.await.unwrap();
    assert_eq!((summary.connections, summary.cut), (2, 0));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(status(&idle.get().await), 404);
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_between_two_polls_can_still_fetch_the_good_bye() {
    let (_, server, client) = polling(EndpointOptions::default()).await;
    let absent = Client::negotiate(&server).await;
    assert_eq!(status(&absent.get().await), 200);
    let stopping = tokio::spawn({
        let server = server.clone();
        async move { server.stop(Duration::from_secs(30)).await }
    });
    settle().await;
    assert_eq!(client.get().await.body(), "bye");
    let start = Instant::now();
    assert_eq!(stopping.await.unwrap().cut, 0);
    assert_eq!(
        start.elapsed(),
        Duration::from_secs(5),
        "the other one is waited for as long as closing may take"
    );
}
