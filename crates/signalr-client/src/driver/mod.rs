//! The task of a connection: reads, writes, keeps time, and hands everything to whoever waits for it.
//!
//! Owns the socket. Commands come from handles; calls of client methods go to `handlers`. Calls without an answer are in
//! `calls`, what waits for its reader in `backlog`. Each round of its loop waits for exactly one thing and does one named
//! step.

mod backlog;
mod calls;

pub(crate) use calls::Answer;

use crate::builder::Timing;
use crate::error::{ClientError, CloseCause, Closed};
use crate::handlers::Handlers;
use crate::stream::Part;
use crate::websocket::{Event, FrameReader, Mask, Opcode};
use backlog::Backlog;
use bytes::{Buf, Bytes, BytesMut};
use calls::{Calls, Open};
use signalr_protocol::{HubProtocol, Message, TransferFormat, handshake};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// While this much waits for the network, no command is taken.
const MAX_OUT: usize = 256 * 1024;
/// While this much that the server asked for (pongs, answers) waits for the network, nothing more is read.
const MAX_OWED: usize = 1024 * 1024;
/// Room for one read.
const READ: usize = 4096;
/// How long a good-bye may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);
const NORMAL: u16 = 1000;

/// What a handle asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Send(Vec<u8>),
    Call { id: String, bytes: Vec<u8>, answer: oneshot::Sender<Answer> },
    Stream { id: String, bytes: Vec<u8>, parts: mpsc::Sender<Part> },
    Cancel(String),
    Stop,
}

/// Runs a connection whose handshake is done, to its end.
pub(crate) async fn run<S: AsyncRead + AsyncWrite>(
    mut driver: Driver<S>,
    mut commands: mpsc::Receiver<Command>,
    ended: watch::Sender<Option<Closed>>,
) {
    let closed = match driver.work(&mut commands).await {
        Err(closed) => closed,
        Ok(never) => match never {},
    };
    tracing::debug!(cause = %closed.cause, "a client's connection has ended");
    // Who stops a client waits for the good-bye to be written; everybody else is told at once.
    if closed.cause == CloseCause::Stopped {
        driver.try_farewell(&closed.cause).await;
    }
    // Told before the open calls are dropped, so that they can say why.
    ended.send_replace(Some(closed.clone()));
    drop(commands);
    driver.abandon();
    if closed.cause != CloseCause::Stopped {
        driver.try_farewell(&closed.cause).await;
    }
}

pub(crate) struct Driver<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    frames: FrameReader,
    mask: Mask,
    raw: BytesMut,
    inbox: BytesMut,
    out: BytesMut,
    protocol: HubProtocol,
    timing: Timing,
    max_message: usize,
    handlers: Arc<Handlers>,
    calls: Calls,
    backlog: Backlog,
    last_read: Instant,
    last_written: Instant,
    /// A close frame came; with its code, if it had one.
    close_frame: Option<Option<u16>>,
    /// Bytes in `out` that the server asked for, since it was last empty.
    owed: usize,
}

