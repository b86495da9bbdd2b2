//! How a test client comes to be: who it is, how patient, under which options the server sees it.
//!
//! Owns the settings. The client itself is `client`, the task that is started here `pump`.

use crate::client::TestClient;
use crate::error::TestError;
use crate::pipe::Pipe;
use crate::pump;
use signalr_core::{
    ConnectInfo, Connection, ConnectionHandler, ConnectionId, ConnectionOptions, DirectWriter, TransportKind,
    Unframed, User,
};
use signalr_protocol::Protocol;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a [`TestClient`].
pub struct TestClientBuilder {
    id: ConnectionId,
    info: ConnectInfo,
    options: ConnectionOptions,
    patience: Duration,
    keep_alive: bool,
}

impl Default for TestClientBuilder {
    fn default() -> Self {
        Self {
            id: ConnectionId::random(),
            info: ConnectInfo::new(TransportKind::InMemory),
            options: ConnectionOptions::default(),
            patience: Duration::from_secs(60),
            keep_alive: false,
        }
    }
}

impl TestClientBuilder {
    /// The connection's id; random by default.
    #[must_use]
    pub fn id(mut self, id: impl Into<ConnectionId>) -> Self {
        self.id = id.into();
        self
    }

    /// An authenticated user with this name identifier.
    #[must_use]
    pub fn user(mut self, id: impl Into<String>) -> Self {
        self.info.user = Some(Arc::new(User::with_id(id)));
        self
    }

    /// Everything that the server knows of the request. Default: transport in memory, nothing else.
    #[must_use]
    pub fn info(mut self, info: ConnectInfo) -> Self {
        self.info = info;
        self
    }

    /// The connection's options, for example smaller outbox limits.
    #[must_use]
    pub fn options(mut self, options: ConnectionOptions) -> Self {
        self.options = options;
        self
    }

    /// How long each wait may take in tokio's time. Default 60 s, which is longer than every default time-out of the
    /// server and takes no real time when time is paused.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sends a Ping every five seconds once the handshake is done, so that the server does not miss the client.
    #[must_use]
    pub fn keep_alive(mut self) -> Self {
        self.keep_alive = true;
        self
    }

    /// Connects: the handler's driver runs on a task of its own from now on. Must be called inside a tokio runtime.
    pub fn connect(self, handler: Arc<dyn ConnectionHandler>) -> TestClient {
        let pipe = Arc::new(Pipe::default());
        let writer: Arc<dyn DirectWriter> = pipe.clone();
        let connection = Connection::new(self.id, self.info, &Unframed, Arc::new(self.options), Some(writer));
        let send_timeout = self.options.outbox.send_timeout;
        let task = tokio::spawn(pump::run(handler, connection.clone(), pipe.clone(), send_timeout));
        TestClient::new(connection, pipe, task, self.patience, self.keep_alive)
    }

    /// Connects and does the handshake.
    ///
    /// # Errors
    /// See [`TestClient::handshake`].
    pub async fn start(
        self,
        handler: Arc<dyn ConnectionHandler>,
        protocol: Protocol,
    ) -> Result<TestClient, TestError> {
        let mut client = self.connect(handler);
        client.handshake(protocol).await?;
        Ok(client)
    }
}
