//! Server-Sent Events and long polling over real sockets, by our own accept loop and by warp's: pieces go out and come
//! in as they are written, and a client that goes away is noticed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(unreachable_pub, dead_code, reason = "shared by several test programs, each of which uses a part")]
mod support;

use signalr_core::{Duplex, TransportKind};
use signalr_transport::{EndpointOptions, Server};
use signalr_warp::{ServeOptions, ServerExt, Serving};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use support::{Echo, blocking, start, until};
use warp::Filter;

/// A connection of a client, read without a library so that every byte counts.
struct Http(TcpStream);

impl Http {
    fn send(address: SocketAddr, head: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        write!(stream, "{head}\r\nHost: x\r\n\r\n").unwrap();
        Self(stream)
    }

    /// Reads until the text ends so.
    fn read_to(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            let mut byte = [0];
            let read = self.0.read(&mut byte).unwrap_or_else(|e| panic!("{e}: {text:?}, expected {end:?}"));
            assert_eq!(read, 1, "the end came after {:?}", String::from_utf8_lossy(&text));
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap()
    }

    /// Whether something has arrived.
    fn is_answered(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let answered = self.0.peek(&mut [0]).is_ok();
        self.0.set_nonblocking(false).unwrap();
        answered
    }

    /// The whole answer.
    fn ask(address: SocketAddr, head: &str) -> String {
        let mut http = Self::send(address, &format!("{head}\r\nConnection: close"));
        let mut text = String::new();
        http.0.read_to_string(&mut text).unwrap();
        text
    }
}

fn token(address: SocketAddr) -> String {
    let body = Http::ask(address, "POST /echo/negotiate?negotiateVersion=1 HTTP/1.1\r\nContent-Length: 0");
    body.split("\"connectionToken\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn post(address: SocketAddr, at: &str, body: &str) {
    let mut http = Http::send(address, &format!("POST {at} HTTP/1.1\r\nContent-Length: {}", body.len()));
    http.0.write_all(body.as_bytes()).unwrap();
    assert!(http.read_to("\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
}

fn events(address: SocketAddr, at: &str) -> Http {
    let mut events = Http::send(address, &format!("GET {at} HTTP/1.1\r\nAccept: text/event-stream"));
    let head = events.read_to("\r\n\r\n").to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
    events.read_to("\r\n:\r\n\r\n");
    events
}

/// What every way of serving must do.
fn both_transports(address: SocketAddr) {
    let at = format!("/echo?id={}", token(address));
    let mut stream = events(address, &at);
    post(address, &at, "one");
    stream.read_to("data: one\r\n\r\n\r\n");
    post(address, &at, "two");
    stream.read_to("data: two\r\n\r\n\r\n");

    let at = format!("/echo?id={}", token(address));
    let first = Http::ask(address, &format!("GET {at} HTTP/1.1"));
    assert!(first.to_ascii_lowercase().contains("content-length: 0\r\n"), "{first}");
    let mut waiting = Http::send(address, &format!("GET {at} HTTP/1.1"));
    // The body is used as it arrives, long before it ends.
    let mut upload = Http::send(address, &format!("POST {at} HTTP/1.1\r\nTransfer-Encoding: chunked"));
    upload.0.write_all(b"5\r\nearly\r\n").unwrap();
    waiting.read_to("\r\n\r\nearly");
    upload.0.write_all(b"4\r\nlate\r\n0\r\n\r\n").unwrap();
    assert!(upload.read_to("\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(Http::ask(address, &format!("GET {at} HTTP/1.1")).ends_with("\r\n\r\nlate"));
    let gone = Http::ask(address, &format!("DELETE {at} HTTP/1.1"));
    assert!(gone.starts_with("HTTP/1.1 202 Accepted\r\n"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_transports_work_by_our_accept_loop() {
    let running = start(EndpointOptions::default(), |serving| serving).await;
    let address = running.address;
    blocking(move || both_transports(address)).await;
    until("every connection has ended", || running.server.connections() == 0).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_transports_work_by_warps() {
    let server = Server::builder().endpoint("/echo", Arc::new(Echo), EndpointOptions::default()).build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = warp::path("other").map(|| "other").or(server.routes()).boxed();
    let serving = tokio::spawn(warp::serve(routes).incoming(listener).run());
    blocking(move || both_transports(address)).await;
    until("every connection has ended", || server.connections() == 0).await;
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_polls_and_events_with_a_good_bye() {
    let running = start(EndpointOptions::default(), |serving| serving).await;
    let address = running.address;
    let (mut poll, mut stream) = blocking(move || {
        let at = format!("/echo?id={}", token(address));
        Http::ask(address, &format!("GET {at} HTTP/1.1"));
        // Of two polls one ends the other: then the one that is left has arrived, whichever that is.
        let mut polls = [(); 2].map(|()| Http::send(address, &format!("GET {at} HTTP/1.1")));
        while !polls[0].is_answered() {
            polls.swap(0, 1);
        }
        let [_, poll] = polls;
        (poll, events(address, &format!("/echo?id={}", token(address))))
    })
    .await;
    let server = running.server.clone();
    running.stop().await;
    blocking(move || {
        poll.read_to("\r\n\r\nbye");
        stream.read_to("data: bye\r\n\r\n\r\n");
        stream.read_to("0\r\n\r\n");
    })
    .await;
    assert_eq!(server.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_nobody_reads_hold_no_connection() {
    let mut quick = ServeOptions::default();
    quick.write_timeout = Duration::from_millis(500);
    let server = Server::builder()
        .endpoint(
            "/echo",
            Duplex::handler(|mut peer: Duplex| async move {
                let block = vec![b'x'; 100_000];
                while peer.send(&block).await {}
            }),
            EndpointOptions::default().transports([TransportKind::ServerSentEvents]),
        )
        .build();
    let serving = Serving::bind(server.clone(), ([127, 0, 0, 1], 0)).await.unwrap().with_options(quick);
    let address = serving.local_addr();
    let task = tokio::spawn(serving.until(std::future::pending()).run());
    let stream = blocking(move || events(address, &format!("/echo?id={}", token(address)))).await;
    assert_eq!(server.connections(), 1);
    until("the connection is cut", || server.connections() == 0).await;
    drop(stream);
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_whose_body_does_not_come_is_answered_with_408_and_the_next_one_is_served() {
    let server = start(EndpointOptions::default(), |serving| {
        let mut options = ServeOptions::default();
        options.body_timeout = Duration::from_millis(200);
        serving.with_options(options)
    })
    .await;
    let address = server.address;
    blocking(move || {
        let at = format!("/echo?id={}", token(address));
        let mut stream = events(address, &at);
        let late = Http::ask(address, &format!("POST {at} HTTP/1.1\r\nContent-Length: 10"));
        assert!(late.starts_with("HTTP/1.1 408 "), "{late}");
        post(address, &at, "next");
        stream.read_to("data: next\r\n\r\n\r\n");
    })
    .await;
    server.stop().await;
}
