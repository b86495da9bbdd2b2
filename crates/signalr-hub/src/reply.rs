//! Answers to invocations: completions with results and errors.
//!
//! Owns the texts of failed calls (B-7.2 to 7.5) and the buffer they are written in. The bytes go to the connection's
//! outbox.

use crate::context::Context;
use crate::definition::Method;
use crate::error::{HubError, HubResult};
use crate::filter::HubValue;
use crate::{metric, trace};
use serde::Serialize;
use signalr_core::CloseReason;
use signalr_protocol::EncodeError;
use std::cell::RefCell;
use std::sync::Arc;
use tracing::Span;

/// The scratch buffer of a thread is given back to the allocator when a message made it larger than this.
const KEEP: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes an answer into this thread's buffer and pushes it to the context's connection. After an abort nothing is
/// answered any more.
pub(crate) fn push(
    context: &Context,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    if context.is_aborted() {
        return Ok(());
    }
    push_last(context, write)
}

/// As [`push`], also after an abort: the Close message.
pub(crate) fn push_last(
    context: &Context,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    with_scratch(|buffer| {
        write(buffer)?;
        context.inner.connection.send_payload(buffer);
        Ok(())
    })
}

/// Pushes a message that does not count in stateful reconnect: Ping, Ack. Not after an abort.
pub(crate) fn push_control(context: &Context, write: impl FnOnce(&mut Vec<u8>)) {
    if !context.is_aborted() {
        with_scratch(|buffer| {
            write(buffer);
            context.inner.connection.send_control(buffer);
        });
    }
}

/// Lends this thread's buffer, empty.
fn with_scratch<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut buffer = SCRATCH.take();
    buffer.clear();
    let done = work(&mut buffer);
    if buffer.capacity() <= KEEP {
        SCRATCH.set(buffer);
    }
    done
}

/// Answers a call without waiting for room.
pub(crate) fn complete_now<R: Serialize>(
    context: &Context,
    id: Option<&str>,
    method: &str,
    result: HubResult<R>,
) {
    let protocol = context.inner.protocol;
    complete_with(context, id, method, result, |out, id, value| {
        protocol.write_completion_result(out, id, value)
    });
}

fn complete_with<R>(
    context: &Context,
    id: Option<&str>,
    method: &str,
    result: HubResult<R>,
    write: impl FnOnce(&mut Vec<u8>, &str, &R) -> Result<(), EncodeError>,
) {
    match (result, id) {
        (Ok(value), Some(id)) => {
            if let Err(error) = push(context, |out| write(out, id, &value)) {
                context.fail_write(error);
            }
        }
        (Ok(_), None) => {}
        (Err(error), id) => {
            let text = format!("An unexpected error occurred invoking '{method}' on the server.");
            fail_call(context, id, method, &text, &error);
        }
    }
}

/// Logs a failed call and tells the client, if it asked to be told.
pub(crate) fn fail_call(context: &Context, id: Option<&str>, method: &str, text: &str, error: &HubError) {
    let hub = context.inner.manager.name();
    metric::failed_call(hub);
    trace::failed(&trace::current_call(), error.type_name());
    tracing::debug!(hub, method, connection = %context.connection_id(), error = error.type_name(), "a hub method failed");
    if let Some(id) = id {
        refuse(context, id, &error.detail(text, context.inner.options.detailed_errors));
    }
}

/// Tells the client why a call is not carried out, or has failed.
pub(crate) fn refuse(context: &Context, id: &str, text: &str) {
    let protocol = context.inner.protocol;
    // Writing a text cannot fail.
    let _ = push(context, |out| {
        protocol.write_completion_error(out, id, text);
        Ok(())
    });
}

/// The answer that a running call owes.
pub(crate) struct Reply {
    context: Context,
    id: Option<Box<str>>,
    method: Arc<Method>,
    /// What a failure is recorded in, even if spans of the application are inside it.
    span: Span,
}

impl Reply {
    pub(crate) fn new(context: Context, id: Option<&str>, method: Arc<Method>) -> Self {
        Self { context, id: id.map(Into::into), method, span: trace::current_call() }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// Waits for room, then answers.
    pub(crate) async fn complete<R: Serialize>(self, result: HubResult<R>) {
        if self.id.is_some() {
            self.room().await;
        }
        self.span.in_scope(|| complete_now(&self.context, self.id.as_deref(), &self.method.name, result));
    }

    /// As [`Reply::complete`], with what came back through the filters.
    pub(crate) async fn complete_value(self, result: HubResult<HubValue>) {
        if self.id.is_some() {
            self.room().await;
        }
        let protocol = self.context.inner.protocol;
        self.span.in_scope(|| {
            complete_with(&self.context, self.id.as_deref(), &self.method.name, result, |out, id, value| {
                value.write(protocol, out, id)
            });
        });
    }

    /// A filter has answered a streaming call with something else.
    pub(crate) fn fail_no_stream(&self) {
        let name = &self.method.name;
        let text = format!(
            "The value returned by the streaming method '{name}' is not a ChannelReader<> or IAsyncEnumerable<>."
        );
        refuse(&self.context, self.id(), &text);
    }

    /// Waits until the client has room for another message. A client that makes none within the send time-out is ended;
    /// one that is away is waited for.
    pub(crate) async fn room(&self) {
        self.context.inner.connection.present().await;
        if !self.context.inner.connection.ready().await {
            self.context.inner.connection.request_close(CloseReason::SendTimeout);
        }
    }

    /// A streaming method failed before it returned its stream.
    pub(crate) fn fail_start(&self, error: &HubError) {
        let text = format!("An unexpected error occurred invoking '{}' on the server.", self.method.name);
        self.span.in_scope(|| fail_call(&self.context, self.id.as_deref(), &self.method.name, &text, error));
    }

    /// A stream failed.
    pub(crate) fn fail_stream(&self, error: HubError) {
        let text = "An error occurred on the server while streaming results.";
        self.span.in_scope(|| fail_call(&self.context, self.id.as_deref(), &self.method.name, text, &error));
    }
}
