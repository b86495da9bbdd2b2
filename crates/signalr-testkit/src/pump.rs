//! The task of one connection in memory: what a transport does, without a socket.
//!
//! Owns the order of reading, working and writing, and the beats of the connection's heart. Bytes come from and go to a
//! [`Pipe`]; the application is whatever the handler opens.

use crate::pipe::Pipe;
use signalr_core::{Connection, ConnectionHandler, Flushed, Heartbeat, Session, WorkEnd};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

/// System calls, if there were any, per turn.
const ROUNDS: usize = 4;
/// Beats between two pings of a client that pings.
const PING_BEATS: u32 = 5;

/// Runs a connection from its opening to its end.
pub(crate) async fn run(
    handler: Arc<dyn ConnectionHandler>,
    connection: Arc<Connection>,
    pipe: Arc<Pipe>,
    send_timeout: Duration,
) -> WorkEnd {
    let mut pump = Pump {
        session: Session::open(&*handler, connection.clone()),
        heart: Heart::new(),
        connection: connection.clone(),
        pipe: pipe.clone(),
    };
    let end = poll_fn(|cx| pump.poll(cx)).await;
    // What is left is written, unless the client does not read: then the time-out of a real socket applies.
    let drained = timeout(send_timeout, poll_fn(|cx| pump.poll_drained(cx))).await;
    if drained.is_err() {
        tracing::debug!("a test client did not read what was left for it");
    }
    connection.detach();
    pipe.end_output();
    end
}

struct Pump {
    session: Session,
    heart: Heart,
    connection: Arc<Connection>,
    pipe: Arc<Pipe>,
}

impl Pump {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<WorkEnd> {
        self.pipe.set_pump(cx.waker());
        self.heart.beat(&self.connection, &self.pipe, cx);
        loop {
            self.feed(cx);
            let end = self.session.poll(cx);
            if end.is_ready() {
                return end;
            }
            if !(self.session.wants_input() && self.pipe.has_input()) {
                break;
            }
        }
        if self.flush(cx).is_err() {
            self.connection.detach();
            self.session.input_end(signalr_core::InputEnd::Closed);
            return self.session.poll(cx);
        }
        Poll::Pending
    }

    fn feed(&mut self, cx: &mut Context<'_>) {
        while self.session.wants_input()
            && let Some(bytes) = self.pipe.take_input()
        {
            self.session.receive(&bytes, cx);
        }
        if let Some(end) = self.pipe.input_end() {
            self.session.input_end(end);
        }
    }

    /// Writes what fits; true when nothing is left.
    fn flush(&self, cx: &Context<'_>) -> std::io::Result<bool> {
        Ok(match self.connection.flush(ROUNDS)? {
            Flushed::Empty => true,
            // A thaw wakes the pump.
            Flushed::Blocked | Flushed::Paused => false,
            Flushed::More => {
                cx.waker().wake_by_ref();
                false
            }
        })
    }

    fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.pipe.set_pump(cx.waker());
        self.connection.set_task(cx.waker());
        match self.flush(cx) {
            Ok(false) => Poll::Pending,
            Ok(true) | Err(_) => Poll::Ready(()),
        }
    }
}

/// Beats once a second, as a server's heartbeat does.
struct Heart {
    interval: Interval,
    beats: u32,
}

impl Heart {
    fn new() -> Self {
        let mut interval = interval_at(Instant::now() + Heartbeat::PERIOD, Heartbeat::PERIOD);
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self { interval, beats: 0 }
    }

    fn beat(&mut self, connection: &Connection, pipe: &Pipe, cx: &mut Context<'_>) {
        while self.interval.poll_tick(cx).is_ready() {
            self.beats = self.beats.wrapping_add(1);
            if self.beats.is_multiple_of(PING_BEATS) {
                pipe.ping();
            }
            connection.beat(signalr_core::Instant::now());
        }
    }
}
