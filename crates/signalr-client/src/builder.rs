//! Settings of a client, and connecting.
//!
//! Owns the order of the steps: negotiate, upgrade, handshake, each under one deadline. What happens afterwards is the
//! driver's.

use crate::client::{HubClient, Link};
use crate::driver::{self, Driver};
use crate::error::ClientError;
use crate::handlers::{Handlers, Messages};
use crate::http::check_header;
use crate::negotiate::negotiate;
use crate::url::Url;
use crate::websocket::upgrade;
use serde::Serialize;
use signalr_protocol::{FromArguments, HubProtocol, Protocol};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

/// Commands that wait for the driver.
const COMMANDS: usize = 64;

/// A client to be. Made by [`HubClient::builder`].
pub struct ClientBuilder {
    url: String,
    protocol: Protocol,
    skip_negotiation: bool,
    token: Option<String>,
    headers: Vec<(String, String)>,
    timing: Timing,
    max_message: usize,
    handlers: Arc<Handlers>,
}

/// The time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) connect: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) server: Duration,
}

impl ClientBuilder {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            protocol: Protocol::Json,
            skip_negotiation: false,
            token: None,
            headers: Vec::new(),
            timing: Timing {
                connect: Duration::from_secs(15),
                keep_alive: Duration::from_secs(15),
                server: Duration::from_secs(30),
            },
            max_message: 16 << 20,
            handlers: Arc::default(),
        }
    }

    /// The hub protocol. Default JSON.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Opens the WebSocket at once. The client does not learn its connection id then.
    #[must_use]
    pub fn skip_negotiation(mut self) -> Self {
        self.skip_negotiation = true;
        self
    }

    /// A bearer token, sent in the `Authorization` header. Never logged.
    #[must_use]
    pub fn access_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// One more header for every request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How long connecting may take in all, handshake included. Default 15 s.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.timing.connect = limit;
        self
    }

    /// A ping is sent when nothing else was for this long. Default 15 s.
    #[must_use]
    pub fn keep_alive(mut self, period: Duration) -> Self {
        self.timing.keep_alive = period;
        self
    }

    /// The connection ends when the server was silent for this long. Default 30 s; should be at least twice the
    /// server's keep-alive.
    #[must_use]
    pub fn server_timeout(mut self, limit: Duration) -> Self {
        self.timing.server = limit;
        self
    }

    /// The largest hub message that is accepted, in bytes. Default 16 MiB.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// As [`HubClient::on`], before the server can call.
    #[must_use]
    pub fn on<A: FromArguments>(self, method: &str, handler: impl Fn(A) + Send + Sync + 'static) -> Self {
        self.handlers.on(method, handler);
        self
    }

    /// As [`HubClient::on_request`], before the server can call.
    #[must_use]
    pub fn on_request<A: FromArguments, R: Serialize>(
        self,
        method: &str,
        handler: impl Fn(A) -> Result<R, String> + Send + Sync + 'static,
    ) -> Self {
        self.handlers.on_request(method, handler);
        self
    }

    /// As [`HubClient::messages`], before the server can call.
    pub fn messages<A: FromArguments>(&mut self, method: &str) -> Messages<A> {
        self.handlers.messages(method)
    }

    /// Connects over plain TCP and starts the connection's task. Must be called inside a tokio runtime.
    ///
    /// Not cancel safe: a dropped future abandons the connection; connecting again is fine.
    ///
    /// # Errors
    /// Any step can fail; see [`ClientError`].
    pub async fn connect(self) -> Result<HubClient, ClientError> {
        let limit = self.timing.connect;
        within(limit, self.connect_tcp()).await
    }

    /// Connects over a stream that is there already, for example one of TLS, without negotiation.
    ///
    /// # Errors
    /// As [`ClientBuilder::connect`].
    pub async fn connect_over<S>(self, stream: S) -> Result<HubClient, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limit = self.timing.connect;
        within(limit, async move {
            self.check()?;
            // Only path and host matter here, so an address of a TLS scheme is as good as any.
            let url = Url::parse(&self.url.replacen("https:", "http:", 1).replacen("wss:", "ws:", 1))?;
            let token = self.token.clone();
            self.open(stream, &url, token, None).await
        })
        .await
    }

    async fn connect_tcp(self) -> Result<HubClient, ClientError> {
        self.check()?;
        let mut url = Url::parse(&self.url)?;
        let (mut token, mut connection_id) = (self.token.clone(), None);
        if !self.skip_negotiation {
            let negotiated = negotiate(&url, token.as_deref(), &self.headers).await?;
            (url, token, connection_id) = (negotiated.url, negotiated.token, negotiated.connection_id);
        }
        let stream = TcpStream::connect((url.host.as_str(), url.port)).await.map_err(ClientError::io)?;
        stream.set_nodelay(true).map_err(ClientError::io)?;
        self.open(stream, &url, token, connection_id).await
    }

    fn check(&self) -> Result<(), ClientError> {
        if !self.protocol.is_available() {
            return Err(ClientError::Config("this build does not speak the chosen protocol".into()));
        }
        if let Some(token) = &self.token {
            check_header("Authorization", token)?;
        }
        self.headers.iter().try_for_each(|(name, value)| check_header(name, value))
    }

    async fn open<S>(
        self,
        mut stream: S,
        url: &Url,
        token: Option<String>,
        connection_id: Option<String>,
    ) -> Result<HubClient, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let rest = upgrade(&mut stream, url, token.as_deref(), &self.headers).await?;
        let protocol = HubProtocol::new(self.protocol);
        let (commands, queue) = mpsc::channel(COMMANDS);
        let mut driver =
            Driver::new(stream, rest, protocol, self.timing, self.max_message, self.handlers.clone());
        driver.handshake().await?;
        let (ended, closed) = watch::channel(None);
        tokio::spawn(driver::run(driver, queue, ended));
        let handlers = self.handlers;
        let last_id = AtomicU64::new(0);
        Ok(HubClient::new(Link { protocol, connection_id, commands, closed, handlers, last_id }))
    }
}

impl fmt::Debug for ClientBuilder {
    /// Neither query, token nor headers: all may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("protocol", &self.protocol)
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

async fn within<T>(
    limit: Duration,
    steps: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let timed_out = |_| Err(ClientError::TimedOut { what: "connecting", limit });
    tokio::time::timeout(limit, steps).await.unwrap_or_else(timed_out)
}
