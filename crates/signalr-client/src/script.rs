//! A scripted server for unit tests: the other end of a stream in memory, which a test drives step by step.
//!
//! Owns a server's half of a WebSocket, just enough of it. Only compiled for tests.

use crate::builder::ClientBuilder;
use crate::client::HubClient;
use crate::error::ClientError;
use crate::websocket::accept;
use signalr_protocol::{HubProtocol, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Size of the stream's buffer in each direction.
pub(crate) const WINDOW: usize = 16 * 1024;

pub(crate) struct Script {
    stream: DuplexStream,
    inbox: Vec<u8>,
    pub(crate) protocol: HubProtocol,
}

/// A client and its scripted server, both through upgrade and handshake.
pub(crate) async fn connected(builder: ClientBuilder, protocol: Protocol) -> (HubClient, Script) {
    let (client, script) = connect(builder, protocol, "{}\u{1e}").await;
    (client.unwrap(), script)
}

/// As [`connected`], with this answer to the handshake.
pub(crate) async fn connect(
    builder: ClientBuilder,
    protocol: Protocol,
    answer: &str,
) -> (Result<HubClient, ClientError>, Script) {
    let (near, far) = tokio::io::duplex(WINDOW);
    let script = async {
        let mut script =
            Script { stream: far, inbox: Vec::new(), protocol: HubProtocol::new(Protocol::Json) };
        script.accept().await;
        let request = script.next().await.unwrap();
        assert_eq!(request, format!("{{\"protocol\":\"{}\",\"version\":1}}", protocol.name()).as_bytes());
        script.send(answer.as_bytes()).await;
        script.protocol = HubProtocol::new(protocol);
        script
    };
    tokio::join!(builder.protocol(protocol).connect_over(near), script)
}

impl Script {
    async fn accept(&mut self) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            accept(key)
        );
        self.stream.write_all(answer.as_bytes()).await.unwrap();
    }

    /// Sends hub bytes in one text frame.
    pub(crate) async fn send(&mut self, payload: &[u8]) {
        self.send_frame(0x81, payload).await;
    }

    /// Sends what `write` appends.
    pub(crate) async fn write(&mut self, write: impl FnOnce(HubProtocol, &mut Vec<u8>)) {
        let mut out = Vec::new();
        write(self.protocol, &mut out);
        self.send(&out).await;
    }

    pub(crate) async fn send_frame(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first, 127];
        frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        if payload.len() < 126 {
            frame = vec![first, payload.len() as u8];
        }
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next frame: its first byte and its payload; `None` at the end.
    pub(crate) async fn next_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.stream.read_u8().await.ok()?;
        let second = self.stream.read_u8().await.unwrap();
        assert!(second & 0x80 != 0, "the client masks");
        let length = match second & 0x7f {
            126 => u64::from(self.stream.read_u16().await.unwrap()),
            127 => self.stream.read_u64().await.unwrap(),
            short => u64::from(short),
        };
        let mut key = [0; 4];
        self.stream.read_exact(&mut key).await.unwrap();
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.unwrap();
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Some((first, payload))
    }

    /// The body of the next hub message; `None` when the client closes instead.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some((body, used)) = self.protocol.split(&self.inbox).unwrap() {
                let body = body.to_vec();
                self.inbox.drain(..used);
                return Some(body);
            }
            match self.next_frame().await? {
                (0x81 | 0x82, payload) => self.inbox.extend_from_slice(&payload),
                _ => return None,
            }
        }
    }

    pub(crate) async fn next_text(&mut self) -> String {
        String::from_utf8(self.next().await.unwrap()).unwrap()
    }
}
