//! The task of one connection over Server-Sent Events or long polling: input from POSTs, work, output for GETs, the
//! end.
//!
//! Owns the application's half and the connection's place in the table. Writes nothing itself: it wakes the GET that is
//! there. Holds a timer only while it ends.

use super::Exchange;
use crate::seat::Seat;
use signalr_core::{CloseReason, Connection, InputEnd, Session, TransportKind, Turn, WorkEnd};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// Handfuls of input per poll: then other connections have their turn.
const TAKES: usize = 4;

/// The future of one connection. Finished when the application is, and the client knows or will never know.
pub(crate) struct ExchangeTask {
    pub(crate) session: Session,
    pub(crate) exchange: Arc<Exchange>,
    /// The client has gone: what it sent before still counts, then input ends.
    leaving: bool,
    ended: Option<WorkEnd>,
    close_timeout: Duration,
    close_timer: Option<Pin<Box<Sleep>>>,
    seat: Option<Seat>,
}

impl ExchangeTask {
    pub(crate) fn new(
        session: Session,
        exchange: Arc<Exchange>,
        close_timeout: Duration,
        seat: Seat,
    ) -> Self {
        Self {
            session,
            exchange,
            leaving: false,
            ended: None,
            close_timeout,
            close_timer: None,
            seat: Some(seat),
        }
    }

    fn connection(&self) -> &Arc<Connection> {
        self.session.connection()
    }

    fn polls(&self) -> bool {
        self.connection().info().transport == TransportKind::LongPolling
    }

    /// Sees whether the client has gone.
    fn watch_client(&mut self) {
        let client = self.exchange.output.client();
        if client.expired
            && let Some(seat) = &mut self.seat
        {
            seat.ends_because(CloseReason::Inactive);
        }
        let gone = !self.polls() && !client.get;
        if gone {
            self.connection().detach();
        }
        if gone || client.expired || client.terminated {
            self.exchange.input.close();
            self.leaving = true;
        }
    }

    fn read_and_work(&mut self, cx: &mut Context<'_>) {
        for _ in 0..TAKES {
            self.work(cx);
            if !self.session.driver_wants_input() {
                return;
            }
            match self.exchange.input.take() {
                Some(bytes) => self.session.receive(&bytes, cx),
                None => return,
            }
        }
        cx.waker().wake_by_ref();
    }

    fn work(&mut self, cx: &mut Context<'_>) {
        if self.ended.is_some() {
            return;
        }
        if self.leaving && self.exchange.input.is_empty() {
            self.session.input_end(InputEnd::Closed);
        }
        let Poll::Ready(end) = self.session.poll(cx) else { return };
        self.ended = Some(end);
        self.connection().mark_ended();
        self.exchange.input.close();
        self.exchange.output.ended(end);
    }

    /// Whether nothing is left to be done after the application's end.
    fn is_done(&mut self, cx: &mut Context<'_>) -> bool {
        let client = self.exchange.output.client();
        let unread = self.connection().queued_bytes() > 0;
        if self.connection().close_requested().is_some_and(CloseReason::drops_output) {
            return true;
        }
        if !self.polls() {
            return !client.get || self.time_is_up(cx);
        }
        if client.told || client.expired {
            return true;
        }
        if client.terminated {
            // The last words are for a GET that waits; there will not be another one.
            return !unread || !client.get;
        }
        // At a shut-down the client learns of the end from the Close message, and will not be here again.
        let stopping = self.seat.as_ref().is_some_and(Seat::is_stopping);
        stopping && (!unread || self.time_is_up(cx))
    }

    fn time_is_up(&mut self, cx: &mut Context<'_>) -> bool {
        let timeout = self.close_timeout;
        let timer = self.close_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        timer.as_mut().poll(cx).is_ready()
    }
}

impl Future for ExchangeTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.seat.as_ref().is_none_or(Seat::is_cut) {
            return Poll::Ready(());
        }
        // What this poll pushes, to whomever, is written once at its end.
        let _turn = Turn::enter();
        this.connection().set_task(cx.waker());
        this.watch_client();
        this.read_and_work(cx);
        let may_stall = !this.polls();
        this.exchange.output.tend(this.connection(), may_stall);
        if this.ended.is_some() && this.is_done(cx) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for ExchangeTask {
    fn drop(&mut self) {
        // The entry goes before anybody learns of the end: the id is unknown by then.
        self.seat = None;
        self.connection().detach();
        self.exchange.dispose();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_costs_little() {
        let sizes = size_of::<ExchangeTask>() + size_of::<Exchange>();
        assert!(sizes < 700, "a connection that requests carry has {sizes} bytes");
    }
}
