//! A client of WebSockets in memory that speaks JSON records, and the requests around it.
#![allow(clippy::unwrap_used, reason = "a test helper fails the test")]

use bytes::Bytes;
use http::{Method, Request};
use signalr::Server;
use signalr_transport::Reply;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

/// How long a client waits, in virtual time.
const PATIENCE: Duration = Duration::from_secs(60);

/// What negotiate gave.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Session {
    pub(crate) async fn new(server: &Server) -> Self {
        let body = negotiate(server, "negotiateVersion=1&useStatefulReconnect=true").await;
        let value = |name: &str| {
            body.split(&format!("\"{name}\":\"")).nth(1).unwrap().split('"').next().unwrap().to_owned()
        };
        Self { id: value("connectionId"), token: value("connectionToken") }
    }

    /// The first socket, its handshake done with this version.
    pub(crate) async fn start(&self, server: &Server, version: u32) -> Wire {
        let mut wire = self.connect(server).await;
        wire.handshake(version).await;
        wire
    }

    pub(crate) async fn connect(&self, server: &Server) -> Wire {
        Wire::connect(server, &format!("/hub?id={}", self.token)).await
    }

    /// The status with which another socket is refused.
    pub(crate) async fn refused(&self, server: &Server) -> u16 {
        match server.respond(&upgrade(&format!("/hub?id={}", self.token))).await {
            Some(Reply::Answer(answer)) => answer.status().as_u16(),
            other => panic!("not refused: {other:?}"),
        }
    }
}

pub(crate) async fn negotiate(server: &Server, query: &str) -> String {
    let uri = format!("/hub/negotiate?{query}");
    let parts = Request::builder().method(Method::POST).uri(uri).body(()).unwrap().into_parts().0;
    match server.respond(&parts).await {
        Some(Reply::Answer(answer)) => text(answer.into_body()).await,
        other => panic!("no answer to negotiate: {other:?}"),
    }
}

async fn text(body: Bytes) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

fn upgrade(uri: &str) -> http::request::Parts {
    let request = Request::builder()
        .uri(uri)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    request.body(()).unwrap().into_parts().0
}

/// One socket.
pub(crate) struct Wire {
    stream: DuplexStream,
    task: JoinHandle<()>,
    records: VecDeque<String>,
}

impl Wire {
    pub(crate) async fn connect(server: &Server, uri: &str) -> Self {
        let Some(Reply::Upgrade(ticket)) = server.respond(&upgrade(uri)).await else {
            panic!("no upgrade for {uri}")
        };
        let (stream, far) = duplex(4096);
        let task = tokio::spawn(ticket.run(far, Bytes::new()));
        Self { stream, task, records: VecDeque::new() }
    }

    pub(crate) async fn handshake(&mut self, version: u32) {
        self.send(&format!(r#"{{"protocol":"json","version":{version}}}"#)).await;
        assert_eq!(self.next().await, "{}");
    }

    pub(crate) async fn send(&mut self, record: &str) {
        self.send_raw(format!("{record}\x1e").as_bytes()).await;
    }

    /// One text frame; the mask is zero.
    pub(crate) async fn send_raw(&mut self, payload: &[u8]) {
        self.send_frame(0x81, payload).await;
    }

    pub(crate) async fn send_close(&mut self) {
        self.send_frame(0x88, &[3, 0xE8]).await;
    }

    async fn send_frame(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..=125 => frame.push(0x80 | short as u8),
            longer => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(longer).unwrap().to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next record that is no ping.
    pub(crate) async fn next(&mut self) -> String {
        loop {
            while let Some(record) = self.records.pop_front() {
                if record != r#"{"type":6}"# {
                    return record;
                }
            }
            let frame = self.next_frame().await;
            self.records.extend(frame.split_terminator('\x1e').map(str::to_owned));
        }
    }

    /// The next text frame as it is.
    pub(crate) async fn next_frame(&mut self) -> String {
        let (first, payload) = self.read_frame().await.expect("the socket ended");
        assert_eq!(first, 0x81, "no text: {payload:?}");
        String::from_utf8(payload).unwrap()
    }

    /// The code of the Close frame that comes next.
    pub(crate) async fn next_close(&mut self) -> u16 {
        let (first, payload) = self.read_frame().await.expect("the socket ended");
        assert_eq!((first, payload.len()), (0x88, 2));
        u16::from_be_bytes([payload[0], payload[1]])
    }

    /// Whether the socket ends now, without anything more.
    pub(crate) async fn ended(&mut self) -> bool {
        self.records.is_empty() && self.read_frame().await.is_none()
    }

    async fn read_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        tokio::time::timeout(PATIENCE, self.read_frame_at_last()).await.expect("nothing came")
    }

    async fn read_frame_at_last(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = match head[1] {
            126 => u64::from(self.stream.read_u16().await.ok()?),
            127 => self.stream.read_u64().await.ok()?,
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some((head[0], payload))
    }

    /// Nothing but pings comes for so long.
    pub(crate) async fn silent(&mut self, time: Duration) {
        if let Ok(record) = tokio::time::timeout(time, self.next()).await {
            panic!("{record} came");
        }
    }

    /// Lets the server read what was sent.
    pub(crate) async fn settle(&mut self) {
        // Virtual time: it passes when nobody else has anything to do.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Cuts the socket without a good-bye. Returns the task of the first socket's future, which is the connection's.
    pub(crate) fn cut(self) -> JoinHandle<()> {
        self.task
    }
}

/// Waits for the end of a connection.
pub(crate) async fn stop_task(task: JoinHandle<()>) {
    tokio::time::timeout(PATIENCE, task).await.expect("the connection did not end").unwrap();
}

pub(crate) fn call(id: u32, target: &str, arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|argument| format!("\"{argument}\"")).collect();
    format!(r#"{{"type":1,"invocationId":"{id}","target":"{target}","arguments":[{}]}}"#, arguments.join(","))
}

pub(crate) fn item(id: u32, text: &str) -> String {
    format!(r#"{{"type":2,"invocationId":"{id}","item":"{text}"}}"#)
}
