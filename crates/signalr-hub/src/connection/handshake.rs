//! The first message of a connection: which protocol, which version, which user (B-3).
//!
//! Owns the step from handshake to hub; the bytes are read and written by `signalr_protocol::handshake`.

use super::{HubConnection, Phase};
use crate::context::Context;
use signalr_core::WorkEnd;
use signalr_protocol::handshake::{self, HandshakeRefusal, HandshakeRequest};
use signalr_protocol::{HubProtocol, Protocol, TransferFormat};

/// The first version of the hub protocols whose clients know Ack and Sequence.
const RESUME_VERSION: i32 = 2;

impl HubConnection {
    pub(super) fn read_handshake(&mut self, input: &[u8]) -> usize {
        let limit = self.endpoint.options.maximum_receive_message_size;
        match handshake::split(input, limit) {
            Ok(None) => 0,
            Ok(Some((body, used))) => {
                match self.choose(body) {
                    Ok((protocol, version)) => self.accept(protocol, version),
                    Err(refusal) => self.refuse(&refusal),
                }
                used
            }
            Err(refusal) => {
                self.refuse(&refusal);
                input.len()
            }
        }
    }

    /// The protocol to speak, and its version.
    fn choose(&self, body: &[u8]) -> Result<(Protocol, i32), HandshakeRefusal> {
        let options = &self.endpoint.options;
        let request = HandshakeRequest::parse(body)
            .map_err(|fault| HandshakeRefusal::unreadable(fault, options.detailed_errors))?;
        let binary = self.connection.info().transport.carries(TransferFormat::Binary);
        Ok((request.choose(&options.protocols, binary)?, request.version))
    }

    fn accept(&mut self, protocol: Protocol, version: i32) {
        self.connection.set_protocol(protocol);
        self.connection.set_deadline(None);
        if let Some(user) = self.endpoint.options.find_user(self.connection.info()) {
            self.connection.set_user_id(&user);
        }
        if version >= RESUME_VERSION && self.connection.resume_offered() {
            self.connection.arm_resume(self.endpoint.options.stateful_reconnect_buffer_size);
        }
        let mut reply = Vec::new();
        handshake::write_success(&mut reply);
        self.connection.send_control(&reply);
        let endpoint = &self.endpoint;
        let protocol =
            endpoint.manager.options().protocols.get(protocol).unwrap_or(HubProtocol::new(protocol));
        let context = Context::new(
            self.connection.clone(),
            endpoint.manager.clone(),
            endpoint.options.clone(),
            protocol,
        );
        self.connect(context);
    }

    pub(super) fn refuse(&mut self, refusal: &HandshakeRefusal) {
        tracing::debug!(connection = %self.connection.id(), %refusal, "a handshake was refused");
        let mut reply = Vec::new();
        handshake::write_refusal(&mut reply, refusal);
        self.connection.send_payload(&reply);
        self.connection.set_deadline(None);
        self.connection.mark_ended();
        self.phase = Phase::Done(WorkEnd::Normal);
    }
}
