//! The envelope of a JSON hub message: one pass over the body, in any property order (B-4.3, corrected by B-16).
//!
//! Owns the known properties, their types and the texts for wrong ones. Arguments, items and results are checked for
//! syntax and kept as spans; `message` decides what a type must have, `decode` reads the spans.

use super::fast;
use super::message::build;
use super::scan::{Malformed, RawString, Scanner, TextFault, Token};
use crate::error::{ProtocolError, ProtocolErrorKind};
use crate::message::{Headers, Message};
use std::borrow::Cow;

/// Reads one message body.
#[inline]
pub(crate) fn parse(body: &[u8]) -> Result<Message<'_>, ProtocolError> {
    match fast::parse(body) {
        Some(message) => Ok(message),
        None => parse_any(body),
    }
}

/// Reads a message body in any form.
pub(crate) fn parse_any(body: &[u8]) -> Result<Message<'_>, ProtocolError> {
    let mut scanner = Scanner::new(body);
    open_object(&mut scanner)?;
    let mut fields = Fields::default();
    let mut first = true;
    while let Some(name) = scanner.next_member(&mut first)? {
        fields.read(&mut scanner, name)?;
    }
    // What follows the object is ignored, as the reference does.
    build(fields)
}

/// Everything that a message may say; what was not said is `None`.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) kind: Option<i32>,
    pub(super) invocation_id: Option<Cow<'a, str>>,
    /// The id was null: taken as absent where it may be absent (B-14, 6).
    pub(super) invocation_id_is_null: bool,
    pub(super) target: Option<Cow<'a, str>>,
    pub(super) error: Option<Cow<'a, str>>,
    pub(super) arguments: Option<&'a [u8]>,
    /// Arguments that were replaced by later ones after the reference would have bound them: after the target.
    pub(super) earlier_arguments: Option<&'a [u8]>,
    arguments_follow_target: bool,
    pub(super) item: Option<&'a [u8]>,
    pub(super) result: Option<&'a [u8]>,
    pub(super) stream_ids: Option<Vec<Cow<'a, str>>>,
    pub(super) headers: Headers<'a>,
    pub(super) allow_reconnect: bool,
    pub(super) sequence_id: Option<i64>,
}

impl<'a> Fields<'a> {
    #[inline]
    fn read(&mut self, scanner: &mut Scanner<'a>, name: RawString<'a>) -> Result<(), ProtocolError> {
        match name.plain() {
            Some(plain) => self.read_named(scanner, plain),
            // A name that is no text is an unknown name.
            None => self.read_named(scanner, name.to_str().unwrap_or_default().as_bytes()),
        }
    }

    #[inline]
    fn read_named(&mut self, scanner: &mut Scanner<'a>, name: &[u8]) -> Result<(), ProtocolError> {
        match name {
            b"type" => self.kind = Some(read_type(scanner)?),
            b"invocationId" => {
                self.invocation_id = optional_string(scanner, "invocationId")?;
                self.invocation_id_is_null = self.invocation_id.is_none();
            }
            b"target" => self.target = Some(string(scanner, "target")?),
            b"arguments" => self.read_arguments(scanner)?,
            b"error" => self.error = optional_string(scanner, "error")?,
            b"item" => self.item = Some(scanner.skip_value(1)?),
            // A result may go on to another server as it is, and the reference's text begins after the colon.
            b"result" => self.result = Some(scanner.skip_value_with_white_space(1)?),
            b"streamIds" => self.stream_ids = read_stream_ids(scanner)?,
            b"headers" => self.headers = read_headers(scanner)?,
            b"allowReconnect" => self.allow_reconnect = read_allow_reconnect(scanner)?,
            b"sequenceId" => self.sequence_id = read_sequence_id(scanner)?,
            _ => {
                scanner.skip_value(1)?;
            }
        }
        Ok(())
    }

    fn read_arguments(&mut self, scanner: &mut Scanner<'a>) -> Result<(), ProtocolError> {
        if scanner.token()? != Token::Array {
            return Err(mismatch(scanner, "Expected 'arguments' to be of type Array."));
        }
        if self.arguments_follow_target && self.earlier_arguments.is_none() {
            self.earlier_arguments = self.arguments;
        }
        self.arguments = Some(scanner.skip_value(1)?);
        self.arguments_follow_target = self.target.is_some();
        Ok(())
    }
}

impl From<Malformed> for ProtocolError {
    fn from(_: Malformed) -> Self {
        ProtocolError::invalid_data("Error reading JSON.")
    }
}

/// Takes the `{` of a document that must be an object (also used by the handshake).
pub(crate) fn open_object(scanner: &mut Scanner<'_>) -> Result<(), ProtocolError> {
    scanner.skip_white_space();
    let token = scanner.token()?;
    if token == Token::Object {
        scanner.bump();
        return Ok(());
    }
    let name = token.name();
    Err(mismatch(scanner, format!("Unexpected JSON Token Type '{name}'. Expected a JSON Object.")))
}

/// The error for a value of the wrong type; a value that is no container must at least be well-formed.
pub(crate) fn mismatch(scanner: &mut Scanner<'_>, text: impl Into<Cow<'static, str>>) -> ProtocolError {
    match scanner.token() {
        Ok(Token::Object | Token::Array) => ProtocolError::invalid_data(text),
        _ => match scanner.skip_value(1) {
            Ok(_) => ProtocolError::invalid_data(text),
            Err(malformed) => malformed.into(),
        },
    }
}

