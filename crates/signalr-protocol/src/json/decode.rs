//! Payload spans to Rust values.
//!
//! Owns the count and conversion rules of arguments (B-4.3): values are read in order, the first that does not
//! convert decides, and their number is known only at the end.

use super::de::Deserializer;
use super::scan::{Malformed, Scanner};
use crate::error::{BindError, ProtocolError};
use crate::style::PayloadStyle;
use serde::de::DeserializeOwned;

/// Reads one value.
pub(crate) fn decode_value<T: DeserializeOwned>(span: &[u8], style: PayloadStyle) -> Result<T, BindError> {
    let mut deserializer = Deserializer::new(span, style);
    let value = T::deserialize(&mut deserializer).map_err(BindError::conversion)?;
    deserializer.finish().map_err(BindError::conversion)?;
    Ok(value)
}

/// Whether a span is exactly one value.
pub(crate) fn check_value(span: &[u8]) -> Result<(), ProtocolError> {
    let mut scanner = Scanner::new(span);
    scanner.skip_white_space();
    scanner.skip_value(1)?;
    scanner.skip_white_space();
    if scanner.peek().is_none() { Ok(()) } else { Err(Malformed.into()) }
}

/// Reads an argument array value by value.
pub(crate) struct ArgumentReader<'a> {
    deserializer: Deserializer<'a>,
    first: bool,
    read: usize,
    expected: usize,
}

impl<'a> ArgumentReader<'a> {
    #[inline]
    pub(crate) fn new(span: &'a [u8], style: PayloadStyle, expected: usize) -> Result<Self, BindError> {
        let mut deserializer = Deserializer::new(span, style);
        deserializer.open_array().map_err(BindError::conversion)?;
        Ok(Self { deserializer, first: true, read: 0, expected })
    }

    #[inline]
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<T, BindError> {
        if !self.deserializer.next_item(&mut self.first).map_err(BindError::conversion)? {
            return Err(BindError::count(self.read, self.expected));
        }
        self.read += 1;
        T::deserialize(&mut self.deserializer)
            .map_err(|e| BindError::conversion(format_args!("argument {}: {e}", self.read)))
    }

    /// Refuses arguments that are left over, counting them without reading.
    #[inline]
    pub(crate) fn finish(mut self) -> Result<(), BindError> {
        while self.deserializer.next_item(&mut self.first).map_err(BindError::conversion)? {
            self.deserializer.skip_value().map_err(BindError::conversion)?;
            self.read += 1;
        }
        if self.read == self.expected { Ok(()) } else { Err(BindError::count(self.read, self.expected)) }
    }
}
