//! One WebSocket connection as one future: read, work, flush, close.
//!
//! Owns the socket, the decoder and the order of closing (B-2.4). The application's half is a [`Session`]; what is
//! written comes from the connection's outbox, which other threads may flush as well. No buffer and no timer exist
//! while the connection is idle.

use super::close::{CloseCode, close_frame};
use super::decoder::{Decoder, Event};
use super::doorway::{Doorway, Newcomer};
use super::encode::pong;
use super::io::Io;
use super::read_buffer::ReadBuffer;
use crate::seat::Seat;
use signalr_core::{Connection, Flushed, InputEnd, Session, Turn, WorkEnd};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// Reads per poll: then other connections have their turn.
const READS: usize = 4;
/// System calls per poll for writing.
const WRITES: usize = 16;

/// The future of one connection. Finished when both the application and the socket are.
pub(crate) struct WebSocketTask<I: Io> {
    session: Session,
    io: Option<I>,
    decoder: Decoder,
    max_message: Option<u64>,
    /// Where the next socket comes from; there for a client that may come back.
    doorway: Option<Arc<Doorway<I>>>,
    phase: Phase,
    /// The application has finished.
    ended: bool,
    /// Bytes that came with the upgrade request.
    early: Vec<u8>,
    close_timeout: Duration,
    close_timer: Option<Pin<Box<Sleep>>>,
    seat: Seat,
}

/// What the socket is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Carrying messages.
    Open,
    /// Writing what is left, then a Close with this code.
    Finishing { code: CloseCode, then: AfterClose, sent: u8 },
    /// Our Close is out; theirs is awaited.
    Waiting,
    /// Our Close is out and the peer is not to be trusted any more; its end is awaited.
    Deaf,
    /// The socket is gone without a good-bye; the application goes on, and another socket may come.
    Away,
    /// There is no socket any more.
    Gone,
}

/// What follows our Close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterClose {
    /// The peer has closed already.
    Drop,
    /// The peer answers with its Close.
    Wait,
    /// The peer has broken the rules: its bytes are only thrown away, so that our Close reaches it.
    Discard,
}

/// What one attempt to read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Some,
    /// Nothing is there; the task will be woken.
    Nothing,
    /// Reading is not wanted now.
    Paused,
}

impl<I: Io> WebSocketTask<I> {
    pub(crate) fn new(
        session: Session,
        io: I,
        max_message: Option<u64>,
        early: Vec<u8>,
        close_timeout: Duration,
        seat: Seat,
    ) -> Self {
        Self {
            session,
            io: Some(io),
            decoder: Decoder::new(max_message),
            max_message,
            doorway: None,
            phase: Phase::Open,
            ended: false,
            early,
            close_timeout,
            close_timer: None,
            seat,
        }
    }

    /// With a door the client may come back.
    pub(crate) fn with_doorway(mut self, doorway: Option<Arc<Doorway<I>>>) -> Self {
        self.doorway = doorway;
        self
    }

    fn connection(&self) -> &Arc<Connection> {
        self.session.connection()
    }

    // Step 0: another socket

    /// The client is back, perhaps before anybody here has noticed that its old socket is gone.
    fn admit(&mut self) {
        let Some(newcomer) = self.doorway.as_ref().and_then(|doorway| doorway.take()) else { return };
        let Newcomer { io, writer, early, info } = newcomer;
        if self.phase == Phase::Open && self.connection().suspend() {
            self.phase = Phase::Away;
        }
        // One that comes too late is dropped.
        if self.phase == Phase::Away && self.connection().resume(writer, info) {
            tracing::debug!(connection = %self.connection().id(), "the client is back on another socket");
            self.io = Some(io);
            self.decoder = Decoder::new(self.max_message);
            self.early = early;
            self.phase = Phase::Open;
            self.session.restart_input();
        }
    }

    // Steps 1 and 2: reading and working, in turns

