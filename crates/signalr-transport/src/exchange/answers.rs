//! The answers of transport requests that were not refused.

use crate::answer::{Answer, empty, text};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, PRAGMA};
use http::{HeaderValue, Response, StatusCode};

/// What proxies that collect answers before they pass them on look for.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Bytes for the client.
pub(super) fn data(bytes: Vec<u8>) -> Answer {
    let mut answer = Response::new(Bytes::from(bytes));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    answer
}

/// The poll time-out passed.
pub(super) fn nothing_yet() -> Answer {
    empty(StatusCode::OK)
}

/// The end, or the end of this poll.
pub(super) fn no_content() -> Answer {
    empty(StatusCode::NO_CONTENT)
}

pub(super) fn conflict() -> Answer {
    empty(StatusCode::CONFLICT)
}

pub(super) fn disposed() -> Answer {
    empty(StatusCode::NOT_FOUND)
}

/// The application ended with an error.
pub(super) fn failed() -> Answer {
    empty(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A POST was taken in whole.
pub(super) fn accepted() -> Answer {
    text(StatusCode::OK, Bytes::new())
}

/// A POST's body could not be read.
pub(super) fn unreadable() -> Answer {
    empty(StatusCode::BAD_REQUEST)
}

/// The head of an event stream. The body is `body`, to be sent without delay and without compression.
pub(crate) fn events<B>(body: B) -> Response<B> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache,no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}
