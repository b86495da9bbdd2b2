//! Frames: masked ones out, unmasked ones in.
//!
//! Owns RFC 6455 section 5 as far as a client without extensions needs it. Works on bytes; the socket is the driver's.

use std::fmt;

/// The largest payload of a control frame.
const MAX_CONTROL: usize = 125;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        [Self::Continuation, Self::Text, Self::Binary, Self::Close, Self::Ping, Self::Pong]
            .into_iter()
            .find(|opcode| *opcode as u8 == bits)
    }

    fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// A source of mask keys that nobody can guess (RFC 6455, 5.3). Asks the system for many at once.
pub(crate) struct Mask {
    pool: [u8; 256],
    used: usize,
}

impl Mask {
    pub(crate) fn new() -> Self {
        Self { pool: [0; 256], used: 256 }
    }

    fn next(&mut self) -> Result<[u8; 4], getrandom::Error> {
        if self.used + 4 > self.pool.len() {
            getrandom::fill(&mut self.pool)?;
            self.used = 0;
        }
        let key = [0, 1, 2, 3].map(|i| self.pool[self.used + i]);
        self.used += 4;
        Ok(key)
    }

    /// Appends a whole frame with its payload masked.
    pub(crate) fn append(
        &mut self,
        out: &mut Vec<u8>,
        opcode: Opcode,
        payload: &[u8],
    ) -> Result<(), getrandom::Error> {
        let key = self.next()?;
        out.push(0x80 | opcode as u8);
        match payload.len() {
            short @ 0..=125 => out.push(0x80 | short as u8),
            medium @ 126..=0xffff => {
                out.push(0x80 | 126);
                out.extend_from_slice(&(medium as u16).to_be_bytes());
            }
            long => {
                out.push(0x80 | 127);
                out.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(&key);
        out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        Ok(())
    }
}

/// Something that a reader found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// A piece of data.
    Data(&'a [u8]),
    /// A ping, to be answered with the same payload.
    Ping(&'a [u8]),
    /// The peer closes; with its code, if it gave one.
    Close(Option<u16>),
}

/// The peer broke RFC 6455.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameError(&'static str);

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebSocket: {}", self.0)
    }
}

/// Reads frames from bytes that come in any pieces. Keeps no bytes of its own.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    /// What is still to come of the current data frame.
    remaining: u64,
    /// Whether the current data frame is its message's last.
    last: bool,
    /// Whether a message has begun that is not finished.
    inside: bool,
}

struct Header {
    opcode: Opcode,
    last: bool,
    length: u64,
    size: usize,
}

impl FrameReader {
    /// Finds the next event at the front of `input`, and how many bytes to drop. `None` needs more bytes; nothing is to
    /// be dropped then.
    pub(crate) fn read<'a>(&mut self, input: &'a [u8]) -> Result<Option<(Event<'a>, usize)>, FrameError> {
        if self.remaining > 0 {
            return Ok(self.data(input, 0));
        }
        let Some(header) = header(input)? else { return Ok(None) };
        if header.opcode.is_control() {
            return control(&header, input);
        }
        match (header.opcode, self.inside) {
            (Opcode::Continuation, false) => return Err(FrameError("a continuation of nothing")),
            (Opcode::Text | Opcode::Binary, true) => return Err(FrameError("a message inside another")),
            _ => {}
        }
        if header.length > 0 && input.len() == header.size {
            return Ok(None);
        }
        self.remaining = header.length;
        self.last = header.last;
        self.inside = !header.last;
        Ok(self.data(input, header.size).or(Some((Event::Data(&[]), header.size))))
    }

    fn data<'a>(&mut self, input: &'a [u8], skip: usize) -> Option<(Event<'a>, usize)> {
        let there = (input.len() - skip) as u64;
        let take = there.min(self.remaining) as usize;
        if take == 0 {
            return None;
        }
        self.remaining -= take as u64;
        Some((Event::Data(&input[skip..skip + take]), skip + take))
    }
}

