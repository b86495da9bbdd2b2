//! A bounded reader over MessagePack bytes.
//!
//! Owns headers, numbers and skipping; every length is compared with the bytes that are left before anything is done
//! with it. Does not build values: `parse` reads envelopes with it and `decode` payloads. No recursion, no
//! allocation, no panic.

use crate::error::{ProtocolError, ProtocolErrorKind};
use std::borrow::Cow;

/// What is left of some MessagePack bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

/// Why a value could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// The bytes end inside a value, or a length says more than there is.
    #[error("Attempted to read past the end of the stream.")]
    End,
    /// Another type than expected begins here.
    #[error("Unexpected msgpack code {0} ({name}) encountered.", name = code_name(*.0))]
    Code(u8),
}

/// An integer of any width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integer {
    /// From zero up.
    Unsigned(u64),
    /// Below zero.
    Negative(i64),
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes that have not been read.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte, unread.
    pub(crate) fn peek(&self) -> Result<u8, Fault> {
        self.rest.first().copied().ok_or(Fault::End)
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, Fault> {
        let (&first, rest) = self.rest.split_first().ok_or(Fault::End)?;
        self.rest = rest;
        Ok(first)
    }

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Fault::End)?;
        self.rest = rest;
        Ok(head)
    }

    /// Big-endian bytes of a number.
    pub(crate) fn be<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Fault::End)?;
        self.rest = rest;
        Ok(*head)
    }

    /// A big-endian length of `width` bytes: 1, 2 or 4.
    fn length(&mut self, width: u8) -> Result<usize, Fault> {
        Ok(match width {
            1 => usize::from(self.byte()?),
            2 => usize::from(u16::from_be_bytes(self.be()?)),
            _ => u32::from_be_bytes(self.be()?) as usize,
        })
    }

    /// An integer in any of its forms; the cursor stays where it is when there is none.
    #[inline]
    pub(crate) fn integer(&mut self) -> Result<Integer, Fault> {
        let start = self.rest;
        let code = self.byte()?;
        let read = match code {
            0x00..=0x7f => return Ok(Integer::Unsigned(u64::from(code))),
            0xe0..=0xff => return Ok(Integer::Negative(i64::from(code as i8))),
            0xcc => self.byte().map(|n| Integer::Unsigned(u64::from(n))),
            0xcd => self.be().map(|b| Integer::Unsigned(u64::from(u16::from_be_bytes(b)))),
            0xce => self.be().map(|b| Integer::Unsigned(u64::from(u32::from_be_bytes(b)))),
            0xcf => self.be().map(|b| Integer::Unsigned(u64::from_be_bytes(b))),
            0xd0 => self.byte().map(|n| Integer::signed(i64::from(n as i8))),
            0xd1 => self.be().map(|b| Integer::signed(i64::from(i16::from_be_bytes(b)))),
            0xd2 => self.be().map(|b| Integer::signed(i64::from(i32::from_be_bytes(b)))),
            0xd3 => self.be().map(|b| Integer::signed(i64::from_be_bytes(b))),
            other => Err(Fault::Code(other)),
        };
        if read.is_err() {
            self.rest = start;
        }
        read
    }

    /// The number of items of an array. Refused when there are fewer bytes left than items announced.
    pub(crate) fn array_len(&mut self) -> Result<usize, Fault> {
        let length = match self.byte()? {
            code @ 0x90..=0x9f => usize::from(code & 0x0f),
            0xdc => self.length(2)?,
            0xdd => self.length(4)?,
            other => return Err(Fault::Code(other)),
        };
        if length > self.rest.len() { Err(Fault::End) } else { Ok(length) }
    }

    /// The number of pairs of a map, refused likewise.
    pub(crate) fn map_len(&mut self) -> Result<usize, Fault> {
        let length = match self.byte()? {
            code @ 0x80..=0x8f => usize::from(code & 0x0f),
            0xde => self.length(2)?,
            0xdf => self.length(4)?,
            other => return Err(Fault::Code(other)),
        };
        if length > self.rest.len() / 2 { Err(Fault::End) } else { Ok(length) }
    }

    /// The bytes of a string; they may be no UTF-8.
    #[inline]
    pub(crate) fn str_bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = match self.byte()? {
            code @ 0xa0..=0xbf => usize::from(code & 0x1f),
            0xd9 => self.length(1)?,
            0xda => self.length(2)?,
            0xdb => self.length(4)?,
            other => return Err(Fault::Code(other)),
        };
        self.take(length)
    }

    /// A string or nil. Bytes that are no UTF-8 become U+FFFD, as in the reference.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<Option<Cow<'a, str>>, Fault> {
        if self.peek()? == NIL {
            self.byte()?;
            return Ok(None);
        }
        Ok(Some(lossy(self.str_bytes()?)))
    }

    /// The bytes of a bin.
    pub(crate) fn bin(&mut self) -> Result<&'a [u8], Fault> {
        let length = match self.byte()? {
            0xc4 => self.length(1)?,
            0xc5 => self.length(2)?,
            0xc6 => self.length(4)?,
            other => return Err(Fault::Code(other)),
        };
        self.take(length)
    }

    /// The type and the data of an extension.
    pub(crate) fn ext(&mut self) -> Result<(i8, &'a [u8]), Fault> {
        let length = match self.byte()? {
            code @ 0xd4..=0xd8 => 1usize << (code - 0xd4),
            0xc7 => self.length(1)?,
            0xc8 => self.length(2)?,
            0xc9 => self.length(4)?,
            other => return Err(Fault::Code(other)),
        };
        let kind = self.byte()? as i8;
        Ok((kind, self.take(length)?))
    }

    /// Reads one value of any type and gives its bytes. Iterative: nesting costs nothing.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<&'a [u8], Fault> {
        let start = self.rest;
        self.skip(1)?;
        Ok(&start[..start.len() - self.rest.len()])
    }

    /// Steps over so many values.
    pub(crate) fn skip(&mut self, values: usize) -> Result<(), Fault> {
        let mut pending = values;
        while pending > 0 {
            if pending > self.rest.len() {
                return Err(Fault::End);
            }
            pending -= 1;
            let code = self.byte()?;
            let bytes = match code {
                0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => continue,
                0xa0..=0xbf => usize::from(code & 0x1f),
                0xc4 | 0xd9 => self.length(1)?,
                0xc5 | 0xda => self.length(2)?,
                0xc6 | 0xdb => self.length(4)?,
                0xcc | 0xd0 => 1,
                0xcd | 0xd1 => 2,
                0xca | 0xce | 0xd2 => 4,
                0xcb | 0xcf | 0xd3 => 8,
                0xd4..=0xd8 => 1 + (1 << (code - 0xd4)),
                0xc7 => 1 + self.length(1)?,
                0xc8 => 1 + self.length(2)?,
                0xc9 => self.length(4)?.saturating_add(1),
                0xc1 => return Err(Fault::Code(code)),
                0x80..=0x9f | 0xdc..=0xdf => {
                    let items = self.items(code)?;
                    pending = pending.saturating_add(items);
                    continue;
                }
            };
            self.take(bytes)?;
        }
        Ok(())
    }

    /// How many values follow the header of an array or a map whose first byte has been read.
    fn items(&mut self, code: u8) -> Result<usize, Fault> {
        Ok(match code {
            0x80..=0x8f => 2 * usize::from(code & 0x0f),
            0xdc => self.length(2)?,
            0xdd => self.length(4)?,
            0xde => 2 * self.length(2)?,
            0xdf => self.length(4)?.saturating_mul(2),
            _ => usize::from(code & 0x0f),
        })
    }
}

