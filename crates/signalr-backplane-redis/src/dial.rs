//! The way to Redis: one connection, dialled and logged in by ourselves.
//!
//! Owns TCP options, the login and the task that drives the connection. Every connection of the backplane, of whatever
//! topology, is made here. It never reconnects: whoever holds a [`Link`] decides what its end means.

use crate::settings::Settings;
use crate::traffic::{Traffic, Watched};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, RedisError};
use signalr_core::{BackplaneError, BackplaneErrorKind, Turn};
use socket2::{SockRef, TcpKeepalive};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Requests that the driver may hold before it has written them; what is in flight is bounded by the publisher.
const REQUESTS: usize = 256;
/// Unacknowledged data makes the kernel give up after this time, for the case that nothing else notices.
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that is logged in. Dropping it closes the socket.
pub(crate) struct Link {
    conn: MultiplexedConnection,
    traffic: Arc<Traffic>,
    driver: JoinHandle<()>,
    ended: bool,
}

/// Dials; `push` is called for every message that nobody asked for, inside the connection's task.
pub(crate) async fn dial(
    settings: &Settings,
    push: Option<Arc<dyn Fn(PushInfo) + Send + Sync>>,
) -> Result<Link, BackplaneError> {
    match tokio::time::timeout(settings.connect_timeout, log_in(settings, push)).await {
        Ok(Ok(link)) => Ok(link),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(unavailable(settings, "no answer in time")),
    }
}

impl Link {
    pub(crate) fn conn(&self) -> MultiplexedConnection {
        self.conn.clone()
    }

    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// Ready when the connection is over. Cancel safe.
    pub(crate) async fn ended(&mut self) {
        if !self.ended {
            // A driver that panicked is as dead as one that returned.
            let _ = (&mut self.driver).await;
            self.ended = true;
        }
    }

    /// Ends the connection; when it returns nothing more is received.
    pub(crate) async fn cut(&mut self) {
        self.driver.abort();
        self.ended().await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn log_in(
    settings: &Settings,
    push: Option<Arc<dyn Fn(PushInfo) + Send + Sync>>,
) -> Result<Link, BackplaneError> {
    let address = (settings.host.as_str(), settings.port);
    let stream = TcpStream::connect(address).await.map_err(|error| unavailable(settings, error))?;
    tune(&stream, settings).map_err(|error| unavailable(settings, error))?;
    let (stream, traffic) = Watched::new(stream);
    // Time-outs are judged by traffic, not per request: see `pulse`.
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(REQUESTS);
    if let Some(push) = push {
        config = config.set_push_sender(move |info: PushInfo| {
            push(info);
            Ok::<(), ()>(())
        });
    }
    let (conn, driver) = MultiplexedConnection::new_with_config(&settings.login, stream, config)
        .await
        .map_err(|error| refused(settings, &error))?;
    let mut link = Link { conn, traffic, driver: tokio::spawn(drive(driver)), ended: false };
    if let Some(name) = &settings.client_name {
        name_client(&mut link.conn, name).await;
    }
    Ok(link)
}

/// Each poll of the connection is one turn: what arrived in one read leaves in one write per client.
async fn drive(driver: impl Future<Output = ()>) {
    let mut driver = std::pin::pin!(driver);
    std::future::poll_fn(|cx| {
        let _turn = Turn::enter();
        driver.as_mut().poll(cx)
    })
    .await;
}

fn tune(stream: &TcpStream, settings: &Settings) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let interval = (settings.keep_alive / 4).max(Duration::from_secs(1));
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(settings.keep_alive).with_interval(interval))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

/// A name is for people who look at the server; a server that has no such command works all the same.
async fn name_client(conn: &mut MultiplexedConnection, name: &str) {
    let named: Result<(), RedisError> = redis::cmd("CLIENT").arg("SETNAME").arg(name).query_async(conn).await;
    if let Err(error) = named {
        tracing::debug!(%error, "the connection could not be given a name");
    }
}

fn unavailable(settings: &Settings, why: impl std::fmt::Display) -> BackplaneError {
    let text = format!("Redis at {}:{} cannot be reached: {why}", settings.host, settings.port);
    BackplaneError::new(BackplaneErrorKind::Unavailable, text)
}

fn refused(settings: &Settings, error: &RedisError) -> BackplaneError {
    use redis::ErrorKind;
    let kind = match error.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::RESP3NotSupported => BackplaneErrorKind::Refused,
        ErrorKind::InvalidClientConfig => BackplaneErrorKind::Config,
        _ => return unavailable(settings, error),
    };
    let text = format!(
        "Redis at {}:{} refuses the connection: {error}; check its version, the user and the password",
        settings.host, settings.port
    );
    BackplaneError::new(kind, text)
}
