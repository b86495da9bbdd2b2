//! A POST: its body goes to the application piece by piece, and the answer comes when the last one is accepted (B-2.3).

use super::Exchange;
use super::answers;
use super::input::Closed;
use crate::answer::Answer;
use bytes::Buf;
use futures_core::Stream;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

/// Bytes between two looks at how much room the application has.
const PIECE: usize = 4096;

/// The right to send one request body to a connection.
#[must_use = "hand in the request's body"]
pub struct UploadTicket {
    exchange: Arc<Exchange>,
}

/// Why a body was not taken in whole.
enum Broken {
    Closed,
    Unreadable,
}

impl UploadTicket {
    pub(crate) fn new(exchange: Arc<Exchange>) -> Self {
        Self { exchange }
    }

    /// Takes the body in as it arrives, and returns the answer to send. Waits for POSTs of the same connection that
    /// came before, and while the application does not read. Memory is bounded by the endpoint's application buffer.
    ///
    /// Dropping the future leaves the connection with the part of the body that was read.
    pub async fn receive<S, B, E>(self, body: S) -> Answer
    where
        S: Stream<Item = Result<B, E>>,
        B: Buf,
    {
        let _order = self.exchange.input.order.lock().await;
        match self.copy(body).await {
            Ok(()) => answers::accepted(),
            Err(Broken::Closed) => answers::disposed(),
            Err(Broken::Unreadable) => answers::unreadable(),
        }
    }

    async fn copy<S, B, E>(&self, body: S) -> Result<(), Broken>
    where
        S: Stream<Item = Result<B, E>>,
        B: Buf,
    {
        let mut body = pin!(body);
        self.exchange.input.push(&[])?;
        while let Some(chunk) = poll_fn(|cx| body.as_mut().poll_next(cx)).await {
            let mut chunk = chunk.map_err(|_| Broken::Unreadable)?;
            while chunk.has_remaining() {
                let part = chunk.chunk();
                let length = part.len().min(PIECE);
                self.exchange.input.push(&part[..length])?;
                chunk.advance(length);
                self.exchange.wake_task();
                self.exchange.input.room().await?;
            }
        }
        Ok(())
    }
}

impl From<Closed> for Broken {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl fmt::Debug for UploadTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadTicket").finish_non_exhaustive()
    }
}
