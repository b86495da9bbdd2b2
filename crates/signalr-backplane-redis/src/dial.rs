//! The way to Redis: one connection, dialled and logged in by ourselves.
//!
//! Owns the login and the task that drives the connection. Every connection of the backplane, of whatever
//! topology, is made here. It never reconnects: whoever holds a [`Link`] decides what its end means.

use crate::options::Stream;
use crate::pipe::Pipe;
use crate::resp::Publish;
use crate::settings::Settings;
use crate::traffic::{Traffic, Watched};
use crate::transport::{broken, cannot_reach, place};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, RedisError};
use signalr_core::{BackplaneError, BackplaneErrorKind, Turn};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;

/// Requests that the driver may hold before it has written them; what is in flight is bounded by the publisher.
const REQUESTS: usize = 256;

/// A connection that is logged in. Dropping it closes the socket.
pub(crate) struct Link {
    conn: MultiplexedConnection,
    traffic: Arc<Traffic>,
    driver: JoinHandle<()>,
    ended: bool,
    home: Home,
}

/// Where a stream goes when the library lets go of it.
type Home = Arc<Mutex<Option<Watched<Box<dyn Stream>>>>>;

/// Is called for every message that nobody asked for, inside the connection's task.
pub(crate) type Push = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// Dials the server that the settings name; messages that nobody asked for go to `push`.
pub(crate) async fn dial(settings: &Settings, push: Option<Push>) -> Result<Link, BackplaneError> {
    match tokio::time::timeout(settings.connect_timeout, log_in(settings, push)).await {
        Ok(Ok(link)) => Ok(link),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(cannot_reach(&settings.host, settings.port, settings.transport.silence())),
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

    pub(crate) fn has_ended(&self) -> bool {
        self.ended || self.driver.is_finished()
    }

    /// The same connection for publishing, driven by whoever polls it. `None` when it has ended. Nothing may have been asked
    /// that was not answered.
    pub(crate) async fn into_pipe(mut self, settings: &Settings) -> Option<Pipe> {
        if self.has_ended() {
            return None;
        }
        self.cut().await;
        let stream = self.home.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let publish = Publish::new(&settings.commands.publish);
        Some(Pipe::new(Box::new(stream), self.traffic.clone(), publish))
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

async fn log_in(settings: &Settings, push: Option<Push>) -> Result<Link, BackplaneError> {
    let stream = settings.transport.open(&settings.host, settings.port).await?;
    let (stream, traffic) = Watched::new(stream);
    let home = Home::default();
    let stream = Lent { stream: Some(stream), home: home.clone() };
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
    let mut link = Link { conn, traffic, driver: tokio::spawn(drive(driver)), ended: false, home };
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

/// A stream that the library uses and gives back when its driver ends.
struct Lent {
    /// Always there until the drop.
    stream: Option<Watched<Box<dyn Stream>>>,
    home: Home,
}

impl Lent {
    fn stream(&mut self) -> io::Result<Pin<&mut Watched<Box<dyn Stream>>>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Lent {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}

/// A name is for people who look at the server; a server that has no such command works all the same.
pub(crate) async fn name_client(conn: &mut MultiplexedConnection, name: &str) {
    let named: Result<(), RedisError> = redis::cmd("CLIENT").arg("SETNAME").arg(name).query_async(conn).await;
    if let Err(error) = named {
        tracing::debug!(%error, "the connection could not be given a name");
    }
}

/// Whether the server will say the same next time, and what to do about it.
pub(crate) fn refused(settings: &Settings, error: &RedisError) -> BackplaneError {
    use redis::{ErrorKind, ServerErrorKind};
    let place = place(&settings.host, settings.port);
    if knows_no_hello(error) {
        // Its words repeat what it was told, the password too.
        let text = format!(
            "Redis at {place} refuses the connection: it has no command HELLO; Redis 6 or newer is needed, with HELLO allowed"
        );
        return BackplaneError::new(BackplaneErrorKind::Refused, text);
    }
    let (kind, advice) = match error.kind() {
        ErrorKind::AuthenticationFailed => (BackplaneErrorKind::Refused, "check the user and the password"),
        ErrorKind::Server(ServerErrorKind::NoPerm) => {
            (BackplaneErrorKind::Refused, "check the rights of the user")
        }
        ErrorKind::RESP3NotSupported => (BackplaneErrorKind::Refused, "Redis 6 or newer is needed"),
        ErrorKind::InvalidClientConfig => (BackplaneErrorKind::Config, "check the options"),
        _ if is_login_refusal(error) => (BackplaneErrorKind::Refused, "check the user and the password"),
        _ => return broken(&settings.host, settings.port, error),
    };
    let text = format!("Redis at {place} refuses the connection: {error}; {advice}");
    BackplaneError::new(kind, text)
}

/// Refusals that the library has no kind for.
fn is_login_refusal(error: &RedisError) -> bool {
    error.code().is_some_and(|code| matches!(code, "NOAUTH" | "WRONGPASS"))
}

/// The library knows one way in which servers say this; there are others.
fn knows_no_hello(error: &RedisError) -> bool {
    let words = error.to_string().to_ascii_uppercase();
    error.kind() == redis::ErrorKind::RESP3NotSupported
        || (words.contains("UNKNOWN COMMAND") && words.contains("HELLO"))
}
