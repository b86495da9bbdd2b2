//! The head of one frame: two bytes, an optional longer length, and the client's mask (RFC 6455, 5.2).
//!
//! Owns the bit layout and the rules that a single head can break. Rules that span frames are the decoder's.

use super::close::CloseCode;

/// The longest head of a client's frame.
pub(crate) const MAX_HEAD: usize = 14;
/// The longest payload of a control frame.
pub(crate) const MAX_CONTROL: u64 = 125;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    pub(crate) const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    pub(crate) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A parsed head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) last: bool,
    pub(crate) opcode: Opcode,
    pub(crate) length: u64,
    pub(crate) mask: [u8; 4],
}

/// How many bytes the head has whose first two are these.
pub(crate) fn head_length(second: u8) -> usize {
    let longer = match second & 0x7F {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + longer + 4
}

/// Checks the first two bytes, as soon as they are there.
pub(crate) fn check_start(first: u8, second: u8) -> Result<Opcode, CloseCode> {
    let reserved = first & 0x70 != 0;
    let masked = second & 0x80 != 0;
    let opcode = Opcode::from_bits(first & 0x0F).ok_or(CloseCode::PROTOCOL_ERROR)?;
    // A control frame is short and whole; both show in the first two bytes.
    let bad_control = opcode.is_control() && (first & 0x80 == 0 || second & 0x7F > MAX_CONTROL as u8);
    if reserved || !masked || bad_control { Err(CloseCode::PROTOCOL_ERROR) } else { Ok(opcode) }
}

/// Parses a whole head of [`head_length`] bytes.
pub(crate) fn parse(bytes: &[u8]) -> Result<Head, CloseCode> {
    let &[first, second, .., m0, m1, m2, m3] = bytes else { return Err(CloseCode::PROTOCOL_ERROR) };
    let opcode = check_start(first, second)?;
    let length = match second & 0x7F {
        short @ 0..=125 => u64::from(short),
        _ => bytes[2..bytes.len() - 4].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    };
    if length > i64::MAX as u64 {
        return Err(CloseCode::PROTOCOL_ERROR);
    }
    Ok(Head { last: first & 0x80 != 0, opcode, length, mask: [m0, m1, m2, m3] })
}
