//! As much HTTP/1.1 as negotiating and upgrading need: one request, one response, bounded.
//!
//! Owns the writing of requests and the reading of responses. What they mean is `negotiate`'s and `websocket`'s.

use crate::error::ClientError;
use crate::url::Url;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A head larger than this is refused.
const MAX_HEAD: usize = 64 * 1024;
/// A body larger than this is refused.
const MAX_BODY: usize = 1024 * 1024;

/// A response's head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether a comma-separated header holds a word.
    pub(crate) fn has_word(&self, name: &str, word: &str) -> bool {
        let matching = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        matching.flat_map(|(_, value)| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
    }
}

/// Refuses what would end a header line early.
pub(crate) fn check_header(name: &str, value: &str) -> Result<(), ClientError> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let field = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    if name.is_empty() || !name.bytes().all(token) || !value.bytes().all(field) {
        return Err(ClientError::Config(format!(
            "header '{}' has a name or a value that HTTP does not allow",
            name.escape_debug()
        )));
    }
    Ok(())
}

/// The text of a request without a body.
pub(crate) fn request(method: &str, url: &Url, headers: &[(&str, &str)]) -> String {
    let mut text = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", url.target(), url.host_header());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text
}

/// Sends a request and reads the head of the response. `rest` gets the bytes that came after the head.
pub(crate) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &str,
    what: &'static str,
    rest: &mut Vec<u8>,
) -> Result<Head, ClientError> {
    stream.write_all(request.as_bytes()).await.map_err(ClientError::io)?;
    stream.flush().await.map_err(ClientError::io)?;
    loop {
        if let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = parse_head(&rest[..end]).ok_or_else(|| ClientError::bad_answer(what, "no HTTP"))?;
            rest.drain(..end + 4);
            return Ok(head);
        }
        if rest.len() > MAX_HEAD {
            return Err(ClientError::bad_answer(what, "the head is too large"));
        }
        read_some(stream, rest).await?;
    }
}

/// Reads the body of a response to a request that asked for `Connection: close`.
pub(crate) async fn read_body<S: AsyncRead + Unpin>(
    stream: &mut S,
    head: &Head,
    what: &'static str,
    mut rest: Vec<u8>,
) -> Result<Vec<u8>, ClientError> {
    if head.has_word("transfer-encoding", "chunked") {
        return read_chunks(stream, what, rest).await;
    }
    let length = match head.header("content-length") {
        Some(text) => Some(text.parse::<usize>().map_err(|_| ClientError::bad_answer(what, "wrong length"))?),
        None => None,
    };
    while length.is_none_or(|length| rest.len() < length) {
        check_body(what, length.unwrap_or(rest.len()))?;
        match read_some(stream, &mut rest).await {
            Ok(()) => {}
            Err(ClientError::Connect(error))
                if length.is_none() && error.kind() == io::ErrorKind::UnexpectedEof =>
            {
                break;
            }
            Err(error) => return Err(error),
        }
    }
    rest.truncate(length.unwrap_or(rest.len()));
    Ok(rest)
}

async fn read_chunks<S: AsyncRead + Unpin>(
    stream: &mut S,
    what: &'static str,
    mut rest: Vec<u8>,
) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    loop {
        while let Some(line_end) = rest.windows(2).position(|window| window == b"\r\n") {
            let line = std::str::from_utf8(&rest[..line_end]).unwrap_or_default();
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16)
                .map_err(|_| ClientError::bad_answer(what, "a chunk without a size"))?;
            check_body(what, body.len().saturating_add(size))?;
            if size == 0 {
                return Ok(body);
            }
            let start = line_end + 2;
            if rest.len() < start + size + 2 {
                break;
            }
            body.extend_from_slice(&rest[start..start + size]);
            rest.drain(..start + size + 2);
        }
        check_body(what, rest.len())?;
        read_some(stream, &mut rest).await?;
    }
}

fn check_body(what: &'static str, length: usize) -> Result<(), ClientError> {
    if length > MAX_BODY { Err(ClientError::bad_answer(what, "the body is too large")) } else { Ok(()) }
}

async fn read_some<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> Result<(), ClientError> {
    match stream.read_buf(buffer).await {
        Ok(0) => Err(ClientError::io(io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => Ok(()),
        Err(error) => Err(ClientError::io(error)),
    }
}

fn parse_head(bytes: &[u8]) -> Option<Head> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.split("\r\n");
    let mut status = lines.next()?.split(' ');
    if !status.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let status = status.next()?.parse().ok()?;
    let headers = lines
        .map(|line| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned())))
        .collect::<Option<_>>()?;
    Some(Head { status, headers })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body_of(response: &str) -> Result<(u16, String), ClientError> {
        let (mut client, mut server) = tokio::io::duplex(7);
        let response = response.to_owned();
        let peer = tokio::spawn(async move {
            let mut request = [0; 16];
            server.read_exact(&mut request).await.unwrap();
            // A refused response is not read to its end.
            let _ = server.write_all(response.as_bytes()).await;
        });
        let mut rest = Vec::new();
        let head = exchange(&mut client, "POST / HTTP/1.1\r", "a test", &mut rest).await?;
        let body = read_body(&mut client, &head, "a test", rest).await?;
        peer.await.unwrap();
        Ok((head.status, String::from_utf8(body).unwrap()))
    }

    #[tokio::test]
    async fn bodies_of_every_kind_are_read() {
        let sized = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more";
        assert_eq!(body_of(sized).await.unwrap(), (200, "hello".into()));
        let chunked =
            "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
        assert_eq!(body_of(chunked).await.unwrap(), (404, "hello".into()));
        let open = "HTTP/1.0 200 OK\r\n\r\nhello";
        assert_eq!(body_of(open).await.unwrap(), (200, "hello".into()));
    }

    #[tokio::test]
    async fn nonsense_is_an_error() {
        for wrong in [
            "SMTP ready\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        ] {
            assert!(matches!(body_of(wrong).await, Err(ClientError::BadAnswer { .. })), "{wrong}");
        }
        assert!(matches!(body_of("HTTP/1.1 200").await, Err(ClientError::Connect(_))));
    }

    #[test]
    fn headers_cannot_smuggle_lines() {
        assert!(check_header("X-Test", "fine value").is_ok());
        for (name, value) in [("X", "a\r\nY: b"), ("X\n", "a"), ("", "a"), ("X:", "a")] {
            assert!(check_header(name, value).is_err(), "{name:?} {value:?}");
        }
    }
}
