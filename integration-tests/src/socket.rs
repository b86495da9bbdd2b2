//! A WebSocket client without any help: what is sent and what arrives are exact bytes.
//!
//! Owns the opening handshake and RFC 6455 framing of a client. It answers nothing by itself (no pongs, no closing
//! handshake), so that a test decides about every byte.

use anyhow::{Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{http, within};

/// Something that came from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A whole text message.
    Text(Vec<u8>),
    /// A whole binary message.
    Binary(Vec<u8>),
    /// A close frame: its code and its reason.
    Close(Option<u16>, String),
    /// The TCP connection ended, in an orderly way or not.
    End,
}

/// One WebSocket.
#[derive(Debug)]
pub struct RawSocket {
    stream: TcpStream,
    received: Vec<u8>,
    message: Option<(u8, Vec<u8>)>,
}

impl RawSocket {
    /// Opens a WebSocket; `target` is path and query. A refusal is an error with the status in it.
    pub async fn open(port: u16, target: &str) -> Result<Self> {
        within(&format!("a WebSocket to {target}"), Self::open_now(port, target)).await?
    }

    async fn open_now(port: u16, target: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        stream.write_all(upgrade_request(port, target).as_bytes()).await?;
        let mut received = Vec::new();
        let end = loop {
            if let Some(end) = http::find(&received, b"\r\n\r\n") {
                break end;
            }
            ensure!(stream.read_buf(&mut received).await? > 0, "the server hung up on the upgrade");
        };
        let (status, _) = http::parse_head(&received[..end])?;
        ensure!(status == 101, "the upgrade was refused with {status}");
        received.drain(..end + 4);
        Ok(Self { stream, received, message: None })
    }

    /// A connection whose upgrade has been answered already, with what came behind the answer.
    pub fn over(stream: TcpStream, received: Vec<u8>) -> Self {
        Self { stream, received, message: None }
    }

    /// Opens one and performs the handshake of a hub protocol; early bytes after the reply stay to be read.
    pub async fn handshaken(port: u16, target: &str, protocol: &str) -> Result<Self> {
        let mut socket = Self::open(port, target).await?;
        socket.text(format!("{{\"protocol\":\"{protocol}\",\"version\":1}}\u{1e}").as_bytes()).await?;
        match socket.next().await? {
            Incoming::Text(reply) | Incoming::Binary(reply) if reply == b"{}\x1e" => Ok(socket),
            other => bail!("the handshake was answered with {other:?}"),
        }
    }

    /// Sends a text message.
    pub async fn text(&mut self, payload: &[u8]) -> Result<()> {
        self.raw(&frame(0x81, payload)).await
    }

    /// Sends a binary message.
    pub async fn binary(&mut self, payload: &[u8]) -> Result<()> {
        self.raw(&frame(0x82, payload)).await
    }

    /// Sends a close frame.
    pub async fn close(&mut self, code: u16) -> Result<()> {
        self.raw(&frame(0x88, &code.to_be_bytes())).await
    }

    /// Sends bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// The next message, close frame or end. Pings and pongs of the WebSocket layer are passed over.
    pub async fn next(&mut self) -> Result<Incoming> {
        within("something from the server", self.next_patiently()).await?
    }

    /// [`next`](Self::next) without a deadline. Cancel safe.
    pub async fn next_patiently(&mut self) -> Result<Incoming> {
        loop {
            if let Some(incoming) = self.parse()? {
                return Ok(incoming);
            }
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) => return Ok(Incoming::End),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Ok(Incoming::End);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes whole frames off the received bytes until one completes something.
    fn parse(&mut self) -> Result<Option<Incoming>> {
        while let Some((head, payload)) = take_frame(&mut self.received)? {
            match head & 0x0f {
                8 => return Ok(Some(close_frame(&payload))),
                9 | 10 => continue,
                0 => match &mut self.message {
                    Some((_, so_far)) => so_far.extend_from_slice(&payload),
                    None => bail!("a continuation of nothing"),
                },
                opcode => self.message = Some((opcode, payload)),
            }
            if head & 0x80 != 0
                && let Some((opcode, payload)) = self.message.take()
            {
                return Ok(Some(if opcode == 1 {
                    Incoming::Text(payload)
                } else {
                    Incoming::Binary(payload)
                }));
            }
        }
        Ok(None)
    }
}

/// The request that opens a WebSocket. The key is fixed: tests need no secret.
pub fn upgrade_request(port: u16, target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A masked frame; `first` is its first byte, the final flag and the opcode.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = Vec::with_capacity(payload.len() + 14);
    bytes.push(first);
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | short as u8),
        medium @ 126..=65535 => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// First byte and payload of the next whole frame, taken off `received`.
fn take_frame(received: &mut Vec<u8>) -> Result<Option<(u8, Vec<u8>)>> {
    let [first, second, ..] = received[..] else { return Ok(None) };
    ensure!(second & 0x80 == 0, "the server masked a frame");
    let (start, length) = match second {
        126 if received.len() >= 4 => (4, u64::from(u16::from_be_bytes([received[2], received[3]]))),
        127 if received.len() >= 10 => {
            let mut long = [0; 8];
            long.copy_from_slice(&received[2..10]);
            (10, u64::from_be_bytes(long))
        }
        126 | 127 => return Ok(None),
        short => (2, u64::from(short)),
    };
    let end = start + usize::try_from(length)?;
    if received.len() < end {
        return Ok(None);
    }
    let payload = received[start..end].to_vec();
    received.drain(..end);
    Ok(Some((first, payload)))
}

fn close_frame(payload: &[u8]) -> Incoming {
    let code = payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
    let reason = payload.get(2..).unwrap_or_default();
    Incoming::Close(code, String::from_utf8_lossy(reason).into_owned())
}
