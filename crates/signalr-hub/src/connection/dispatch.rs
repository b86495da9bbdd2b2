//! From bytes to calls: split, parse, find the method, bind, run (B-7.1 to 7.6, 7.13).
//!
//! Owns the checks and their order. Methods are in the hub's definition, running calls in `calls`, answers in `reply`.

use super::calls::{Calls, Wait};
use super::ending::Ending;
use super::received::is_counted;
use super::uploads::CallStreams;
use crate::arguments::OpenedStreams;
use crate::client_stream::Upload;
use crate::definition::{BoxFuture, Call, CallFault, Method, Run};
use crate::endpoint::HubEndpoint;
use crate::error::HubError;
use crate::filter::{self, HubCall};
use crate::reply::{Reply, fail_call, refuse};
use crate::stream::StreamSink;
use crate::trace::{self, Beginning};
use signalr_core::{Completed, RawResult};
use signalr_protocol::{BindError, Invocation, Message, Payload, Protocol};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Context as TaskContext;
use tracing::Span;
use tracing::span::EnteredSpan;

/// What a message did.
enum Step {
    Done,
    /// A plain call that must wait for a slot: nothing of it was used.
    Blocked,
    /// An item was queued, and nothing more is read before its method has read some.
    Full(Arc<dyn Upload>),
    End(Ending),
}

/// Reads as many whole messages as can be dealt with now. Returns how many bytes were used, and why to end if so.
pub(super) fn read(
    calls: &mut Calls,
    endpoint: &Arc<HubEndpoint>,
    input: &[u8],
    cx: &mut TaskContext<'_>,
) -> (usize, Option<Ending>) {
    let protocol = calls.context().inner.protocol;
    let limit = endpoint.options.maximum_receive_message_size.unwrap_or(usize::MAX);
    let mut used = 0;
    calls.wait = Wait::Nothing;
    loop {
        if calls.context().is_aborted() {
            return (input.len(), None);
        }
        let rest = &input[used..];
        let (body, size) = match protocol.split(rest) {
            Ok(Some((body, size))) if size <= limit => (body, size),
            Ok(None) if rest.len() <= limit => break,
            Ok(_) => return (input.len(), Some(Ending::too_large(limit))),
            Err(error) => return (input.len(), Some(Ending::protocol(&error))),
        };
        let step = match protocol.parse(body) {
            Ok(message) => counted_step(calls, endpoint, message, cx),
            Err(error) => Step::End(Ending::protocol(&error)),
        };
        match step {
            Step::Done => used += size,
            Step::Blocked => {
                calls.wait = Wait::Slot;
                break;
            }
            Step::Full(upload) => {
                used += size;
                calls.wait = Wait::Room(upload);
                break;
            }
            Step::End(ending) => return (input.len(), Some(ending)),
        }
    }
    calls.heard();
    calls.plan_ack();
    (used, None)
}

/// With stateful reconnect, what was dealt with before the reconnect has no effect a second time.
fn counted_step(
    calls: &mut Calls,
    endpoint: &Arc<HubEndpoint>,
    message: Message<'_>,
    cx: &mut TaskContext<'_>,
) -> Step {
    let Some(received) = &mut calls.received else { return message_step(calls, endpoint, message, cx) };
    if !is_counted(&message) {
        return message_step(calls, endpoint, message, cx);
    }
    if received.is_duplicate() {
        received.count();
        return Step::Done;
    }
    let step = message_step(calls, endpoint, message, cx);
    let is_used = matches!(step, Step::Done | Step::Full(_));
    if let Some(received) = calls.received.as_mut().filter(|_| is_used) {
        received.count();
    }
    step
}

