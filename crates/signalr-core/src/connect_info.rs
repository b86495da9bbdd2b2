//! What is known of a connection from the request that opened it: transport, addresses, request parts, user.
//!
//! Owns the small form in which a request is kept for the life of a connection. Filled by transports; read by hubs.

use signalr_protocol::TransferFormat;
use signalr_protocol::negotiate::query_value;
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

/// The kind of transport that carries a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// WebSockets.
    WebSockets,
    /// Server-Sent Events with POST.
    ServerSentEvents,
    /// Long polling with POST.
    LongPolling,
    /// Bytes in memory: tests.
    InMemory,
}

impl TransportKind {
    /// The name in negotiate replies and error texts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebSockets => "WebSockets",
            Self::ServerSentEvents => "ServerSentEvents",
            Self::LongPolling => "LongPolling",
            Self::InMemory => "InMemory",
        }
    }

    /// The value of the metric attribute `signalr.transport`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::WebSockets => "web_sockets",
            Self::ServerSentEvents => "server_sent_events",
            Self::LongPolling => "long_polling",
            Self::InMemory => "in_memory",
        }
    }

    /// Whether the transport can carry this format.
    pub const fn carries(self, format: TransferFormat) -> bool {
        !matches!((self, format), (Self::ServerSentEvents, TransferFormat::Binary))
    }

    /// Whether the server sends pings here. Long polling needs none: the poll is one (B-2.6).
    pub const fn keeps_alive(self) -> bool {
        !matches!(self, Self::LongPolling)
    }
}

/// An authenticated user: claims as type and value pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// Claims in order; types may repeat.
    pub claims: Vec<(String, String)>,
    /// When the ticket that proved them runs out, if it does.
    pub expires: Option<SystemTime>,
}

impl User {
    /// The claim type whose value is the user identifier by default.
    pub const NAME_IDENTIFIER: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier";

    /// A user with just an identifier.
    pub fn with_id(id: impl Into<String>) -> Self {
        Self { claims: vec![(Self::NAME_IDENTIFIER.to_owned(), id.into())], expires: None }
    }

    /// A user with these claims.
    pub fn with_claims(claims: Vec<(String, String)>) -> Self {
        Self { claims, expires: None }
    }

    /// The same user, with a ticket that runs out at this time.
    #[must_use]
    pub fn expiring(mut self, at: SystemTime) -> Self {
        self.expires = Some(at);
        self
    }

    /// Whether there is a claim of this type with this value; both are compared exactly.
    pub fn has_claim(&self, kind: &str, value: &str) -> bool {
        self.claims.iter().any(|(k, v)| k == kind && v == value)
    }

    /// The first claim of a type.
    pub fn claim(&self, kind: &str) -> Option<&str> {
        self.claims.iter().find(|(k, _)| k == kind).map(|(_, value)| value.as_str())
    }

    /// The value of the name-identifier claim.
    pub fn id(&self) -> Option<&str> {
        self.claim(Self::NAME_IDENTIFIER)
    }
}

/// The head of an HTTP request in one right-sized buffer, read lazily. Idle connections keep it, so it is small.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RequestHead(Box<[u8]>);

impl RequestHead {
    /// Copies method, URI, version and headers.
    pub fn new(
        method: &http::Method,
        uri: &http::Uri,
        version: http::Version,
        headers: &http::HeaderMap,
    ) -> Self {
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut text = Vec::with_capacity(256);
        text.extend_from_slice(method.as_str().as_bytes());
        text.push(b' ');
        text.extend_from_slice(target.as_bytes());
        text.push(b' ');
        text.extend_from_slice(format!("{version:?}").as_bytes());
        for (name, value) in headers {
            text.push(b'\n');
            text.extend_from_slice(name.as_str().as_bytes());
            text.push(b':');
            text.extend_from_slice(value.as_bytes());
        }
        Self(text.into())
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'\n')
    }

    fn word(&self, position: usize) -> &str {
        let line = self.lines().next().unwrap_or_default();
        let word = line.split(|byte| *byte == b' ').nth(position).unwrap_or_default();
        std::str::from_utf8(word).unwrap_or_default()
    }

    /// The method, for example `GET`.
    pub fn method(&self) -> &str {
        self.word(0)
    }

    /// Path without the query.
    pub fn path(&self) -> &str {
        self.word(1).split('?').next().unwrap_or_default()
    }

    /// The query without its question mark, still encoded; empty when there is none.
    pub fn query(&self) -> &str {
        self.word(1).split_once('?').map_or("", |(_, query)| query)
    }

    /// The HTTP version, for example `HTTP/1.1`.
    pub fn version(&self) -> &str {
        self.word(2)
    }

    /// The decoded value of a query parameter; see [`query_value`](signalr_protocol::negotiate::query_value).
    pub fn query_value(&self, name: &str) -> Option<String> {
        query_value(self.query(), name).map(Cow::into_owned)
    }

    /// The first value of a header as text; names ignore case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All headers whose values are text, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines().skip(1).filter_map(|line| std::str::from_utf8(line).ok()?.split_once(':'))
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.header("cookie")?;
        cookies
            .split(';')
            .find_map(|pair| pair.trim().split_once('=').filter(|(key, _)| *key == name).map(|(_, v)| v))
    }
}

impl fmt::Debug for RequestHead {
    /// Path only: query and headers may hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestHead({} {})", self.method(), self.path())
    }
}

/// Everything a connection knows of how it came to be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectInfo {
    /// What carries it.
    pub transport: TransportKind,
    /// The request that opened it.
    pub request: RequestHead,
    /// The client's address, when known.
    pub peer: Option<SocketAddr>,
    /// The server's address, when known.
    pub local: Option<SocketAddr>,
    /// The authenticated user, when there is one.
    pub user: Option<Arc<User>>,
}

impl ConnectInfo {
    /// Info with nothing but the transport.
    pub fn new(transport: TransportKind) -> Self {
        Self { transport, request: RequestHead::default(), peer: None, local: None, user: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_back() {
        let mut headers = http::HeaderMap::new();
        headers.insert("host", "example".parse().unwrap());
        headers.insert("cookie", "a=1; session=x=y".parse().unwrap());
        let uri = "/chat?id=a%2Bb&User=J%C3%B6rg+X&flag".parse().unwrap();
        let head = RequestHead::new(&http::Method::GET, &uri, http::Version::HTTP_11, &headers);
        assert_eq!((head.method(), head.path(), head.version()), ("GET", "/chat", "HTTP/1.1"));
        assert_eq!(head.query_value("ID").as_deref(), Some("a+b"));
        assert_eq!(head.query_value("user").as_deref(), Some("Jörg X"));
        assert_eq!(head.query_value("flag").as_deref(), Some(""));
        assert_eq!(head.query_value("none"), None);
        assert_eq!(head.header("Host"), Some("example"));
        assert_eq!(head.cookie("session"), Some("x=y"));
        assert_eq!(format!("{head:?}"), "RequestHead(GET /chat)");
    }
}
