//! The fixed answers of B-2.2, each once: status, text and headers.

use crate::authenticate::Denied;
use crate::limits::Full;
use crate::metric;
use crate::table::Refusal;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, EXPIRES, PRAGMA, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use signalr_core::TransportKind;

/// An HTTP answer with its whole body.
pub(crate) type Answer = Response<Bytes>;

/// Texts that go over the wire.
pub(crate) const ID_REQUIRED: &str = "Connection ID required";
pub(crate) const NO_SUCH_ID: &str = "No Connection with that ID";
pub(crate) const NO_CHANGE: &str = "Cannot change transports mid-connection";
pub(crate) const NO_POST: &str = "POST requests are not allowed for WebSocket connections.";
pub(crate) const NO_DELETE: &str = "Cannot terminate this connection using the DELETE endpoint.";
pub(crate) const TOO_MANY: &str = "Too many connections";

/// `text/plain` with a text.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}

/// A status without a body. The reference gives most of these `text/plain` as well.
pub(crate) fn empty(status: StatusCode) -> Answer {
    text(status, Bytes::new())
}

/// The negotiate document.
pub(crate) fn json(body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Bytes::from(body));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// What a request gets whose connection cannot be had.
pub(crate) fn refused(refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unknown => text(StatusCode::NOT_FOUND, NO_SUCH_ID),
        Refusal::OtherTransport => text(StatusCode::BAD_REQUEST, NO_CHANGE),
        Refusal::Busy => empty(StatusCode::CONFLICT),
        Refusal::Disposed => empty(StatusCode::NOT_FOUND),
    }
}

pub(crate) fn not_enabled(transport: TransportKind) -> Answer {
    let text_ = format!("{} transport not supported by this end point type", transport.name());
    text(StatusCode::NOT_FOUND, text_)
}

/// The server is shutting down.
pub(crate) fn stopping() -> Answer {
    empty(StatusCode::SERVICE_UNAVAILABLE)
}

/// A limit is reached.
pub(crate) fn full(full: Full) -> Answer {
    let (status, limit) = match full {
        Full::ForAll => (StatusCode::SERVICE_UNAVAILABLE, "server"),
        Full::ForClient => (StatusCode::TOO_MANY_REQUESTS, "client"),
    };
    metric::request_refused(limit);
    text(status, TOO_MANY)
}

pub(crate) fn denied(denied: &Denied) -> Answer {
    let mut answer = Response::new(Bytes::new());
    match denied {
        Denied::Unauthorized { challenge } => {
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
            if let Ok(value) = HeaderValue::from_str(challenge) {
                answer.headers_mut().insert(WWW_AUTHENTICATE, value);
            }
        }
        Denied::Forbidden => *answer.status_mut() = StatusCode::FORBIDDEN,
    }
    answer
}

/// The headers of every answer to a long poll.
pub(crate) fn never_cached(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(EXPIRES, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"));
    answer
}

/// An answer without a content type: that of a WebSocket request with an unknown id.
pub(crate) fn untyped(mut answer: Answer) -> Answer {
    answer.headers_mut().remove(CONTENT_TYPE);
    answer
}
