//! Users between requests (B-2.8, 2.10) on every transport, in virtual time: expired, rotated and swapped tokens.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(unreachable_pub, dead_code, reason = "shared by several test programs, each of which uses a part")]
mod support;

use bytes::Bytes;
use futures_core::Stream;
use http::Method;
use signalr_core::{CloseReason, RequestHead, User};
use signalr_transport::{Denied, EndpointOptions, Reply, Server, bearer_token};
use std::future::{Ready, poll_fn, ready};
use std::pin::Pin;
use std::time::{Duration, SystemTime};
use support::{App, Seen, UPGRADE, answer, negotiate, parts, server};
use tokio::time::Instant;

type Headers = [(&'static str, &'static str)];

const SSE: &Headers = &[("accept", "text/event-stream")];
const POLL: &Headers = &[];
const TRANSPORTS: [&Headers; 3] = [&UPGRADE, SSE, POLL];

/// `NAME` for ever, `NAME:SECONDS` for so long; a token of no time has run out.
fn hook(request: RequestHead) -> Ready<Result<Option<User>, Denied>> {
    let Some(token) = bearer_token(&request) else { return ready(Ok(None)) };
    ready(match token.split_once(':') {
        None => Ok(Some(User::with_id(token))),
        Some((_, "0")) => Err(Denied::unauthorized()),
        Some((name, seconds)) => {
            let life = Duration::from_secs(seconds.parse().unwrap());
            Ok(Some(User::with_id(name).expiring(SystemTime::now() + life)))
        }
    })
}

fn options() -> EndpointOptions {
    EndpointOptions::default().authenticate(hook).close_on_authentication_expiration(true)
}

async fn ask(server: &Server, method: Method, id: &str, user: &str, headers: &Headers) -> Option<Reply> {
    server.respond(&parts(method, &format!("/hub?id={id}&access_token={user}"), headers)).await
}

/// Opens a connection; what has to be kept for it to live is read to its end elsewhere.
async fn open(server: &Server, user: &str, transport: &Headers) -> String {
    let id = negotiate(server).await;
    match ask(server, Method::GET, &id, user, transport).await.unwrap() {
        Reply::Upgrade(ticket) => {
            let (mut near, far) = tokio::io::duplex(1 << 16);
            tokio::spawn(ticket.run(far, Bytes::new()));
            tokio::spawn(
                async move { tokio::io::copy(&mut near, &mut tokio::io::sink()).await.map(|_| near) },
            );
        }
        Reply::Events(events) => {
            let mut stream = events.into_body();
            tokio::spawn(async move {
                while poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await.is_some() {}
            });
        }
        Reply::Answer(first_poll) => assert_eq!(first_poll.status(), 200),
        other => panic!("{other:?}"),
    }
    settle().await;
    id
}

async fn settle() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

fn status(reply: Option<Reply>) -> u16 {
    match reply {
        Some(Reply::Answer(answer)) => answer.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

/// Waits until the application has been asked to close; how long that took.
async fn closing(app: &App) -> Duration {
    let start = Instant::now();
    while !app.seen().contains(&Seen::Close(CloseReason::AuthExpired)) {
        assert!(start.elapsed() < Duration::from_secs(60), "a deadline without a close: {:?}", app.seen());
        tokio::time::advance(Duration::from_millis(500)).await;
        settle().await;
    }
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn scenario_15_a_token_that_has_run_out_is_refused_on_every_request() {
    for transport in TRANSPORTS {
        let server = server(&App::default(), options());
        let id = open(&server, "ann", transport).await;
        for method in [Method::GET, Method::POST, Method::DELETE] {
            assert_eq!(status(ask(&server, method.clone(), &id, "ann:0", transport).await), 401, "{method}");
        }
        let negotiated = answer(&server, Method::POST, "/hub/negotiate?access_token=ann:0", &[]).await;
        assert_eq!((negotiated.status().as_u16(), negotiated.body().len()), (401, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn scenario_15_a_token_that_runs_out_while_connected_ends_the_connection() {
    for transport in TRANSPORTS {
        let app = App::default();
        let server = server(&app, options());
        open(&server, "ann:5", transport).await;
        let after = closing(&app).await;
        assert!((4..=7).contains(&after.as_secs()), "{after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn scenario_15_the_token_of_the_latest_poll_counts() {
    let app = App::default();
    let server = server(&app, options());
    let id = open(&server, "ann:5", POLL).await;
    let rotated = server.clone();
    tokio::spawn(async move { ask(&rotated, Method::GET, &id, "ann:20", POLL).await.is_some() });
    settle().await;
    let after = closing(&app).await;
    assert!((19..=22).contains(&after.as_secs()), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn scenario_15_another_user_with_a_stolen_connection_token_gets_403_when_strict() {
    for transport in TRANSPORTS {
        let server = server(&App::default(), options().refuse_changed_user(true));
        let id = open(&server, "ann", transport).await;
        for stranger in ["eve", ""] {
            for method in [Method::GET, Method::POST, Method::DELETE] {
                let refusal = status(ask(&server, method.clone(), &id, stranger, transport).await);
                assert_eq!(refusal, 403, "{method} of {stranger:?}");
            }
        }
        assert_eq!(server.connections(), 1, "the connection goes on");
        // A rotated token of the same user is as good as the first.
        if transport.is_empty() {
            let poll = tokio::spawn({
                let (server, id) = (server.clone(), id.clone());
                async move { status(ask(&server, Method::GET, &id, "ann:60", POLL).await) }
            });
            settle().await;
            assert_eq!(status(ask(&server, Method::DELETE, &id, "ann:60", POLL).await), 202);
            assert!([200, 204].contains(&poll.await.unwrap()));
        }
    }
}