    fn read_and_work(&mut self, cx: &mut Context<'_>) {
        if !self.early.is_empty() {
            let mut early = std::mem::take(&mut self.early);
            self.take_in(&mut early, cx);
        }
        for _ in 0..READS {
            let read = self.read(cx);
            self.work(cx);
            let more = match read {
                Read::Some => true,
                Read::Nothing => false,
                Read::Paused => self.phase == Phase::Open && self.session.wants_input(),
            };
            if !more {
                return;
            }
        }
        cx.waker().wake_by_ref();
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Read {
        let reading = match self.phase {
            Phase::Open => self.session.wants_input(),
            Phase::Waiting | Phase::Deaf => true,
            Phase::Finishing { .. } | Phase::Away | Phase::Gone => false,
        };
        let Some(io) = self.io.as_mut().filter(|_| reading) else { return Read::Paused };
        let mut buffer = ReadBuffer::borrow();
        match io.poll_read(cx, buffer.bytes()) {
            Poll::Pending => return Read::Nothing,
            Poll::Ready(Ok(0)) => self.socket_ended(InputEnd::Closed),
            Poll::Ready(Ok(length)) if self.phase != Phase::Deaf => {
                self.take_in(&mut buffer.bytes()[..length], cx);
            }
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(error)) => self.socket_ended(input_end(&error)),
        }
        Read::Some
    }

    /// Decodes what was read and hands payloads to the application.
    fn take_in(&mut self, bytes: &mut [u8], cx: &mut Context<'_>) {
        let mut at = 0;
        while at < bytes.len() {
            let step = match self.decoder.step(&mut bytes[at..]) {
                Ok(step) => step,
                Err(code) => return self.peer_failed(code),
            };
            match step.event {
                Event::Data { range, .. } if self.phase == Phase::Open && !range.is_empty() => {
                    self.session.receive(&bytes[at + range.start..at + range.end], cx);
                }
                Event::Ping(payload) => self.connection().send_control_frame(&pong(&payload)),
                Event::Close(_) => return self.peer_closed(),
                Event::Data { .. } | Event::Pong | Event::More => {}
            }
            at += step.used;
        }
    }

    fn work(&mut self, cx: &mut Context<'_>) {
        if self.ended {
            return;
        }
        let Poll::Ready(end) = self.session.poll(cx) else { return };
        self.ended = true;
        self.connection().mark_ended();
        match self.phase {
            Phase::Open => {}
            // Nobody is there to be told.
            Phase::Away => return self.drop_socket(),
            _ => return,
        }
        if self.connection().close_requested().is_some_and(|reason| reason.drops_output()) {
            // The client does not read: a good-bye would not reach it either.
            self.drop_socket();
        } else {
            let code = if end == WorkEnd::Failed { CloseCode::INTERNAL_ERROR } else { CloseCode::NORMAL };
            self.finish(code, AfterClose::Wait);
        }
    }

    // Step 3: writing

    fn flush(&mut self, cx: &mut Context<'_>) {
        if matches!(self.phase, Phase::Waiting | Phase::Deaf | Phase::Away | Phase::Gone) {
            return;
        }
        let Some(io) = &mut self.io else { return };
        match io.flush(cx, self.session.connection(), WRITES) {
            Ok(Flushed::Blocked | Flushed::Paused) => {}
            Ok(Flushed::More) => cx.waker().wake_by_ref(),
            Ok(Flushed::Empty) => self.say_goodbye(cx),
            Err(error) => {
                self.socket_ended(input_end(&error));
                cx.waker().wake_by_ref();
            }
        }
    }

