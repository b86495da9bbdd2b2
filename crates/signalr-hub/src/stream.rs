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
use tokio_util::sync::CancellationToken;

/// Takes the stream that a method returns and sends its items. Made by the dispatcher, one per call.
///
/// Items go out one at a time; a slow client slows its stream, nothing else. The client's cancellation, or the end of the
/// connection, ends the stream between two items.
pub struct StreamSink {
    reply: Reply,
    cancel: CancellationToken,
}

impl StreamSink {
    pub(crate) fn new(reply: Reply, cancel: CancellationToken) -> Self {
        Self { reply, cancel }
    }

    /// Sends every item, then says that the stream is complete.
    pub async fn items<T: Serialize, S: Stream<Item = T> + Send>(self, stream: S) {
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
        self.reply.fail_start(&error);
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