impl Integer {
    fn signed(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Negative(value), Self::Unsigned)
    }

    pub(crate) fn to_i64(self) -> Option<i64> {
        match self {
            Self::Unsigned(value) => i64::try_from(value).ok(),
            Self::Negative(value) => Some(value),
        }
    }

    pub(crate) fn to_i32(self) -> Option<i32> {
        self.to_i64().and_then(|value| i32::try_from(value).ok())
    }
}

/// Text as the reference reads it: whatever is no UTF-8 becomes U+FFFD.
#[inline]
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    let valid = if bytes.len() < SIMD_FROM {
        std::str::from_utf8(bytes).ok()
    } else {
        simdutf8::basic::from_utf8(bytes).ok()
    };
    valid.map_or_else(|| replaced(bytes), Cow::Borrowed)
}

#[cold]
fn replaced(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

impl From<Fault> for ProtocolError {
    fn from(fault: Fault) -> Self {
        let kind = match fault {
            Fault::End => ProtocolErrorKind::EndOfStream,
            Fault::Code(_) => ProtocolErrorKind::MessagePackSerialization,
        };
        ProtocolError::new(kind, fault.to_string())
    }
}

/// The names of MessagePack's formats in the reference's error texts.
fn code_name(code: u8) -> &'static str {
    match code {
        0x00..=0x7f => "positive fixint",
        0x80..=0x8f => "fixmap",
        0x90..=0x9f => "fixarray",
        0xa0..=0xbf => "fixstr",
        0xe0..=0xff => "negative fixint",
        _ => CODE_NAMES[usize::from(code - 0xc0)],
    }
}

