//! From a request to its answer: which endpoint, which transport, which wrong use (B-2.1, B-2.2).
//!
//! Owns the order of the checks. Paths are compared as the reference's routing does: ignoring ASCII case and one
//! trailing slash.

use crate::answer::{self, Answer};
use crate::authenticate::Denied;
use crate::exchange::{self, EventStream, Exchange, ExchangeTask, UploadTicket};
use crate::limits::Room;
use crate::server::{Endpoint, Server};
use crate::table::{Claimed, Posting, Refusal};
use crate::ticket::{self, Ready, UpgradeTicket};
use crate::ws;
use http::header::ACCEPT;
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use signalr_core::{
    ConnectInfo, Connection, Framing, RequestHead, Session, TransportKind, Unframed, User, new_id,
};
use signalr_protocol::negotiate::{AvailableTransport, NegotiateRequest, NegotiateResponse, query_value};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

/// Where a request came from: put it into the request's extensions, so that hubs can see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress {
    /// The client's address, as the socket knows it.
    pub remote: SocketAddr,
    /// The server's own.
    pub local: Option<SocketAddr>,
}

/// What to do with a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reply {
    /// Send this.
    Answer(Answer),
    /// Send [`UpgradeTicket::response`], then run the ticket with the raw connection.
    Upgrade(UpgradeTicket),
    /// Hand the request's body in, then send what comes back.
    Upload(UploadTicket),
    /// Send this, each piece of the body as soon as it is there.
    Events(Response<EventStream>),
}

/// What a path means.
pub(crate) enum Place {
    Negotiate,
    Connect,
}

/// Finds out whether `path` is this pattern or its negotiate route.
pub(crate) fn place(pattern: &str, path: &str) -> Option<Place> {
    let path = &*decoded(path);
    let rest = path.get(pattern.len()..)?;
    if !path[..pattern.len()].eq_ignore_ascii_case(pattern) {
        return None;
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        Some(Place::Connect)
    } else if rest.eq_ignore_ascii_case("/negotiate") {
        Some(Place::Negotiate)
    } else {
        None
    }
}

/// A path with its escapes resolved, except for a slash that is meant as a letter; as it is, if they mean no text.
fn decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(|byte| *byte != b'/') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(path), Cow::Owned)
}

/// One request at one endpoint.
pub(crate) struct Request<'a> {
    pub(crate) server: &'a Server,
    pub(crate) endpoint: &'a Arc<Endpoint>,
    pub(crate) parts: &'a Parts,
}

