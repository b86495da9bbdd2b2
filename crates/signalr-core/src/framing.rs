//! How a transport wraps one hub message for its wire.
//!
//! Core encodes a message once per protocol and frames it once per [`FramingId`]; the frames themselves are the
//! transports' business.

use signalr_protocol::TransferFormat;

/// Says which connections can share framed bytes: equal ids must produce equal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramingId(u8);

impl FramingId {
    pub(crate) const COUNT: usize = 8;
    /// No framing at all: the bytes of the hub protocol as they are.
    pub const UNFRAMED: FramingId = FramingId(0);

    /// An id from 1 to 7. 1 to 3 belong to the transports of this project, 4 to 7 are free for others.
    ///
    /// # Panics
    /// At compile time, for a number outside that range.
    pub const fn new(number: u8) -> Self {
        assert!(number > 0 && (number as usize) < Self::COUNT, "a framing id is a number from 1 to 7");
        Self(number)
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Wraps hub messages for one kind of transport. Implemented by transports as a static value.
pub trait Framing: Send + Sync {
    /// Which frames are alike.
    fn id(&self) -> FramingId;

    /// Appends `payload`, one or more whole hub messages, to `out` in this transport's form. Must not fail or block.
    fn append(&self, out: &mut Vec<u8>, payload: &[u8], format: TransferFormat);
}

/// The framing of transports that carry plain bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unframed;

impl Framing for Unframed {
    fn id(&self) -> FramingId {
        FramingId::UNFRAMED
    }

    fn append(&self, out: &mut Vec<u8>, payload: &[u8], _format: TransferFormat) {
        out.extend_from_slice(payload);
    }
}
