//! Serving: bind, accept, and a graceful end.
//!
//! Owns the accept loop and the order of the end. The HTTP connections are `http_connection`'s, the SignalR ones the
//! server's.

use crate::cors::Cors;
use crate::endpoint::Endpoints;
use crate::error::ServeError;
use crate::http_connection::{Http, Routes, routes};
use crate::listen::{Backoff, listen};
use crate::signals;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use signalr_transport::{PeerAddress, Server};
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use warp::{Filter, Rejection, Reply};

type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves until SIGINT or SIGTERM, then ends gracefully: the short form of [`Serving`].
///
/// # Errors
/// The address cannot be listened on, or signals cannot be received.
pub async fn serve(server: impl Into<Server>, address: impl Into<SocketAddr>) -> Result<(), ServeError> {
    Serving::bind(server, address).await?.run().await
}

/// Settings of the HTTP side.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServeOptions {
    /// How long a client may take for the TLS handshake and for a request's head, and how long an idle HTTP
    /// connection is kept. Default
    /// 15 s.
    pub header_timeout: Duration,
    /// How long the server waits in all for the body of a request to an endpoint, beside a second for each 240 bytes of it;
    /// the answer is then status 408. Default 5 s, as in the reference. Time in which the application reads nothing
    /// does not count. Bodies of routes are theirs to bound.
    pub body_timeout: Duration,
    /// How long a client may take no byte of an answer, a stream of events included, before its HTTP connection is cut.
    /// Default 10 s, as the send time-out of endpoints. WebSockets have only the latter.
    pub write_timeout: Duration,
    /// How long connections may take to end when the server stops. Default 10 s.
    pub drain: Duration,
    /// Rules for pages of other origins. Default none: other origins cannot negotiate from a browser, and upgrades are
    /// not checked.
    pub cors: Option<Cors>,
    /// Whether clients may begin with HTTP/2 without TLS ("prior knowledge"), as some proxies do. Default false; over TLS
    /// HTTP/2 is always offered. Costs one system call per connection.
    pub http2_prior_knowledge: bool,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(10),
            cors: None,
            http2_prior_knowledge: false,
        }
    }
}

/// A server with its listening socket.
pub struct Serving {
    server: Server,
    listener: TcpListener,
    address: SocketAddr,
    options: ServeOptions,
    routes: Option<Routes>,
    until: Option<End>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Serving {
    /// Listens. Clients can connect from now on and are answered once [`Serving::run`] runs. Port 0 takes any free
    /// port; [`Serving::local_addr`] tells which.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(server: impl Into<Server>, address: impl Into<SocketAddr>) -> Result<Self, ServeError> {
        Self::on(server.into(), listen(address.into())?)
    }