fn header(input: &[u8]) -> Result<Option<Header>, FrameError> {
    let &[first, second, ..] = input else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(FrameError("reserved bits are set"));
    }
    if second & 0x80 != 0 {
        return Err(FrameError("a frame of the server is masked"));
    }
    let opcode = Opcode::from_bits(first & 0x0f).ok_or(FrameError("an unknown kind of frame"))?;
    let last = first & 0x80 != 0;
    if opcode.is_control() && (!last || usize::from(second) > MAX_CONTROL) {
        return Err(FrameError("a control frame is fragmented or too long"));
    }
    let (length, size) = match second {
        126 => match input.get(2..4) {
            Some(bytes) => (bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)), 4),
            None => return Ok(None),
        },
        127 => match input.get(2..10) {
            Some(bytes) => (bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)), 10),
            None => return Ok(None),
        },
        short => (u64::from(short), 2),
    };
    if length > i64::MAX as u64 {
        return Err(FrameError("a length with its highest bit set"));
    }
    Ok(Some(Header { opcode, last, length, size }))
}

fn control<'a>(header: &Header, input: &'a [u8]) -> Result<Option<(Event<'a>, usize)>, FrameError> {
    let end = header.size + header.length as usize;
    let Some(payload) = input.get(header.size..end) else { return Ok(None) };
    let event = match (header.opcode, payload) {
        (Opcode::Ping, payload) => Event::Ping(payload),
        (Opcode::Close, &[high, low, ..]) => Event::Close(Some(u16::from_be_bytes([high, low]))),
        (Opcode::Close, []) => Event::Close(None),
        (Opcode::Close, _) => return Err(FrameError("a close frame with half a code")),
        // A pong needs no answer: it is a sign of life like any byte.
        _ => Event::Data(&[]),
    };
    Ok(Some((event, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything a reader finds when the bytes come in pieces of `step`.
    fn events(bytes: &[u8], step: usize) -> Result<(Vec<u8>, Vec<String>), FrameError> {
        let mut reader = FrameReader::default();
        let (mut data, mut others, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
        for piece in bytes.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some((event, used)) = reader.read(&buffer)? {
                match event {
                    Event::Data(bytes) => data.extend_from_slice(bytes),
                    other => others.push(format!("{other:?}")),
                }
                buffer.drain(..used);
            }
        }
        Ok((data, others))
    }

    #[test]
    fn any_split_gives_the_same_events() {
        let long = vec![7u8; 70_000];
        let mut bytes =
            vec![0x01, 3, b'a', b'b', b'c', 0x89, 1, b'p', 0x80, 2, b'd', b'e', 0x82, 0, 0x82, 126, 0, 200];
        bytes.extend_from_slice(&long[..200]);
        bytes.extend_from_slice(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
        bytes.extend_from_slice(&long);
        bytes.extend_from_slice(&[0x8a, 0, 0x88, 2, 0x03, 0xe8]);
        let mut wanted = b"abcde".to_vec();
        wanted.extend_from_slice(&long[..200]);
        wanted.extend_from_slice(&long);
        let others = vec!["Ping([112])".to_owned(), "Close(Some(1000))".to_owned()];
        for step in [1, 2, 3, 7, 1000, bytes.len()] {
            assert_eq!(events(&bytes, step), Ok((wanted.clone(), others.clone())), "step {step}");
        }
    }

    #[test]
    fn what_the_rfc_forbids_is_refused() {
        for wrong in [
            &[0xc1u8, 0][..],
            &[0x81, 0x80],
            &[0x83, 0],
            &[0x09, 0],
            &[0x89, 126],
            &[0x80, 0],
            &[0x01, 0, 0x01, 0],
            &[0x88, 1, 3],
            &[0x82, 127, 255, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert!(events(wrong, 1).is_err(), "{wrong:x?}");
        }
    }

    #[test]
    fn frames_are_masked_with_changing_keys() {
        let mut mask = Mask::new();
        let mut seen = std::collections::HashSet::new();
        for length in [0usize, 125, 126, 65_535, 65_536] {
            let payload = vec![0u8; length];
            let mut out = Vec::new();
            mask.append(&mut out, Opcode::Binary, &payload).unwrap();
            let size = out.len() - length;
            assert_eq!(
                size,
                if length < 126 {
                    6
                } else if length < 65_536 {
                    8
                } else {
                    14
                }
            );
            assert_eq!(out[0], 0x82);
            let key: [u8; 4] = out[size - 4..size].try_into().unwrap();
            assert!(out[size..].chunks(4).all(|chunk| key.starts_with(chunk)));
            seen.insert(key);
        }
        assert!(seen.len() > 1);
    }
}
