//! The listening socket, and what to do when accepting fails.

use crate::error::ServeError;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;

/// Connections that may wait to be accepted.
pub(crate) const BACKLOG: i32 = 4096;

/// A listener on `address`. Accepted sockets inherit `TCP_NODELAY` on Linux; connections set it for themselves too.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    bind(address).map_err(|source| ServeError::Bind { address, source })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if cfg!(unix) {
        // A restarted server may have its old address at once. On Windows the option means something else.
        socket.set_reuse_address(true)?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// How long to wait before accepting again after an error, and whether to tell about it.
#[derive(Debug)]
pub(crate) struct Backoff {
    pause: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(1);

    pub(crate) fn new() -> Self {
        Self { pause: Self::FIRST }
    }

    pub(crate) fn accepted(&mut self) {
        self.pause = Self::FIRST;
    }

    /// The pause after this error: none when only that one connection is gone, longer and longer when the process or
    /// the system is out of something.
    pub(crate) fn failed(&mut self, error: &io::Error) -> Duration {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
            return Duration::ZERO;
        }
        let pause = self.pause;
        tracing::error!(%error, ?pause, "cannot accept connections; trying again after a pause");
        self.pause = (pause * 2).min(Self::LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_forgotten() {
        let mut backoff = Backoff::new();
        let full = io::Error::from_raw_os_error(24);
        assert_eq!(backoff.failed(&full), Backoff::FIRST);
        assert_eq!(backoff.failed(&full), Backoff::FIRST * 2);
        for _ in 0..20 {
            assert!(backoff.failed(&full) <= Backoff::LONGEST);
        }
        assert_eq!(backoff.failed(&full), Backoff::LONGEST);
        backoff.accepted();
        assert_eq!(backoff.failed(&full), Backoff::FIRST);
        assert_eq!(backoff.failed(&io::ErrorKind::ConnectionAborted.into()), Duration::ZERO);
    }
}
