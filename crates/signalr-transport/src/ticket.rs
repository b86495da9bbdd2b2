//! A granted upgrade: the reply to send, and the connection's future once the raw stream is there.

use crate::server::{Endpoint, Server};
use crate::table::{Claimed, Returning};
use crate::ws::{
    AnyIo, Doorway, Io, Newcomer, StreamIo, TcpIo, WEBSOCKET, WebSocketTask, accept_key, offered_protocols,
};
use bytes::Bytes;
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use signalr_core::{ConnectInfo, Connection, DirectWriter, Session};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Everything that a connection begins with.
pub(crate) struct Ready {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) info: ConnectInfo,
    pub(crate) place: Place,
}

/// What the request has got.
pub(crate) enum Place {
    /// A connection of its own.
    New(Claimed),
    /// Another socket for a connection that exists (B-6.5).
    Back(Returning),
}

/// The right to one WebSocket connection, or to bring another socket for one that can be resumed. Dropping it gives the
/// place back: the token of a new connection is then unknown, and the other one goes on waiting.
#[must_use = "send the response, then run the ticket with the raw stream"]
pub struct UpgradeTicket {
    ready: Ready,
    status: StatusCode,
    headers: HeaderMap,
}

impl UpgradeTicket {
    pub(crate) fn new(server: &Server, mut ready: Ready, request: &Parts) -> Self {
        if let Place::New(claimed) = &mut ready.place {
            claimed.seat.track(server.track());
        }
        let (status, mut headers) = switching(request);
        select_protocol(&ready.endpoint, &request.headers, &mut headers);
        Self { ready, status, headers }
    }

    /// The reply to the upgrade request: status 101 without a body, or 200 to an extended CONNECT of HTTP/2.
    pub fn response(&self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }

    /// The connection over TCP, the fast way: senders on other threads write to the socket directly. `early` is what
    /// the client sent behind its request. Sets `TCP_NODELAY` and the endpoint's send buffer.
    ///
    /// Spawn the future; it ends with the connection. Dropping it cuts the connection without a good-bye. Of a
    /// connection that is resumed the socket goes over to the future that is there already, and this one ends at once.
    pub fn run_tcp(self, stream: TcpStream, early: Bytes) -> impl Future<Output = ()> + Send + 'static {
        self.ready.endpoint.tune(&stream);
        let io = TcpIo::new(stream);
        let writer = io.writer();
        self.run_on(io, Some(writer), early)
    }

    /// Sets on a socket what [`UpgradeTicket::run_tcp`] sets: for streams that carry something else over TCP.
    pub fn tune(&self, socket: &TcpStream) {
        self.ready.endpoint.tune(socket);
    }

    /// The connection over any other stream, for example TLS. As [`UpgradeTicket::run_tcp`], except that the
    /// connection's own task does all writing.
    pub fn run<S>(self, stream: S, early: Bytes) -> impl Future<Output = ()> + Send + 'static
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.run_on(StreamIo(stream), None, early)
    }

    fn run_on<I: Io + Send + 'static>(
        self,
        io: I,
        writer: Option<Arc<dyn DirectWriter>>,
        early: Bytes,
    ) -> Run<I> {
        let Ready { endpoint, info, place } = self.ready;
        let early = early.to_vec();
        match place {
            Place::Back(Returning { connection, doorway }) => {
                doorway.hand_in(Newcomer { io: Box::new(io), writer, early, info });
                connection.wake();
                Run::HandedIn
            }
            Place::New(mut claimed) => match claimed.doorway.take() {
                None => Run::Plain(begin(&endpoint, claimed, Newcomer { io, writer, early, info }, None)),
                Some(doorway) => {
                    let first = Newcomer { io: Box::new(io) as AnyIo, writer, early, info };
                    Run::Resumable(Box::new(begin(&endpoint, claimed, first, Some(doorway))))
                }
            },
        }
    }
}

/// Makes a new connection and its task.
fn begin<I: Io>(
    endpoint: &Endpoint,
    claimed: Claimed,
    newcomer: Newcomer<I>,
    doorway: Option<Arc<Doorway<I>>>,
) -> WebSocketTask<I> {
    let Newcomer { io, writer, early, info } = newcomer;
    let options = &endpoint.options;
    let connection = Connection::new(claimed.id, info, &WEBSOCKET, options.connection.clone(), writer);
    if doorway.is_some() {
        connection.offer_resume();
    }
    let mut session = Session::open(&*endpoint.handler, connection.clone());
    if let Some(posted) = claimed.exchange {
        session.preload(posted.hand_over());
    }
    claimed.seat.activate(&connection);
    let max_message = options.max_websocket_message;
    WebSocketTask::new(session, io, max_message, early, options.close_timeout, claimed.seat)
        .with_doorway(doorway)
}

/// The future of a ticket.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and is not moved once it is spawned"
)]
enum Run<I: Io> {
    Plain(WebSocketTask<I>),
    /// In a box, so that a connection without the feature does not pay for it.
    Resumable(Box<WebSocketTask<AnyIo>>),
    HandedIn,
}

impl<I: Io> Future for Run<I> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self {
            Run::Plain(task) => Pin::new(task).poll(cx),
            Run::Resumable(task) => Pin::new(task).poll(cx),
            Run::HandedIn => Poll::Ready(()),
        }
    }
}

impl fmt::Debug for UpgradeTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, back) = match &self.ready.place {
            Place::New(claimed) => (&claimed.id, false),
            Place::Back(returning) => (returning.connection.id(), true),
        };
        f.debug_struct("UpgradeTicket").field("id", id).field("back", &back).finish_non_exhaustive()
    }
}

/// How the two versions of HTTP say yes: HTTP/2 has no headers for it.
fn switching(request: &Parts) -> (StatusCode, HeaderMap) {
    let mut headers = HeaderMap::with_capacity(4);
    if request.method == Method::CONNECT {
        return (StatusCode::OK, headers);
    }
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Some(Ok(accept)) = accept_key(&request.headers).map(HeaderValue::try_from) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    (StatusCode::SWITCHING_PROTOCOLS, headers)
}

fn select_protocol(endpoint: &Endpoint, request: &HeaderMap, reply: &mut HeaderMap) {
    if let Some(select) = &endpoint.options.select_sub_protocol
        && let Some(chosen) = select(&offered_protocols(request))
        && let Ok(value) = HeaderValue::try_from(chosen)
    {
        reply.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
}
