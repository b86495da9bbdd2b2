//! A stream that the `redis` crate uses for the login and gives back when its driver ends.
//!
//! Owns the way back. What is done with the stream afterwards is `dial`'s choice.

use crate::options::Stream;
use crate::traffic::Watched;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Where a stream goes when the library lets go of it.
#[derive(Clone, Default)]
pub(crate) struct Home(Arc<Mutex<Option<Held>>>);

type Held = Watched<Box<dyn Stream>>;

pub(crate) struct Lent {
    /// Always there until the drop.
    stream: Option<Held>,
    home: Home,
}

impl Home {
    /// The stream, if it has come back.
    pub(crate) fn take(&self) -> Option<Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Lent {
    pub(crate) fn new(stream: Held) -> (Self, Home) {
        let home = Home::default();
        (Self { stream: Some(stream), home: home.clone() }, home)
    }

    fn stream(&mut self) -> io::Result<Pin<&mut Held>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.home.0.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
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
