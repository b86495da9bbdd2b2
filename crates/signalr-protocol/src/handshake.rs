//! The handshake: the first message of each side, JSON and 0x1E whatever the hub protocol (B-3).
//!
//! Owns both documents, the order of the server's checks and their texts. It has no clock and no buffer: the caller
//! keeps what has arrived, asks [`split`] for the first record and ends the handshake when its time is over.
//!
//! Server: [`split`] -> [`HandshakeRequest::parse`] -> [`HandshakeRequest::choose`] -> [`write_success`], or
//! [`write_refusal`] with what went wrong. Client: [`write_request`] -> [`split`] -> [`parse_response`].

use crate::error::{ProtocolError, ProtocolErrorKind};
use crate::framing::text;
use crate::json::scan::{Malformed, Scanner, Token};
use crate::json::{int32, mismatch, open_object, string, write_string};
use crate::protocol::{Protocol, TransferFormat};
use std::borrow::Cow;

/// Finds the first whole record in what has arrived: its body and how many bytes it takes with its separator.
/// `None` means that more bytes are needed. Only the first `limit` bytes are searched; `None` is no limit (the
/// reference's default is 32768, separator included).
///
/// # Errors
/// [`HandshakeRefusal::Canceled`] when more than `limit` bytes are there and no record ends among the first.
pub fn split(input: &[u8], limit: Option<usize>) -> Result<Option<(&[u8], usize)>, HandshakeRefusal> {
    let limit = limit.unwrap_or(usize::MAX);
    match text::split(&input[..input.len().min(limit)]) {
        None if input.len() > limit => Err(HandshakeRefusal::Canceled),
        found => Ok(found),
    }
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandshakeRequest<'a> {
    /// The hub protocol's name, as the client wrote it.
    pub protocol: Cow<'a, str>,
    /// The version of the hub protocol.
    pub version: i32,
}

impl<'a> HandshakeRequest<'a> {
    /// Reads a record's body. Unknown properties are skipped, the last of equal names wins, text behind the object
    /// is ignored.
    ///
    /// # Errors
    /// The text is the reference's, except for malformed JSON.
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut scanner = Scanner::new(body);
        let mut protocol = None;
        let mut version = None;
        open(&mut scanner)?;
        let mut first = true;
        while let Some(name) = scanner.next_member(&mut first).map_err(malformed)? {
            match name.to_str().unwrap_or_default().as_ref() {
                "protocol" => protocol = Some(string(&mut scanner, "protocol").map_err(reader_error)?),
                "version" => version = read_version(&mut scanner).map_err(reader_error)?,
                _ => {
                    scanner.skip_value(1).map_err(malformed)?;
                }
            }
        }
        let protocol = protocol.ok_or_else(|| missing("protocol", body))?;
        let version = version.ok_or_else(|| missing("version", body))?;
        Ok(Self { protocol, version })
    }

    /// Decides which of the offered protocols is spoken: the reference's checks in its order.
    ///
    /// # Errors
    /// The client must be answered with the refusal and be disconnected.
    pub fn choose(&self, offered: &[Protocol], binary_allowed: bool) -> Result<Protocol, HandshakeRefusal> {
        let found = Protocol::by_name(&self.protocol).filter(|p| offered.contains(p));
        let Some(protocol) = found else {
            return Err(HandshakeRefusal::UnknownProtocol { name: self.protocol.as_ref().into() });
        };
        if self.version > protocol.version() {
            let name = self.protocol.as_ref().into();
            return Err(HandshakeRefusal::UnsupportedVersion { name, version: self.version });
        }
        if protocol.transfer_format() == TransferFormat::Binary && !binary_allowed {
            return Err(HandshakeRefusal::UnsupportedFormat { protocol });
        }
        Ok(protocol)
    }
}

/// Why a server refuses a handshake. The display text is what the client is told, exactly as the reference words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeRefusal {
    /// The time is over, the server stops, or the request is too large.
    #[error("Handshake was canceled.")]
    Canceled,
    /// The request cannot be read; with the fault when detailed errors are on.
    #[error("An unexpected error occurred during connection handshake.{}", detail_text(detail))]
    Unexpected {
        /// What is wrong with it.
        detail: Option<ProtocolError>,
    },
    /// No such protocol is offered.
    #[error("The protocol '{name}' is not supported.")]
    UnknownProtocol {
        /// The name, as the client wrote it.
        name: Box<str>,
    },
    /// The version is too new.
    #[error("The server does not support version {version} of the '{name}' protocol.")]
    UnsupportedVersion {
        /// The name, as the client wrote it.
        name: Box<str>,
        /// The version that was asked for.
        version: i32,
    },
    /// The transport carries text only.
    #[error(
        "Cannot use the '{}' protocol on the current transport. The transport does not support 'Binary' transfer format.",
        protocol.name()
    )]
    UnsupportedFormat {
        /// The protocol that was asked for.
        protocol: Protocol,
    },
}