    /// Writes the Close, when it is time for it: the outbox is empty and takes nothing more.
    fn say_goodbye(&mut self, cx: &mut Context<'_>) {
        let (Some(io), Phase::Finishing { code, then, sent }) = (&mut self.io, &mut self.phase) else {
            return;
        };
        let frame = close_frame(*code);
        let then = *then;
        while (*sent as usize) < frame.len() {
            match io.poll_write(cx, &frame[*sent as usize..]) {
                Poll::Pending => return,
                Poll::Ready(Ok(written)) if written > 0 => *sent += written as u8,
                Poll::Ready(_) => return self.drop_socket(),
            }
        }
        match then {
            AfterClose::Drop => self.drop_socket(),
            AfterClose::Wait => self.phase = Phase::Waiting,
            AfterClose::Discard => {
                // The peer need not answer: it sees the end at once, as with the reference, but without a reset that
                // could overtake our Close.
                io.end_writing(cx);
                self.phase = Phase::Deaf;
            }
        }
        // Reading begins again, or the end has come: both need another poll.
        cx.waker().wake_by_ref();
    }

    // Step 4: time

    /// Comes last, because the steps before may have set the timer and a timer must be polled to fire.
    fn check_time(&mut self, cx: &mut Context<'_>) {
        if let Some(timer) = &mut self.close_timer
            && timer.as_mut().poll(cx).is_ready()
        {
            tracing::debug!(connection = %self.connection().id(), "the client did not close in time");
            self.drop_socket();
        }
    }

    // Closing

    fn finish(&mut self, code: CloseCode, then: AfterClose) {
        self.phase = Phase::Finishing { code, then, sent: 0 };
        self.close_timer = Some(Box::pin(tokio::time::sleep(self.close_timeout)));
    }

    /// The peer sent its Close.
    fn peer_closed(&mut self) {
        if self.phase == Phase::Open {
            self.session.input_end(InputEnd::Closed);
            self.connection().discard_unsent();
            self.finish(CloseCode::NORMAL, AfterClose::Drop);
        } else {
            self.drop_socket();
        }
    }

    /// The peer broke the frame rules.
    fn peer_failed(&mut self, code: CloseCode) {
        if self.phase == Phase::Open {
            tracing::debug!(connection = %self.connection().id(), %code, "the client broke the WebSocket protocol");
            self.session.input_end(InputEnd::Failed);
            self.connection().discard_unsent();
            self.finish(code, AfterClose::Discard);
        } else {
            self.drop_socket();
        }
    }

    fn socket_ended(&mut self, end: InputEnd) {
        if self.phase == Phase::Open && self.connection().suspend() {
            tracing::debug!(connection = %self.connection().id(), "the client is away and may come back");
            self.io = None;
            self.phase = Phase::Away;
            return;
        }
        self.session.input_end(end);
        self.drop_socket();
    }

    fn drop_socket(&mut self) {
        self.connection().detach();
        self.io = None;
        self.close_timer = None;
        self.phase = Phase::Gone;
        if let Some(doorway) = &self.doorway {
            doorway.close();
        }
    }
}

impl<I: Io> Future for WebSocketTask<I> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.seat.is_cut() {
            return Poll::Ready(());
        }
        // What this poll pushes, to whomever, is written once at its end.
        let _turn = Turn::enter();
        this.admit();
        this.read_and_work(cx);
        this.flush(cx);
        this.check_time(cx);
        if this.ended && this.phase == Phase::Gone { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<I: Io> Drop for WebSocketTask<I> {
    fn drop(&mut self) {
        if let Some(doorway) = &self.doorway {
            doorway.close();
        }
        self.connection().detach();
    }
}

/// A peer that vanished is a normal end (B-2.4); anything else is not.
fn input_end(error: &io::Error) -> InputEnd {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof, WriteZero,
    };
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | TimedOut | UnexpectedEof
        | WriteZero => InputEnd::Closed,
        _ => InputEnd::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::io::TcpIo;
    use super::*;

    #[test]
    fn an_idle_connection_costs_little() {
        let size = size_of::<WebSocketTask<TcpIo>>();
        assert!(size < 400, "the future of a connection has {size} bytes");
    }
}
