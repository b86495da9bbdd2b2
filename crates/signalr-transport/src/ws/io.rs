//! The two ways to reach a socket: a TCP stream that other threads may write to directly, and any other stream.
//!
//! Owns readiness: every method registers the task where it returns pending or blocked. What is written comes from the
//! connection's outbox, what is read goes to the decoder.

use super::doorway::AnyIo;
use signalr_core::{Connection, DirectWriter, Flushed};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A socket as the connection's task uses it.
pub(crate) trait Io: Unpin {
    /// Reads into `buffer`; 0 at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes what the outbox holds in at most `rounds` system calls. The task is registered when the outcome is
    /// [`Flushed::Blocked`].
    fn flush(&mut self, cx: &mut Context<'_>, connection: &Connection, rounds: usize) -> io::Result<Flushed>;

    /// Writes bytes that do not belong to the outbox, which must be empty and closed.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Tells the peer that nothing more will be written. What it still sends can be read.
    fn end_writing(&mut self, cx: &mut Context<'_>);
}

impl Io for AnyIo {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        (**self).poll_read(cx, buffer)
    }

    fn flush(&mut self, cx: &mut Context<'_>, connection: &Connection, rounds: usize) -> io::Result<Flushed> {
        (**self).flush(cx, connection, rounds)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        (**self).poll_write(cx, bytes)
    }

    fn end_writing(&mut self, cx: &mut Context<'_>) {
        (**self).end_writing(cx);
    }
}

/// A TCP stream. The halves share it; reading needs no lock, writing happens under the outbox's.
pub(crate) struct TcpIo {
    read: OwnedReadHalf,
    write: Arc<TcpWriter>,
}

/// The write half, shared with the outbox. Dropping the last handle shuts the direction down.
pub(crate) struct TcpWriter(OwnedWriteHalf);

impl DirectWriter for TcpWriter {
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [one] => self.0.try_write(one),
            many => self.0.try_write_vectored(many),
        }
    }
}

impl TcpIo {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self { read, write: Arc::new(TcpWriter(write)) }
    }

    /// What the outbox writes to.
    pub(crate) fn writer(&self) -> Arc<dyn DirectWriter> {
        self.write.clone()
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write.0.as_ref().poll_write_ready(cx)
    }
}

impl Io for TcpIo {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        poll_read(&mut self.read, cx, buffer)
    }

    fn flush(&mut self, cx: &mut Context<'_>, connection: &Connection, rounds: usize) -> io::Result<Flushed> {
        let flushed = connection.flush(rounds)?;
        if flushed != Flushed::Blocked {
            return Ok(flushed);
        }
        match self.poll_writable(cx) {
            Poll::Pending => Ok(Flushed::Blocked),
            // Room appeared in between: the caller comes back at once.
            Poll::Ready(ready) => ready.map(|()| Flushed::More),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_writable(cx))?;
            match self.write.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    fn end_writing(&mut self, _: &mut Context<'_>) {
        // A socket that is gone needs no end.
        let _ = socket2::SockRef::from(self.write.0.as_ref()).shutdown(std::net::Shutdown::Write);
    }
}

/// Any other stream: TLS, memory. Only the connection's own task writes to it.
pub(crate) struct StreamIo<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Io for StreamIo<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        poll_read(&mut self.0, cx, buffer)
    }

    fn flush(&mut self, cx: &mut Context<'_>, connection: &Connection, rounds: usize) -> io::Result<Flushed> {
        let flushed = connection.flush_with(rounds, |slices| {
            match Pin::new(&mut self.0).poll_write_vectored(cx, slices) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            }
        })?;
        match Pin::new(&mut self.0).poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending if flushed == Flushed::Empty => Ok(Flushed::Blocked),
            _ => Ok(flushed),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.0).poll_write(cx, bytes))?;
        // What is not flushed now goes out with the next poll or when the stream is dropped.
        if let Poll::Ready(Err(error)) = Pin::new(&mut self.0).poll_flush(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(written))
    }

    fn end_writing(&mut self, cx: &mut Context<'_>) {
        // One that has to wait is completed when the stream is dropped, which comes soon.
        let _ = Pin::new(&mut self.0).poll_shutdown(cx);
    }
}

fn poll_read(
    stream: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut target = ReadBuf::new(buffer);
    ready!(Pin::new(stream).poll_read(cx, &mut target))?;
    Poll::Ready(Ok(target.filled().len()))
}