#[expect(clippy::result_large_err, reason = "the early answer is the usual one here, and is moved once")]
impl Request<'_> {
    pub(crate) async fn respond(&self, place: Place) -> Reply {
        let user = match self.admit(&place).await {
            Ok(user) => user,
            Err(denied) => return Reply::Answer(answer::denied(&denied)),
        };
        match place {
            Place::Negotiate => Reply::Answer(self.negotiate()),
            Place::Connect => self.connect(user).await.unwrap_or_else(Reply::Answer),
        }
    }

    fn head(&self) -> RequestHead {
        RequestHead::new(&self.parts.method, &self.parts.uri, self.parts.version, &self.parts.headers)
    }

    /// Who asks, if the endpoint lets them make this request. A connection that is there already learns of it.
    async fn admit(&self, place: &Place) -> Result<Option<Arc<User>>, Denied> {
        let Endpoint { options, handler, .. } = &**self.endpoint;
        if !options.is_guarded(&**handler) {
            return Ok(None);
        }
        let user = options.admit(&**handler, &self.head()).await?;
        let token = self.token().filter(|_| matches!(place, Place::Connect));
        if let Some(connection) = token.and_then(|token| self.server.table().connection(&token)) {
            let is_get = self.parts.method == Method::GET;
            options.admit_again(&connection, user.as_deref(), is_get)?;
        }
        Ok(user)
    }

    fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// The connection's token; an empty one is none.
    fn token(&self) -> Option<String> {
        query_value(self.query(), "id").map(Cow::into_owned).filter(|token| !token.is_empty())
    }

    // Negotiate

    fn negotiate(&self) -> Answer {
        if self.parts.method != Method::POST {
            return answer::empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        if self.server.is_stopping() {
            return answer::stopping();
        }
        let options = &self.endpoint.options;
        let mut body = Vec::with_capacity(320);
        match NegotiateRequest::from_query(self.query(), options.minimum_protocol_version) {
            Err(error) => NegotiateResponse::refused(error.to_string()).write(&mut body),
            Ok(request) => match self.server.crowds().pending(self.parts) {
                Ok(room) => self.write_connection(&request, room, &mut body),
                Err(full) => return answer::full(full),
            },
        }
        answer::json(body)
    }

    fn write_connection(&self, request: &NegotiateRequest, room: Option<Box<Room>>, body: &mut Vec<u8>) {
        let version = request.version;
        let resumable = request.use_stateful_reconnect && self.endpoint.options.stateful_reconnects;
        let id = new_id();
        let token = if version > 0 { new_id() } else { id.clone() };
        let transports = self.endpoint.options.offered().map(available).collect();
        NegotiateResponse {
            use_stateful_reconnect: resumable,
            version,
            connection_id: Some(id.as_str().into()),
            connection_token: Some(token.as_str().into()),
            available_transports: Some(transports),
            ..NegotiateResponse::default()
        }
        .write(body);
        self.server.table().negotiated(token.into(), id.into(), resumable, room);
    }

    // Connect

    async fn connect(&self, user: Option<Arc<User>>) -> Result<Reply, Answer> {
        let parts = self.parts;
        match parts.method {
            Method::GET if accepts_event_stream(&parts.headers) => self.event_stream(user),
            Method::GET | Method::CONNECT if ws::is_upgrade(parts) => self.web_socket(user),
            Method::GET => {
                let answer = self.long_poll(user).await.unwrap_or_else(|refusal| refusal);
                Ok(Reply::Answer(answer::never_cached(answer)))
            }
            Method::POST => self.post().map(Reply::Upload),
            Method::DELETE => self.delete().map(Reply::Answer),
            _ => Err(answer::empty(StatusCode::METHOD_NOT_ALLOWED)),
        }
    }

    fn required_token(&self) -> Result<String, Answer> {
        self.token().ok_or_else(|| answer::text(StatusCode::BAD_REQUEST, answer::ID_REQUIRED))
    }

    /// The checks that come before a transport may look at the connection.
    fn enabled(&self, token: &str, kind: TransportKind) -> Result<(), Answer> {
        self.server.table().transport_of(token).map_err(answer::refused)?;
        if self.endpoint.options.transports.contains(&kind) { Ok(()) } else { Err(answer::not_enabled(kind)) }
    }

    fn event_stream(&self, user: Option<Arc<User>>) -> Result<Reply, Answer> {
        const KIND: TransportKind = TransportKind::ServerSentEvents;
        let token = self.required_token()?;
        self.enabled(&token, KIND)?;
        let claimed = self.claim(&token, KIND)?;
        let opening = self.open(claimed, &exchange::EVENTS, self.info(KIND, user));
        let stream = EventStream::open(&opening.exchange, opening.session.connection());
        tokio::spawn(opening);
        Ok(Reply::Events(exchange::events(stream)))
    }

    async fn long_poll(&self, user: Option<Arc<User>>) -> Result<Answer, Answer> {
        const KIND: TransportKind = TransportKind::LongPolling;
        let token = self.required_token()?;
        self.enabled(&token, KIND)?;
        let known = self.server.table().exchange(&token, KIND).map_err(answer::refused)?;
        if let Some(exchange) = known {
            return Ok(exchange::next_poll(&exchange, self.endpoint.options.poll_timeout).await);
        }
        let claimed = self.claim(&token, KIND)?;
        let opening = self.open(claimed, &Unframed, self.info(KIND, user));
        let answer = exchange::first_poll(&opening.exchange);
        tokio::spawn(opening);
        Ok(answer)
    }

    fn claim(&self, token: &str, kind: TransportKind) -> Result<Claimed, Answer> {
        if self.server.is_stopping() {
            return Err(answer::stopping());
        }
        let room = self.endpoint.options.application_buffer;
        let counted = self.server.crowds().connection(self.parts).map_err(answer::full)?;
        self.server.table().claim(token, kind, Some(room), counted).map_err(answer::refused)
    }

    /// Opens the application's half; the task is to be spawned.
    fn open(&self, mut claimed: Claimed, framing: &'static dyn Framing, info: ConnectInfo) -> ExchangeTask {
        let options = &self.endpoint.options;
        claimed.seat.track(self.server.track());
        let exchange = claimed.exchange.unwrap_or_else(|| Exchange::new(options.application_buffer));
        let connection = Connection::new(claimed.id, info, framing, options.connection.clone(), None);
        exchange.start(&connection);
        let session = Session::open(&*self.endpoint.handler, connection.clone());
        claimed.seat.activate(&connection);
        ExchangeTask::new(session, exchange, options.close_timeout, claimed.seat)
    }

    fn post(&self) -> Result<UploadTicket, Answer> {
        let token = self.required_token()?;
        let room = self.endpoint.options.application_buffer;
        match self.server.table().posting(&token, room).map_err(answer::refused)? {
            Posting::To(exchange) => Ok(UploadTicket::new(exchange)),
            Posting::Never => Err(answer::text(StatusCode::METHOD_NOT_ALLOWED, answer::NO_POST)),
        }
    }

    fn delete(&self) -> Result<Answer, Answer> {
        let token = self.required_token()?;
        match self.server.table().exchange(&token, TransportKind::LongPolling) {
            Ok(Some(exchange)) => {
                exchange.terminate();
                Ok(answer::empty(StatusCode::ACCEPTED))
            }
            Err(Refusal::Unknown) => Err(answer::refused(Refusal::Unknown)),
            _ => Err(answer::text(StatusCode::BAD_REQUEST, answer::NO_DELETE)),
        }
    }

    fn web_socket(&self, user: Option<Arc<User>>) -> Result<Reply, Answer> {
        const KIND: TransportKind = TransportKind::WebSockets;
        let table = self.server.table();
        let token = self.token();
        if let Some(token) = &token {
            table.transport_of(token).map_err(|refusal| answer::untyped(answer::refused(refusal)))?;
        }
        if !self.endpoint.options.transports.contains(&KIND) {
            return Err(answer::not_enabled(KIND));
        }
        if self.server.is_stopping() {
            return Err(answer::stopping());
        }
        let returning = token.as_ref().and_then(|token| table.reconnect(token, KIND));
        let place = match returning {
            Some(returning) => ticket::Place::Back(returning),
            None => {
                let counted = self.server.crowds().connection(self.parts).map_err(answer::full)?;
                ticket::Place::New(match &token {
                    Some(token) => table.claim(token, KIND, None, counted).map_err(answer::refused)?,
                    None => table.claim_new(KIND, counted),
                })
            }
        };
        let ready = Ready { endpoint: self.endpoint.clone(), info: self.info(KIND, user), place };
        Ok(Reply::Upgrade(UpgradeTicket::new(self.server, ready, self.parts)))
    }

    fn info(&self, transport: TransportKind, user: Option<Arc<User>>) -> ConnectInfo {
        let mut info = ConnectInfo::new(transport);
        info.request = self.head();
        info.user = user;
        if let Some(address) = self.parts.extensions.get::<PeerAddress>() {
            info.peer = Some(address.remote);
            info.local = address.local;
        }
        info
    }
}

