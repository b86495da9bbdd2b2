//! The negotiate document as a client reads it (B-1.3, B-16).

use super::document::{AvailableTransport, NegotiateResponse};
use crate::error::{ProtocolError, ProtocolErrorKind};
use crate::json::scan::{Scanner, Token};
use crate::json::{int32, mismatch, open_object, string, text_fault};
use std::borrow::Cow;

const CLASSIC_SERVER: &str = "Detected a connection attempt to an ASP.NET SignalR Server. This client only supports connecting to an ASP.NET Core SignalR Server. See https://aka.ms/signalr-core-differences for details.";

impl<'a> NegotiateResponse<'a> {
    /// Reads a document. Unknown properties are skipped, the last of equal names wins, text behind the object is
    /// ignored. Unless there is an error or a URL, the id, with version 1 the token, and the transports are there.
    ///
    /// # Errors
    /// The text is the reference's inner one, except for malformed JSON.
    pub fn parse(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut scanner = Scanner::new(body);
        let mut response = Self::default();
        open_object(&mut scanner)?;
        let mut first = true;
        while let Some(name) = scanner.next_member(&mut first)? {
            let name = name.to_str().unwrap_or_default();
            response.read(&mut scanner, &name)?;
        }
        response.check()?;
        Ok(response)
    }

    fn read(&mut self, scanner: &mut Scanner<'a>, name: &str) -> Result<(), ProtocolError> {
        match name {
            "error" => self.error = Some(string(scanner, "error")?),
            "url" => self.url = Some(string(scanner, "url")?),
            "accessToken" => self.access_token = Some(string(scanner, "accessToken")?),
            "connectionId" => self.connection_id = Some(string(scanner, "connectionId")?),
            "connectionToken" => self.connection_token = Some(string(scanner, "connectionToken")?),
            "negotiateVersion" => self.version = read_version(scanner)?,
            "useStatefulReconnect" => self.use_stateful_reconnect = read_bool(scanner)?,
            "availableTransports" => self.available_transports = Some(read_transports(scanner)?),
            "ProtocolVersion" => {
                return Err(ProtocolError::new(ProtocolErrorKind::InvalidOperation, CLASSIC_SERVER));
            }
            _ => {
                scanner.skip_value(1)?;
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ProtocolError> {
        if self.url.is_some() || self.error.is_some() {
            return Ok(());
        }
        if self.connection_id.is_none() {
            return Err(missing("connectionId"));
        }
        if self.version > 0 && self.connection_token.is_none() {
            return Err(missing("connectionToken"));
        }
        if self.available_transports.is_none() {
            return Err(missing("availableTransports"));
        }
        Ok(())
    }
}

fn read_version(scanner: &mut Scanner<'_>) -> Result<i32, ProtocolError> {
    match scanner.token()? {
        Token::Number => int32(scanner.number()?),
        _ => Err(mismatch(scanner, "Expected 'negotiateVersion' to be of type Number.")),
    }
}

fn read_bool(scanner: &mut Scanner<'_>) -> Result<bool, ProtocolError> {
    match scanner.token()? {
        Token::True => scanner.literal(b"true").map(|()| true).map_err(Into::into),
        Token::False => scanner.literal(b"false").map(|()| false).map_err(Into::into),
        _ => Err(mismatch(scanner, "Expected 'useStatefulReconnect' to be true or false.")),
    }
}

fn read_transports<'a>(scanner: &mut Scanner<'a>) -> Result<Vec<AvailableTransport<'a>>, ProtocolError> {
    open_array(scanner)?;
    let mut transports = Vec::new();
    let mut first = true;
    while scanner.next_item(&mut first)? {
        if scanner.token()? == Token::Object {
            transports.push(read_transport(scanner)?);
        } else {
            scanner.skip_value(2)?;
        }
    }
    Ok(transports)
}

fn read_transport<'a>(scanner: &mut Scanner<'a>) -> Result<AvailableTransport<'a>, ProtocolError> {
    scanner.bump();
    let mut transport = None;
    let mut transfer_formats = None;
    let mut first = true;
    while let Some(name) = scanner.next_member(&mut first)? {
        match name.to_str().unwrap_or_default().as_ref() {
            "transport" => transport = Some(string(scanner, "transport")?),
            "transferFormats" => transfer_formats = Some(read_formats(scanner)?),
            _ => {
                scanner.skip_value(3)?;
            }
        }
    }
    let transport = transport.ok_or_else(|| missing("transport"))?;
    let transfer_formats = transfer_formats.ok_or_else(|| missing("transferFormats"))?;
    Ok(AvailableTransport { transport, transfer_formats })
}

fn read_formats<'a>(scanner: &mut Scanner<'a>) -> Result<Vec<Cow<'a, str>>, ProtocolError> {
    open_array(scanner)?;
    let mut formats = Vec::new();
    let mut first = true;
    while scanner.next_item(&mut first)? {
        let other = match scanner.token()? {
            Token::String => {
                formats.push(scanner.string()?.to_str().map_err(text_fault)?);
                continue;
            }
            other => other.reader_name(),
        };
        let text = format!("Unexpected token '{other}' when reading transfer formats JSON.");
        return Err(mismatch(scanner, text));
    }
    Ok(formats)
}

fn open_array(scanner: &mut Scanner<'_>) -> Result<(), ProtocolError> {
    match scanner.token()? {
        Token::Array => {
            scanner.bump();
            Ok(())
        }
        other => {
            let name = other.name();
            Err(mismatch(scanner, format!("Unexpected JSON Token Type '{name}'. Expected a JSON Array.")))
        }
    }
}

fn missing(property: &str) -> ProtocolError {
    ProtocolError::invalid_data(format!("Missing required property '{property}'."))
}
