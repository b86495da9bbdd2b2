//! What the server apps of the official functional suites do beside their hubs: CORS for any origin, cookies on
//! negotiate, redirects, tokens.
//!
//! Owns these routes. Nothing here touches `/bench`, `/scale` and `/control`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use signalr_hub::HubContext;
use signalr_transport::Server;
use signalr_warp::ServerExt;
use warp::filters::BoxedFilter;
use warp::http::header::{HeaderName, HeaderValue};
use warp::http::{HeaderMap, Method, Response, StatusCode};
use warp::path::FullPath;
use warp::{Filter, Rejection};

use crate::hubs::TestHub;
use crate::tokens::Tokens;

type Answer = warp::reply::Response;

static REDIRECTS: AtomicU32 = AtomicU32::new(0);

/// Everything of the suites; nothing without them.
pub(crate) fn routes(
    server: Server,
    outside: HubContext<TestHub>,
    tokens: Arc<Tokens>,
    is_on: bool,
) -> BoxedFilter<(Answer,)> {
    let asked = warp::any()
        .and_then(move || async move { if is_on { Ok(()) } else { Err(warp::reject::not_found()) } })
        .untuple_one();
    let own = warp::path::full()
        .and(warp::method())
        .and(warp::query::raw().or_else(|_: Rejection| async { Ok::<_, Rejection>((String::new(),)) }))
        .and(warp::header::optional::<String>("host"))
        .and_then(move |path: FullPath, method: Method, query: String, host: Option<String>| {
            let request =
                Request { path: path.as_str().to_owned(), method, query, host: host.unwrap_or_default() };
            let answer = request.answer(&tokens);
            async move { answer.ok_or_else(warp::reject::not_found) }
        });
    let result = warp::path!("clientresult" / String).and(warp::get()).then(move |id: String| {
        let client = outside.clients().client(id);
        async move {
            let result = client.invoke::<i32>("Result", ()).await;
            let text = result.map_or_else(|error| error.message().to_owned(), |number| number.to_string());
            typed("text/plain; charset=utf-8", text)
        }
    });
    let nothing = warp::any().map(|| status(StatusCode::NOT_FOUND, ""));
    asked
        .and(own.or(result).unify().or(server.routes()).unify().or(nothing).unify())
        .and(warp::path::full())
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .map(|mut answer: Answer, path: FullPath, method: Method, asked: HeaderMap| {
            let is_early = method == Method::OPTIONS || answer.status() == StatusCode::TEMPORARY_REDIRECT;
            let is_bare = ["/bench", "/scale", "/control"].iter().any(|bare| path.as_str().starts_with(bare));
            if path.as_str().contains("/negotiate") && !is_early && !is_bare {
                add_cookies(answer.headers_mut());
            }
            echo_cors(&asked, answer.headers_mut());
            answer
        })
        .boxed()
}

struct Request {
    path: String,
    method: Method,
    query: String,
    host: String,
}

impl Request {
    /// The answer to what is no hub; `None` lets the request pass to the hubs.
    fn answer(&self, tokens: &Tokens) -> Option<Answer> {
        let is_under = |prefix: &str| {
            let rest = self.path.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix));
            rest.is_some() && self.path[prefix.len()..].chars().next().is_none_or(|next| next == '/')
        };
        if self.method == Method::OPTIONS {
            return Some(status(StatusCode::NO_CONTENT, ""));
        }
        if is_under("/echoredirect") {
            return Some(self.redirect());
        }
        if is_under("/redirect") {
            return Some(self.negotiate_redirect(tokens));
        }
        if is_under("/bad-negotiate") {
            return Some(status(StatusCode::BAD_REQUEST, "Some response from server"));
        }
        if self.method == Method::GET && is_under("/deployment") {
            return Some(typed("application/json", json!({ "Runtime": "rust" }).to_string()));
        }
        if self.method == Method::GET && is_under("/generateJwtToken") {
            let name = self.path.get("/generateJwtToken/".len()..).filter(|name| !name.is_empty());
            return Some(typed("text/plain; charset=utf-8", tokens.create(name.unwrap_or("testuser"))));
        }
        None
    }

    /// 307: the method is kept.
    fn redirect(&self) -> Answer {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        let target = format!("{}{query}", self.path.replace("echoredirect", "echo"));
        let mut answer = status(StatusCode::TEMPORARY_REDIRECT, "");
        if let Ok(target) = HeaderValue::try_from(target) {
            answer.headers_mut().insert("location", target);
        }
        answer
    }

    /// With `baseUrl` the redirect of the TypeScript suite, else that of the .NET suite, which brings a token.
    fn negotiate_redirect(&self, tokens: &Tokens) -> Answer {
        match self.value("baseUrl") {
            Some(base) => {
                let count = REDIRECTS.fetch_add(1, Ordering::Relaxed) + 1;
                let url = format!("{base}/testHub?numRedirects={count}");
                Response::new(format!("{{ \"url\": \"{url}\" }}").into())
            }
            None => {
                let url = format!("http://{}/authorizedHub", self.host);
                let body = json!({ "url": url, "accessToken": tokens.create("testuser") });
                typed("text/plain; charset=utf-8", body.to_string())
            }
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        let uri = format!("/?{}", self.query).parse().ok()?;
        let head = signalr_core::RequestHead::new(
            &self.method,
            &uri,
            warp::http::Version::HTTP_11,
            &HeaderMap::new(),
        );
        head.query_value(name).filter(|value| !value.is_empty())
    }
}

fn status(code: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(text.into());
    *answer.status_mut() = code;
    answer
}

fn typed(kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(body.into());
    answer.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    answer
}

fn add_cookies(headers: &mut HeaderMap) {
    for cookie in [
        "testCookie=testValue; path=/",
        "testCookie2=testValue2; path=/",
        "expiredCookie=doesntmatter; expires=Thu, 01 Jan 1970 00:00:00 GMT; path=/",
        "fromNegotiate=a%20value; path=/",
    ] {
        headers.append("set-cookie", HeaderValue::from_static(cookie));
    }
}

/// Any origin with credentials: browsers run these tests from another port.
fn echo_cors(asked: &HeaderMap, answer: &mut HeaderMap) {
    let Some(origin) = asked.get("origin") else { return };
    answer.insert("access-control-allow-origin", origin.clone());
    answer.insert("access-control-allow-credentials", HeaderValue::from_static("true"));
    for (question, reply) in [
        ("access-control-request-method", "access-control-allow-methods"),
        ("access-control-request-headers", "access-control-allow-headers"),
    ] {
        if let Some(value) = asked.get(question) {
            answer.insert(HeaderName::from_static(reply), value.clone());
        }
    }
}
