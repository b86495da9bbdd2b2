//! A connection as an async function sees it: bytes to read, bytes to send. The easy way to a protocol of one's own.
//!
//! Owns the adapter from such a function to a [`ConnectionHandler`]. Bytes come from the transport by the driver's
//! methods and wait, one handful at a time, until the function reads them; bytes leave by the connection's outbox.

use crate::clock::Instant;
use crate::close_reason::CloseReason;
use crate::connection::Connection;
use crate::handler::{ConnectionDriver, ConnectionHandler, InputEnd, WorkEnd};
use signalr_protocol::TransferFormat;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// The two directions of one connection. Belongs to the function that was given to [`Duplex::handler`]; when that
/// returns, what it sent is written and the connection is closed.
///
/// What one [`receive`](Duplex::receive) returns says nothing about how the peer cut its messages: transports carry a
/// stream of bytes.
#[derive(Debug)]
pub struct Duplex {
    connection: Arc<Connection>,
    inbox: Arc<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// The peer has gone, or the connection is to be closed.
    ended: bool,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Only plain assignments happen under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Duplex {
    /// A handler that runs `talk` for each connection, on the connection's own task. It may return nothing, a
    /// [`WorkEnd`], or a `Result`, whose error ends a WebSocket with 1011. It is dropped when the server is stopped and
    /// it does not end in time.
    pub fn handler<F, R>(talk: F) -> Arc<dyn ConnectionHandler>
    where
        F: Fn(Duplex) -> R + Send + Sync + 'static,
        R: Future<Output: Into<WorkEnd>> + Send + 'static,
    {
        Arc::new(Talk(move |duplex| {
            let talking = talk(duplex);
            Box::pin(async move { talking.await.into() }) as Talking
        }))
    }

    /// The next bytes from the peer, never an empty slice; `None` when there will be no more, or when the connection is
    /// to be closed. While this is not called the peer is slowed down. Cancel safe.
    pub async fn receive(&mut self) -> Option<Vec<u8>> {
        // Whatever fills the inbox also polls the function again: they share a task.
        poll_fn(|_| {
            let mut waiting = self.inbox.lock();
            if !waiting.bytes.is_empty() {
                return Poll::Ready(Some(std::mem::take(&mut waiting.bytes)));
            }
            if waiting.ended { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    /// Sends bytes, once the peer has room for more; false when it has gone or does not read. One call is one WebSocket
    /// message, or one event. Cancel safe: nothing is sent when the future is dropped.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        let ready = self.connection.ready().await && !self.connection.is_ended();
        if ready {
            self.connection.send_payload(bytes);
        }
        ready
    }

    /// Whether what is sent from now on is text or binary. Default: text. WebSockets show it to the peer, Server-Sent
    /// Events carry text only, long polling makes no difference.
    pub fn set_format(&mut self, format: TransferFormat) {
        self.connection.set_format(format);
    }

    /// The connection: its id, its user, how it came to be.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl From<()> for WorkEnd {
    fn from((): ()) -> Self {
        Self::Normal
    }
}

impl<E: std::fmt::Display> From<Result<(), E>> for WorkEnd {
    fn from(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::Normal,
            Err(error) => {
                tracing::debug!(%error, "a connection's function failed");
                Self::Failed
            }
        }
    }
}

type Talking = Pin<Box<dyn Future<Output = WorkEnd> + Send>>;

struct Talk<F>(F);

impl<F: Fn(Duplex) -> Talking + Send + Sync + 'static> ConnectionHandler for Talk<F> {
    fn open(&self, connection: &Arc<Connection>) -> Box<dyn ConnectionDriver> {
        let inbox = Arc::new(Inbox::default());
        let duplex = Duplex { connection: connection.clone(), inbox: inbox.clone() };
        Box::new(Driver { inbox, talking: (self.0)(duplex) })
    }
}

struct Driver {
    inbox: Arc<Inbox>,
    talking: Talking,
}

impl ConnectionDriver for Driver {
    fn on_bytes(&mut self, input: &[u8], _: &mut Context<'_>) -> usize {
        self.inbox.lock().bytes.extend_from_slice(input);
        input.len()
    }

    fn wants_input(&self) -> bool {
        self.inbox.lock().bytes.is_empty()
    }

    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<WorkEnd> {
        self.talking.as_mut().poll(cx)
    }

    fn on_tick(&mut self, _: Instant) {}

    fn on_input_end(&mut self, _: InputEnd, _: usize) {
        self.inbox.lock().ended = true;
    }

    fn on_close_request(&mut self, _: CloseReason) {
        self.inbox.lock().ended = true;
    }
}