fn message_step(
    calls: &mut Calls,
    endpoint: &Arc<HubEndpoint>,
    message: Message<'_>,
    cx: &mut TaskContext<'_>,
) -> Step {
    match message {
        Message::Invocation(invocation) => plain(calls, endpoint, invocation, cx),
        Message::StreamInvocation(invocation) => streaming(calls, endpoint, invocation, cx),
        Message::StreamItem { invocation_id, item, .. } => {
            stream_item(calls, endpoint, &invocation_id, item, cx)
        }
        Message::Completion { invocation_id, error, result, .. } => {
            if let Some(upload) = calls.uploads.remove(&invocation_id) {
                upload.end(error.map(|text| HubError::new(text.into_owned())));
                return Step::Done;
            }
            let result = RawResult::new(calls.context().protocol(), error.as_deref(), result);
            completion(calls, endpoint, &invocation_id, result)
        }
        Message::CancelInvocation { invocation_id, .. } => {
            calls.cancel_stream(&invocation_id);
            Step::Done
        }
        Message::Ping => {
            calls.heard_ping(&endpoint.options);
            Step::Done
        }
        Message::Close { error, .. } => Step::End(Ending::ClientClosed(error.map(Into::into))),
        Message::Ack { sequence_id } => {
            calls.context().inner.connection.acknowledge(sequence_id);
            Step::Done
        }
        Message::Sequence { sequence_id } => {
            match calls.received.as_mut().map(|received| received.restart(sequence_id)) {
                Some(Err(ending)) => Step::End(ending),
                // Without stateful reconnect a Sequence means nothing.
                _ => Step::Done,
            }
        }
        // Types of the future have no effect.
        _ => Step::Done,
    }
}

/// Items of streams that are unknown, or have ended, have no effect.
fn stream_item(
    calls: &Calls,
    endpoint: &Arc<HubEndpoint>,
    id: &str,
    item: Payload<'_>,
    cx: &mut TaskContext<'_>,
) -> Step {
    let Some(upload) = calls.uploads.get(id) else { return Step::Done };
    upload.receive(item, endpoint.options.detailed_errors);
    if upload.is_full(Some(cx)) { Step::Full(upload.clone()) } else { Step::Done }
}

fn completion(calls: &Calls, endpoint: &Arc<HubEndpoint>, id: &str, result: RawResult) -> Step {
    let connection = &calls.context().inner.connection;
    match endpoint.manager.complete(connection, id, result) {
        Completed::WrongConnection => {
            let text = format!("Connection ID '{}' is not valid for invocation ID '{id}'.", connection.id());
            Step::End(Ending::Fault(HubError::named("InvalidOperationException", text)))
        }
        _ => Step::Done,
    }
}

fn plain(
    calls: &mut Calls,
    endpoint: &Arc<HubEndpoint>,
    invocation: Invocation<'_>,
    cx: &mut TaskContext<'_>,
) -> Step {
    let id = invocation.invocation_id.as_deref();
    let Some(method) = endpoint.definition.method(&invocation.target) else {
        return unknown_method(calls, &invocation);
    };
    if let Some(step) = unauthorized(calls, &invocation, method, &method.name) {
        return step;
    }
    let Run::Plain(run) = &method.run else {
        let name = &method.name;
        let text = format!(
            "The client attempted to invoke the streaming '{name}' method with a non-streaming invocation."
        );
        return wrong_mode(calls, invocation.clone(), method, name, &text);
    };
    if let Some(step) = wrong_streams(calls, &invocation, method, &method.name) {
        return step;
    }
    // Calls that take streams need no slot: others would wait for as long as the client goes on sending.
    if method.streams == 0 && calls.is_full(&endpoint.options) {
        return Step::Blocked;
    }
    let context = calls.context().clone();
    let mut streams = OpenedStreams::new(endpoint.options.stream_buffer_capacity);
    let mut entered = None;
    let call = Call {
        context: &context,
        arguments: invocation.arguments,
        deferred: invocation.deferred,
        id,
        method,
        streams: &mut streams,
        span: Some(Beginning {
            hub: endpoint.manager.name(),
            headers: &invocation.headers,
            entered: &mut entered,
        }),
    };
    let done =
        if endpoint.options.filters.is_empty() { run(call) } else { filtered(endpoint, call).map(Some) };
    let span = entered.map_or_else(Span::none, EnteredSpan::exit);
    match done {
        Ok(None) => {
            streams.into_uploads().iter().for_each(|upload| upload.end(None));
            Step::Done
        }
        Ok(Some(work)) => {
            let uploads = CallStreams::new(invocation.stream_ids.as_deref(), streams.into_uploads());
            calls.start(work, &span, None, uploads, cx);
            Step::Done
        }
        Err(fault) => call_fault(calls, id, &method.name, fault),
    }
}

