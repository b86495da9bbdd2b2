//! Server-Sent Events: the framing, and the body of the one response that carries them (B-2.5).

use super::Exchange;
use super::output::Taken;
use bytes::Bytes;
use futures_core::Stream;
use signalr_core::{Connection, Framing, FramingId};
use signalr_protocol::TransferFormat;
use signalr_protocol::sse::{STREAM_START, write_event};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The framing of every Server-Sent Events connection.
pub(crate) static EVENTS: EventFraming = EventFraming(());

/// One event for each payload.
#[derive(Debug)]
pub(crate) struct EventFraming(());

impl Framing for EventFraming {
    fn id(&self) -> FramingId {
        const ID: FramingId = FramingId::new(2);
        ID
    }

    fn append(&self, out: &mut Vec<u8>, payload: &[u8], _: TransferFormat) {
        write_event(out, payload);
    }
}

/// The body of an event stream: chunks to be sent as soon as they come. It ends when the application does. Dropping it
/// tells the application that the client has gone.
pub struct EventStream {
    exchange: Arc<Exchange>,
    connection: Arc<Connection>,
    number: u64,
    started: bool,
}

impl EventStream {
    /// Takes the place of the only GET of a new connection.
    pub(crate) fn open(exchange: &Arc<Exchange>, connection: &Arc<Connection>) -> Self {
        let number = exchange.output.enter();
        Self { exchange: exchange.clone(), connection: connection.clone(), number, started: false }
    }
}

impl Stream for EventStream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !self.started {
            self.started = true;
            return Poll::Ready(Some(Bytes::from_static(STREAM_START)));
        }
        match self.exchange.output.poll_take(self.number, &self.connection, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Taken::Bytes(bytes)) => Poll::Ready(Some(bytes.into())),
            Poll::Ready(Taken::Replaced | Taken::Finished | Taken::Failed) => Poll::Ready(None),
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.exchange.output.leave(self.number, false);
        self.exchange.wake_task();
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("id", self.connection.id()).finish_non_exhaustive()
    }
}
