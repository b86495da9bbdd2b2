//! A message to many: encoded once per protocol, framed once per kind of transport.
//!
//! Owns the cache of bytes during one fan-out. Where the message goes is the manager's business; the bytes go to the
//! outboxes.

use crate::backplane::Payloads;
use crate::connection::Connection;
use crate::framing::FramingId;
use bytes::Bytes;
use signalr_protocol::{ArgumentList, Compression, EncodeError, HubProtocol, PayloadStyle, Protocol};
use std::sync::Arc;

/// The protocols that a hub offers, with their settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolSet {
    protocols: [Option<HubProtocol>; Protocol::COUNT],
}

impl Default for ProtocolSet {
    /// All protocols, with default settings.
    fn default() -> Self {
        Self::new(&Protocol::ALL, Compression::None)
    }
}

impl ProtocolSet {
    /// Those of these protocols that are compiled in; MessagePack payloads are written with `compression`.
    pub fn new(protocols: &[Protocol], compression: Compression) -> Self {
        let mut set = Self { protocols: [None; Protocol::COUNT] };
        for kind in protocols.iter().filter(|kind| kind.is_available()) {
            set.protocols[kind.index()] = Some(HubProtocol::new(*kind).with_compression(compression));
        }
        set
    }

    /// Sets the form of one protocol's payloads. Default: as serde has it.
    #[must_use]
    pub fn with_style(mut self, kind: Protocol, style: PayloadStyle) -> Self {
        let slot = &mut self.protocols[kind.index()];
        *slot = slot.map(|protocol| protocol.with_style(style));
        self
    }

    /// The protocol with its settings, if it is offered.
    pub fn get(&self, kind: Protocol) -> Option<HubProtocol> {
        self.protocols[kind.index()]
    }

    /// Those that are offered, in the order of registration.
    pub fn iter(&self) -> impl Iterator<Item = HubProtocol> {
        self.protocols.iter().copied().flatten()
    }

    /// Encodes an invocation for every protocol that `wanted` accepts.
    ///
    /// # Errors
    /// An argument cannot be serialised.
    pub fn encode(
        &self,
        invocation_id: Option<&str>,
        target: &str,
        arguments: &dyn ArgumentList,
        wanted: impl Fn(Protocol) -> bool,
    ) -> Result<Payloads, EncodeError> {
        let mut payloads = Payloads::default();
        for protocol in self.iter().filter(|protocol| wanted(protocol.kind())) {
            let mut bytes = Vec::with_capacity(128);
            protocol.write_invocation(&mut bytes, invocation_id, target, arguments)?;
            payloads.set(protocol.kind(), bytes.into());
        }
        Ok(payloads)
    }
}

/// One message on its way to any number of local connections.
#[derive(Debug)]
pub struct OutgoingMessage<'a> {
    payloads: &'a Payloads,
    framed: [[Option<Bytes>; FramingId::COUNT]; Protocol::COUNT],
}

impl<'a> OutgoingMessage<'a> {
    /// A message whose encoded forms are there already.
    pub fn new(payloads: &'a Payloads) -> Self {
        Self { payloads, framed: Default::default() }
    }

    /// Pushes the message to a connection; false when its protocol is not among the encoded forms. Connections whose
    /// handshake is not finished get nothing.
    pub fn deliver(&mut self, connection: &Arc<Connection>) -> bool {
        let Some(protocol) = connection.protocol() else { return true };
        let Some(payload) = self.payloads.get(protocol) else { return false };
        let framing = connection.framing();
        if framing.id() == FramingId::UNFRAMED {
            connection.send_frame(payload.clone());
            return true;
        }
        let frame = self.framed[protocol.index()][framing.id().index()].get_or_insert_with(|| {
            let mut out = Vec::with_capacity(payload.len() + 16);
            framing.append(&mut out, payload, protocol.transfer_format());
            out.into()
        });
        connection.send_frame(frame.clone());
        true
    }
}
