//! What each message type must have (B-4.3): turns the properties of an envelope into a [`Message`].
//!
//! Owns required properties, their order of complaint and what is only complained about after binding.

use super::parse::Fields;
use crate::error::{ProtocolError, ProtocolErrorKind};
use crate::message::{Invocation, Message};
use crate::payload::{Arguments, Payload};
use crate::protocol::Protocol;
use std::borrow::Cow;

/// Makes the message.
#[inline]
pub(super) fn build(mut fields: Fields<'_>) -> Result<Message<'_>, ProtocolError> {
    match fields.kind.ok_or_else(|| missing("type"))? {
        1 => invocation(fields, false).map(Message::Invocation),
        2 => stream_item(fields),
        3 => completion(fields),
        4 => invocation(fields, true).map(Message::StreamInvocation),
        5 => {
            let invocation_id = required_id(&mut fields)?;
            Ok(Message::CancelInvocation { headers: fields.headers, invocation_id })
        }
        6 => Ok(Message::Ping),
        7 => Ok(Message::Close { error: fields.error, allow_reconnect: fields.allow_reconnect }),
        8 => Ok(Message::Ack { sequence_id: sequence_id(&fields)? }),
        9 => Ok(Message::Sequence { sequence_id: sequence_id(&fields)? }),
        kind => Ok(Message::Unknown { kind: kind.into() }),
    }
}

#[inline]
fn invocation(mut fields: Fields<'_>, streaming: bool) -> Result<Invocation<'_>, ProtocolError> {
    let target = fields.target.take();
    let deferred = match &target {
        None => return Err(missing("target")),
        Some(target) if target.is_empty() => Some(missing("target")),
        Some(_) if streaming => required_id_fault(&fields),
        Some(_) => None,
    };
    let Some(span) = fields.arguments else {
        return Err(deferred.unwrap_or_else(|| missing("arguments")));
    };
    // A null id is a fault of its own, noticed while reading; it does not wait for the arguments.
    if streaming && fields.invocation_id_is_null {
        return Err(null_id());
    }
    Ok(Invocation {
        headers: fields.headers,
        invocation_id: fields.invocation_id.filter(|id| !id.is_empty()),
        target: target.unwrap_or_default(),
        arguments: Arguments::new(Protocol::Json, span).with_earlier(fields.earlier_arguments),
        stream_ids: fields.stream_ids,
        deferred,
    })
}

fn stream_item(mut fields: Fields<'_>) -> Result<Message<'_>, ProtocolError> {
    let Some(item) = fields.item else {
        required_id(&mut fields)?;
        return Err(missing("item"));
    };
    if fields.invocation_id.as_deref() == Some("") {
        // The reference looks for the stream before it looks at the id.
        let text = "No stream with id '' could be found.";
        return Err(ProtocolError::new(ProtocolErrorKind::KeyNotFound, text));
    }
    let invocation_id = required_id(&mut fields)?;
    Ok(Message::StreamItem {
        headers: fields.headers,
        invocation_id,
        item: Payload::new(Protocol::Json, item),
    })
}

fn completion(mut fields: Fields<'_>) -> Result<Message<'_>, ProtocolError> {
    let invocation_id = required_id(&mut fields)?;
    if fields.error.is_some() && fields.result.is_some() {
        let text = "The 'error' and 'result' properties are mutually exclusive.";
        return Err(ProtocolError::invalid_data(text));
    }
    Ok(Message::Completion {
        headers: fields.headers,
        invocation_id,
        error: fields.error,
        result: fields.result.map(|span| Payload::new(Protocol::Json, span)),
    })
}

fn sequence_id(fields: &Fields<'_>) -> Result<i64, ProtocolError> {
    fields.sequence_id.ok_or_else(|| missing("sequenceId"))
}

fn required_id<'a>(fields: &mut Fields<'a>) -> Result<Cow<'a, str>, ProtocolError> {
    match required_id_fault(fields) {
        Some(fault) => Err(fault),
        None => Ok(fields.invocation_id.take().unwrap_or_default()),
    }
}

/// Why the id is not one, if so.
fn required_id_fault(fields: &Fields<'_>) -> Option<ProtocolError> {
    match &fields.invocation_id {
        Some(id) if !id.is_empty() => None,
        None if fields.invocation_id_is_null => Some(null_id()),
        _ => Some(missing("invocationId")),
    }
}

fn null_id() -> ProtocolError {
    ProtocolError::invalid_data("Expected 'invocationId' to be of type String.")
}

fn missing(property: &str) -> ProtocolError {
    ProtocolError::invalid_data(format!("Missing required property '{property}'."))
}
