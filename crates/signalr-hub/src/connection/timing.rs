//! Time in a conversation: handshake time-out, pings, the client's silence (B-3.3, 7.10, 7.11).
//!
//! Owns what happens at a tick and when the next one is wanted. Ticks come from the server's heartbeat.

use super::calls::Calls;
use super::ending::Ending;
use super::{HubConnection, Phase};
use crate::options::HubOptions;
use crate::reply::push_control;
use signalr_core::Instant;
use signalr_protocol::handshake::HandshakeRefusal;

impl HubConnection {
    pub(super) fn tick(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Handshake => self.refuse(&HandshakeRefusal::Canceled),
            Phase::Open(calls) => {
                let options = &self.endpoint.options;
                if calls.is_away() {
                    // How long it may be is the transport's business.
                    calls.restart_silence();
                    self.connection.set_deadline(Some(calls.next_deadline(options)));
                    return;
                }
                if calls.is_silent(options, now) {
                    self.end(Ending::timed_out());
                    return;
                }
                if self.connection.info().transport.keeps_alive() {
                    calls.ping(options, now);
                } else {
                    // The next tick is as far away as if there were pings.
                    calls.last_ping = now;
                }
                calls.acknowledge();
                self.connection.set_deadline(Some(calls.next_deadline(options)));
            }
            _ => {}
        }
    }
}

impl Calls {
    /// When the next ping is due, the client's silence becomes too long, or its messages are to be acknowledged, which
    /// is at the next beat.
    pub(super) fn next_deadline(&self, options: &HubOptions) -> Instant {
        if self.owes_ack() {
            return Instant::now();
        }
        let ping = self.last_ping + options.keep_alive_interval;
        match self.last_heard {
            Some(heard) => ping.min(heard + options.client_timeout),
            None => ping,
        }
    }

    /// Something arrived and has been dealt with: the silence starts now.
    pub(super) fn heard(&mut self) {
        if let Some(heard) = &mut self.last_heard {
            *heard = Instant::now();
        }
    }

    /// The client pinged: from now on its silence counts.
    pub(super) fn heard_ping(&mut self, options: &HubOptions) {
        if self.last_heard.is_none() {
            self.last_heard = Some(Instant::now());
            // Its silence may become too long before the next ping of ours is due.
            let deadline = self.next_deadline(options);
            self.context().inner.connection.set_deadline(Some(deadline));
        }
    }

    /// Whether the client has lost its socket and may come back.
    fn is_away(&self) -> bool {
        self.received.is_some() && self.context().inner.connection.away_since().is_some()
    }

    /// The client is back, or still away: its silence begins now.
    pub(super) fn restart_silence(&mut self) {
        self.last_heard = self.last_heard.map(|_| Instant::now());
    }

    fn owes_ack(&self) -> bool {
        self.received.as_ref().is_some_and(|received| received.owes_ack())
    }

    /// Sees to it that what has been dealt with is acknowledged at the next beat (B-6.3).
    pub(super) fn plan_ack(&self) {
        if self.owes_ack() {
            self.context().inner.connection.set_deadline(Some(Instant::now()));
        }
    }

    fn acknowledge(&mut self) {
        if let Some(number) = self.received.as_mut().and_then(|received| received.take_ack()) {
            let protocol = self.context().inner.protocol;
            push_control(self.context(), |out| protocol.write_ack(out, number));
        }
    }

    fn is_silent(&mut self, options: &HubOptions, now: Instant) -> bool {
        if self.is_blocked(options) {
            // What the client has sent meanwhile is not read: its silence cannot be judged.
            self.last_heard = self.last_heard.map(|_| now);
        }
        self.last_heard.is_some_and(|heard| now.saturating_duration_since(heard) >= options.client_timeout)
    }

    fn ping(&mut self, options: &HubOptions, now: Instant) {
        if now.saturating_duration_since(self.last_ping) < options.keep_alive_interval {
            return;
        }
        self.last_ping = now;
        let protocol = self.context().inner.protocol;
        push_control(self.context(), |out| protocol.write_ping(out));
    }
}
