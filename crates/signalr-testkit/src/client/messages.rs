//! The hub protocol on a test client: handshake, messages, calls and answers.
//!
//! Owns splitting and the ids of invocations. Bytes come from and go to the client.

use super::TestClient;
use crate::error::TestError;
use crate::received::{Received, ReceivedInvocation};
use bytes::{Buf, Bytes};
use serde::Serialize;
use serde::de::DeserializeOwned;
use signalr_protocol::{
    ArgumentList, EncodeError, FromArguments, HubProtocol, InvocationParts, Message, Protocol, handshake,
};
use std::borrow::Cow;
use std::time::Duration;

impl TestClient {
    /// Asks for a protocol and waits for the server's consent. From now on messages are of that protocol.
    ///
    /// # Errors
    /// The server refused, answered nonsense, ended or kept silent.
    pub async fn handshake(&mut self, protocol: Protocol) -> Result<(), TestError> {
        let mut request = Vec::new();
        handshake::write_request(&mut request, protocol.name(), 1);
        self.send_bytes(request);
        self.protocol = HubProtocol::new(Protocol::Json);
        let answer = self.next("handshake response").await?;
        if let Some(error) = handshake::parse_response(answer.bytes())? {
            return Err(TestError::HandshakeRefused(error.into_owned()));
        }
        self.set_protocol(protocol);
        Ok(())
    }