fn streaming(
    calls: &mut Calls,
    endpoint: &Arc<HubEndpoint>,
    invocation: Invocation<'_>,
    cx: &mut TaskContext<'_>,
) -> Step {
    let Some(method) = endpoint.definition.method(&invocation.target) else {
        return unknown_method(calls, &invocation);
    };
    let spelled = spelling(calls, &invocation, method);
    if let Some(step) = unauthorized(calls, &invocation, method, &spelled) {
        return step;
    }
    let Run::Stream(run) = &method.run else {
        let text = format!(
            "The client attempted to invoke the non-streaming '{spelled}' method with a streaming invocation."
        );
        return wrong_mode(calls, invocation, method, &spelled, &text);
    };
    if let Some(step) = wrong_streams(calls, &invocation, method, &spelled) {
        return step;
    }
    if let Some(step) = unbound(calls, &invocation, method, &spelled) {
        return step;
    }
    let Some(id) = invocation.invocation_id.as_deref() else { return Step::Done };
    let context = calls.context().clone();
    let Some(cancel) = calls.open_stream(id) else {
        refuse(&context, id, &format!("Invocation ID '{id}' is already in use."));
        return Step::Done;
    };
    let span = trace::call(endpoint.manager.name(), &method.name, &invocation.headers);
    let reply = span.in_scope(|| Reply::new(context.clone(), Some(id), method.clone()));
    let sink = StreamSink::new(reply, cancel);
    let mut streams = OpenedStreams::new(endpoint.options.stream_buffer_capacity);
    let call = Call {
        context: &context,
        arguments: invocation.arguments,
        deferred: None,
        id: Some(id),
        method,
        streams: &mut streams,
        span: None,
    };
    let done = span.in_scope(|| {
        if endpoint.options.filters.is_empty() {
            run(call, sink)
        } else {
            filtered_stream(endpoint, call, sink)
        }
    });
    match done {
        Ok(work) => {
            let uploads = CallStreams::new(invocation.stream_ids.as_deref(), streams.into_uploads());
            calls.start(work, &span, Some(id.into()), uploads, cx);
            Step::Done
        }
        Err(fault) => {
            calls.forget_stream(id);
            call_fault(calls, Some(id), &spelled, fault)
        }
    }
}

/// How errors spell the method of a streaming call: MessagePack keeps the client's spelling there (B-5.3).
fn spelling<'a>(calls: &Calls, invocation: &Invocation<'a>, method: &'a Method) -> Cow<'a, str> {
    match calls.context().protocol() {
        Protocol::MessagePack => invocation.target.clone(),
        _ => Cow::Borrowed(&*method.name),
    }
}

/// A plain call that goes through filters.
fn filtered(endpoint: &Arc<HubEndpoint>, mut call: Call<'_>) -> Result<BoxFuture<()>, CallFault> {
    let arguments = call.bind_any()?;
    let (context, slot) = call.enter();
    let reply = Reply::new(context.clone(), call.id, call.method.clone());
    let call = HubCall::new(context, &call.method.name, arguments);
    Ok(Box::pin(filter::plain(endpoint.clone(), call, reply, slot)))
}

/// A streaming call that goes through filters.
fn filtered_stream(
    endpoint: &Arc<HubEndpoint>,
    mut call: Call<'_>,
    sink: StreamSink,
) -> Result<BoxFuture<()>, CallFault> {
    let arguments = call.bind_any()?;
    let reply = call.reply();
    let call = HubCall::new(call.context.clone(), &call.method.name, arguments);
    Ok(Box::pin(filter::streaming(endpoint.clone(), call, reply, sink)))
}

