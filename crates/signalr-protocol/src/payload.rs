//! Spans of received bytes that hold arguments, items and results, and their decoding.
//!
//! Owns the step from a span to Rust values, the one place per protocol where payloads are deserialised. The spans
//! come from the parsers; the types come from the hub method.

use crate::arguments::{ArgumentReader, FromArguments};
use crate::error::{BindError, ProtocolError};
use crate::protocol::Protocol;
use crate::style::PayloadStyle;
use crate::{json, msgpack};
use serde::de::DeserializeOwned;

/// One unread value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Payload<'a> {
    protocol: Protocol,
    style: PayloadStyle,
    span: &'a [u8],
}

/// The unread arguments of an invocation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arguments<'a> {
    protocol: Protocol,
    style: PayloadStyle,
    span: &'a [u8],
    /// What the same property said before, in a message that says it more than once: the reference binds it too.
    earlier: Option<&'a [u8]>,
    fault: Option<&'static str>,
}

/// Arguments that outlive the bytes they came in: a call that must wait for its turn.
#[derive(Debug, Clone)]
pub struct OwnedArguments {
    protocol: Protocol,
    style: PayloadStyle,
    span: Box<[u8]>,
    earlier: Option<Box<[u8]>>,
    fault: Option<&'static str>,
}

impl<'a> Payload<'a> {
    /// A span that holds exactly one value of the protocol's format.
    pub const fn new(protocol: Protocol, span: &'a [u8]) -> Self {
        Self { protocol, style: PayloadStyle::SERDE, span }
    }

    /// Sets the form of what is read. Default: as serde has it; what [`HubProtocol::parse`] gives has the protocol's.
    ///
    /// [`HubProtocol::parse`]: crate::HubProtocol::parse
    #[must_use]
    pub const fn with_style(mut self, style: PayloadStyle) -> Self {
        self.style = style;
        self
    }

    /// The format of the bytes.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The value as it was received.
    pub const fn bytes(&self) -> &'a [u8] {
        self.span
    }

    /// Whether the span holds exactly one value: for whoever passes it on, or drops it, without decoding it. What a
    /// JSON message held was checked when it was parsed; a MessagePack value may be missing or damaged, which
    /// [`Self::decode`] notices too.
    ///
    /// # Errors
    /// It does not; the reference closes the connection with this error.
    pub fn check(&self) -> Result<(), ProtocolError> {
        match self.protocol {
            Protocol::Json => json::check_value(self.span),
            Protocol::MessagePack => msgpack::check_value(self.span),
        }
    }

    /// Reads the value.
    ///
    /// # Errors
    /// The value does not fit the type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, BindError> {
        match self.protocol {
            Protocol::Json => json::decode_value(self.span, self.style),
            Protocol::MessagePack => msgpack::decode_value(self.span, self.style, "argument"),
        }
    }

    /// As [`Payload::decode`], for the item of a stream: its error says so in MessagePack, as the reference's does.
    ///
    /// # Errors
    /// The value does not fit the type.
    pub fn decode_item<T: DeserializeOwned>(&self) -> Result<T, BindError> {
        match self.protocol {
            Protocol::Json => self.decode(),
            Protocol::MessagePack => msgpack::decode_value(self.span, self.style, "item"),
        }
    }
}

impl<'a> Arguments<'a> {
    /// A span that holds exactly one array of the protocol's format.
    pub const fn new(protocol: Protocol, span: &'a [u8]) -> Self {
        Self { protocol, style: PayloadStyle::SERDE, span, earlier: None, fault: None }
    }

    pub(crate) const fn with_earlier(mut self, earlier: Option<&'a [u8]>) -> Self {
        self.earlier = earlier;
        self
    }

    /// Sets the form of what is read; see [`Payload::with_style`].
    #[must_use]
    pub const fn with_style(mut self, style: PayloadStyle) -> Self {
        self.style = style;
        self
    }

    pub(crate) const fn style(&self) -> PayloadStyle {
        self.style
    }

    /// Arguments that cannot be bound, with the reason (MessagePack: no array where the arguments should be).
    pub const fn broken(protocol: Protocol, fault: &'static str) -> Self {
        Self { protocol, style: PayloadStyle::SERDE, span: &[], earlier: None, fault: Some(fault) }
    }

    /// The format of the bytes.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The array as it was received.
    pub const fn bytes(&self) -> &'a [u8] {
        self.span
    }

    /// Why they cannot be bound whatever the method takes, if so.
    pub const fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    /// Reads all of them into the tuple that the method takes.
    ///
    /// # Errors
    /// Their number or one of their types does not fit; the text is the reference's (B-4.3).
    pub fn decode<T: FromArguments>(&self) -> Result<T, BindError> {
        if let Some(earlier) = self.earlier {
            T::from_arguments(Arguments::new(self.protocol, earlier).with_style(self.style))?;
        }
        T::from_arguments(*self)
    }

    /// Reads exactly `expected` values with `read`, for lists that are no tuple. Where a message says its arguments
    /// twice, `read` is called for both lists, and the last one counts.
    ///
    /// # Errors
    /// As [`Arguments::decode`].
    pub fn read<T>(
        &self,
        expected: usize,
        mut read: impl FnMut(&mut ArgumentReader<'_>) -> Result<T, BindError>,
    ) -> Result<T, BindError> {
        let mut once = |arguments: Arguments<'_>| {
            let mut reader = ArgumentReader::new(arguments, expected)?;
            let values = read(&mut reader)?;
            reader.finish().map(|()| values)
        };
        if let Some(earlier) = self.earlier {
            once(Arguments::new(self.protocol, earlier).with_style(self.style))?;
        }
        once(*self)
    }

    /// Copies the bytes.
    pub fn to_owned(&self) -> OwnedArguments {
        OwnedArguments {
            protocol: self.protocol,
            style: self.style,
            span: self.span.into(),
            earlier: self.earlier.map(Into::into),
            fault: self.fault,
        }
    }
}

impl OwnedArguments {
    /// The same arguments, borrowed.
    pub fn as_arguments(&self) -> Arguments<'_> {
        Arguments {
            protocol: self.protocol,
            style: self.style,
            span: &self.span,
            earlier: self.earlier.as_deref(),
            fault: self.fault,
        }
    }
}
