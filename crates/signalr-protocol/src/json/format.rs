//! Payload values as JSON text the way the reference writes them (B-4.2, B-16): numbers and string escapes.
//!
//! Owns the formatter under serde_json's serializer. What is serialised comes from hub methods and senders; the text
//! is appended to the message that is being written. Values that are no JSON numbers (NaN, infinities) become null.

use super::escape::{is_plain, write_escape, write_fragment};
use super::whole::Whole;
use crate::error::EncodeError;
use crate::style::PayloadStyle;
use crate::styled::Styled;
use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};
use std::io::{self, Write};

/// Appends one value.
pub(crate) fn write_value<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    style: PayloadStyle,
    value: &T,
) -> Result<(), EncodeError> {
    let whole = Whole { out, slot: &mut None };
    if style == PayloadStyle::SERDE { value.serialize(whole) } else { Styled(value, style).serialize(whole) }
        .map_err(|e| EncodeError::new("json", e))
}

/// The buffer as a writer that the formatter can take apart again.
pub(super) struct Output<'a>(pub(super) &'a mut Vec<u8>);

impl Write for Output<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct PayloadFormat;

impl Formatter for PayloadFormat {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        if (1e-4..1e15).contains(&value.abs()) {
            return write_without_exponent(writer, |out| CompactFormatter.write_f64(out, value));
        }
        write_float(writer, format!("{value:e}"), value, 17)
    }

    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        if (1e-4..1e9).contains(&value.abs()) {
            return write_without_exponent(writer, |out| CompactFormatter.write_f32(out, value));
        }
        write_float(writer, format!("{value:e}"), value, 9)
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        // serde_json has cut the text at every ASCII character that needs an escape; the others are found here.
        if is_plain(text.as_bytes()) {
            return writer.write_all(text.as_bytes());
        }
        let mut escaped = Vec::with_capacity(text.len() + 8);
        write_fragment(&mut escaped, text);
        writer.write_all(&escaped)
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        let character = match escape {
            CharEscape::Quote => '"',
            CharEscape::ReverseSolidus => '\\',
            CharEscape::Solidus => return writer.write_all(b"/"),
            CharEscape::Backspace => '\u{8}',
            CharEscape::FormFeed => '\u{c}',
            CharEscape::LineFeed => '\n',
            CharEscape::CarriageReturn => '\r',
            CharEscape::Tab => '\t',
            CharEscape::AsciiControl(byte) => char::from(byte),
        };
        let mut escaped = Vec::with_capacity(6);
        write_escape(&mut escaped, character);
        writer.write_all(&escaped)
    }
}

/// Writes a number of the range where serde_json uses no exponent either, without its `.0`.
fn write_without_exponent<W: ?Sized + Write>(
    writer: &mut W,
    format: impl FnOnce(&mut io::Cursor<&mut [u8]>) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = [0; 32];
    let mut out = io::Cursor::new(&mut buffer[..]);
    format(&mut out)?;
    let length = usize::try_from(out.position()).unwrap_or(0);
    let text = buffer.get(..length).unwrap_or_default();
    writer.write_all(text.strip_suffix(b".0").unwrap_or(text))
}

/// Writes a number, given also as `{:e}`: with an exponent of at least two digits from `1E+limit` up and from
/// `1E-05` down, else without.
fn write_float<W: ?Sized + Write>(
    writer: &mut W,
    scientific: String,
    value: impl std::fmt::Display,
    limit: i32,
) -> io::Result<()> {
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent >= limit || exponent <= -5 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return write!(writer, "{digits}E{sign}{:02}", exponent.unsigned_abs());
    }
    write!(writer, "{value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written<T: Serialize>(value: T) -> String {
        let mut out = Vec::new();
        write_value(&mut out, PayloadStyle::SERDE, &value).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_as_short_as_the_reference_writes_them() {
        let doubles =
            [2.0, 0.1, 1e16, 1e17, 1.5e300, 1e-4, 1e-5, 5e-324, -0.0, 0.0, -3.0, 123456789.125, 1.0e15];
        assert_eq!(
            written(doubles),
            "[2,0.1,10000000000000000,1E+17,1.5E+300,0.0001,1E-05,5E-324,-0,0,-3,123456789.125,1000000000000000]"
        );
        assert_eq!(
            written([123456.789, 999999999999999.9, -0.0001]),
            "[123456.789,999999999999999.9,-0.0001]"
        );
        assert_eq!(written([0.1f32, 16777216.0, 1e8, 1e9, 1e-45]), "[0.1,16777216,100000000,1E+09,1E-45]");
    }

    #[test]
    fn strings_in_values_are_escaped_like_envelope_strings() {
        assert_eq!(written("<é>\u{1e}\u{7f}😀\n"), r#""<é>\u001E\u007F\uD83D\uDE00\n""#);
    }

    #[test]
    fn what_is_no_number_is_null() {
        assert_eq!(written([f64::NAN, f64::INFINITY]), "[null,null]");
    }
}