pub(crate) const NIL: u8 = 0xc0;
const SIMD_FROM: usize = 64;
const CODE_NAMES: [&str; 32] = [
    "nil",
    "(never used)",
    "false",
    "true",
    "bin 8",
    "bin 16",
    "bin 32",
    "ext 8",
    "ext 16",
    "ext 32",
    "float 32",
    "float 64",
    "uint 8",
    "uint 16",
    "uint 32",
    "uint 64",
    "int 8",
    "int 16",
    "int 32",
    "int 64",
    "fixext 1",
    "fixext 2",
    "fixext 4",
    "fixext 8",
    "fixext 16",
    "str 8",
    "str 16",
    "str 32",
    "array 16",
    "array 32",
    "map 16",
    "map 32",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_stepped_over() {
        let forms: &[&[u8]] = &[
            &[0xc0],
            &[0xc2],
            &[0x7f],
            &[0xe0],
            &[0xcc, 1],
            &[0xcd, 1, 2],
            &[0xce, 1, 2, 3, 4],
            &[0xd0, 1],
            &[0xd3, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0xca, 0, 0, 0, 0],
            &[0xcb, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xa1, 0x61],
            &[0xd9, 1, 0x61],
            &[0xda, 0, 1, 0x61],
            &[0xdb, 0, 0, 0, 1, 0x61],
            &[0xc4, 1, 9],
            &[0xc5, 0, 1, 9],
            &[0xc6, 0, 0, 0, 1, 9],
            &[0xd4, 5, 1],
            &[0xd6, 0xff, 1, 2, 3, 4],
            &[0xc7, 1, 5, 9],
            &[0xc8, 0, 1, 5, 9],
            &[0xc9, 0, 0, 0, 1, 5, 9],
            &[0x92, 1, 2],
            &[0xdc, 0, 1, 1],
            &[0xdd, 0, 0, 0, 1, 1],
            &[0x81, 1, 2],
            &[0xde, 0, 1, 1, 2],
            &[0xdf, 0, 0, 0, 1, 1, 2],
            &[0x91, 0x81, 0xa1, 0x61, 0x90],
        ];
        for form in forms {
            assert_eq!(Cursor::new(form).value(), Ok(*form), "{form:x?}");
            for cut in 0..form.len() {
                assert_eq!(Cursor::new(&form[..cut]).value(), Err(Fault::End), "{form:x?} cut to {cut}");
            }
        }
    }

    #[test]
    fn lengths_are_not_believed() {
        for bomb in
            [[0xdd, 0xff, 0xff, 0xff, 0xff], [0xdf, 0xff, 0xff, 0xff, 0xff], [0xc9, 0xff, 0xff, 0xff, 0xff]]
        {
            assert_eq!(Cursor::new(&bomb).value(), Err(Fault::End));
        }
        let deep = vec![0x91; 1 << 20];
        assert_eq!(Cursor::new(&deep).value(), Err(Fault::End));
    }
}
