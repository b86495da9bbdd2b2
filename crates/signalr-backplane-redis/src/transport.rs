//! What a connection runs over: TCP, a Unix socket or an application's own stream, in clear or under TLS.
//!
//! Owns the opening of streams and what their errors mean; every connection of the backplane comes through here. The
//! login on top is `dial`'s, certificates are `tls`'.

use crate::options::{ConnectionFactory, Endpoint, RedisOptions, Stream};
use crate::tls::Tls;
use redis::io::tcp::TcpSettings;
use signalr_core::{BackplaneError, BackplaneErrorKind};
use socket2::{SockRef, TcpKeepalive};
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// Unacknowledged data makes the kernel give up after this time, for the case that nothing else notices.
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// How servers are reached, whichever they are.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    keep_alive: Duration,
    factory: Option<ConnectionFactory>,
    tls: Option<Tls>,
}

impl Transport {
    /// Reads the certificates; an error is one of the configuration.
    pub(crate) fn new(options: &RedisOptions) -> Result<Self, BackplaneError> {
        Ok(Self {
            keep_alive: options.keep_alive(),
            factory: options.connection_factory().cloned(),
            tls: options.ssl().then(|| Tls::new(options)).transpose()?,
        })
    }

    /// Whether streams are nothing but TCP or Unix sockets in clear.
    pub(crate) fn is_plain(&self) -> bool {
        self.factory.is_none() && self.tls.is_none()
    }

    /// How sockets are set up, for those who open them themselves.
    pub(crate) fn tcp(&self) -> TcpSettings {
        let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keep_alive(self.keep_alive));
        #[cfg(target_os = "linux")]
        let settings = settings.set_user_timeout(USER_TIMEOUT);
        settings
    }

    /// Opens a stream. Port 0 stands for a Unix socket, with its path as the host. Cancel safe.
    pub(crate) async fn open(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, BackplaneError> {
        let stream = self.plain(host, port).await.map_err(|error| cannot_reach(host, port, error))?;
        match &self.tls {
            None => Ok(stream),
            Some(tls) => tls.secure(host, stream).await.map_err(|error| broken(host, port, &error)),
        }
    }

    /// What silence means.
    pub(crate) fn silence(&self) -> &'static str {
        match self.tls {
            Some(_) => "no answer in time; does it speak TLS at this port?",
            None => "no answer in time",
        }
    }

    async fn plain(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        if let Some(factory) = &self.factory {
            return factory.make(endpoint(host, port)).await;
        }
        if port == 0 {
            return unix(host).await;
        }
        let stream = TcpStream::connect((host, port)).await?;
        tune(&stream, self.keep_alive)?;
        Ok(Box::new(stream))
    }
}

#[cfg(unix)]
async fn unix(path: &str) -> io::Result<Box<dyn Stream>> {
    Ok(Box::new(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(not(unix))]
async fn unix(_path: &str) -> io::Result<Box<dyn Stream>> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system has no Unix sockets; write redis://HOST:PORT",
    ))
}

fn endpoint(host: &str, port: u16) -> Endpoint {
    match host.parse() {
        _ if port == 0 => Endpoint::Unix(host.to_owned()),
        Ok(ip) => Endpoint::Address { ip, scope: 0, port: Some(port) },
        Err(_) => Endpoint::Name { host: host.to_owned(), port: Some(port) },
    }
}

fn keep_alive(idle: Duration) -> TcpKeepalive {
    TcpKeepalive::new().with_time(idle).with_interval((idle / 4).max(Duration::from_secs(1)))
}

fn tune(stream: &TcpStream, idle: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keep_alive(idle))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

/// A server as texts name it.
pub(crate) fn place(host: &str, port: u16) -> String {
    match port {
        0 => host.to_owned(),
        _ if host.contains(':') => format!("[{host}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

/// Trouble that may be over by the next attempt.
pub(crate) fn cannot_reach(host: &str, port: u16, why: impl fmt::Display) -> BackplaneError {
    let text = format!("Redis at {} cannot be reached: {why}", place(host, port));
    BackplaneError::new(BackplaneErrorKind::Unavailable, text)
}

/// What the end of a stream means: under TLS either side may have refused the other.
pub(crate) fn broken(host: &str, port: u16, error: &(dyn std::error::Error + 'static)) -> BackplaneError {
    match crate::tls::refusal(error) {
        None => cannot_reach(host, port, error),
        Some(why) => {
            let text = format!("no trusted connection to Redis at {}: {why}", place(host, port));
            BackplaneError::new(BackplaneErrorKind::Refused, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_have_the_keep_alive_of_the_options_and_do_not_wait_to_send() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        tune(&stream, Duration::from_secs(180)).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap() && stream.nodelay().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(180));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(45));
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
        }
    }
}
