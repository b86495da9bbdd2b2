//! A link: an open request, a WebSocket, or a client's connection over any of the three transports.
//!
//! Owns what a client must do to send and to receive on each transport; what is said over it comes from the script.

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::cutter::{Cutter, Wanted};
use super::exchange::{Exchange, Head, Piece};
use crate::socket::{Incoming, RawSocket};
use crate::{http, within};

/// One link.
pub(super) struct Link {
    pub(super) carrier: Carrier,
    pub(super) cutter: Cutter,
    /// Path and query of the requests of this connection.
    pub(super) target: String,
    /// Headers that go with every request.
    pub(super) headers: Vec<String>,
    pub(super) port: u16,
    /// What has come of an event.
    text: Vec<u8>,
}

/// What carries it.
pub(super) enum Carrier {
    Socket(RawSocket),
    /// Any request; events if it is answered with such.
    Request(Exchange),
    /// Long polling, with the poll that waits.
    Polls(Option<Exchange>),
}

/// What came.
#[derive(Debug)]
pub(super) enum Received {
    Message(Vec<u8>),
    /// How the link ended.
    End(String),
}

/// How an upgrade was answered.
pub(super) enum Upgraded {
    Socket(Head, RawSocket),
    Refused(Exchange),
}

impl Link {
    pub(super) fn new(port: u16, carrier: Carrier, cutter: Cutter, target: &str, headers: &[String]) -> Self {
        Self { carrier, cutter, target: target.to_owned(), headers: headers.to_vec(), port, text: Vec::new() }
    }

    /// The link as a request whose answer is read.
    pub(super) fn request(&mut self) -> Result<&mut Exchange> {
        match &mut self.carrier {
            Carrier::Request(exchange) => Ok(exchange),
            Carrier::Polls(Some(exchange)) => Ok(exchange),
            Carrier::Polls(None) | Carrier::Socket(_) => bail!("this link is no request"),
        }
    }

    /// The link as a WebSocket.
    pub(super) fn socket(&mut self) -> Result<&mut RawSocket> {
        match &mut self.carrier {
            Carrier::Socket(socket) => Ok(socket),
            _ => bail!("this link is no WebSocket"),
        }
    }

    /// Sends bytes in the way of the transport; gives the status of a refused POST.
    pub(super) async fn send(&mut self, bytes: &[u8], is_binary: bool) -> Result<Option<u16>> {
        if let Carrier::Socket(socket) = &mut self.carrier {
            let sent = if is_binary { socket.binary(bytes).await } else { socket.text(bytes).await };
            // A server may close while the client is still sending.
            return sent.map(|()| None).or(Ok(None));
        }
        let request = request(self.port, "POST", &self.target, &self.headers, bytes);
        let mut exchange = Exchange::start(self.port, request).await?;
        let status = exchange.head().await?.status;
        Ok((status != 200).then_some(status))
    }

    /// The next hub message that is wanted, or the end. Cancel safe.
    pub(super) async fn receive(&mut self, wanted: Wanted) -> Result<Received> {
        loop {
            if let Some(message) = self.cutter.next(wanted) {
                return Ok(Received::Message(message));
            }
            let end = match &mut self.carrier {
                Carrier::Socket(socket) => match socket.next_patiently().await? {
                    Incoming::Text(bytes) | Incoming::Binary(bytes) => {
                        self.cutter.push(&bytes);
                        continue;
                    }
                    Incoming::Close(code, reason) => {
                        let code = code.map_or("without a code".to_owned(), |code| code.to_string());
                        format!("close {code} {reason}").trim_end().to_owned()
                    }
                    Incoming::End => "cut".to_owned(),
                },
                Carrier::Request(_) => match self.event().await? {
                    Ok(event) => {
                        self.cutter.push(&data(&event));
                        continue;
                    }
                    Err(end) => end.to_owned(),
                },
                Carrier::Polls(_) => match self.poll().await? {
                    None => continue,
                    Some(end) => end,
                },
            };
            return Ok(Received::End(end));
        }
    }

