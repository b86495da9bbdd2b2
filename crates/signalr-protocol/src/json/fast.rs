//! The messages that are nearly all of the traffic, in the form in which every stock client writes them: `type` first,
//! then `invocationId`, `target` and `arguments`, or `invocationId` and `item` or `result`, and nothing else.
//!
//! Owns no rule: whatever does not look exactly like that is left to `parse`, which reads the whole body again. A
//! property test holds both to the same result.

use super::scan::Scanner;
use crate::message::{Headers, Invocation, Message};
use crate::payload::{Arguments, Payload};
use crate::protocol::Protocol;
use std::borrow::Cow;

/// The message, if it is one of those and without a fault.
#[inline]
pub(super) fn parse(body: &[u8]) -> Option<Message<'_>> {
    match body.strip_prefix(b"{\"type\":")? {
        [b'1', rest @ ..] => invocation(rest).map(Message::Invocation),
        [b'2', rest @ ..] => {
            let (invocation_id, span) = id_and_value(rest, b",\"item\":")?;
            let item = Payload::new(Protocol::Json, span);
            Some(Message::StreamItem { headers: Headers::default(), invocation_id, item })
        }
        [b'3', rest @ ..] => {
            let (invocation_id, span) = id_and_value(rest, b",\"result\":")?;
            let result = Some(Payload::new(Protocol::Json, span));
            Some(Message::Completion { headers: Headers::default(), invocation_id, error: None, result })
        }
        [b'4', rest @ ..] => {
            let invocation = invocation(rest)?;
            invocation.invocation_id.is_some().then_some(Message::StreamInvocation(invocation))
        }
        b"6}" => Some(Message::Ping),
        _ => None,
    }
}

#[inline]
fn invocation(rest: &[u8]) -> Option<Invocation<'_>> {
    let mut rest = Scanner::new(rest);
    let invocation_id = if rest.take(b",\"invocationId\":") { Some(name(&mut rest)?) } else { None };
    if !rest.take(b",\"target\":") {
        return None;
    }
    let target = name(&mut rest)?;
    if !rest.take(b",\"arguments\":") || rest.peek() != Some(b'[') {
        return None;
    }
    let arguments = Arguments::new(Protocol::Json, last_value(&mut rest)?);
    Some(Invocation {
        headers: Headers::default(),
        invocation_id,
        target,
        arguments,
        stream_ids: None,
        deferred: None,
    })
}

#[inline]
fn id_and_value<'a>(rest: &'a [u8], value: &[u8]) -> Option<(Cow<'a, str>, &'a [u8])> {
    let mut rest = Scanner::new(rest);
    if !rest.take(b",\"invocationId\":") {
        return None;
    }
    let id = name(&mut rest)?;
    if !rest.take(value) || rest.peek().is_none_or(|b| b.is_ascii_whitespace()) {
        return None;
    }
    last_value(&mut rest).map(|span| (id, span))
}

/// A text that is not empty and has no escapes.
#[inline]
fn name<'a>(rest: &mut Scanner<'a>) -> Option<Cow<'a, str>> {
    let plain = rest.string().ok()?.plain()?;
    let text = str::from_utf8(plain).ok()?;
    (!text.is_empty()).then_some(Cow::Borrowed(text))
}

/// A value with the closing brace right behind it.
#[inline]
fn last_value<'a>(rest: &mut Scanner<'a>) -> Option<&'a [u8]> {
    let span = rest.skip_value(1).ok()?;
    (rest.peek() == Some(b'}')).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::json;

    #[test]
    fn it_agrees_with_the_general_parser() {
        for body in [
            r#"{"type":1,"target":"t","arguments":[]}"#,
            r#"{"type":1,"invocationId":"1","target":"é","arguments":[1,{"a":["}"]}]}"#,
            r#"{"type":2,"invocationId":"1","item":{"a":1}}"#,
            r#"{"type":3,"invocationId":"1","result":null}"#,
            r#"{"type":4,"invocationId":"1","target":"t","arguments":["a"]} "#,
            r#"{"type":6}"#,
        ] {
            let fast = parse(body.as_bytes());
            assert!(fast.is_some(), "{body}");
            assert_eq!(fast, json::parse_any(body.as_bytes()).ok(), "{body}");
        }
    }

    #[test]
    fn everything_unusual_is_left_to_the_general_parser() {
        for body in [
            r#"{"type":1,"target":"t","arguments":[],"streamIds":[]}"#,
            r#"{"type":1,"target":"\u0041","arguments":[]}"#,
            r#"{"type":1,"target":"","arguments":[]}"#,
            r#"{"type":1,"target":"t","arguments":{}}"#,
            r#"{"type":1,"target":"t","arguments":[1,]}"#,
            r#"{"type":12,"target":"t","arguments":[]}"#,
            r#"{"type":3,"invocationId":"1"}"#,
            r#"{"type":3,"invocationId":"1","result": 1}"#,
            r#"{"type":4,"target":"t","arguments":[]}"#,
            r#"{"type":6,"x":1}"#,
            "",
        ] {
            assert_eq!(parse(body.as_bytes()), None, "{body}");
        }
    }
}
