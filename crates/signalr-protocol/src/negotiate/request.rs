//! The query of a negotiate request (B-1.2, B-16): version and stateful reconnect, with the reference's leniencies.

use std::borrow::Cow;

/// The highest negotiate version that is known.
pub const MAX_NEGOTIATE_VERSION: i32 = 1;

/// What the client and the server agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NegotiateRequest {
    /// The version of the answer: 0, where the connection's token is its id, or 1.
    pub version: i32,
    /// Whether the client asked for stateful reconnect. It counts only where the endpoint allows it.
    pub use_stateful_reconnect: bool,
}

/// Why a negotiation is refused: goes into the document's `error`, with status 200. The display text is the
/// reference's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiateError {
    /// `negotiateVersion` is there and no 32-bit integer.
    #[error("The client requested a non-integer protocol version.")]
    NotAnInteger,
    /// The version is below the endpoint's minimum.
    #[error("The client requested version '{0}', but the server does not support this version.")]
    Unsupported(i32),
}

impl NegotiateRequest {
    /// Reads the raw query string, without its question mark. `minimum_version` is the endpoint's; 0 is the default
    /// and refuses negative versions.
    ///
    /// # Errors
    /// The client's version is none or too low.
    pub fn from_query(query: &str, minimum_version: i32) -> Result<Self, NegotiateError> {
        let version = match query_value(query, "negotiateVersion") {
            Some(text) => integer(&text).ok_or(NegotiateError::NotAnInteger)?,
            None => 0,
        };
        if version < minimum_version {
            return Err(NegotiateError::Unsupported(version));
        }
        let use_stateful_reconnect =
            query_value(query, "useStatefulReconnect").is_some_and(|text| is_true(&text));
        Ok(Self { version: version.min(MAX_NEGOTIATE_VERSION), use_stateful_reconnect })
    }
}

/// The decoded value of a query parameter, as the reference reads queries: names ignore case, the values of equal names
/// are joined by commas, `+` is a blank, malformed escapes stay, and what is not UTF-8 becomes U+FFFD. `None` when the
/// parameter is not there.
///
/// ```
/// # use signalr_protocol::negotiate::query_value;
/// assert_eq!(query_value("a=1&ID=x%2By&id=z", "id").as_deref(), Some("x+y,z"));
/// assert_eq!(query_value("id", "id").as_deref(), Some(""));
/// assert_eq!(query_value("idx=1", "id"), None);
/// ```
pub fn query_value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut found: Option<Cow<'a, str>> = None;
    for part in query.split('&') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        if !percent_decode(key).eq_ignore_ascii_case(name) {
            continue;
        }
        let value = percent_decode(value);
        found = Some(match found {
            Some(earlier) => Cow::Owned(format!("{earlier},{value}")),
            None => value,
        });
    }
    found
}

/// `+` is a blank, `%XX` a byte; anything malformed stays as it is.
fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|b| matches!(b, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        out.push(match (byte, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = after;
                hex(*high) << 4 | hex(*low)
            }
            _ => *byte,
        });
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn hex(digit: u8) -> u8 {
    char::from(digit).to_digit(16).unwrap_or(0) as u8
}

/// An int32 with the white space, sign and trailing NULs that .NET allows.
fn integer(text: &str) -> Option<i32> {
    let is_space = |c: char| matches!(c, '\t'..='\r' | ' ');
    text.trim_start_matches(is_space).trim_end_matches('\0').trim_end_matches(is_space).parse().ok()
}

fn is_true(text: &str) -> bool {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\0').eq_ignore_ascii_case("true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_in_names_and_values_are_decoded() {
        let query = "x=1&negotiate%56ersion=%2b1&useStatefulReconnect=%74rue&%zz=%4";
        let expected = NegotiateRequest { version: 1, use_stateful_reconnect: true };
        assert_eq!(NegotiateRequest::from_query(query, 0), Ok(expected));
    }

    #[test]
    fn a_name_without_a_value_is_no_integer() {
        assert_eq!(NegotiateRequest::from_query("negotiateVersion", 0), Err(NegotiateError::NotAnInteger));
    }
}
