//! One HTTP/1.1 request and its answer, which may come slowly: head and pieces of the body are read when asked for.
//!
//! Owns a TCP connection of its own. Knows `Content-Length` and chunked bodies; a body that ends without its announced
//! end is told apart.

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::JoinHandle;

use crate::http;

/// A request on its way and what has come of its answer.
pub(super) struct Exchange {
    input: Box<dyn AsyncRead + Send + Sync + Unpin>,
    /// Writes the request, and keeps the connection's other half open.
    writer: Option<JoinHandle<OwnedWriteHalf>>,
    received: Vec<u8>,
    head: Option<Head>,
    body: Body,
    is_head: bool,
}

/// Status and headers of an answer.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
}

impl Head {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A piece of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Data(Vec<u8>),
    /// The body ended as announced.
    End,
    /// The connection ended before the body.
    Cut,
}

#[derive(Debug, Clone, Copy)]
enum Body {
    Length(usize),
    Chunked,
    UntilClose,
    Over,
}

impl Exchange {
    /// Connects and begins to send; gives up nothing to a server that does not read.
    pub(super) async fn start(port: u16, request: Vec<u8>) -> Result<Self> {
        let is_head = request.starts_with(b"HEAD ");
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (input, mut output) = stream.into_split();
        let writer = tokio::spawn(async move {
            // A server may answer and hang up before it has read everything.
            let _unread = output.write_all(&request).await;
            output
        });
        let mut exchange = Self::of(Box::new(input), Vec::new(), is_head);
        exchange.writer = Some(writer);
        Ok(exchange)
    }

    /// The answer on a connection on which something else asked.
    pub(super) fn of(
        input: Box<dyn AsyncRead + Send + Sync + Unpin>,
        received: Vec<u8>,
        is_head: bool,
    ) -> Self {
        Self { input, writer: None, received, head: None, body: Body::Over, is_head }
    }

    /// Waits for the head. Cancel safe.
    pub(super) async fn head(&mut self) -> Result<Head> {
        if let Some(head) = &self.head {
            return Ok(head.clone());
        }
        let end = loop {
            if let Some(end) = http::find(&self.received, b"\r\n\r\n") {
                break end;
            }
            ensure!(self.fill().await?, "the server hung up without an answer");
        };
        let (status, headers) = http::parse_head(&self.received[..end])?;
        self.received.drain(..end + 4);
        let head = Head { status, headers };
        self.body = match (head.header("content-length"), head.header("transfer-encoding")) {
            _ if self.is_head || matches!(status, 101 | 204 | 304) => Body::Over,
            (Some(length), _) => Body::Length(length.parse()?),
            (None, Some("chunked")) => Body::Chunked,
            _ => Body::UntilClose,
        };
        self.head = Some(head.clone());
        Ok(head)
    }

    /// Waits for the next piece of the body. Cancel safe.
    pub(super) async fn piece(&mut self) -> Result<Piece> {
        self.head().await?;
        loop {
            match self.body {
                Body::Over | Body::Length(0) => return Ok(Piece::End),
                Body::Length(left) if !self.received.is_empty() => {
                    let data = self.take(left.min(self.received.len()));
                    self.body = Body::Length(left - data.len());
                    return Ok(Piece::Data(data));
                }
                Body::UntilClose if !self.received.is_empty() => {
                    return Ok(Piece::Data(std::mem::take(&mut self.received)));
                }
                Body::Chunked => {
                    if let Some(piece) = self.chunk()? {
                        return Ok(piece);
                    }
                }
                _ => {}
            }
            if !self.fill().await? {
                let is_end = matches!(self.body, Body::UntilClose);
                self.body = Body::Over;
                return Ok(if is_end { Piece::End } else { Piece::Cut });
            }
        }
    }

    /// The whole body and whether it ended as announced.
    pub(super) async fn body(&mut self) -> Result<(Vec<u8>, bool)> {
        let mut body = Vec::new();
        loop {
            match self.piece().await? {
                Piece::Data(data) => body.extend(data),
                Piece::End => return Ok((body, true)),
                Piece::Cut => return Ok((body, false)),
            }
        }
    }

    fn chunk(&mut self) -> Result<Option<Piece>> {
        let Some(line) = http::find(&self.received, b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&self.received[..line])?;
        let length = usize::from_str_radix(size, 16).context("a chunk has no length")?;
        if self.received.len() < line + 2 + length + 2 {
            return Ok(None);
        }
        let chunk = self.take(line + 2 + length + 2);
        if length == 0 {
            self.body = Body::Over;
            return Ok(Some(Piece::End));
        }
        Ok(Some(Piece::Data(chunk[line + 2..line + 2 + length].to_vec())))
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        self.received.drain(..length).collect()
    }

    /// Reads more; false at the end of the connection, in an orderly way or not.
    async fn fill(&mut self) -> Result<bool> {
        match self.input.read_buf(&mut self.received).await {
            Ok(length) => Ok(length > 0),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(writer) = &self.writer {
            writer.abort();
        }
    }
}
