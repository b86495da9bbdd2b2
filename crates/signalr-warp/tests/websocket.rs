//! WebSockets over real sockets with tungstenite as the client: echo, close codes, the filter and the accept loop.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(unreachable_pub, dead_code, reason = "shared by several test programs, each of which uses a part")]
mod support;

use signalr_transport::EndpointOptions;
use signalr_warp::ServerExt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use support::{Echo, blocking, start, until};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};
use warp::Filter;

async fn exchange(mut socket: WebSocket<TcpStream>, message: Message) -> (WebSocket<TcpStream>, Message) {
    blocking(move || {
        socket.send(message).unwrap();
        let answer = socket.read().unwrap();
        (socket, answer)
    })
    .await
}

fn close_code(message: &Message) -> Option<CloseCode> {
    match message {
        Message::Close(Some(frame)) => Some(frame.code),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_every_size_come_back() {
    let running = start(EndpointOptions::default(), |serving| serving).await;
    let mut socket = running.connect("/echo").await;
    for length in [1, 125, 126, 65_535, 65_536, 1 << 20] {
        let text = "x".repeat(length);
        let (back, mut received) = exchange(socket, Message::text(text.clone())).await;
        socket = back;
        let mut whole = String::new();
        loop {
            // A long message may come back in pieces: the byte stream is what counts.
            whole.push_str(received.to_text().unwrap());
            if whole.len() >= length {
                break;
            }
            (socket, received) = blocking(move || {
                let next = socket.read().unwrap();
                (socket, next)
            })
            .await;
        }
        assert!(whole == text, "length {length}");
    }
    drop(socket);
    until("the table is empty", || running.server.connections() == 0).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn close_codes_in_both_directions() {
    let running = start(EndpointOptions::default(), |serving| serving).await;
    for (sent, code) in [("!", CloseCode::Normal), ("?", CloseCode::Error)] {
        let socket = running.connect("/echo").await;
        let (_, answer) = exchange(socket, Message::text(sent)).await;
        assert_eq!(close_code(&answer), Some(code), "the application ends with {sent}");
    }
    let socket = running.connect("/echo").await;
    let (_, answer) = exchange(socket, Message::Close(None)).await;
    assert_eq!(close_code(&answer), Some(CloseCode::Normal), "the client closes");
    until("the table is empty", || running.server.connections() == 0).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_in_the_same_packet_as_the_upgrade_is_not_lost() {
    let running = start(EndpointOptions::default(), |serving| serving).await;
    let address = running.address;
    let answer = blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let request = "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let early = [0x81, 0x85, 0, 0, 0, 0, b'e', b'a', b'r', b'l', b'y'];
        stream.write_all(&[request.as_bytes(), &early].concat()).unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 1024];
        while !answer.ends_with(b"\x81\x05early") {
            let length = stream.read(&mut buffer).unwrap();
            assert!(length > 0, "the stream ended");
            answer.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_is_answered() {
    let running = start(EndpointOptions::default(), |serving| serving).await;
    let socket = running.connect("/echo").await;
    let (_, answer) = exchange(socket, Message::Ping("who".into())).await;
    assert_eq!(answer, Message::Pong("who".into()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_works_under_warps_own_server() {
    let server = signalr_transport::Server::builder()
        .endpoint("/echo", Arc::new(Echo), EndpointOptions::default())
        .build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = server.routes().or(warp::any().map(|| "other"));
    let serving = tokio::spawn(warp::serve(routes.boxed()).incoming(listener).run());
    let stream = TcpStream::connect(address).unwrap();
    let socket =
        blocking(move || tungstenite::client(format!("ws://{address}/echo"), stream).unwrap().0).await;
    let (_, answer) = exchange(socket, Message::binary("bytes")).await;
    assert_eq!(answer.into_data(), "bytes");
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_says_good_bye() {
    let running = start(EndpointOptions::default(), |serving| serving).await;
    let mut socket = running.connect("/echo").await;
    let reading = tokio::task::spawn_blocking(move || {
        let first = socket.read().unwrap();
        let second = socket.read().unwrap();
        // Answers the Close.
        let _ = socket.flush();
        (first, second)
    });
    let server = running.server.clone();
    running.stop().await;
    let (first, second) = reading.await.unwrap();
    assert_eq!(first, Message::text("bye"));
    assert_eq!(close_code(&second), Some(CloseCode::Normal));
    assert_eq!(server.connections(), 0);
}
