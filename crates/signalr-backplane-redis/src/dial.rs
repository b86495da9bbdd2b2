//! The way to Redis: one connection, dialled and logged in by ourselves.
//!
//! Owns the login, with `HELLO` or, on a server that has none, without; which it is, is found out for each connection,
//! because another server may answer at the same address. Every connection of the backplane, of whatever topology, is made
//! here. It never reconnects: whoever holds a [`Link`] decides what its end means.

use crate::driver::Driver;
use crate::lent::{Home, Lent};
use crate::listener::Listener;
use crate::options::Stream;
use crate::pipe::Pipe;
use crate::resp::Publish;
use crate::settings::Settings;
use crate::traffic::{Traffic, Watched};
use crate::transport::{broken, cannot_reach, place};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, RedisConnectionInfo, RedisError, RedisResult, Value};
use signalr_core::{BackplaneError, BackplaneErrorKind};
use std::sync::Arc;

/// Requests that the driver may hold before it has written them; what is in flight is bounded by the publisher.
const REQUESTS: usize = 256;

/// A connection that is logged in. Dropping it closes the socket.
pub(crate) struct Link {
    conn: MultiplexedConnection,
    traffic: Arc<Traffic>,
    driver: Driver,
    home: Home,
    /// Where messages go once somebody listens; only on a connection without RESP3.
    push: Option<Push>,
}

/// Is called for every message that nobody asked for, inside the connection's task.
pub(crate) type Push = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// Dials the server that the settings name; messages that nobody asked for go to `push`.
pub(crate) async fn dial(settings: &Settings, push: Option<Push>) -> Result<Link, BackplaneError> {
    match tokio::time::timeout(settings.connect_timeout, log_in(settings, push)).await {
        Ok(Ok(link)) => Ok(link),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(cannot_reach(&settings.host, settings.port, settings.transport.silence())),
    }
}

impl Link {
    pub(crate) fn conn(&self) -> MultiplexedConnection {
        self.conn.clone()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.driver.has_ended()
    }

    /// The same connection for publishing, driven by whoever polls it. `None` when it has ended. Nothing may have been asked
    /// that was not answered.
    pub(crate) async fn into_pipe(mut self, settings: &Settings) -> Option<Pipe> {
        let stream = self.take_back().await?;
        Some(Pipe::new(stream, self.traffic, Publish::new(&settings.commands.publish)))
    }

    /// The same connection for receiving, if it was dialled for that. `None` when it has ended. Nothing may have been asked
    /// that was not answered.
    pub(crate) async fn into_listener(mut self) -> Option<Listener> {
        match self.push.take() {
            None => Some(Listener::resp3(self.conn, self.traffic, self.driver)),
            Some(push) => {
                let stream = self.take_back().await?;
                Some(Listener::resp2(stream, self.traffic, push))
            }
        }
    }

    async fn take_back(&mut self) -> Option<Box<dyn Stream>> {
        if self.has_ended() {
            return None;
        }
        self.driver.cut().await;
        Some(Box::new(self.home.take()?))
    }
}

async fn log_in(settings: &Settings, push: Option<Push>) -> Result<Link, BackplaneError> {
    let greeted = if settings.hello { greet(settings, push.clone()).await? } else { None };
    let mut link = match greeted {
        Some(link) => link,
        None => log_in_without_hello(settings, push).await?,
    };
    if let Some(name) = &settings.client_name {
        name_client(&mut link.conn, name).await;
    }
    Ok(link)
}

/// With RESP3. `None`: the server has no such thing.
async fn greet(settings: &Settings, push: Option<Push>) -> Result<Option<Link>, BackplaneError> {
    match open(settings, &settings.login, push).await? {
        Ok(link) => Ok(Some(link)),
        Err(error) if knows_no_hello(&error) => {
            tracing::debug!(server = place(&settings.host, settings.port), "no HELLO there: RESP2 is used");
            Ok(None)
        }
        Err(error) => Err(refused(settings, &error)),
    }
}

/// On a stream of its own: whoever does not know the first command may have closed the connection.
async fn log_in_without_hello(settings: &Settings, push: Option<Push>) -> Result<Link, BackplaneError> {
    let login = settings.login_without_hello()?;
    let mut link = open(settings, &login, None).await?.map_err(|error| refused(settings, &error))?;
    link.push = push;
    if login.password().is_none() {
        prove(settings, &mut link.conn).await?;
    }
    Ok(link)
}

