//! Frames of binary protocols: the length of the body as a VarInt, then the body.
//!
//! Owns the length prefix and nothing else: what a body holds is the business of `msgpack`. Bodies come from a
//! transport's receive buffer and go to a parser; written bodies come from a writer that began a [`Frame`].

use crate::error::{ProtocolError, ProtocolErrorKind};

/// Finds the first whole frame: its body and how many bytes it takes with its prefix. A prefix that is longer than
/// needed is accepted, as by the reference; one of more than 2 GB - 1 is an error before the body has come.
pub(crate) fn split(input: &[u8]) -> Result<Option<(&[u8], usize)>, ProtocolError> {
    if let Some((&first @ 0..0x80, rest)) = input.split_first() {
        let length = usize::from(first);
        return Ok(rest.get(..length).map(|body| (body, 1 + length)));
    }
    let mut length = 0usize;
    for (index, &byte) in input.iter().take(MAX_PREFIX).enumerate() {
        if index == MAX_PREFIX - 1 && byte > 0x07 {
            return Err(ProtocolError::new(
                ProtocolErrorKind::Format,
                "Messages over 2GB in size are not supported.",
            ));
        }
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            let body = &input[index + 1..];
            return Ok(body.get(..length).map(|body| (body, index + 1 + length)));
        }
    }
    Ok(None)
}

/// A frame that is being written: one byte is kept for the prefix, since most bodies are shorter than 128 bytes;
/// longer ones are moved up when their length is known.
pub(crate) struct Frame {
    start: usize,
}

impl Frame {
    /// Starts a frame at the end of `out`.
    pub(crate) fn begin(out: &mut Vec<u8>) -> Self {
        let start = out.len();
        out.push(0);
        Self { start }
    }

    /// Writes the prefix; everything appended since [`Frame::begin`] is the body. `false`: the body is over 2 GB - 1
    /// and was taken away again.
    #[must_use]
    pub(crate) fn end(self, out: &mut Vec<u8>) -> bool {
        let length = out.len() - self.start - 1;
        if length < 0x80 {
            out[self.start] = length as u8;
            return true;
        }
        if length > MAX_LENGTH {
            self.abort(out);
            return false;
        }
        let mut prefix = [0u8; MAX_PREFIX];
        let mut size = 0;
        let mut left = length;
        while left >= 0x80 {
            prefix[size] = left as u8 | 0x80;
            left >>= 7;
            size += 1;
        }
        prefix[size] = left as u8;
        size += 1;
        out.resize(out.len() + size - 1, 0);
        out.copy_within(self.start + 1..self.start + 1 + length, self.start + size);
        out[self.start..self.start + size].copy_from_slice(&prefix[..size]);
        true
    }

    /// Takes everything away that was appended since [`Frame::begin`].
    pub(crate) fn abort(self, out: &mut Vec<u8>) {
        out.truncate(self.start);
    }
}

const MAX_PREFIX: usize = 5;
const MAX_LENGTH: usize = i32::MAX as usize;

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(length: usize) -> Vec<u8> {
        let mut out = vec![0xee];
        let frame = Frame::begin(&mut out);
        out.extend((0..length).map(|n| n as u8));
        assert!(frame.end(&mut out));
        assert_eq!(out.remove(0), 0xee);
        out
    }

    #[test]
    fn every_prefix_length_is_written_and_read() {
        for (length, prefix) in
            [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (2_097_151, 3), (2_097_152, 4)]
        {
            let out = framed(length);
            assert_eq!(out.len(), length + prefix);
            let (body, used) = split(&out).expect("valid").expect("whole");
            assert_eq!((body.len(), used), (length, out.len()));
            assert!(body.iter().enumerate().all(|(n, byte)| *byte == n as u8));
            assert_eq!(split(&out[..out.len() - 1]), Ok(None).map(|none: Option<(&[u8], usize)>| none));
        }
    }

    #[test]
    fn lengths_over_two_gigabytes_are_refused_at_once() {
        assert!(split(&[0x80, 0x80, 0x80, 0x80, 0x08]).is_err());
        assert!(split(&[0xff, 0xff, 0xff, 0xff, 0x80]).is_err());
        assert_eq!(split(&[0xff, 0xff, 0xff, 0xff, 0x07]), Ok(None));
        assert_eq!(split(&[0xff, 0xff, 0xff, 0xff]), Ok(None));
    }
}
