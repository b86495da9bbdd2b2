//! The pump between a transport and a driver: what every transport would otherwise write again.
//!
//! Owns the bytes that the driver did not take yet, the order of its calls, and the turn. Does no I/O: bytes come in by
//! [`Session::receive`], bytes leave through the connection's outbox.

use crate::clock::Instant;
use crate::connection::Connection;
use crate::handler::{ConnectionDriver, ConnectionHandler, InputEnd, WorkEnd};
use crate::turn::Turn;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A connection together with its driver. Lives on the connection's task.
pub struct Session {
    connection: Arc<Connection>,
    driver: Box<dyn ConnectionDriver>,
    pending: Vec<u8>,
    input_end: Option<InputEnd>,
    end_told: bool,
    close_seen: bool,
    end: Option<WorkEnd>,
}

impl Session {
    /// Opens the application's half.
    pub fn open(handler: &dyn ConnectionHandler, connection: Arc<Connection>) -> Self {
        let driver = handler.open(&connection);
        Self {
            connection,
            driver,
            pending: Vec::new(),
            input_end: None,
            end_told: false,
            close_seen: false,
            end: None,
        }
    }

    /// The shared half.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Whether the transport should read now. While false, leave bytes in the socket: that slows the peer down. A driver
    /// that is busy still lets some bytes in ([`ConnectionOptions::read_ahead`](crate::ConnectionOptions::read_ahead)), so that a peer that leaves is noticed meanwhile.
    pub fn wants_input(&self) -> bool {
        let open = self.end.is_none() && self.input_end.is_none();
        open && (self.pending.len() < self.connection.options().read_ahead || self.driver.wants_input())
    }

    /// Whether the driver itself would take bytes now, without reading ahead. For transports that notice in another way
    /// than by reading that a peer has left.
    pub fn driver_wants_input(&self) -> bool {
        self.end.is_none() && self.input_end.is_none() && self.driver.wants_input()
    }

    /// Puts bytes before everything that is received: those that came before the transport was there. They are offered
    /// with the first poll.
    pub fn preload(&mut self, bytes: Vec<u8>) {
        self.pending = bytes;
    }

    /// Bytes from the peer, in order. They are used in place when nothing waits before them; what the driver leaves is
    /// kept.
    pub fn receive(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        if self.end.is_some() || self.input_end.is_some() {
            return;
        }
        let _turn = Turn::enter();
        if self.pending.is_empty() && self.driver.wants_input() {
            let used = self.driver.on_bytes(bytes, cx);
            self.pending.extend_from_slice(&bytes[used.min(bytes.len())..]);
        } else {
            self.pending.extend_from_slice(bytes);
            self.offer(cx);
        }
    }

    /// Nothing more will come from the peer. The driver is told as soon as it has had its chance to take what waits;
    /// poll afterwards.
    pub fn input_end(&mut self, end: InputEnd) {
        self.input_end.get_or_insert(end);
    }

    /// The peer is back on another socket: what the old one left unread is gone, because the peer sends it again.
    pub fn restart_input(&mut self) {
        self.pending = Vec::new();
        self.driver.on_resume();
    }

    /// Drives the application. Ready, once and for ever, when it is finished; the outbox may still hold bytes then.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<WorkEnd> {
        if let Some(end) = self.end {
            return Poll::Ready(end);
        }
        let _turn = Turn::enter();
        self.connection.set_task(cx.waker());
        if self.connection.take_tick() {
            self.driver.on_tick(Instant::now());
        }
        if !self.close_seen
            && let Some(reason) = self.connection.close_requested()
        {
            self.close_seen = true;
            self.driver.on_close_request(reason);
        }
        loop {
            if let Poll::Ready(end) = self.driver.poll_work(cx) {
                self.end = Some(end);
                self.pending = Vec::new();
                return Poll::Ready(end);
            }
            if !self.offer(cx) && !self.tell_end() {
                return Poll::Pending;
            }
        }
    }

    /// Tells the driver that input has ended, once, when it cannot use what waits; true when it was told now.
    fn tell_end(&mut self) -> bool {
        let Some(end) = self.input_end else { return false };
        if self.end_told || (!self.pending.is_empty() && !self.driver.wants_input()) {
            return false;
        }
        self.end_told = true;
        self.driver.on_input_end(end, self.pending.len());
        self.pending = Vec::new();
        true
    }

    /// Gives the driver what waits; true when it took some of it.
    fn offer(&mut self, cx: &mut Context<'_>) -> bool {
        if self.pending.is_empty() || !self.driver.wants_input() {
            return false;
        }
        let used = self.driver.on_bytes(&self.pending, cx).min(self.pending.len());
        if used == self.pending.len() {
            self.pending = Vec::new();
        } else {
            self.pending.drain(..used);
        }
        used > 0
    }
}
