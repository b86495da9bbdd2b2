//! A stream together with what waits to be written to it and what was read from it and not used.
//!
//! Owns the buffers. What the bytes mean is the business of who polls it: [`Pipe`](crate::pipe::Pipe) for publishing,
//! `listener` for receiving without RESP3.

use crate::options::Stream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is read at once.
const CHUNK: usize = 32 << 10;
/// What a buffer keeps for the next time.
const KEPT: usize = 256 << 10;
/// Chunks that are read before others get their turn.
pub(crate) const CHUNKS: usize = 8;

pub(crate) struct Duplex {
    stream: Box<dyn Stream>,
    out: Vec<u8>,
    written: usize,
    received: Vec<u8>,
}

impl Duplex {
    pub(crate) fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, out: Vec::new(), written: 0, received: Vec::new() }
    }

    /// Where bytes are appended that the next [`poll_write`](Self::poll_write) writes.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// How many bytes wait to be written.
    pub(crate) fn unwritten(&self) -> usize {
        self.out.len() - self.written
    }

    /// What was read and not [consumed](Self::consume).
    pub(crate) fn received(&self) -> &[u8] {
        &self.received
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.received.drain(..count);
        self.received.shrink_to(KEPT);
    }

    /// Writes as much as there is room for.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.written < self.out.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.out[self.written..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => self.written += written?,
                Poll::Pending => {
                    // What is written is forgotten as soon as it is worth the move.
                    if self.written > self.out.len() / 2 {
                        self.out.drain(..self.written);
                        self.written = 0;
                    }
                    return Ok(());
                }
            }
        }
        if self.written > 0 {
            self.out.clear();
            self.out.shrink_to(KEPT);
            self.written = 0;
        }
        // TLS keeps bytes of its own.
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }

    /// Reads once. The end of the stream is an error.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [const { std::mem::MaybeUninit::uninit() }; CHUNK];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
        if chunk.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.received.extend_from_slice(chunk.filled());
        Poll::Ready(Ok(()))
    }
}