/// Without a password nothing was said yet, and a server that asks for one has not told so.
async fn prove(settings: &Settings, conn: &mut MultiplexedConnection) -> Result<(), BackplaneError> {
    let Some(ping) = &settings.commands.ping else { return Ok(()) };
    let answer: RedisResult<Value> = redis::cmd(ping).query_async(conn).await;
    match answer {
        Err(error) if is_login_refusal(&error) => Err(refused(settings, &error)),
        // Not everybody may ask, and a connection that is over is noticed soon enough.
        _ => Ok(()),
    }
}

async fn open(
    settings: &Settings,
    login: &RedisConnectionInfo,
    push: Option<Push>,
) -> Result<RedisResult<Link>, BackplaneError> {
    let stream = settings.transport.open(&settings.host, settings.port).await?;
    let (stream, traffic) = Watched::new(stream);
    let (stream, home) = Lent::new(stream);
    // Time-outs are judged by traffic, not per request: see `pulse`.
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(REQUESTS);
    if let Some(push) = push {
        config = config.set_push_sender(move |info: PushInfo| {
            push(info);
            Ok::<(), ()>(())
        });
    }
    let made = MultiplexedConnection::new_with_config(login, stream, config).await;
    Ok(made.map(|(conn, driver)| Link { conn, traffic, driver: Driver::start(driver), home, push: None }))
}

/// A name is for people who look at the server; a server that has no such command works all the same.
pub(crate) async fn name_client(conn: &mut MultiplexedConnection, name: &str) {
    let named: Result<(), RedisError> = redis::cmd("CLIENT").arg("SETNAME").arg(name).query_async(conn).await;
    if let Err(error) = named {
        tracing::debug!(%error, "the connection could not be given a name");
    }
}

/// Whether the server will say the same next time, and what to do about it.
pub(crate) fn refused(settings: &Settings, error: &RedisError) -> BackplaneError {
    use redis::{ErrorKind, ServerErrorKind};
    let place = place(&settings.host, settings.port);
    if is_unknown(error) {
        // Its words repeat what it was told, the password too.
        let text = format!("Redis at {place} refuses the connection: it lacks a command of the login");
        return BackplaneError::new(BackplaneErrorKind::Refused, text);
    }
    let (kind, advice) = match error.kind() {
        ErrorKind::AuthenticationFailed => (BackplaneErrorKind::Refused, "check the user and the password"),
        ErrorKind::Server(ServerErrorKind::NoPerm) => {
            (BackplaneErrorKind::Refused, "check the rights of the user")
        }
        ErrorKind::InvalidClientConfig => (BackplaneErrorKind::Config, "check the options"),
        _ if is_login_refusal(error) => (BackplaneErrorKind::Refused, "check the user and the password"),
        _ => return broken(&settings.host, settings.port, error),
    };
    let text = format!("Redis at {place} refuses the connection: {error}; {advice}");
    BackplaneError::new(kind, text)
}

/// Refusals that the library has no kind for; of one that comes while it chooses the database, it keeps the words alone.
fn is_login_refusal(error: &RedisError) -> bool {
    error.code().is_some_and(|code| matches!(code, "NOAUTH" | "WRONGPASS"))
        || error.detail().is_some_and(|words| words.contains("Authentication required"))
}

/// The library knows one way in which servers say this; there are others.
pub(crate) fn knows_no_hello(error: &RedisError) -> bool {
    error.kind() == redis::ErrorKind::RESP3NotSupported
        || error.code() == Some("NOPROTO")
        || (is_unknown(error) && error.to_string().to_ascii_uppercase().contains("HELLO"))
}

fn is_unknown(error: &RedisError) -> bool {
    error.to_string().to_ascii_uppercase().contains("UNKNOWN COMMAND")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> RedisError {
        let Value::ServerError(error) = redis::parse_redis_value(text.as_bytes()).unwrap() else {
            panic!("{text} is no error");
        };
        error.into()
    }

    #[test]
    fn servers_say_in_several_ways_that_they_know_no_hello() {
        for text in [
            "-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `hush`, \r\n",
            "-ERR unknown command 'HELLO', with args beginning with: '3' \r\n",
            "-ERR unknown command 'hello'\r\n",
            "-NOPROTO unsupported protocol version\r\n",
        ] {
            assert!(knows_no_hello(&error(text)), "{text}");
        }
        for text in [
            "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
            "-NOAUTH HELLO must be called with the client already authenticated\r\n",
            "-ERR unknown command 'AUTH', with args beginning with: 'default' \r\n",
            "-LOADING Redis is loading the dataset in memory\r\n",
            "-ERR max number of clients reached\r\n",
        ] {
            assert!(!knows_no_hello(&error(text)), "{text}");
        }
    }
}
