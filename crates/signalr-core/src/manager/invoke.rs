//! Client results: a question to one client, here or on another server, and its answer.
//!
//! Owns open questions and the transport of answers between servers (B-8.4 to 8.6, B-9.7). The answer stays bytes here;
//! the hub layer knows its type.

use super::HubLifetimeManager;
use super::asked::{Asked, Open, Refused};
use super::error::InvokeError;
use super::send::deliver_to_one;
use super::wait::{NoAnswer, Waits};
use crate::backplane::{BackplaneHub, BackplaneMessage, InvocationMessage, Topic};
use crate::connection::Connection;
use crate::ids::ConnectionId;
use bytes::Bytes;
use signalr_protocol::{ArgumentList, HubProtocol, Message, Payload, Protocol};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A client's answer, unread.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawResult {
    /// The format of `value`.
    pub protocol: Protocol,
    /// What the client said went wrong.
    pub error: Option<String>,
    /// The result; absent when the client sent none.
    pub value: Option<Bytes>,
}

impl RawResult {
    /// An answer as it stands in a Completion message.
    pub fn new(protocol: Protocol, error: Option<&str>, value: Option<Payload<'_>>) -> Self {
        Self {
            protocol,
            error: error.map(str::to_owned),
            value: value.map(|value| Bytes::copy_from_slice(value.bytes())),
        }
    }

    /// The whole Completion message, as framed for the wire.
    fn write(&self, protocol: HubProtocol, id: &str) -> Bytes {
        let mut out = Vec::new();
        match (&self.error, &self.value) {
            (Some(error), _) => protocol.write_completion_error(&mut out, id, error),
            (None, Some(value)) => {
                let value = Payload::new(self.protocol, value);
                if let Err(error) = protocol.write_completion_raw(&mut out, id, value) {
                    protocol.write_completion_error(&mut out, id, &error.to_string());
                }
            }
            (None, None) => protocol.write_completion_void(&mut out, id),
        }
        out.into()
    }
}

/// What became of a Completion that a client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Completed {
    /// Somebody was waiting for it.
    Accepted,
    /// Nobody waits for it (any more).
    Unknown,
    /// Another connection was asked: this one must be closed.
    WrongConnection,
}

#[derive(Default)]
pub(super) struct PendingResults {
    counter: AtomicU64,
    waits: Waits<Arc<str>, Answer>,
    asked: Mutex<Asked>,
}

enum Answer {
    Result(RawResult),
    Disconnected,
}

impl PendingResults {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a question when its caller is gone.
struct Forget<'a>(&'a PendingResults, Arc<str>);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.asked().forget(&self.1);
    }
}

impl HubLifetimeManager {
    /// Asks one client, on whichever server it is, and waits for its answer, at most the result time-out.
    ///
    /// Cancel safe: a dropped question is forgotten, and a late answer is ignored. The client is not told.
    ///
    /// # Errors
    /// See [`InvokeError`].
    pub async fn invoke(
        &self,
        id: &ConnectionId,
        method: &str,
        arguments: &dyn ArgumentList,
    ) -> Result<RawResult, InvokeError> {
        match (self.connection(id.as_str()), self.backplane.get()) {
            (Some(connection), _) => self.ask_locally(&connection, method, arguments).await,
            (None, Some(hub)) => self.ask_elsewhere(&**hub, id, method, arguments).await,
            (None, None) => Err(InvokeError::NotFound(id.clone())),
        }
    }

    async fn ask_locally(
        &self,
        connection: &Arc<Connection>,
        method: &str,
        arguments: &dyn ArgumentList,
    ) -> Result<RawResult, InvokeError> {
        let invocation: Arc<str> = self.invocation_id().into();
        let protocol = connection.protocol();
        let payloads =
            self.options.protocols.encode(Some(&invocation), method, arguments, |p| Some(p) == protocol)?;
        let waiting = self.results.waits.open(invocation.clone());
        self.results.asked().insert(invocation.clone(), connection.id(), None);
        let _forget = Forget(&self.results, invocation);
        deliver_to_one(connection, &payloads).await?;
        // Closed between the look-up and now: its questions have been failed already.
        if connection.is_ended() {
            return Err(InvokeError::Disconnected(connection.id().clone()));
        }
        let limit = self.options.result_timeout;
        match tokio::time::timeout(limit, waiting.answer()).await {
            Err(_) => Err(InvokeError::TimedOut(limit)),
            Ok(Some(Answer::Result(result))) => Ok(result),
            Ok(Some(Answer::Disconnected) | None) => Err(InvokeError::Disconnected(connection.id().clone())),
        }
    }

