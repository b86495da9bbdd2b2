//! A stream that the server sends.
//!
//! Owns the reading side and the cancelling of a stream whose reader is gone. Items are put in by the driver.

use crate::client::Link;
use crate::driver::Command;
use crate::error::ClientError;
use bytes::Bytes;
use futures_core::Stream;
use serde::de::DeserializeOwned;
use signalr_protocol::{Payload, Protocol};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// What the driver tells a stream.
#[derive(Debug)]
pub(crate) enum Part {
    Item(Bytes),
    End(Option<String>),
}

/// The items of one stream, in order. Dropping it tells the server to stop.
///
/// Also a [`Stream`]. After an error or the end, it gives nothing more.
pub struct ItemStream<T> {
    pub(crate) id: String,
    pub(crate) protocol: Protocol,
    pub(crate) parts: mpsc::Receiver<Part>,
    pub(crate) link: Arc<Link>,
    pub(crate) finished: bool,
    pub(crate) kind: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> ItemStream<T> {
    /// The next item; `None` when the stream is complete. Cancel safe.
    ///
    /// # Errors
    /// The server ended the stream with an error, an item does not fit, or the connection ended.
    pub async fn next(&mut self) -> Option<Result<T, ClientError>> {
        std::future::poll_fn(|cx| self.poll_item(cx)).await
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, ClientError>>> {
        if self.finished {
            return Poll::Ready(None);
        }
        let part = ready!(self.parts.poll_recv(cx));
        let item = match part {
            Some(Part::Item(bytes)) => {
                return Poll::Ready(Some(Payload::new(self.protocol, &bytes).decode().map_err(Into::into)));
            }
            Some(Part::End(None)) => None,
            Some(Part::End(Some(error))) => Some(Err(ClientError::Call(error))),
            None => Some(Err(self.link.closed_now().into())),
        };
        self.finished = true;
        Poll::Ready(item)
    }
}

impl<T: DeserializeOwned> Stream for ItemStream<T> {
    type Item = Result<T, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}

impl<T> Drop for ItemStream<T> {
    fn drop(&mut self) {
        if !self.finished {
            // Without room for the command, the driver cancels when the next item finds nobody.
            let _ = self.link.commands.try_send(Command::Cancel(std::mem::take(&mut self.id)));
        }
    }
}
