//! A minimal HTTP/1.1 client: one request per connection, bodies read to their announced length.
//!
//! Owns no TLS, no redirects, no chunked uploads. Used for negotiate and for the control paths of test servers.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::within;

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).context("the answer is not JSON")
    }
}

/// Sends one request and reads the answer.
pub async fn request(port: u16, method: &str, target: &str, body: &str) -> Result<Answer> {
    within(&format!("an answer to {method} {target}"), async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        read_answer(&mut stream).await
    })
    .await?
}

/// `POST` with JSON, answered with JSON: the control paths of test servers.
pub async fn control(port: u16, action: &str, body: &Value) -> Result<Value> {
    request(port, "POST", &format!("/control/{action}"), &body.to_string()).await?.json()
}

/// `GET /control/info`.
pub async fn info(port: u16) -> Result<Value> {
    request(port, "GET", "/control/info", "").await?.json()
}

/// Reads a whole answer; the connection must be closed by the server after it.
async fn read_answer(stream: &mut TcpStream) -> Result<Answer> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await?;
    let end = find(&all, b"\r\n\r\n").context("the answer has no head")?;
    let (status, headers) = parse_head(&all[..end])?;
    let body = all[end + 4..].to_vec();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked { unchunk(&body)? } else { body };
    Ok(Answer { status, headers, body })
}

/// Status and headers of a response head without its empty line.
pub(crate) fn parse_head(head: &[u8]) -> Result<(u16, Vec<(String, String)>)> {
    let text = std::str::from_utf8(head)?;
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let Some(code) = status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)) else {
        bail!("not an HTTP/1.1 answer: {status}");
    };
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok((code.parse()?, headers))
}

fn unchunk(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = find(rest, b"\r\n").context("a chunk has no length")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line])?, 16)?;
        let start = line + 2;
        if length == 0 {
            return Ok(body);
        }
        body.extend_from_slice(rest.get(start..start + length).context("a chunk is cut")?);
        rest = rest.get(start + length + 2..).context("a chunk is cut")?;
    }
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
