//! Stateful reconnect as a connection offers it: to transports, whose socket may be replaced, and to the hub, which
//! arms it and passes acknowledgements on (B-6).
//!
//! Owns the contract between the two. What is kept and sent again is the outbox's; how long a client may stay away, and
//! by which request it returns, is the transport's.

use super::Connection;
use crate::clock::Instant;
use crate::connect_info::ConnectInfo;
use crate::metric;
use crate::outbox::DirectWriter;
use signalr_protocol::HubProtocol;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

impl Connection {
    /// Says that the client was told at negotiate that it may come back on another socket. For transports that can
    /// replace the socket, before the application's half is opened. Alone it changes nothing.
    pub fn offer_resume(&self) {
        self.resume_offered.store(true, Ordering::Release);
    }

    /// Whether the client was told that it may come back.
    pub fn resume_offered(&self) -> bool {
        self.resume_offered.load(Ordering::Acquire)
    }

    /// From here on each push by [`Connection::send_payload`] or [`Connection::send_frame`] is one message that counts:
    /// it has a number, beginning with 1, and is kept until the client acknowledges it. To be called at the handshake,
    /// before anything but control frames was sent.
    ///
    /// `buffer` is in bytes. While more than that is kept, nothing more leaves until an acknowledgement comes; an absent
    /// client for which more than that waits is given up.
    pub fn arm_resume(&self, buffer: usize) {
        self.outbox.arm(buffer);
    }

    /// Gives stateful reconnect up: the connection ends with its socket, or at once when there is none.
    pub fn disarm_resume(&self) {
        let outcome = self.close_requested().map_or("ended", |reason| reason.label());
        self.end_absence(outcome);
    }

    /// Whether the client may come back on another socket: armed, and nobody wants the connection closed.
    pub fn can_resume(&self) -> bool {
        self.resume_offered() && self.outbox.is_armed() && self.close_requested().is_none()
    }

    /// The client has received every message up to this number. Frees what was kept for it; the transport flushes
    /// afterwards. Ignored when stateful reconnect is off; numbers beyond what was sent count as the last one.
    pub fn acknowledge(&self, number: i64) {
        self.outbox.acknowledge(number);
    }

    /// Frames and pushes hub messages that do not count in stateful reconnect: handshake reply, Ping, Ack. With it they
    /// overtake messages that wait, and are dropped while the client is away; without it this is
    /// [`Connection::send_payload`].
    pub fn send_control(self: &Arc<Self>, payload: &[u8]) {
        let format = self.format();
        let framing = self.framing;
        let pushed =
            self.outbox.push_control(&self.options.outbox, |out| framing.append(out, payload, format));
        self.settle(pushed, payload.len());
    }

    /// As [`Connection::send_control`], for a transport's own frames.
    pub fn send_control_frame(self: &Arc<Self>, frame: &[u8]) {
        let pushed = self.outbox.push_control(&self.options.outbox, |out| out.extend_from_slice(frame));
        self.settle(pushed, frame.len());
    }

    /// The socket ended without a good-bye: takes the direct writer away and keeps what comes now for the next socket.
    /// False, and nothing is changed, when the client cannot resume.
    ///
    /// Pushes never wait for an absent client. When more waits for it than the buffer holds, the connection is ended
    /// with [`CloseReason::ResumeBufferFull`](crate::CloseReason::ResumeBufferFull).
    pub fn suspend(&self) -> bool {
        self.can_resume() && self.outbox.leave()
    }

    /// The client is back with another socket and another request. Queues the Sequence message and what the client did
    /// not acknowledge, before everything that waits; the transport flushes afterwards. False when the connection has
    /// ended meanwhile.
    pub fn resume(&self, writer: Option<Arc<dyn DirectWriter>>, info: ConnectInfo) -> bool {
        let Some(protocol) = self.protocol() else { return false };
        let back = self.outbox.come_back(writer, |out, first| {
            let mut payload = Vec::new();
            HubProtocol::new(protocol).write_sequence(&mut payload, first);
            self.framing.append(out, &payload, self.format());
        });
        if back {
            *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(info));
            metric::absence("resumed");
        }
        back
    }

    /// Since when the client has had no socket; `None` when it has one.
    pub fn away_since(&self) -> Option<Instant> {
        self.outbox.away_since()
    }

    /// What is known from the client's latest request: the one that opened the connection, or the one that resumed it.
    pub fn latest_info(&self) -> Arc<ConnectInfo> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        latest.unwrap_or_else(|| self.info.clone())
    }

    /// Waits while the client is away and its buffer is full. For the connection's own answers and streams, which have
    /// nobody else to hold up: another push would end the connection. It waits no longer than the client may stay away.
    ///
    /// Cancel safe.
    pub async fn present(&self) {
        if self.resume_offered() {
            poll_fn(|cx| self.outbox.poll_present(cx)).await;
        }
    }

    /// Ends the feature, and counts an absence that ends with it.
    pub(super) fn end_absence(&self, outcome: &'static str) {
        if self.outbox.disarm() {
            metric::absence(outcome);
        }
    }
}
