//! Writing frames: one final frame for each payload, never masked.
//!
//! Owns the [`Framing`] of WebSockets, through which core frames a message once for all its receivers.

use super::header::Opcode;
use bytes::Bytes;
use signalr_core::{Framing, FramingId};
use signalr_protocol::TransferFormat;

/// The framing of every WebSocket connection.
pub static WEBSOCKET: WebSocketFraming = WebSocketFraming(());

/// One text or binary frame for each payload (RFC 6455, 5.2).
#[derive(Debug)]
pub struct WebSocketFraming(());

impl Framing for WebSocketFraming {
    fn id(&self) -> FramingId {
        const ID: FramingId = FramingId::new(1);
        ID
    }

    fn append(&self, out: &mut Vec<u8>, payload: &[u8], format: TransferFormat) {
        let opcode = match format {
            TransferFormat::Text => Opcode::Text,
            TransferFormat::Binary => Opcode::Binary,
        };
        append_frame(out, opcode, payload);
    }
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Bytes {
    let mut frame = Vec::new();
    append_frame(&mut frame, Opcode::Pong, payload);
    frame.into()
}

fn append_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    out.reserve(payload.len() + 10);
    let first = 0x80 | opcode.bits();
    match payload.len() {
        short @ 0..=125 => out.extend_from_slice(&[first, short as u8]),
        middle @ 126..=0xFFFF => {
            let [high, low] = (middle as u16).to_be_bytes();
            out.extend_from_slice(&[first, 126, high, low]);
        }
        long => {
            out.extend_from_slice(&[first, 127]);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use tungstenite::protocol::frame::FrameSocket;

    #[test]
    fn frames_of_every_length_class_are_read_by_tungstenite() {
        for length in [0, 1, 125, 126, 127, 65535, 65536, 100_000] {
            let payload = vec![b'x'; length];
            for (format, opcode) in [(TransferFormat::Text, 1u8), (TransferFormat::Binary, 2)] {
                let mut out = Vec::new();
                WEBSOCKET.append(&mut out, &payload, format);
                let mut socket = FrameSocket::new(Cursor::new(out));
                let frame = socket.read(None).unwrap().unwrap();
                assert_eq!(frame.payload(), payload);
                assert!(frame.header().is_final && frame.header().mask.is_none());
                assert_eq!(u8::from(frame.header().opcode), opcode);
                assert!(socket.read(None).unwrap().is_none(), "nothing after the frame");
            }
        }
    }
}