fn unknown_method(calls: &Calls, invocation: &Invocation<'_>) -> Step {
    let error = HubError::new("Method does not exist.");
    binding_failure(calls, invocation.invocation_id.as_deref(), &invocation.target, &error)
}

/// Why a call's arguments cannot be used: binding failures come before all other checks, then what the parser put off
/// (B-7.3).
fn unbound(calls: &Calls, invocation: &Invocation<'_>, method: &Method, spelled: &str) -> Option<Step> {
    match (method.check)(invocation.arguments) {
        Err(error) => Some(call_fault(calls, invocation.invocation_id.as_deref(), spelled, error.into())),
        Ok(()) => invocation.deferred.as_ref().map(|error| Step::End(Ending::protocol(error))),
    }
}

/// A call that one of the method's policies does not allow. Binding failures come first, all other checks later
/// (B-7.3).
fn unauthorized(calls: &Calls, invocation: &Invocation<'_>, method: &Method, spelled: &str) -> Option<Step> {
    if method.policies.is_empty() {
        return None;
    }
    if let Some(step) = unbound(calls, invocation, method, spelled) {
        return Some(step);
    }
    let id = invocation.invocation_id.as_deref();
    let context = calls.context();
    let refused = match catch_unwind(AssertUnwindSafe(|| context.is_allowed(method))) {
        Ok(true) => return None,
        Ok(false) => {
            let hub = context.inner.manager.name();
            let connection = context.connection_id();
            tracing::debug!(hub, method = %method.name, %connection, "a call is not allowed");
            format!("Failed to invoke '{spelled}' because user is unauthorized")
        }
        Err(panic) => {
            let text = format!("An unexpected error occurred invoking '{}' on the server.", method.name);
            fail_call(context, id, &method.name, &text, &HubError::panicked(&*panic));
            return Some(Step::Done);
        }
    };
    if let Some(id) = id {
        refuse(context, id, &refused);
    }
    Some(Step::Done)
}

/// A plain call of a streaming method, or the other way round. Binding failures come first.
fn wrong_mode(
    calls: &Calls,
    invocation: Invocation<'_>,
    method: &Arc<Method>,
    spelled: &str,
    text: &str,
) -> Step {
    if let Some(step) = unbound(calls, &invocation, method, spelled) {
        return step;
    }
    if let Some(id) = invocation.invocation_id.as_deref() {
        refuse(calls.context(), id, text);
    }
    Step::Done
}

/// More or fewer streams from the client than the method takes. Binding failures come first.
fn wrong_streams(calls: &Calls, invocation: &Invocation<'_>, method: &Method, spelled: &str) -> Option<Step> {
    let (sent, expected) = (invocation.stream_ids.as_ref().map_or(0, Vec::len), method.streams);
    if sent == expected {
        return None;
    }
    if let Some(step) = unbound(calls, invocation, method, spelled) {
        return Some(step);
    }
    let id = invocation.invocation_id.as_deref();
    let error = HubError::new(format!("Client sent {sent} stream(s), Hub method expects {expected}."));
    let text = format!("An unexpected error occurred invoking '{spelled}' on the server.");
    fail_call(calls.context(), id, &method.name, &text, &error);
    Some(Step::Done)
}

fn call_fault(calls: &Calls, id: Option<&str>, method: &str, fault: CallFault) -> Step {
    match fault {
        CallFault::Bind(BindError { text, .. }) => {
            binding_failure(calls, id, method, &HubError::named("InvalidDataException", text))
        }
        CallFault::Protocol(error) => Step::End(Ending::protocol(&error)),
    }
}

fn binding_failure(calls: &Calls, id: Option<&str>, method: &str, error: &HubError) -> Step {
    let text = format!("Failed to invoke '{method}' due to an error on the server.");
    fail_call(calls.context(), id, method, &text, error);
    Step::Done
}