    async fn ask_elsewhere(
        &self,
        hub: &dyn BackplaneHub,
        id: &ConnectionId,
        method: &str,
        arguments: &dyn ArgumentList,
    ) -> Result<RawResult, InvokeError> {
        let topic = Topic::Connection(id.clone());
        if hub.receivers(&topic).await == Some(0) {
            return Err(InvokeError::NotFound(id.clone()));
        }
        let invocation: Arc<str> = self.invocation_id().into();
        let payloads = self.options.protocols.encode(Some(&invocation), method, arguments, |_| true)?;
        let waiting = self.results.waits.open(invocation.clone());
        let message = InvocationMessage {
            payloads,
            invocation_id: Some(invocation),
            return_to: Some(hub.node().into()),
            ..Default::default()
        };
        hub.publish(&topic, BackplaneMessage::Invocation(message)).await?;
        let limit = self.options.result_timeout;
        match waiting.wait(hub, &topic, limit).await {
            Ok(Answer::Result(result)) => Ok(result),
            Ok(Answer::Disconnected) | Err(NoAnswer::Gone) => Err(InvokeError::Disconnected(id.clone())),
            Err(NoAnswer::TimedOut) => Err(InvokeError::TimedOut(limit)),
        }
    }

    /// Local ids are short and cannot clash with stream ids of clients; fleet ids are unique everywhere.
    fn invocation_id(&self) -> String {
        match self.backplane.get() {
            None => format!("s{}", self.results.counter.fetch_add(1, Ordering::Relaxed) + 1),
            Some(_) => crate::ids::new_id(),
        }
    }

    /// A connection sent a Completion: hands it to whoever asked, here or elsewhere.
    pub fn complete(&self, connection: &Connection, invocation: &str, result: RawResult) -> Completed {
        let answered = self.results.asked().answered(invocation, connection.id());
        let return_to = match answered {
            Ok(return_to) => return_to,
            Err(Refused::Unknown) => return Completed::Unknown,
            Err(Refused::WrongConnection) => return Completed::WrongConnection,
        };
        match return_to {
            Some(node) => self.return_result(&node, invocation, &result),
            None => {
                self.results.waits.answer(&invocation.into(), Answer::Result(result));
            }
        }
        Completed::Accepted
    }

    /// A question from another server arrived for a local connection.
    pub(super) fn forward_question(&self, id: &ConnectionId, invocation: Arc<str>, return_to: Arc<str>) {
        let driven_out = self.results.asked().insert(invocation, id, Some(return_to));
        if let Some(oldest) = driven_out {
            metrics::counter!("signalr.server.forgotten_questions").increment(1);
            self.fail_question(oldest, "Too many questions to the client are open.");
        }
        if self.connection(id.as_str()).is_none() {
            self.fail_results(id);
        }
    }

    /// An answer from another server arrived.
    pub(super) fn take_result(&self, protocol: Protocol, bytes: &[u8]) {
        let hub_protocol = HubProtocol::new(protocol);
        let Ok(Some((body, _))) = hub_protocol.split(bytes) else {
            tracing::warn!(hub = %self.name, "a client result from another server cannot be read");
            return;
        };
        match hub_protocol.parse(body) {
            Ok(Message::Completion { invocation_id, error, result, .. }) => {
                let result = RawResult::new(protocol, error.as_deref(), result);
                self.results.waits.answer(&invocation_id.as_ref().into(), Answer::Result(result));
            }
            _ => tracing::warn!(hub = %self.name, "a client result from another server is no completion"),
        }
    }

    /// The connection has ended: whoever asked it is told.
    pub(super) fn fail_results(&self, id: &ConnectionId) {
        let failed = self.results.asked().ended(id);
        for question in failed {
            self.fail_question(question, "Connection disconnected.");
        }
    }

    /// Whoever asked, here or elsewhere, gets no answer.
    fn fail_question(&self, (invocation, return_to): Open, why: &str) {
        match return_to {
            None => {
                self.results.waits.answer(&invocation, Answer::Disconnected);
            }
            Some(node) => {
                let failure = RawResult::new(Protocol::Json, Some(why), None);
                self.return_result(&node, &invocation, &failure);
            }
        }
    }

    fn return_result(&self, node: &Arc<str>, invocation: &str, result: &RawResult) {
        let Some(hub) = self.backplane.get() else { return };
        let message = result.write(HubProtocol::new(result.protocol), invocation);
        let completion = BackplaneMessage::Completion { protocol: result.protocol, message };
        // Nobody here waits for the outcome: the asker has its own deadline.
        drop(hub.publish(&Topic::Return(node.clone()), completion));
    }
}
