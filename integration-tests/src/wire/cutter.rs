//! Cuts hub messages out of a stream of bytes.
//!
//! Knows both framings and nothing of the messages, except that pings and acks may be passed over: when they come is a
//! matter of time.

use crate::transcript::Protocol;

/// What is passed over.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    pub(super) pings: bool,
    pub(super) acks: bool,
}

/// Bytes that have come and are no whole message yet.
#[derive(Debug)]
pub(super) struct Cutter {
    protocol: Protocol,
    pending: Vec<u8>,
    /// The reply to the handshake is JSON in every protocol.
    is_shaken: bool,
}

impl Cutter {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self { protocol, pending: Vec::new(), is_shaken: false }
    }

    /// For a connection that goes on where another one ended: no handshake comes.
    pub(super) fn shaken(self) -> Self {
        Self { is_shaken: true, ..self }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next message that is wanted, if it has come whole.
    pub(super) fn next(&mut self, wanted: Wanted) -> Option<Vec<u8>> {
        while let Some(length) = self.whole() {
            let message: Vec<u8> = self.pending.drain(..length).collect();
            self.is_shaken = true;
            let is_ping = message == b"{\"type\":6}\x1e" || message == [2, 0x91, 6];
            let is_ack = message.starts_with(b"{\"type\":8,") || message.get(1..3) == Some(&[0x92, 8]);
            if (is_ping && !wanted.pings) || (is_ack && !wanted.acks) {
                continue;
            }
            return Some(message);
        }
        None
    }

    /// What is left of a message that never became whole.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    fn whole(&self) -> Option<usize> {
        if self.protocol == Protocol::Json || !self.is_shaken {
            return self.pending.iter().position(|byte| *byte == 0x1e).map(|end| end + 1);
        }
        let mut length = 0;
        for (at, byte) in self.pending.iter().take(5).enumerate() {
            length |= usize::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return (self.pending.len() > at + length).then_some(at + 1 + length);
            }
        }
        None
    }
}