    /// The next event with its empty line, or how the answer ended. Cancel safe.
    pub(super) async fn event(&mut self) -> Result<Result<Vec<u8>, &'static str>> {
        loop {
            if let Some(end) = http::find(&self.text, b"\r\n\r\n") {
                return Ok(Ok(self.text.drain(..end + 4).collect()));
            }
            match self.request()?.piece().await? {
                Piece::Data(data) => self.text.extend(data),
                Piece::End => return Ok(Err("end")),
                Piece::Cut => return Ok(Err("cut")),
            }
        }
    }

    /// What has come of an event that is not whole, or before the first one.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        let mut rest = self.cutter.rest();
        rest.append(&mut self.text);
        rest
    }

    /// Waits for the comment with which a stream of events begins.
    pub(super) async fn greeting(&mut self) -> Result<()> {
        while !self.text.starts_with(b":\r\n") {
            match self.request()?.piece().await? {
                Piece::Data(data) => self.text.extend(data),
                _ => bail!("the events ended before they began"),
            }
        }
        self.text.drain(..3);
        Ok(())
    }

    /// Polls once; gives the status if that ends the connection.
    async fn poll(&mut self) -> Result<Option<String>> {
        let request = request(self.port, "GET", &self.target, &self.headers, b"");
        let Carrier::Polls(waiting) = &mut self.carrier else { bail!("this link does not poll") };
        if waiting.is_none() {
            *waiting = Some(Exchange::start(self.port, request).await?);
        }
        let exchange = waiting.as_mut().context("a poll waits")?;
        let status = exchange.head().await?.status;
        let end = loop {
            match exchange.piece().await? {
                Piece::Data(data) => self.cutter.push(&data),
                Piece::End => break (status != 200).then(|| status.to_string()),
                Piece::Cut => break Some("cut".to_owned()),
            }
        };
        *waiting = None;
        Ok(end)
    }
}

/// Asks for a WebSocket.
pub(super) async fn upgrade(port: u16, target: &str, headers: &[String]) -> Result<Upgraded> {
    let mut all = UPGRADE.map(str::to_owned).to_vec();
    all.extend_from_slice(headers);
    let asked = request(port, "GET", target, &all, b"");
    within("an answer to an upgrade", async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&asked).await?;
        let mut received = Vec::new();
        let end = loop {
            if let Some(end) = http::find(&received, b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut received).await? == 0 {
                bail!("the server hung up on the upgrade");
            }
        };
        let (status, headers) = http::parse_head(&received[..end])?;
        if status != 101 {
            return Ok(Upgraded::Refused(Exchange::of(Box::new(stream), received, false)));
        }
        received.drain(..end + 4);
        Ok(Upgraded::Socket(Head { status, headers }, RawSocket::over(stream, received)))
    })
    .await?
}

/// A request. A header that is given replaces the usual one; `Name: -` leaves it out.
pub(super) fn request(port: u16, method: &str, target: &str, headers: &[String], body: &[u8]) -> Vec<u8> {
    let name = |header: &str| header.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mut usual = vec![format!("Host: 127.0.0.1:{port}")];
    if method == "POST" || !body.is_empty() {
        usual.push(format!("Content-Length: {}", body.len()));
    }
    let mut all: Vec<&String> = Vec::new();
    for header in usual.iter().chain(headers) {
        all.retain(|earlier| name(earlier) != name(header));
        all.push(header);
    }
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    for header in all.into_iter().filter(|header| !header.ends_with(": -")) {
        head += &format!("{header}\r\n");
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// What an event carries.
fn data(event: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(event);
    let lines: Vec<&str> = text.split("\r\n").filter_map(|line| line.strip_prefix("data: ")).collect();
    lines.join("\n").into_bytes()
}

const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