fn available(transport: TransportKind) -> AvailableTransport<'static> {
    use signalr_protocol::TransferFormat::{Binary, Text};
    let formats = [(Text, "Text"), (Binary, "Binary")];
    AvailableTransport {
        transport: transport.name().into(),
        transfer_formats: formats
            .into_iter()
            .filter(|(format, _)| transport.carries(*format))
            .map(|(_, name)| name.into())
            .collect(),
    }
}

/// Whether a comma list of `Accept` has exactly `text/event-stream`, without parameters.
fn accepts_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_as_routing_does() {
        let found = |path| match place("/chat", path) {
            Some(Place::Connect) => "connect",
            Some(Place::Negotiate) => "negotiate",
            None => "",
        };
        assert_eq!(found("/chat"), "connect");
        assert_eq!(found("/CHAT/"), "connect");
        assert_eq!(found("/chat/Negotiate/"), "negotiate");
        assert_eq!(found("/ch%61t"), "connect");
        assert_eq!(found("/%63%48AT/%6eegotiate"), "negotiate");
        for other in [
            "/",
            "/cha",
            "/chats",
            "/chat/x",
            "/chat//",
            "/chat/negotiate/x",
            "/chatnegotiate",
            "/ch\u{e4}t",
            "/chat%2fnegotiate",
            "/ch%6",
            "/%ffchat",
            "/chat%",
            "/ch%+1t",
        ] {
            assert_eq!(found(other), "", "{other}");
        }
    }
}
