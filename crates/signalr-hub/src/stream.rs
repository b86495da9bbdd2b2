//! Streams from the server: items, end, cancellation (B-7.5).
//!
//! Owns the driving of one stream. The stream itself may borrow from the future that calls
//! [`StreamSink::items`]: it is pinned there.

use crate::error::{HubError, HubResult};
use crate::reply::{Reply, push};
use futures_core::Stream;
use serde::Serialize;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use tokio_util::sync::CancellationToken;

/// Takes the stream that a method returns and sends its items. Made by the dispatcher, one per call.
///
/// Items go out one at a time; a slow client slows its stream, nothing else. The client's cancellation, or the end of the
/// connection, ends the stream between two items.
pub struct StreamSink {
    reply: Reply,
    cancel: CancellationToken,
    pause: Option<Arc<Pause>>,
}

impl StreamSink {
    pub(crate) fn new(reply: Reply, cancel: CancellationToken) -> Self {
        Self { reply, cancel, pause: None }
    }

    /// The same sink, for a method that is to stop where it has its stream.
    pub(crate) fn paused(mut self, pause: Arc<Pause>) -> Self {
        self.pause = Some(pause);
        self
    }

    /// Sends every item, then says that the stream is complete.
    pub async fn items<T: Serialize, S: Stream<Item = T> + Send>(self, stream: S) {
        self.wait_for_filters().await;
        let mut stream = pin!(stream);
        while let Some(item) = self.next(poll_fn(|cx| stream.as_mut().poll_next(cx))).await {
            if !self.send(item).await {
                return;
            }
        }
        self.complete();
    }

    /// As [`StreamSink::items`]; the first error ends the stream with it.
    pub async fn results<T: Serialize, S: Stream<Item = HubResult<T>> + Send>(self, stream: S) {
        self.wait_for_filters().await;
        let mut stream = pin!(stream);
        while let Some(item) = self.next(poll_fn(|cx| stream.as_mut().poll_next(cx))).await {
            match item {
                Ok(item) => {
                    if !self.send(item).await {
                        return;
                    }
                }
                Err(error) => return self.reply.fail_stream(error),
            }
        }
        self.complete();
    }

    /// Says that the method failed before it had a stream.
    pub async fn fail(self, error: HubError) {
        match &self.pause {
            Some(pause) => pause.lock().error = Some(error),
            None => self.reply.fail_start(&error),
        }
    }

    async fn wait_for_filters(&self) {
        let Some(pause) = &self.pause else { return };
        pause.lock().reached = true;
        // Nobody is woken: whoever ends the pause polls right after.
        poll_fn(|_| if pause.lock().ended { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// The next item; `None` at the end and when the client has cancelled.
    async fn next<T>(&self, item: impl Future<Output = Option<T>>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => None,
            item = item => item,
        }
    }

    async fn send<T: Serialize>(&self, item: T) -> bool {
        self.reply.room().await;
        let context = self.reply.context();
        let protocol = context.inner.protocol;
        let sent = push(context, |out| protocol.write_stream_item(out, self.reply.id(), &item));
        drop(item);
        if let Err(error) = sent {
            context.fail_write(error);
            return false;
        }
        // A stream that is always ready must not keep the connection's task to itself.
        tokio::task::coop::consume_budget().await;
        true
    }

    fn complete(&self) {
        let context = self.reply.context();
        let protocol = context.inner.protocol;
        // Writing an empty completion cannot fail.
        let _ = push(context, |out| {
            protocol.write_completion_void(out, self.reply.id());
            Ok(())
        });
    }
}

/// Where a streaming method waits for its filters: between the stream and its first item.
#[derive(Default)]
pub(crate) struct Pause(Mutex<PauseState>);

#[derive(Default)]
struct PauseState {
    reached: bool,
    ended: bool,
    /// The method failed before it had a stream.
    error: Option<HubError>,
}

impl Pause {
    /// Whether the method has its stream.
    pub(crate) fn is_reached(&self) -> bool {
        self.lock().reached
    }

    pub(crate) fn take_error(&self) -> Option<HubError> {
        self.lock().error.take()
    }

    /// Lets the items go; the method is to be polled afterwards.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
    }

    fn lock(&self) -> MutexGuard<'_, PauseState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