impl<S: AsyncRead + AsyncWrite> Driver<S> {
    pub(crate) fn new(
        stream: S,
        rest: Vec<u8>,
        protocol: HubProtocol,
        timing: Timing,
        max_message: usize,
        handlers: Arc<Handlers>,
    ) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader,
            writer,
            frames: FrameReader::default(),
            mask: Mask::new(),
            raw: BytesMut::from(rest.as_slice()),
            inbox: BytesMut::new(),
            out: BytesMut::new(),
            protocol,
            timing,
            max_message,
            handlers,
            calls: Calls::new(),
            backlog: Backlog::default(),
            last_read: Instant::now(),
            last_written: Instant::now(),
            close_frame: None,
            owed: 0,
        }
    }

    /// Asks for the protocol and waits for consent. The caller limits the time.
    pub(crate) async fn handshake(&mut self) -> Result<(), ClientError> {
        let mut request = Vec::new();
        handshake::write_request(&mut request, self.protocol.kind().name(), 1);
        self.push(Opcode::Text, &request)?;
        self.write_all().await.map_err(ClientError::io)?;
        loop {
            self.unpack()?;
            let answer = handshake::split(&self.inbox, Some(self.max_message));
            let answer = answer.map_err(|error| ClientError::bad_answer("the handshake", error))?;
            if let Some((body, used)) = answer {
                let refusal = handshake::parse_response(body);
                let refusal = refusal.map_err(|error| ClientError::bad_answer("the handshake", error))?;
                if let Some(error) = refusal {
                    return Err(ClientError::Refused(error.into_owned()));
                }
                self.inbox.advance(used);
                self.last_read = Instant::now();
                return Ok(());
            }
            if let Some(code) = self.close_frame {
                return Err(Closed::new(CloseCause::Transport { code }).into());
            }
            let read = self.reader.read_buf(&mut self.raw).await;
            self.was_read(read)?;
        }
    }

    async fn work(
        &mut self,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Result<std::convert::Infallible, Closed> {
        loop {
            self.unpack()?;
            self.take_messages()?;
            let flowing = self.backlog.is_empty();
            if flowing && let Some(code) = self.close_frame {
                return Err(Closed::new(CloseCause::Transport { code }));
            }
            let deadline = self.deadline(flowing);
            self.raw.reserve(READ);
            tokio::select! {
                read = self.reader.read_buf(&mut self.raw), if flowing && self.owed < MAX_OWED => {
                    self.was_read(read)?;
                }
                written = self.writer.write(&self.out), if !self.out.is_empty() => self.was_written(written)?,
                command = commands.recv(), if self.out.len() < MAX_OUT => self.obey(command)?,
                () = self.backlog.room(), if !flowing => self.unstall(),
                () = sleep_until(deadline) => self.keep_time(flowing)?,
            }
        }
    }

    // Reading

    fn was_read(&mut self, read: io::Result<usize>) -> Result<(), Closed> {
        match read {
            Ok(0) => Err(Closed::new(CloseCause::Transport { code: None })),
            Ok(_) => {
                self.last_read = Instant::now();
                Ok(())
            }
            Err(error) => Err(Closed::new(CloseCause::Io(error.kind()))),
        }
    }

    /// Takes frames apart: data goes to the inbox, pings are answered.
    fn unpack(&mut self) -> Result<(), Closed> {
        while let Some((event, used)) = self.frames.read(&self.raw).map_err(broken)? {
            match event {
                Event::Data(data) => self.inbox.extend_from_slice(data),
                Event::Ping(payload) => {
                    let mut pong = Vec::new();
                    self.mask.append(&mut pong, Opcode::Pong, payload).map_err(broken)?;
                    self.out.extend_from_slice(&pong);
                    self.owed += pong.len();
                }
                Event::Close(code) => {
                    // Acted upon when the messages in front of it are taken: a Close message says more.
                    self.close_frame.get_or_insert(code);
                    self.raw.clear();
                    break;
                }
            }
            self.raw.advance(used);
        }
        Ok(())
    }

    fn take_messages(&mut self) -> Result<(), Closed> {
        let inbox = std::mem::take(&mut self.inbox);
        let mut used = 0;
        while self.backlog.is_empty()
            && let Some((body, length)) = self.protocol.split(&inbox[used..])?
        {
            self.take_message(self.protocol.parse(body)?)?;
            used += length;
        }
        self.inbox = inbox;
        self.inbox.advance(used);
        if self.backlog.is_empty() && self.inbox.len() > self.max_message {
            return Err(broken(format!("a message is larger than {} bytes", self.max_message)));
        }
        Ok(())
    }

    fn take_message(&mut self, message: Message<'_>) -> Result<(), Closed> {
        match message {
            Message::Invocation(call) => {
                let mut answer = Vec::new();
                let queues = self.handlers.dispatch(&call, self.protocol, &mut answer);
                for queue in queues {
                    self.backlog.message(queue, call.arguments.to_owned());
                }
                self.unstall();
                if !answer.is_empty() {
                    self.owed += answer.len();
                    self.push_message(&answer)?;
                }
            }
            Message::StreamItem { invocation_id, item, .. } => {
                let Some(parts) = self.calls.stream(&invocation_id) else { return Ok(()) };
                if parts.is_closed() {
                    return self.cancel(&invocation_id);
                }
                self.backlog.part(parts.clone(), Part::Item(Bytes::copy_from_slice(item.bytes())));
                self.unstall();
            }
            Message::Completion { invocation_id, error, result, .. } => {
                let error = error.map(|text| text.into_owned());
                if let Some((parts, end)) = self.calls.complete(&invocation_id, error, result) {
                    self.backlog.part(parts, end);
                    self.unstall();
                }
            }
            Message::Close { error, allow_reconnect } => {
                let error = error.map(|text| text.into_owned());
                return Err(Closed { cause: CloseCause::Server { error }, allow_reconnect });
            }
            _ => {}
        }
        Ok(())
    }

    fn unstall(&mut self) {
        self.backlog.hand_over();
        if self.backlog.is_empty() {
            // The server was not silent while this client did not listen.
            self.last_read = Instant::now();
        }
    }

    // Writing

    fn obey(&mut self, command: Option<Command>) -> Result<(), Closed> {
        match command {
            Some(Command::Send(bytes)) => self.push_message(&bytes),
            Some(Command::Call { id, bytes, answer }) => {
                self.calls.insert(id, Open::Call(answer));
                self.push_message(&bytes)
            }
            Some(Command::Stream { id, bytes, parts }) => {
                self.calls.insert(id, Open::Stream(parts));
                self.push_message(&bytes)
            }
            Some(Command::Cancel(id)) => self.cancel(&id),
            Some(Command::Stop) | None => Err(Closed::new(CloseCause::Stopped)),
        }
    }

    fn cancel(&mut self, id: &str) -> Result<(), Closed> {
        if !self.calls.remove(id) {
            return Ok(());
        }
        let mut out = Vec::new();
        self.protocol.write_cancel_invocation(&mut out, id);
        self.push_message(&out)
    }

    fn push_message(&mut self, message: &[u8]) -> Result<(), Closed> {
        let opcode = match self.protocol.kind().transfer_format() {
            TransferFormat::Text => Opcode::Text,
            TransferFormat::Binary => Opcode::Binary,
        };
        self.push(opcode, message)
    }

    fn push(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Closed> {
        let mut frame = Vec::with_capacity(payload.len() + 14);
        self.mask.append(&mut frame, opcode, payload).map_err(broken)?;
        self.out.extend_from_slice(&frame);
        self.last_written = Instant::now();
        Ok(())
    }

    fn was_written(&mut self, written: io::Result<usize>) -> Result<(), Closed> {
        match written {
            Ok(0) => Err(Closed::new(CloseCause::Io(io::ErrorKind::WriteZero))),
            Ok(count) => {
                self.out.advance(count);
                if self.out.is_empty() {
                    self.owed = 0;
                }
                Ok(())
            }
            Err(error) => Err(Closed::new(CloseCause::Io(error.kind()))),
        }
    }

    async fn write_all(&mut self) -> io::Result<()> {
        self.writer.write_all_buf(&mut self.out).await?;
        self.writer.flush().await
    }

    // Time

    fn deadline(&self, flowing: bool) -> Instant {
        let ping = self.last_written + self.timing.keep_alive;
        if flowing { ping.min(self.last_read + self.timing.server) } else { ping }
    }

    fn keep_time(&mut self, flowing: bool) -> Result<(), Closed> {
        if flowing && self.last_read.elapsed() >= self.timing.server {
            return Err(Closed::new(CloseCause::ServerTimeout(self.timing.server)));
        }
        if self.last_written.elapsed() >= self.timing.keep_alive {
            let mut ping = Vec::new();
            self.protocol.write_ping(&mut ping);
            self.push_message(&ping)?;
        }
        Ok(())
    }

    /// Nobody will be answered any more.
    fn abandon(&mut self) {
        self.calls.clear();
        self.backlog.clear();
        self.handlers.end();
    }

    async fn try_farewell(&mut self, cause: &CloseCause) {
        // A peer that cannot be written to, or does not answer, misses nothing that it would notice.
        let _ = timeout(CLOSE_LIMIT, self.farewell(cause)).await;
    }

    /// Says good-bye as far as that makes sense, and waits for the peer to do the same.
    async fn farewell(&mut self, cause: &CloseCause) -> Result<(), Closed> {
        if matches!(cause, CloseCause::Io(_)) {
            return Ok(());
        }
        if matches!(cause, CloseCause::Stopped) {
            let mut close = Vec::new();
            self.protocol.write_close(&mut close, None, false);
            self.push_message(&close)?;
        }
        self.push(Opcode::Close, &NORMAL.to_be_bytes())?;
        self.write_all().await.map_err(|error| Closed::new(CloseCause::Io(error.kind())))?;
        while self.close_frame.is_none() {
            let read = self.reader.read_buf(&mut self.raw).await;
            self.was_read(read)?;
            self.unpack()?;
            self.inbox.clear();
        }
        Ok(())
    }
}

impl<S> Drop for Driver<S> {
    /// Also when a handler panicked: whoever reads messages must see the end.
    fn drop(&mut self) {
        self.handlers.end();
    }
}

fn broken(error: impl std::fmt::Display) -> Closed {
    Closed::new(CloseCause::Protocol(error.to_string()))
}
