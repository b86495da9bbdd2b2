//! Requests of pages from other origins: which may call negotiate, and which may open a WebSocket.
//!
//! Browsers do not apply CORS to WebSockets, so a page of any origin could open one with the user's cookies; the check
//! of `Origin` at the upgrade is here as well. Marks are set on every answer of an endpoint, refusals included: a page
//! that may not read an error cannot say what went wrong.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, UPGRADE, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use signalr_transport::ExtendedConnect;
use std::fmt;
use std::sync::Arc;

/// What stock clients send beside the simple headers.
const DEFAULT_HEADERS: &str = "x-requested-with, x-signalr-user-agent, content-type, authorization";

/// Rules for origins. Start with [`Cors::new`], name origins, finish with [`CorsBuilder::build`].
#[derive(Clone)]
pub struct Cors {
    rules: Arc<CorsBuilder>,
}

type OriginRule = dyn Fn(&str) -> bool + Send + Sync;

/// Collects the rules of a [`Cors`].
pub struct CorsBuilder {
    origins: Vec<String>,
    predicate: Option<Box<OriginRule>>,
    any: bool,
    credentials: bool,
    check_upgrades: bool,
}

/// Rules that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CorsError {
    /// Any origin together with credentials: every page on the web could act as the user.
    #[error(
        "any origin together with credentials would let every page act as the user: name the origins, or decide with \
         `origin_matching`"
    )]
    AnyOriginWithCredentials,
    /// Something that is no origin.
    #[error("`{0}` is no origin: write scheme, host and port only, for example `https://example.org`")]
    NotAnOrigin(String),
}

impl Cors {
    /// No origin is allowed so far, credentials are, and upgrades are checked.
    #[expect(clippy::new_ret_no_self, reason = "the rules are only usable once they are checked")]
    pub fn new() -> CorsBuilder {
        CorsBuilder {
            origins: Vec::new(),
            predicate: None,
            any: false,
            credentials: true,
            check_upgrades: true,
        }
    }
}

impl CorsBuilder {
    /// Allows an origin, for example `https://example.org` or `http://localhost:3000`. Compared ignoring ASCII case.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Allows origins for which `allowed` is true. With credentials such a rule is as strong as its weakest `true`.
    pub fn origin_matching(mut self, allowed: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.predicate = Some(Box::new(allowed));
        self
    }

    /// Allows any origin. Only without credentials; the JavaScript client then needs `withCredentials: false`.
    pub fn any_origin(mut self) -> Self {
        self.any = true;
        self
    }

    /// Whether browsers may send cookies and the like. Default true, because the JavaScript client asks for it by
    /// default.
    pub fn credentials(mut self, allowed: bool) -> Self {
        self.credentials = allowed;
        self
    }

    /// Whether a WebSocket whose `Origin` is neither allowed nor the server's own is refused with 403. Default true.
    pub fn check_upgrades(mut self, check: bool) -> Self {
        self.check_upgrades = check;
        self
    }

    /// The finished rules.
    ///
    /// # Errors
    /// The rules contradict each other, or an origin is none.
    pub fn build(self) -> Result<Cors, CorsError> {
        if self.any && self.credentials {
            return Err(CorsError::AnyOriginWithCredentials);
        }
        if let Some(bad) = self.origins.iter().find(|origin| !is_origin(origin)) {
            return Err(CorsError::NotAnOrigin(bad.clone()));
        }
        Ok(Cors { rules: Arc::new(self) })
    }

    fn allows(&self, origin: &str) -> bool {
        self.any
            || self.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
            || self.predicate.as_ref().is_some_and(|allowed| allowed(origin))
    }
}

/// What the rules say about one request.
pub(crate) enum Verdict {
    /// No page of another origin is involved.
    Pass,
    /// This is the whole answer.
    Answer(Response<Bytes>),
    /// Answer as usual, and mark the answer.
    Mark(Marks),
}

/// The headers that let a page read an answer, or only say that answers differ by origin.
pub(crate) struct Marks {
    origin: Option<HeaderValue>,
    credentials: bool,
}

impl Marks {
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = &self.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            if self.credentials {
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
    }
}

impl Cors {
    pub(crate) fn judge(&self, parts: &Parts) -> Verdict {
        let Parts { method, headers, .. } = parts;
        let Some(value) = headers.get(ORIGIN) else { return Verdict::Pass };
        let origin = value.to_str().unwrap_or_default();
        let allowed = self.rules.allows(origin);
        let marks = Marks { origin: allowed.then(|| value.clone()), credentials: self.rules.credentials };
        if method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return Verdict::Answer(preflight(&marks, headers));
        }
        let upgrade = headers.contains_key(UPGRADE) || parts.extensions.get::<ExtendedConnect>().is_some();
        if upgrade && self.rules.check_upgrades && !allowed && !is_own(origin, headers) {
            let mut answer = Response::new(Bytes::from_static(b"Origin not allowed"));
            *answer.status_mut() = StatusCode::FORBIDDEN;
            marks.apply(answer.headers_mut());
            return Verdict::Answer(answer);
        }
        Verdict::Mark(marks)
    }
}