/// A string that must be there.
#[inline]
pub(crate) fn string<'a>(
    scanner: &mut Scanner<'a>,
    name: &'static str,
) -> Result<Cow<'a, str>, ProtocolError> {
    if scanner.peek() != Some(b'"') {
        scanner.token()?;
        return Err(mismatch(scanner, format!("Expected '{name}' to be of type String.")));
    }
    scanner.string()?.to_str().map_err(text_fault)
}

#[inline]
fn optional_string<'a>(
    scanner: &mut Scanner<'a>,
    name: &'static str,
) -> Result<Option<Cow<'a, str>>, ProtocolError> {
    if scanner.peek() == Some(b'n') {
        scanner.literal(b"null")?;
        return Ok(None);
    }
    string(scanner, name).map(Some)
}

/// The reference's errors for strings that cannot be read as text.
pub(crate) fn text_fault(fault: TextFault) -> ProtocolError {
    let text = match fault {
        TextFault::Utf8 => Cow::Borrowed("Cannot transcode invalid UTF-8 JSON text to UTF-16 string."),
        TextFault::MissingLowSurrogate => {
            Cow::Borrowed("Cannot read incomplete UTF-16 JSON text as string with missing low surrogate.")
        }
        TextFault::Surrogate(unit) => Cow::Owned(format!(
            "Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: '0x{unit:02X}'."
        )),
    };
    ProtocolError::new(ProtocolErrorKind::InvalidOperation, text)
}

#[inline]
fn read_type(scanner: &mut Scanner<'_>) -> Result<i32, ProtocolError> {
    if scanner.token()? != Token::Number {
        return Err(mismatch(scanner, "Expected 'type' to be of type Number."));
    }
    int32(scanner.number()?)
}

/// The value of a number that must be an int32.
pub(crate) fn int32(number: &[u8]) -> Result<i32, ProtocolError> {
    integer(number).and_then(|n| i32::try_from(n).ok()).ok_or_else(|| out_of_bounds("Int32"))
}

/// The value of a number without fraction and exponent, if it fits.
#[inline]
fn integer(number: &[u8]) -> Option<i64> {
    match number {
        [digit @ b'0'..=b'9'] => Some(i64::from(digit - b'0')),
        _ => str::from_utf8(number).ok()?.parse().ok(),
    }
}

fn out_of_bounds(kind: &str) -> ProtocolError {
    let text =
        format!("Either the JSON value is not in a supported format, or is out of bounds for an {kind}.");
    ProtocolError::new(ProtocolErrorKind::Format, text)
}

fn read_sequence_id(scanner: &mut Scanner<'_>) -> Result<Option<i64>, ProtocolError> {
    match scanner.token()? {
        Token::Null => scanner.literal(b"null").map(|()| None).map_err(Into::into),
        Token::Number => integer(scanner.number()?).map(Some).ok_or_else(|| out_of_bounds("Int64")),
        _ => Err(mismatch(scanner, "Expected 'sequenceId' to be of type Number.")),
    }
}

fn read_allow_reconnect(scanner: &mut Scanner<'_>) -> Result<bool, ProtocolError> {
    let (text, value): (&[u8], bool) = match scanner.token()? {
        Token::True => (b"true", true),
        Token::False => (b"false", false),
        Token::Null => (b"null", false),
        _ => return Err(mismatch(scanner, "Expected 'allowReconnect' to be true or false.")),
    };
    scanner.literal(text)?;
    Ok(value)
}

fn read_stream_ids<'a>(scanner: &mut Scanner<'a>) -> Result<Option<Vec<Cow<'a, str>>>, ProtocolError> {
    match scanner.token()? {
        Token::Array => scanner.bump(),
        Token::Null => {
            scanner.literal(b"null")?;
            return Ok(None);
        }
        _ => return Err(mismatch(scanner, "Expected 'streamIds' to be of type Array.")),
    }
    let mut ids = Vec::new();
    let mut first = true;
    while scanner.next_item(&mut first)? {
        let other = match scanner.token()? {
            Token::String => {
                ids.push(scanner.string()?.to_str().map_err(text_fault)?);
                continue;
            }
            Token::Null => return Err(mismatch(scanner, "Null value for 'streamIds' is not valid.")),
            other => other.reader_name(),
        };
        let text = format!("Cannot get the value of a token type '{other}' as a string.");
        return Err(ProtocolError::new(ProtocolErrorKind::InvalidOperation, text));
    }
    Ok(Some(ids))
}

fn read_headers<'a>(scanner: &mut Scanner<'a>) -> Result<Headers<'a>, ProtocolError> {
    match scanner.token()? {
        Token::Object => scanner.bump(),
        Token::Null => {
            scanner.literal(b"null")?;
            return Ok(Headers::default());
        }
        _ => return Err(mismatch(scanner, "Expected 'headers' to be of type StartObject.")),
    }
    let mut headers = Headers::default();
    let mut first = true;
    while let Some(name) = scanner.next_member(&mut first)? {
        let name = name.to_str().map_err(text_fault)?;
        if scanner.token()? != Token::String {
            return Err(mismatch(scanner, format!("Expected header '{name}' to be of type String.")));
        }
        headers.0.push((name, scanner.string()?.to_str().map_err(text_fault)?));
    }
    Ok(headers)
}
