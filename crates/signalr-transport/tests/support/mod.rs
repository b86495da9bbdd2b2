//! What the tests of this crate share: an application that is told what to do by its input and writes down what
//! happens to it, requests as parts, and a client that speaks frames over a stream in memory.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use signalr_core::Instant;
use signalr_core::{CloseReason, Connection, ConnectionDriver, ConnectionHandler, InputEnd, WorkEnd};
use signalr_protocol::Protocol;
use signalr_transport::{EndpointOptions, Reply, Server, UpgradeTicket};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

/// What happened to a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Bytes(Vec<u8>),
    Tick,
    End(InputEnd),
    Close(CloseReason),
    Dropped,
}

/// An application: `!` ends normally, `?` with an error, `big N` sends N bytes, `alarm N` asks for a tick in N
/// seconds, `arm N` keeps N bytes for a client that may come back, `stubborn` makes it ignore requests to close, `hang`
/// makes it take nothing more and never end; anything else comes back.
#[derive(Clone, Default)]
pub struct App {
    pub seen: Arc<Mutex<Vec<Seen>>>,
    /// The connection that was opened last.
    pub opened: Arc<Mutex<Option<Arc<Connection>>>>,
}

impl App {
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

struct Driver {
    app: App,
    connection: Arc<Connection>,
    end: Option<WorkEnd>,
    stubborn: bool,
    hangs: bool,
}

impl ConnectionHandler for App {
    fn open(&self, connection: &Arc<Connection>) -> Box<dyn ConnectionDriver> {
        *self.opened.lock().unwrap() = Some(connection.clone());
        Box::new(Driver {
            app: self.clone(),
            connection: connection.clone(),
            end: None,
            stubborn: false,
            hangs: false,
        })
    }
}

impl Driver {
    fn note(&self, seen: Seen) {
        self.app.seen.lock().unwrap().push(seen);
    }
}

impl ConnectionDriver for Driver {
    fn on_bytes(&mut self, input: &[u8], _: &mut Context<'_>) -> usize {
        self.note(Seen::Bytes(input.to_vec()));
        let text = std::str::from_utf8(input).unwrap_or_default();
        match text.split_once(' ').map(|(word, number)| (word, number.parse::<u64>())) {
            Some(("big", Ok(length))) => self.connection.send_payload(&vec![b'x'; length as usize]),
            Some(("arm", Ok(bytes))) => {
                self.connection.set_protocol(Protocol::Json);
                self.connection.arm_resume(bytes as usize);
                self.connection.send_control(b"armed");
            }
            Some(("alarm", Ok(seconds))) => {
                self.connection.set_deadline(Some(Instant::now() + Duration::from_secs(seconds)));
            }
            _ => match text {
                "!" => self.end = Some(WorkEnd::Normal),
                "?" => self.end = Some(WorkEnd::Failed),
                "hang" => self.hangs = true,
                "stubborn" => self.stubborn = true,
                _ => self.connection.send_payload(input),
            },
        }
        input.len()
    }

    fn wants_input(&self) -> bool {
        self.end.is_none() && !self.hangs
    }

    fn poll_work(&mut self, _: &mut Context<'_>) -> Poll<WorkEnd> {
        self.end.filter(|_| !self.hangs).map_or(Poll::Pending, Poll::Ready)
    }

    fn on_tick(&mut self, _: Instant) {
        self.note(Seen::Tick);
    }

    fn on_input_end(&mut self, end: InputEnd, _: usize) {
        self.note(Seen::End(end));
        self.end.get_or_insert(WorkEnd::Normal);
    }

    fn on_close_request(&mut self, reason: CloseReason) {
        self.note(Seen::Close(reason));
        if !self.stubborn {
            self.connection.send_payload(b"bye");
            self.end.get_or_insert(WorkEnd::Normal);
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.note(Seen::Dropped);
    }
}

pub fn server(app: &App, options: EndpointOptions) -> Server {
    Server::builder().endpoint("/hub", Arc::new(app.clone()), options).build()
}

pub fn parts(method: Method, target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

pub const UPGRADE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

pub async fn answer(
    server: &Server,
    method: Method,
    target: &str,
    headers: &[(&str, &str)],
) -> Response<Bytes> {
    match server.respond(&parts(method, target, headers)).await {
        Some(Reply::Answer(answer)) => answer,
        other => panic!("no answer to {target}: {other:?}"),
    }
}

pub async fn ticket(server: &Server, target: &str) -> UpgradeTicket {
    match server.respond(&parts(Method::GET, target, &UPGRADE)).await {
        Some(Reply::Upgrade(ticket)) => ticket,
        other => panic!("no upgrade for {target}: {other:?}"),
    }
}

/// Negotiates and returns the token.
pub async fn negotiate(server: &Server) -> String {
    let body = answer(server, Method::POST, "/hub/negotiate?negotiateVersion=1", &[]).await.into_body();
    let text = std::str::from_utf8(&body).unwrap();
    text.split("\"connectionToken\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// A connected client.
pub struct Client {
    stream: DuplexStream,
    pub task: JoinHandle<()>,
}

impl Client {
    /// Connects with what the target says.
    pub async fn connect_to(server: &Server, target: &str) -> Self {
        let (stream, far) = duplex(1024);
        let task = tokio::spawn(ticket(server, target).await.run(far, Bytes::new()));
        Self { stream, task }
    }

    /// Connects without negotiation over a pipe of `size` bytes.
    pub async fn connect(server: &Server, size: usize) -> Self {
        Self::connect_early(server, size, Bytes::new()).await
    }

    pub async fn connect_early(server: &Server, size: usize, early: Bytes) -> Self {
        let (stream, far) = duplex(size);
        let task = tokio::spawn(ticket(server, "/hub").await.run(far, early));
        Self { stream, task }
    }

    /// Goes away without a word; the end of the connection's task.
    pub fn vanish(self) -> JoinHandle<()> {
        self.task
    }

    /// Sends a masked frame.
    pub async fn send(&mut self, first: u8, payload: &[u8]) {
        self.stream.write_all(&frame(first, payload)).await.unwrap();
    }

    pub async fn text(&mut self, text: &str) {
        self.send(0x81, text.as_bytes()).await;
    }

    /// Reads one frame: its first byte and its payload. `None` at the end of the stream.
    pub async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = match head[1] {
            126 => u64::from(self.stream.read_u16().await.ok()?),
            127 => self.stream.read_u64().await.ok()?,
            short => u64::from(short),
        };
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some((head[0], payload))
    }

    pub async fn read_text(&mut self) -> String {
        let (first, payload) = self.read().await.unwrap();
        assert_eq!(first, 0x81);
        String::from_utf8(payload).unwrap()
    }

    /// Reads a Close frame's code, which must come next.
    pub async fn read_close(&mut self) -> u16 {
        let (first, payload) = self.read().await.unwrap();
        assert_eq!((first, payload.len()), (0x88, 2));
        u16::from_be_bytes([payload[0], payload[1]])
    }
}

pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        longer => {
            out.push(0x80 | 127);
            out.extend((longer as u64).to_be_bytes());
        }
    }
    let mask = [9, 8, 7, 6];
    out.extend(mask);
    out.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]));
    out
}