/// The answer to a browser's question whether it may send the real request. A refusal is the lack of marks.
fn preflight(marks: &Marks, request: &HeaderMap) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    marks.apply(headers);
    if marks.origin.is_some() {
        let wanted = request.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            wanted.unwrap_or(HeaderValue::from_static(DEFAULT_HEADERS)),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    answer
}

/// Whether the page came from this very server: browsers send `Origin` with same-origin WebSockets too.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let bare = |name: &str| name.strip_suffix(default_port).unwrap_or(name).to_ascii_lowercase();
    host.is_some_and(|host| bare(host) == bare(authority))
}

fn is_origin(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, authority)| {
        !scheme.is_empty() && !authority.is_empty() && !authority.contains(['/', '?', '#', '*', '@', ' '])
    })
}

impl fmt::Debug for CorsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CorsBuilder")
            .field("origins", &self.origins)
            .field("predicate", &self.predicate.is_some())
            .field("any", &self.any)
            .field("credentials", &self.credentials)
            .field("check_upgrades", &self.check_upgrades)
            .finish()
    }
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cors").field(&self.rules).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn parts(method: Method, headers: HeaderMap) -> Parts {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        (parts.method, parts.headers) = (method, headers);
        parts
    }

    fn page() -> Cors {
        Cors::new().origin("https://page.example").build().unwrap()
    }

    #[test]
    fn contradictions_are_refused() {
        assert_eq!(Cors::new().any_origin().build().unwrap_err(), CorsError::AnyOriginWithCredentials);
        assert!(Cors::new().any_origin().credentials(false).build().is_ok());
        for bad in ["example.org", "https://example.org/", "*", "https://*.example.org"] {
            let error = Cors::new().origin(bad).build().unwrap_err();
            assert_eq!(error, CorsError::NotAnOrigin(bad.to_owned()));
        }
    }

    #[test]
    fn a_preflight_is_answered() {
        let headers = request(&[
            ("origin", "https://page.example"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "x-requested-with,x-other"),
        ]);
        let Verdict::Answer(answer) = page().judge(&parts(Method::OPTIONS, headers)) else {
            panic!("no answer")
        };
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        let value = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok());
        assert_eq!(value("access-control-allow-origin"), Some("https://page.example"));
        assert_eq!(value("access-control-allow-credentials"), Some("true"));
        assert_eq!(value("access-control-allow-headers"), Some("x-requested-with,x-other"));
        assert_eq!(value("vary"), Some("Origin"));
    }

    #[test]
    fn a_foreign_preflight_gets_no_permission() {
        let headers =
            request(&[("origin", "https://evil.example"), ("access-control-request-method", "POST")]);
        let Verdict::Answer(answer) = page().judge(&parts(Method::OPTIONS, headers)) else {
            panic!("no answer")
        };
        assert!(answer.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN).is_none());
        assert!(answer.headers().get(ACCESS_CONTROL_ALLOW_METHODS).is_none());
    }

    #[test]
    fn upgrades_are_for_allowed_and_own_origins() {
        let status = |origin: &str| {
            let headers = request(&[("origin", origin), ("host", "chat.example"), ("upgrade", "websocket")]);
            match page().judge(&parts(Method::GET, headers)) {
                Verdict::Answer(answer) => answer.status().as_u16(),
                Verdict::Mark(marks) => u16::from(marks.origin.is_some()),
                Verdict::Pass => 0,
            }
        };
        assert_eq!(status("https://page.example"), 1, "passes, marked as allowed");
        assert_eq!(status("https://chat.example"), 0, "passes, as the server's own page");
        assert_eq!(status("https://chat.example:443"), 0);
        assert_eq!(status("https://evil.example"), 403);
        assert_eq!(status("null"), 403);
        let unnamed = parts(Method::GET, request(&[("upgrade", "websocket")]));
        assert!(matches!(page().judge(&unnamed), Verdict::Pass));
        let mut extended = parts(Method::CONNECT, request(&[("origin", "https://evil.example")]));
        extended.extensions.insert(ExtendedConnect);
        assert!(matches!(page().judge(&extended), Verdict::Answer(_)), "HTTP/2 is checked as well");
    }
}
