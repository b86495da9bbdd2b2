//! Every wrong use of an endpoint that concerns negotiate and WebSockets (B-2.1, B-2.2): status, text and headers, as a
//! running reference server answers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(unreachable_pub, dead_code, reason = "shared by several test programs, each of which uses a part")]
mod support;

use http::Method;
use signalr_core::{RequestHead, TransportKind, User};
use signalr_transport::{
    Caller, Denied, EndpointOptions, Limits, PeerAddress, Reply, Server, authenticated, bearer_token,
};
use support::{App, Client, UPGRADE, answer, negotiate, parts, server, ticket};

const SSE: [(&str, &str); 1] = [("accept", "text/event-stream")];
const PLAIN: Option<&str> = Some("text/plain");

struct Expected {
    status: u16,
    body: &'static str,
    kind: Option<&'static str>,
    uncached: bool,
}

fn plain(status: u16, body: &'static str) -> Expected {
    Expected { status, body, kind: PLAIN, uncached: false }
}

async fn check(server: &Server, method: Method, target: &str, headers: &[(&str, &str)], expected: Expected) {
    let answer = answer(server, method.clone(), target, headers).await;
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
    let what = format!("{method} {target} {headers:?}");
    assert_eq!(answer.status().as_u16(), expected.status, "{what}");
    assert_eq!(answer.body(), expected.body, "{what}");
    assert_eq!(header("content-type"), expected.kind, "{what}");
    let uncached = [
        ("cache-control", "no-cache, no-store"),
        ("pragma", "no-cache"),
        ("expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ];
    for (name, value) in uncached {
        assert_eq!(header(name), expected.uncached.then_some(value), "{name} of {what}");
    }
}

const NO_ID: &str = "Connection ID required";
const UNKNOWN: &str = "No Connection with that ID";

#[tokio::test]
async fn requests_without_a_known_id() {
    let server = server(&App::default(), EndpointOptions::default());
    let poll = |status, body| Expected { uncached: true, ..plain(status, body) };
    for target in ["/hub", "/hub?id=", "/HUB/"] {
        check(&server, Method::GET, target, &[], poll(400, NO_ID)).await;
        check(&server, Method::GET, target, &SSE, plain(400, NO_ID)).await;
        check(&server, Method::POST, target, &[], plain(400, NO_ID)).await;
        check(&server, Method::DELETE, target, &[], plain(400, NO_ID)).await;
    }
    check(&server, Method::GET, "/hub?id=zz", &[], poll(404, UNKNOWN)).await;
    check(&server, Method::GET, "/hub?id=zz", &SSE, plain(404, UNKNOWN)).await;
    check(&server, Method::POST, "/hub?id=zz", &[], plain(404, UNKNOWN)).await;
    check(&server, Method::DELETE, "/hub?id=zz", &[], plain(404, UNKNOWN)).await;
    let untyped = Expected { kind: None, ..plain(404, UNKNOWN) };
    check(&server, Method::GET, "/hub?id=zz", &UPGRADE, untyped).await;
    // Event stream is looked for before WebSockets, and only without parameters.
    check(&server, Method::GET, "/hub", &[UPGRADE.as_slice(), &SSE].concat(), plain(400, NO_ID)).await;
    check(&server, Method::GET, "/hub?id=zz", &[("accept", "text/event-stream;q=0.9")], poll(404, UNKNOWN))
        .await;
    check(
        &server,
        Method::GET,
        "/hub?id=zz",
        &[("accept", "text/html, TEXT/event-stream")],
        plain(404, UNKNOWN),
    )
    .await;
    // A botched upgrade is a long poll.
    check(&server, Method::GET, "/hub", &UPGRADE[..3], poll(400, NO_ID)).await;
}

#[tokio::test]
async fn wrong_methods() {
    let server = server(&App::default(), EndpointOptions::default());
    for method in [Method::PUT, Method::PATCH, Method::HEAD, Method::OPTIONS] {
        check(&server, method.clone(), "/hub?id=zz", &[], plain(405, "")).await;
        check(&server, method, "/hub/negotiate", &[], plain(405, "")).await;
    }
    check(&server, Method::GET, "/hub/negotiate", &[], plain(405, "")).await;
    assert!(server.respond(&parts(Method::GET, "/other", &[])).await.is_none());
}

#[tokio::test]
async fn a_connection_in_use() {
    let server = server(&App::default(), EndpointOptions::default());
    let token = negotiate(&server).await;
    let at = format!("/hub?id={token}");
    check(
        &server,
        Method::DELETE,
        &at,
        &[],
        plain(400, "Cannot terminate this connection using the DELETE endpoint."),
    )
    .await;
    let held = ticket(&server, &at).await;
    check(&server, Method::GET, &at, &UPGRADE, plain(409, "")).await;
    check(&server, Method::GET, &format!("/hub?ID={token}"), &UPGRADE, plain(409, "")).await;
    let change = "Cannot change transports mid-connection";
    check(&server, Method::GET, &at, &[], Expected { uncached: true, ..plain(400, change) }).await;
    check(&server, Method::GET, &at, &SSE, plain(400, change)).await;
    let no_post = "POST requests are not allowed for WebSocket connections.";
    check(&server, Method::POST, &at, &[], plain(405, no_post)).await;
    check(
        &server,
        Method::DELETE,
        &at,
        &[],
        plain(400, "Cannot terminate this connection using the DELETE endpoint."),
    )
    .await;
    drop(held);
    let untyped = Expected { kind: None, ..plain(404, UNKNOWN) };
    check(&server, Method::GET, &at, &UPGRADE, untyped).await;
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn transports_that_are_not_there() {
    let none = server(&App::default(), EndpointOptions::default().transports([]));
    let text = "WebSockets transport not supported by this end point type";
    check(&none, Method::GET, "/hub", &UPGRADE, plain(404, text)).await;
    let token = negotiate(&none).await;
    let at = format!("/hub?id={token}");
    check(&none, Method::GET, &at, &UPGRADE, plain(404, text)).await;
    check(&none, Method::GET, "/hub?id=zz", &UPGRADE, Expected { kind: None, ..plain(404, UNKNOWN) }).await;
    check(
        &none,
        Method::GET,
        &at,
        &SSE,
        plain(404, "ServerSentEvents transport not supported by this end point type"),
    )
    .await;
    let poll = plain(404, "LongPolling transport not supported by this end point type");
    check(&none, Method::GET, &at, &[], Expected { uncached: true, ..poll }).await;
    let body = answer(&none, Method::POST, "/hub/negotiate", &[]).await.into_body();
    assert!(body.ends_with(b"\"availableTransports\":[]}"), "{body:?}");
    assert_eq!(none.connections(), 2, "the two that were negotiated");
}

#[tokio::test]
async fn negotiate_documents() {
    let sockets = EndpointOptions::default().transports([TransportKind::WebSockets]);
    let server = server(&App::default(), sockets.clone());
    let ask = async |query: &str| {
        let answer = answer(&server, Method::POST, &format!("/hub/negotiate{query}"), &[]).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/json");
        String::from_utf8(answer.into_body().to_vec()).unwrap()
    };
    let transports =
        r#""availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]}]}"#;
    let id = |text: &str, name: &str| {
        text.split(&format!("\"{name}\":\""))
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .map(str::to_owned)
    };
    let zero = ask("").await;
    let connection_id = id(&zero, "connectionId").unwrap();
    assert_eq!(zero, format!(r#"{{"negotiateVersion":0,"connectionId":"{connection_id}",{transports}"#));
    let one = ask("?negotiateVersion=7").await;
    let (connection_id, token) = (id(&one, "connectionId").unwrap(), id(&one, "connectionToken").unwrap());
    assert_eq!(
        one,
        format!(
            r#"{{"negotiateVersion":1,"connectionId":"{connection_id}","connectionToken":"{token}",{transports}"#
        )
    );
    assert!(connection_id != token && connection_id.len() == 22 && token.len() == 22);
    // The public id opens nothing with version 1.
    let unknown = Expected { kind: None, ..plain(404, UNKNOWN) };
    check(&server, Method::GET, &format!("/hub?id={connection_id}"), &UPGRADE, unknown).await;
    for query in ["?negotiateVersion=x", "?negotiateVersion", "?negotiateVersion=1&negotiateversion=1"] {
        assert_eq!(ask(query).await, r#"{"error":"The client requested a non-integer protocol version."}"#);
    }
    let refused = |version: &str| {
        format!(
            r#"{{"error":"The client requested version '{version}', but the server does not support this version."}}"#
        )
    };
    assert_eq!(ask("?negotiateVersion=-1").await, refused("-1"));
    assert_eq!(server.connections(), 2, "errors make no connection");
}

#[tokio::test]
async fn a_minimum_version_is_kept() {
    let server = server(&App::default(), EndpointOptions::default().minimum_protocol_version(1));
    let ask = async |query: &str| {
        let body = answer(&server, Method::POST, &format!("/hub/negotiate{query}"), &[]).await.into_body();
        String::from_utf8(body.to_vec()).unwrap()
    };
    assert!(ask("").await.contains("requested version '0'"));
    assert!(ask("?negotiateVersion=1").await.contains("connectionToken"));
}

#[tokio::test]
async fn sub_protocols_are_chosen_by_the_application_only() {
    let offer = [UPGRADE.as_slice(), &[("sec-websocket-protocol", "a, b")]].concat();
    let choose =
        EndpointOptions::default().sub_protocol(|offered| offered.last().map(|name| (*name).to_owned()));
    for (options, expected) in [(EndpointOptions::default(), None), (choose, Some("b"))] {
        let server = server(&App::default(), options);
        let Some(Reply::Upgrade(ticket)) = server.respond(&parts(Method::GET, "/hub", &offer)).await else {
            panic!("no upgrade")
        };
        let response = ticket.response();
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let chosen = response.headers().get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
        assert_eq!(chosen, expected);
    }
}

#[tokio::test]
async fn authentication_comes_first() {
    let authenticate = |head: RequestHead| async move {
        match bearer_token(&head).as_deref() {
            Some("good") => Ok(Some(User::with_id("ann"))),
            Some("anonymous") => Ok(None),
            Some(_) => Err(Denied::Forbidden),
            None => Err(Denied::unauthorized()),
        }
    };
    let server = server(&App::default(), EndpointOptions::default().authenticate(authenticate));
    for target in ["/hub/negotiate", "/hub?id=zz", "/hub"] {
        for method in [Method::POST, Method::GET, Method::PUT] {
            let refusal = answer(&server, method.clone(), target, &UPGRADE).await;
            assert_eq!(refusal.status(), 401, "{method} {target}");
            assert_eq!(refusal.headers()["www-authenticate"], "Bearer");
            let forbidden = answer(&server, method, target, &[("authorization", "Bearer bad")]).await;
            assert_eq!(forbidden.status(), 403);
        }
    }
    assert_eq!(
        answer(&server, Method::POST, "/hub/negotiate?access_token=anonymous", &[]).await.status(),
        200
    );
    let allowed = server.respond(&parts(Method::GET, "/hub?access_token=good", &UPGRADE)).await;
    assert!(matches!(allowed, Some(Reply::Upgrade(_))));
}

fn named(head: RequestHead) -> std::future::Ready<Result<Option<User>, Denied>> {
    std::future::ready(Ok(bearer_token(&head).map(User::with_id)))
}

#[tokio::test]
async fn policies_refuse_strangers_with_401_and_known_users_with_403() {
    let options = EndpointOptions::default()
        .authenticate(named)
        .authorize(authenticated)
        .authorize(|caller: &Caller<'_>| caller.user.and_then(User::id) != Some("eve"));
    let server = server(&App::default(), options);
    for target in ["/hub/negotiate", "/hub?id=zz", "/hub"] {
        for method in [Method::POST, Method::GET, Method::DELETE] {
            for (token, status) in [("", 401), ("Bearer eve", 403)] {
                let answer = answer(&server, method.clone(), target, &[("authorization", token)]).await;
                assert_eq!(answer.status(), status, "{method} {target} {token}");
                assert!(answer.body().is_empty());
            }
        }
    }
    let answer = answer(&server, Method::POST, "/hub/negotiate?access_token=ann", &[]).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn another_user_with_a_stolen_connection_token_is_served_by_default_and_refused_when_strict() {
    for (strict, status) in [(false, 409), (true, 403)] {
        let options = EndpointOptions::default().authenticate(named).refuse_changed_user(strict);
        let server = server(&App::default(), options);
        let token = negotiate(&server).await;
        let (_near, far) = tokio::io::duplex(1024);
        let ann = ticket(&server, &format!("/hub?id={token}&access_token=ann")).await;
        tokio::spawn(ann.run(far, bytes::Bytes::new()));
        tokio::task::yield_now().await;
        for (user, expected) in [("ann", 409), ("eve", status)] {
            let target = format!("/hub?id={token}&access_token={user}");
            let answer = answer(&server, Method::GET, &target, &UPGRADE).await;
            assert_eq!(answer.status(), expected, "{user}, strict: {strict}");
        }
    }
}

#[tokio::test]
async fn a_negotiated_connection_is_used_once() {
    let app = App::default();
    let server = server(&app, EndpointOptions::default());
    let token = negotiate(&server).await;
    let (near, far) = tokio::io::duplex(1024);
    let task = tokio::spawn(ticket(&server, &format!("/hub?id={token}")).await.run(far, bytes::Bytes::new()));
    drop(near);
    task.await.unwrap();
    let untyped = Expected { kind: None, ..plain(404, UNKNOWN) };
    check(&server, Method::GET, &format!("/hub?id={token}"), &UPGRADE, untyped).await;
    let mut other = Client::connect(&server, 1024).await;
    other.text("hi").await;
    assert_eq!(other.read_text().await, "hi");
}

#[tokio::test]
async fn who_is_above_a_limit_is_refused_until_somebody_leaves() {
    let mut limits = Limits::default();
    (limits.pending, limits.pending_per_client) = (Some(3), Some(2));
    (limits.connections, limits.connections_per_client) = (Some(1), Some(1));
    let server = Server::builder()
        .endpoint("/hub", std::sync::Arc::new(App::default()), EndpointOptions::default())
        .limits(limits)
        .build();
    let ask = async |peer: &str, method: Method, target: &str, headers: &[(&str, &str)]| {
        let mut parts = parts(method, target, headers);
        parts.extensions.insert(PeerAddress { remote: peer.parse().unwrap(), local: None });
        server.respond(&parts).await.unwrap()
    };
    let negotiate = async |peer: &str| match ask(peer, Method::POST, "/hub/negotiate", &[]).await {
        Reply::Answer(answer) => (answer.status().as_u16(), answer.into_body()),
        other => panic!("{other:?}"),
    };
    assert_eq!(negotiate("10.0.0.1:1").await.0, 200);
    let (_, document) = negotiate("10.0.0.1:2").await;
    assert_eq!(negotiate("10.0.0.1:3").await, (429, "Too many connections".into()));
    assert_eq!(negotiate("10.0.0.2:1").await.0, 200);
    assert_eq!(negotiate("10.0.0.3:1").await, (503, "Too many connections".into()));

    // A negotiated connection that gets its transport waits no longer.
    let document = String::from_utf8(document.to_vec()).unwrap();
    let id = document.split("\"connectionId\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let Reply::Upgrade(first) = ask("10.0.0.1:2", Method::GET, &format!("/hub?id={id}"), &UPGRADE).await
    else {
        panic!("no upgrade");
    };
    assert_eq!(negotiate("10.0.0.1:4").await.0, 200);
    for (peer, expected) in [("10.0.0.1:5", 429), ("10.0.0.2:5", 503)] {
        let Reply::Answer(answer) = ask(peer, Method::GET, "/hub", &UPGRADE).await else {
            panic!("no answer");
        };
        assert_eq!(answer.status().as_u16(), expected);
    }
    drop(first);
    assert!(matches!(ask("10.0.0.2:5", Method::GET, "/hub", &UPGRADE).await, Reply::Upgrade(_)));
}
