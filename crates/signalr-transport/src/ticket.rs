//! A granted upgrade: the reply to send, and the connection's future once the raw stream is there.

use crate::server::{Endpoint, Server};
use crate::table::Claimed;
use crate::ws::{Decoder, Io, StreamIo, TcpIo, WEBSOCKET, WebSocketTask, accept_key, offered_protocols};
use bytes::Bytes;
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Response, StatusCode};
use signalr_core::{ConnectInfo, Connection, DirectWriter, Session};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Everything that a connection begins with.
pub(crate) struct Ready {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) info: ConnectInfo,
    pub(crate) claimed: Claimed,
}

/// The right to one WebSocket connection. Dropping it gives the place back: the connection's token is then unknown.
#[must_use = "send the response, then run the ticket with the raw stream"]
pub struct UpgradeTicket {
    ready: Ready,
    headers: HeaderMap,
}

impl UpgradeTicket {
    pub(crate) fn new(server: &Server, mut ready: Ready, request: &HeaderMap) -> Self {
        ready.claimed.seat.track(server.track());
        let headers = reply_headers(&ready.endpoint, request);
        Self { ready, headers }
    }

    /// The reply to the upgrade request: status 101 without a body.
    pub fn response(&self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = self.headers.clone();
        response
    }

    /// The connection over TCP, the fast way: senders on other threads write to the socket directly. `early` is what
    /// the client sent behind its request. Sets `TCP_NODELAY` and the endpoint's send buffer.
    ///
    /// Spawn the future; it ends with the connection. Dropping it cuts the connection without a good-bye.
    pub fn run_tcp(self, stream: TcpStream, early: Bytes) -> impl Future<Output = ()> + Send + 'static {
        self.ready.endpoint.tune(&stream);
        let io = TcpIo::new(stream);
        let writer = io.writer();
        self.run_on(io, Some(writer), early)
    }

    /// The connection over any other stream, for example TLS. As [`UpgradeTicket::run_tcp`], except that the
    /// connection's own task does all writing.
    pub fn run<S>(self, stream: S, early: Bytes) -> impl Future<Output = ()> + Send + 'static
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.run_on(StreamIo(stream), None, early)
    }

    fn run_on<I: Io>(self, io: I, writer: Option<Arc<dyn DirectWriter>>, early: Bytes) -> WebSocketTask<I> {
        let Ready { endpoint, info, claimed } = self.ready;
        let options = &endpoint.options;
        let connection = Connection::new(claimed.id, info, &WEBSOCKET, options.connection.clone(), writer);
        let mut session = Session::open(&*endpoint.handler, connection.clone());
        if let Some(posted) = claimed.exchange {
            session.preload(posted.hand_over());
        }
        claimed.seat.activate(&connection);
        let decoder = Decoder::new(options.max_websocket_message);
        WebSocketTask::new(session, io, decoder, early.to_vec(), options.close_timeout, claimed.seat)
    }
}

impl fmt::Debug for UpgradeTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeTicket").field("id", &self.ready.claimed.id).finish_non_exhaustive()
    }
}

fn reply_headers(endpoint: &Endpoint, request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Some(Ok(accept)) = accept_key(request).map(HeaderValue::try_from) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(select) = &endpoint.options.select_sub_protocol
        && let Some(chosen) = select(&offered_protocols(request))
        && let Ok(value) = HeaderValue::try_from(chosen)
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    headers
}
