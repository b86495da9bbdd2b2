//! The upgrade request: recognising it, and the values of the reply.
//!
//! A request that is not a complete WebSocket request is none at all; the reference then treats it as long polling
//! (B-2.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, Method};
use sha1::{Digest, Sha1};

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Marks a request as an extended CONNECT for a WebSocket (RFC 8441, HTTP/2): a web framework puts it into the
/// request's extensions when the request's `:protocol` is `websocket`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedConnect;

/// Whether this is a WebSocket request, by HTTP/1.1 or HTTP/2.
pub(crate) fn is_upgrade(parts: &Parts) -> bool {
    let headers = &parts.headers;
    if parts.extensions.get::<ExtendedConnect>().is_some() {
        return parts.method == Method::CONNECT && has_token(headers, &SEC_WEBSOCKET_VERSION, "13");
    }
    parts.method == Method::GET
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &UPGRADE, "websocket")
        && has_token(headers, &SEC_WEBSOCKET_VERSION, "13")
        && key(headers).is_some()
}

/// The value of `Sec-WebSocket-Accept`.
pub(crate) fn accept_key(headers: &HeaderMap) -> Option<String> {
    let key = key(headers)?;
    Some(STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize()))
}

/// The sub-protocols that the client offers, in its order.
pub(crate) fn offered_protocols(headers: &HeaderMap) -> Vec<&str> {
    tokens(headers, &SEC_WEBSOCKET_PROTOCOL).collect()
}

/// The client's key: exactly one, of 16 bytes.
fn key(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let (key, None) = (values.next()?, values.next()) else { return None };
    let key = key.as_bytes().trim_ascii();
    STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16).then_some(key)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upgrades(method: Method, headers: HeaderMap, extended: bool) -> bool {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        (parts.method, parts.headers) = (method, headers);
        if extended {
            parts.extensions.insert(ExtendedConnect);
        }
        is_upgrade(&parts)
    }

    fn request(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        headers
    }

    const GOOD: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn the_example_of_the_rfc() {
        let headers = request(&GOOD);
        assert_eq!(accept_key(&headers).as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(upgrades(Method::GET, headers.clone(), false));
        assert!(!upgrades(Method::POST, headers, false));
    }

    #[test]
    fn a_missing_or_wrong_header_makes_it_another_request() {
        for position in 0..GOOD.len() {
            let mut pairs = GOOD;
            pairs[position].1 = "nonsense";
            assert!(!upgrades(Method::GET, request(&pairs), false), "{}", pairs[position].0);
            let without: Vec<_> = GOOD.iter().copied().filter(|pair| *pair != GOOD[position]).collect();
            assert!(!upgrades(Method::GET, request(&without), false), "{}", GOOD[position].0);
        }
    }

    #[test]
    fn http_2_needs_a_version_and_no_key() {
        let version = || request(&[("sec-websocket-version", "13")]);
        assert!(upgrades(Method::CONNECT, version(), true));
        assert!(!upgrades(Method::CONNECT, version(), false));
        assert!(!upgrades(Method::GET, version(), true));
        assert!(!upgrades(Method::CONNECT, request(&[("sec-websocket-version", "12")]), true));
    }

    #[test]
    fn protocols_are_listed_in_order() {
        let headers = request(&[("sec-websocket-protocol", "b, a"), ("sec-websocket-protocol", "c")]);
        assert_eq!(offered_protocols(&headers), ["b", "a", "c"]);
    }
}
