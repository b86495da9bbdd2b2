//! Reads the few MessagePack types that the format uses.
//!
//! Owns bounds and types of single values. A length is believed only as far as the input goes; nothing recurses.

use super::error::WireError;
use bytes::Bytes;
use rmp::Marker;

/// A place in a message.
pub(super) struct Reader<'a> {
    input: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a Bytes) -> Self {
        Self { input, at: 0 }
    }

    fn left(&self) -> usize {
        self.input.len() - self.at
    }

    fn peek(&self) -> Result<u8, WireError> {
        self.input.get(self.at).copied().ok_or(WireError::Truncated)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let end = self.at.checked_add(length).ok_or(WireError::Truncated)?;
        let bytes = self.input.get(self.at..end).ok_or(WireError::Truncated)?;
        self.at = end;
        Ok(bytes)
    }

    /// A big-endian number of `size` bytes.
    fn number(&mut self, size: usize) -> Result<u64, WireError> {
        Ok(self.take(size)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn length(&mut self, size: usize) -> Result<usize, WireError> {
        usize::try_from(self.number(size)?).map_err(|_| WireError::Truncated)
    }

    /// The marker, and the error for a value that does not belong here.
    fn marker(&mut self, expected: &'static str) -> Result<(Marker, WireError), WireError> {
        let found = self.peek()?;
        self.at += 1;
        Ok((Marker::from_u8(found), WireError::WrongType { expected, found }))
    }

    /// The number of items of an array.
    pub(super) fn array(&mut self) -> Result<usize, WireError> {
        match self.marker("an array")? {
            (Marker::FixArray(length), _) => Ok(length.into()),
            (Marker::Array16, _) => self.length(2),
            (Marker::Array32, _) => self.length(4),
            (_, wrong) => Err(wrong),
        }
    }

    /// The head of an array of at least `minimum` items; items behind the known ones are ignored.
    pub(super) fn array_of(&mut self, minimum: usize, kind: &'static str) -> Result<usize, WireError> {
        let length = self.array()?;
        if length < minimum { Err(WireError::TooFewItems(kind)) } else { Ok(length) }
    }

    /// The number of entries of a map.
    pub(super) fn map(&mut self) -> Result<usize, WireError> {
        match self.marker("a map")? {
            (Marker::FixMap(length), _) => Ok(length.into()),
            (Marker::Map16, _) => self.length(2),
            (Marker::Map32, _) => self.length(4),
            (_, wrong) => Err(wrong),
        }
    }

    /// Room to reserve for so many values, each of which takes a byte at least.
    pub(super) fn room(&self, count: usize) -> usize {
        count.min(self.left())
    }

    pub(super) fn string(&mut self) -> Result<&'a str, WireError> {
        let length = match self.marker("a string")? {
            (Marker::FixStr(length), _) => length.into(),
            (Marker::Str8, _) => self.length(1)?,
            (Marker::Str16, _) => self.length(2)?,
            (Marker::Str32, _) => self.length(4)?,
            (_, wrong) => return Err(wrong),
        };
        std::str::from_utf8(self.take(length)?).map_err(|_| WireError::NotUtf8)
    }

    pub(super) fn optional_string(&mut self) -> Result<Option<&'a str>, WireError> {
        if self.peek()? == Marker::Null.to_u8() {
            self.at += 1;
            return Ok(None);
        }
        self.string().map(Some)
    }

    /// Whether a string comes next.
    pub(super) fn is_string(&self) -> Result<bool, WireError> {
        let marker = Marker::from_u8(self.peek()?);
        Ok(matches!(marker, Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32))
    }

    /// A blob, as a slice of the input. A string is one too, and nil an empty one, as the reference reads them.
    pub(super) fn blob(&mut self) -> Result<Bytes, WireError> {
        let length = match self.marker("a blob")? {
            (Marker::Null, _) => 0,
            (Marker::FixStr(length), _) => length.into(),
            (Marker::Bin8 | Marker::Str8, _) => self.length(1)?,
            (Marker::Bin16 | Marker::Str16, _) => self.length(2)?,
            (Marker::Bin32 | Marker::Str32, _) => self.length(4)?,
            (_, wrong) => return Err(wrong),
        };
        let start = self.at;
        self.take(length)?;
        Ok(self.input.slice(start..start + length))
    }

    /// An integer of any width that fits the type.
    pub(super) fn integer<T: TryFrom<i128>>(&mut self) -> Result<T, WireError> {
        let value = match self.marker("an integer")? {
            (Marker::FixPos(value), _) => value.into(),
            (Marker::FixNeg(value), _) => value.into(),
            (Marker::U8, _) => self.number(1)?.into(),
            (Marker::U16, _) => self.number(2)?.into(),
            (Marker::U32, _) => self.number(4)?.into(),
            (Marker::U64, _) => self.number(8)?.into(),
            (Marker::I8, _) => i128::from(self.number(1)? as u8 as i8),
            (Marker::I16, _) => i128::from(self.number(2)? as u16 as i16),
            (Marker::I32, _) => i128::from(self.number(4)? as u32 as i32),
            (Marker::I64, _) => i128::from(self.number(8)? as i64),
            (_, wrong) => return Err(wrong),
        };
        T::try_from(value).map_err(|_| WireError::OutOfRange)
    }
}
