//! The opening handshake: one GET with `Upgrade: websocket`, and the check of its answer.
//!
//! Owns nothing after status 101. Frames are `frame`'s.

use crate::error::ClientError;
use crate::http;
use crate::url::Url;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncWrite};

const WHAT: &str = "the WebSocket request";
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Upgrades a stream. Returns the bytes that came right behind the answer.
pub(crate) async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    url: &Url,
    token: Option<&str>,
    headers: &[(String, String)],
) -> Result<Vec<u8>, ClientError> {
    let mut nonce = [0u8; 16];
    getrandom::fill(&mut nonce)
        .map_err(|error| ClientError::Config(format!("no random numbers: {error}")))?;
    let key = STANDARD.encode(nonce);
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut all = vec![
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key.as_str()),
    ];
    all.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    all.extend(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut rest = Vec::new();
    let head = http::exchange(stream, &http::request("GET", url, &all), WHAT, &mut rest).await?;
    if head.status != 101 {
        return Err(ClientError::Status { what: WHAT, status: head.status });
    }
    if !head.has_word("upgrade", "websocket") || !head.has_word("connection", "upgrade") {
        return Err(ClientError::bad_answer(WHAT, "it is no upgrade to a WebSocket"));
    }
    if head.header("sec-websocket-accept") != Some(accept(&key).as_str()) {
        return Err(ClientError::bad_answer(WHAT, "Sec-WebSocket-Accept does not fit the key"));
    }
    if head.header("sec-websocket-extensions").is_some_and(|value| !value.is_empty()) {
        return Err(ClientError::bad_answer(WHAT, "an extension was chosen that was not offered"));
    }
    Ok(rest)
}

/// What a server answers to a key.
pub(crate) fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

#[cfg(test)]
mod tests {
    use super::accept;

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
