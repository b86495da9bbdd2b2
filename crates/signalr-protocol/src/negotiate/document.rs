//! The negotiate document as a value, and its writing (B-1.3, B-1.5, B-16).

use crate::json::write_string;
use std::borrow::Cow;

/// The answer to a negotiate request. A server fills in what applies; what a client parsed has everything that it
/// needs (see [`NegotiateResponse::parse`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NegotiateResponse<'a> {
    /// Why the negotiation is refused. Nothing else is written with it.
    pub error: Option<Cow<'a, str>>,
    /// Whether the connection can be resumed.
    pub use_stateful_reconnect: bool,
    /// The version of the document.
    pub version: i32,
    /// Where to negotiate instead.
    pub url: Option<Cow<'a, str>>,
    /// The bearer token for the other place.
    pub access_token: Option<Cow<'a, str>>,
    /// The connection's public id.
    pub connection_id: Option<Cow<'a, str>>,
    /// What the transports use as `id`; written with version 1 and up only. A secret.
    pub connection_token: Option<Cow<'a, str>>,
    /// The transports that may be used, in order of preference. `None` is written as an empty list.
    pub available_transports: Option<Vec<AvailableTransport<'a>>>,
}

/// One transport of a negotiate document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvailableTransport<'a> {
    /// Its name: `WebSockets`, `ServerSentEvents` or `LongPolling`.
    pub transport: Cow<'a, str>,
    /// What it can carry: `Text`, `Binary`.
    pub transfer_formats: Vec<Cow<'a, str>>,
}

impl<'a> NegotiateResponse<'a> {
    /// A refusal.
    pub fn refused(error: impl Into<Cow<'a, str>>) -> Self {
        Self { error: Some(error.into()), ..Self::default() }
    }

    /// Appends the document: no white space, properties in the reference's order, empty texts left out.
    pub fn write(&self, out: &mut Vec<u8>) {
        if let Some(error) = &self.error {
            out.extend_from_slice(b"{\"error\":");
            write_string(out, error);
            out.push(b'}');
            return;
        }
        out.push(b'{');
        if self.use_stateful_reconnect {
            out.extend_from_slice(b"\"useStatefulReconnect\":true,");
        }
        out.extend_from_slice(b"\"negotiateVersion\":");
        out.extend_from_slice(itoa::Buffer::new().format(self.version).as_bytes());
        write_text(out, "url", &self.url);
        write_text(out, "accessToken", &self.access_token);
        write_text(out, "connectionId", &self.connection_id);
        if self.version > 0 {
            write_text(out, "connectionToken", &self.connection_token);
        }
        out.extend_from_slice(b",\"availableTransports\":[");
        for (index, transport) in self.available_transports.iter().flatten().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            transport.write(out);
        }
        out.extend_from_slice(b"]}");
    }
}

impl AvailableTransport<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"transport\":");
        write_string(out, &self.transport);
        out.extend_from_slice(b",\"transferFormats\":[");
        for (index, format) in self.transfer_formats.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_string(out, format);
        }
        out.extend_from_slice(b"]}");
    }
}

fn write_text(out: &mut Vec<u8>, name: &str, value: &Option<Cow<'_, str>>) {
    if let Some(value) = value.as_deref().filter(|v| !v.is_empty()) {
        out.push(b',');
        write_string(out, name);
        out.push(b':');
        write_string(out, value);
    }
}