    /// Reads and writes messages of this protocol from now on, without a handshake.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = HubProtocol::new(protocol);
        if self.keep_alive {
            self.pipe.set_ping(self.ping_bytes());
        }
    }

    /// The next message that is no Ping.
    ///
    /// # Errors
    /// The connection ended, patience ran out, or the server broke the framing.
    pub async fn next_message(&mut self) -> Result<Received, TestError> {
        loop {
            let message = self.next("message").await?;
            if !message.is_ping() {
                return Ok(message);
            }
        }
    }

    /// The next message of any kind, Pings too.
    ///
    /// # Errors
    /// As [`TestClient::next_message`].
    pub async fn next_or_ping(&mut self) -> Result<Received, TestError> {
        self.next("message").await
    }

    /// The next message that is no Ping, which must be an Invocation.
    ///
    /// # Errors
    /// Another message came, or none.
    pub async fn next_invocation(&mut self) -> Result<ReceivedInvocation, TestError> {
        self.next_message().await?.invocation()
    }

    /// The next message that is no Ping, which must be an Invocation of `target`; its arguments.
    ///
    /// # Errors
    /// Another message came, or none, or its arguments do not fit.
    pub async fn expect<T: FromArguments>(&mut self, target: &str) -> Result<T, TestError> {
        let message = self.next_message().await?;
        let call = message.invocation()?;
        if call.target != target {
            return Err(message.unexpected(format!("an Invocation of {target}")));
        }
        Ok(call.arguments()?)
    }

    /// A message that has arrived already and is no Ping, without waiting.
    ///
    /// # Errors
    /// The server broke the framing.
    pub fn try_next_message(&mut self) -> Result<Option<Received>, TestError> {
        self.pipe.read_now(&mut self.unread);
        loop {
            let message = match self.kept.pop_front() {
                Some(message) => Some(message),
                None => self.split()?,
            };
            match message {
                Some(message) if message.is_ping() => {}
                other => return Ok(other),
            }
        }
    }

    /// Waits for `period` of tokio's time and fails when a message other than a Ping comes. The end of the connection
    /// is silence too.
    ///
    /// # Errors
    /// A message came; it is in the error.
    pub async fn stays_silent(&mut self, period: Duration) -> Result<(), TestError> {
        let quiet = async {
            loop {
                match self.next_message().await {
                    Ok(message) => return Err(message.unexpected("silence")),
                    Err(TestError::Silence { .. }) => {}
                    Err(TestError::Ended { .. }) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        };
        tokio::time::timeout(period, quiet).await.unwrap_or(Ok(()))
    }

    /// Calls a method without waiting for the answer. Returns the invocation's id.
    ///
    /// # Errors
    /// An argument cannot be written.
    pub fn call(&mut self, target: &str, arguments: impl ArgumentList) -> Result<String, TestError> {
        let id = self.new_id();
        self.write(|protocol, out| protocol.write_invocation(out, Some(&id), target, &arguments))?;
        Ok(id)
    }

    /// Calls a method that is not to be answered.
    ///
    /// # Errors
    /// An argument cannot be written.
    pub fn send(&mut self, target: &str, arguments: impl ArgumentList) -> Result<(), TestError> {
        self.write(|protocol, out| protocol.write_invocation(out, None, target, &arguments))
    }

    /// Calls a streaming method. Returns the stream's id.
    ///
    /// # Errors
    /// An argument cannot be written.
    pub fn open_stream(&mut self, target: &str, arguments: impl ArgumentList) -> Result<String, TestError> {
        let id = self.new_id();
        self.write(|protocol, out| protocol.write_stream_invocation(out, &id, target, &arguments))?;
        Ok(id)
    }

    /// Calls a method that takes `streams` streams of the client's. Returns the invocation's id and theirs.
    ///
    /// # Errors
    /// An argument cannot be written.
    pub fn upload(
        &mut self,
        target: &str,
        arguments: impl ArgumentList,
        streams: usize,
    ) -> Result<(String, Vec<String>), TestError> {
        self.upload_as(false, target, &arguments, streams)
    }

    /// As [`TestClient::upload`], for a method that answers with a stream.
    ///
    /// # Errors
    /// An argument cannot be written.
    pub fn open_stream_and_upload(
        &mut self,
        target: &str,
        arguments: impl ArgumentList,
        streams: usize,
    ) -> Result<(String, Vec<String>), TestError> {
        self.upload_as(true, target, &arguments, streams)
    }

    fn upload_as(
        &mut self,
        streaming: bool,
        target: &str,
        arguments: &dyn ArgumentList,
        streams: usize,
    ) -> Result<(String, Vec<String>), TestError> {
        let id = self.new_id();
        let ids: Vec<String> = (0..streams).map(|_| self.new_id()).collect();
        let borrowed: Vec<Cow<'_, str>> = ids.iter().map(|id| id.into()).collect();
        self.write(|protocol, out| {
            let mut parts = InvocationParts::new(Some(&id), target);
            parts.streaming = streaming;
            parts.stream_ids = Some(&borrowed);
            protocol.write_invocation_with(out, &parts, arguments)
        })?;
        Ok((id, ids))
    }

    /// Sends an item of a stream of the client's.
    ///
    /// # Errors
    /// The item cannot be written.
    pub fn send_item<T: Serialize>(&mut self, stream: &str, item: &T) -> Result<(), TestError> {
        self.write(|protocol, out| protocol.write_stream_item(out, stream, item))
    }

    /// Ends a stream of the client's, with an error or without.
    ///
    /// # Errors
    /// None: the signature is that of its siblings.
    pub fn end_stream(&mut self, stream: &str, error: Option<&str>) -> Result<(), TestError> {
        self.write(|protocol, out| {
            match error {
                Some(error) => protocol.write_completion_error(out, stream, error),
                None => protocol.write_completion_void(out, stream),
            }
            Ok(())
        })
    }

    /// Calls a method and waits for its result. Other messages that come meanwhile are kept for later reads.
    ///
    /// # Errors
    /// The call was answered with an error ([`TestError::Completion`]), or not at all.
    pub async fn invoke<R: DeserializeOwned>(
        &mut self,
        target: &str,
        arguments: impl ArgumentList,
    ) -> Result<R, TestError> {
        let id = self.call(target, arguments)?;
        let answer = self.completion(&id).await?;
        match answer.message()? {
            Message::Completion { error: Some(error), .. } => Err(TestError::Completion(error.into_owned())),
            Message::Completion { result: Some(result), .. } => Ok(result.decode()?),
            _ => Err(answer.unexpected("a Completion with a result")),
        }
    }

    /// Waits for the Completion of an invocation. Other messages that come meanwhile are kept for later reads.
    ///
    /// # Errors
    /// None came.
    pub async fn completion(&mut self, id: &str) -> Result<Received, TestError> {
        let is_wanted = |message: &Received| matches!(message.message(), Ok(Message::Completion { invocation_id, .. }) if invocation_id == id);
        if let Some(position) = self.kept.iter().position(is_wanted)
            && let Some(found) = self.kept.remove(position)
        {
            return Ok(found);
        }
        loop {
            let message = self.receive("Completion").await?;
            if is_wanted(&message) {
                return Ok(message);
            }
            if !message.is_ping() {
                self.kept.push_back(message);
            }
        }
    }

    /// Answers a question of the server.
    ///
    /// # Errors
    /// The value cannot be written.
    pub fn answer<T: Serialize>(&mut self, invocation_id: &str, value: &T) -> Result<(), TestError> {
        self.write(|protocol, out| protocol.write_completion_result(out, invocation_id, value))
    }

    /// Answers a question of the server with an error.
    ///
    /// # Errors
    /// None: the signature is that of its siblings.
    pub fn answer_error(&mut self, invocation_id: &str, error: &str) -> Result<(), TestError> {
        self.write(|protocol, out| {
            protocol.write_completion_error(out, invocation_id, error);
            Ok(())
        })
    }

    /// Sends a Ping.
    pub fn ping(&self) {
        self.pipe.send(self.ping_bytes());
    }

    /// Sends whatever `write` appends, in the connection's protocol.
    ///
    /// # Errors
    /// What `write` returns.
    pub fn write(
        &mut self,
        write: impl FnOnce(HubProtocol, &mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), TestError> {
        let mut out = Vec::new();
        write(self.protocol, &mut out)?;
        self.send_bytes(out);
        Ok(())
    }

    async fn next(&mut self, wanted: &'static str) -> Result<Received, TestError> {
        match self.kept.pop_front() {
            Some(message) => Ok(message),
            None => self.receive(wanted).await,
        }
    }

    async fn receive(&mut self, wanted: &'static str) -> Result<Received, TestError> {
        loop {
            if let Some(message) = self.split()? {
                return Ok(message);
            }
            self.more(wanted).await?;
        }
    }

    fn split(&mut self) -> Result<Option<Received>, TestError> {
        let Some((body, used)) = self.protocol.split(&self.unread)? else { return Ok(None) };
        let message = Received::new(self.protocol, body);
        self.unread.advance(used);
        Ok(Some(message))
    }

    fn new_id(&mut self) -> String {
        self.last_id += 1;
        self.last_id.to_string()
    }

    fn ping_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.protocol.write_ping(&mut out);
        out.into()
    }
}