impl HandshakeRefusal {
    /// The refusal of a request that cannot be read; the fault is told only with detailed errors.
    pub fn unreadable(fault: ProtocolError, detailed_errors: bool) -> Self {
        Self::Unexpected { detail: detailed_errors.then_some(fault) }
    }
}

/// Appends a client's request.
pub fn write_request(out: &mut Vec<u8>, protocol: &str, version: i32) {
    out.extend_from_slice(b"{\"protocol\":");
    write_string(out, protocol);
    out.extend_from_slice(b",\"version\":");
    out.extend_from_slice(itoa::Buffer::new().format(version).as_bytes());
    end(out);
}

/// Appends the server's consent: `{}` and the separator.
pub fn write_success(out: &mut Vec<u8>) {
    out.push(b'{');
    end(out);
}

/// Appends the server's refusal. The connection ends after it.
pub fn write_refusal(out: &mut Vec<u8>, refusal: &HandshakeRefusal) {
    write_error(out, &refusal.to_string());
}

/// Appends a server's refusal with any text.
pub fn write_error(out: &mut Vec<u8>, error: &str) {
    out.extend_from_slice(b"{\"error\":");
    write_string(out, error);
    end(out);
}

/// Reads the server's answer: `None` is consent, a text is a refusal.
///
/// # Errors
/// It is no handshake response.
pub fn parse_response(body: &[u8]) -> Result<Option<Cow<'_, str>>, ProtocolError> {
    let mut scanner = Scanner::new(body);
    let mut error = None;
    open(&mut scanner)?;
    let mut first = true;
    while let Some(name) = scanner.next_member(&mut first).map_err(malformed)? {
        match name.to_str().unwrap_or_default().as_ref() {
            "error" => error = Some(string(&mut scanner, "error").map_err(reader_error)?),
            "type" => {
                return Err(ProtocolError::invalid_data("Expected a handshake response from the server."));
            }
            _ => {
                scanner.skip_value(1).map_err(malformed)?;
            }
        }
    }
    Ok(error)
}

fn open(scanner: &mut Scanner<'_>) -> Result<(), ProtocolError> {
    open_object(scanner).map_err(reader_error)
}

/// `None` is a null, which counts as missing.
fn read_version(scanner: &mut Scanner<'_>) -> Result<Option<i32>, ProtocolError> {
    match scanner.token()? {
        Token::Number => int32(scanner.number()?).map(Some),
        Token::Null => scanner.literal(b"null").map(|()| None).map_err(Into::into),
        _ => Err(mismatch(scanner, "Expected 'version' to be of type Number.")),
    }
}

fn missing(property: &str, body: &[u8]) -> ProtocolError {
    let content = String::from_utf8_lossy(body);
    ProtocolError::invalid_data(format!("Missing required property '{property}'. Message content: {content}"))
}

/// Malformed JSON has its own exception name here, unlike in hub messages.
fn reader_error(error: ProtocolError) -> ProtocolError {
    if error == Malformed.into() { malformed(Malformed) } else { error }
}

fn malformed(_: Malformed) -> ProtocolError {
    ProtocolError::new(ProtocolErrorKind::JsonReader, "Error reading JSON.")
}

fn detail_text(detail: &Option<ProtocolError>) -> String {
    match detail {
        Some(fault) => format!(" {}: {}", fault.kind().name(), fault.text()),
        None => String::new(),
    }
}

fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'}', text::RECORD_SEPARATOR]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_bytes_are_searched() {
        let record = b"{}\x1e{";
        assert_eq!(split(record, Some(3)), Ok(Some((&b"{}"[..], 3))));
        assert_eq!(split(record, None), Ok(Some((&b"{}"[..], 3))));
        assert_eq!(split(record, Some(2)), Err(HandshakeRefusal::Canceled));
        assert_eq!(split(b"{}", Some(2)), Ok(None));
    }

    #[test]
    fn a_written_request_is_read_back() {
        let mut out = Vec::new();
        write_request(&mut out, "json", 2);
        assert_eq!(out, b"{\"protocol\":\"json\",\"version\":2}\x1e");
        let request = HandshakeRequest::parse(&out[..out.len() - 1]).unwrap();
        assert_eq!((request.protocol.as_ref(), request.version), ("json", 2));
    }

    #[test]
    fn a_protocol_that_is_not_offered_is_unknown() {
        let request = HandshakeRequest { protocol: "MessagePack".into(), version: 1 };
        let refusal = request.choose(&[Protocol::Json], true).unwrap_err();
        assert_eq!(refusal.to_string(), "The protocol 'MessagePack' is not supported.");
    }
}