    /// Takes a listener that exists already, for example from a supervisor. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub fn from_listener(
        server: impl Into<Server>,
        listener: std::net::TcpListener,
    ) -> Result<Self, ServeError> {
        listener.set_nonblocking(true).map_err(ServeError::Listener)?;
        Self::on(server.into(), TcpListener::from_std(listener).map_err(ServeError::Listener)?)
    }

    fn on(server: Server, listener: TcpListener) -> Result<Self, ServeError> {
        let address = listener.local_addr().map_err(ServeError::Listener)?;
        Ok(Self {
            server,
            listener,
            address,
            options: ServeOptions::default(),
            routes: None,
            until: None,
            #[cfg(feature = "tls")]
            tls: None,
        })
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves these routes beside the endpoints; a path of an endpoint never reaches them.
    pub fn with_routes<F, R>(mut self, filter: F) -> Self
    where
        F: Filter<Extract = (R,), Error = Rejection> + Clone + Send + Sync + 'static,
        F::Future: Send,
        R: Reply + 'static,
    {
        self.routes = Some(routes(filter.map(Reply::into_response).boxed()));
        self
    }

    /// Replaces the settings.
    pub fn with_options(mut self, options: ServeOptions) -> Self {
        self.options = options;
        self
    }

    /// Serves over TLS only. Everything works as without, WebSockets over HTTP/2 (RFC 8441) included.
    #[cfg(feature = "tls")]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets the rules for pages of other origins.
    pub fn with_cors(mut self, cors: Cors) -> Self {
        self.options.cors = Some(cors);
        self
    }

    /// How long connections may take to end when the server stops. See [`ServeOptions::drain`].
    pub fn drain(mut self, time: Duration) -> Self {
        self.options.drain = time;
        self
    }

    /// Serves until this future is ready, instead of until SIGINT or SIGTERM.
    pub fn until(mut self, end: impl Future<Output = ()> + Send + 'static) -> Self {
        self.until = Some(Box::pin(end));
        self
    }

    /// Serves. At the end it stops accepting, lets running requests finish, and stops the server
    /// ([`Server::stop`]): connections are told to close and waited for up to the drain time. A second signal ends
    /// without waiting.
    ///
    /// Not cancel safe: dropping the future stops accepting and leaves connections running.
    ///
    /// # Errors
    /// Signals cannot be received.
    pub async fn run(self) -> Result<(), ServeError> {
        let with_signals = self.until.is_none();
        let until = match self.until {
            Some(until) => until,
            None => Box::pin(signals::shutdown().map_err(ServeError::Signals)?) as End,
        };
        let http = Arc::new(Http {
            endpoints: Endpoints { server: self.server.clone(), cors: self.options.cors },
            routes: self.routes,
            header_timeout: self.options.header_timeout,
            body_timeout: self.options.body_timeout,
            write_timeout: self.options.write_timeout,
            has_prior_knowledge: self.options.http2_prior_knowledge,
            #[cfg(feature = "tls")]
            tls: self.tls.as_ref().map(Tls::acceptor),
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
        });
        let connections = TaskTracker::new();
        // On a worker of the runtime: the thread that runs `main` would have to wake one for every connection.
        let accepting = accept(self.listener, self.address, http.clone(), connections.clone());
        let accepting = AbortOnDropHandle::new(tokio::spawn(accepting));
        until.await;
        accepting.abort();
        // The listener is closed when the task is gone; that it was aborted is no news.
        let _ = accepting.await;
        let draining = drain(&self.server, &http, &connections, self.options.drain);
        if with_signals {
            let again = signals::shutdown().map_err(ServeError::Signals)?;
            tokio::select! {
                () = draining => {}
                () = again => tracing::warn!("a second signal: ending without waiting"),
            }
        } else {
            draining.await;
        }
        Ok(())
    }
}

/// Accepts for ever.
async fn accept(listener: TcpListener, local: SocketAddr, http: Arc<Http>, connections: TaskTracker) {
    let mut backoff = Backoff::new();
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                backoff.accepted();
                let local = local_address(&stream, local);
                connections.spawn(http.clone().serve(stream, PeerAddress { remote, local }));
            }
            Err(error) => {
                let pause = backoff.failed(&error);
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// The listener's own address says it, unless it listens on all of the machine's.
fn local_address(stream: &TcpStream, listening: SocketAddr) -> Option<SocketAddr> {
    if listening.ip().is_unspecified() { stream.local_addr().ok() } else { Some(listening) }
}

async fn drain(server: &Server, http: &Http, connections: &TaskTracker, time: Duration) {
    let until = tokio::time::Instant::now() + time;
    // Clients that poll go on until they are told to close.
    server.begin_stop(time).await;
    http.stop.cancel();
    connections.close();
    let stopped = server.stop(until.saturating_duration_since(tokio::time::Instant::now())).await;
    tracing::info!(connections = stopped.connections, cut = stopped.cut, "the server has stopped");
    if tokio::time::timeout_at(until, connections.wait()).await.is_err() {
        http.cut.cancel();
        connections.wait().await;
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("server", &self.server)
            .field("address", &self.address)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
