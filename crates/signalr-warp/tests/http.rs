//! The HTTP side over real sockets: user routes beside the endpoints, answers on the wire, CORS, bad clients, and the
//! end of a server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(unreachable_pub, dead_code, reason = "shared by several test programs, each of which uses a part")]
mod support;

use signalr_transport::{EndpointOptions, PeerAddress, Server};
use signalr_warp::{Cors, ServeError, ServeOptions, Serving};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use support::{blocking, start, until, within};
use warp::Filter;

fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: server.example\r\nConnection: close\r\n{headers}\r\n")
}

fn upgrade(target: &str, headers: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: server.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn user_routes_stand_beside_the_endpoints() {
    let running = start(EndpointOptions::default(), |serving| {
        let peer = warp::path("peer")
            .and(warp::ext::get::<PeerAddress>())
            .map(|peer: PeerAddress| peer.remote.ip().to_string());
        serving.with_routes(peer.or(warp::path("echo").map(|| "never reached")))
    })
    .await;
    let peer = running.request(get("/peer", "")).await;
    assert!(peer.starts_with("HTTP/1.1 200 OK\r\n") && peer.ends_with("\r\n\r\n127.0.0.1"), "{peer}");
    let nowhere = running.request(get("/nowhere", "")).await;
    assert!(nowhere.starts_with("HTTP/1.1 404 "), "{nowhere}");
    let echo = running.request(get("/echo", "")).await;
    assert!(echo.starts_with("HTTP/1.1 400 ") && echo.ends_with("\r\n\r\nConnection ID required"), "{echo}");
    assert_eq!(header(&echo, "content-type"), Some("text/plain"));
    assert_eq!(header(&echo, "cache-control"), Some("no-cache, no-store"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn negotiate_ignores_its_body() {
    let running = start(EndpointOptions::default(), |serving| serving).await;
    let answer = running
        .request(
            "POST /echo/negotiate?negotiateVersion=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: text/plain;charset=UTF-8\r\nContent-Length: 5\r\n\r\nhello"
                .to_owned(),
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(header(&answer, "content-type"), Some("application/json"));
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(header(&answer, "content-length").unwrap().parse(), Ok(body.len()));
    let token = body.split("\"connectionToken\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut socket = running.connect(&format!("/echo?id={token}")).await;
    let answer = blocking(move || {
        socket.send("hi".into()).unwrap();
        socket.read().unwrap()
    })
    .await;
    assert_eq!(answer.to_text().unwrap(), "hi");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_origins_may_do_what_the_rules_allow() {
    let cors = Cors::new().origin("https://page.example").build().unwrap();
    let running = start(EndpointOptions::default(), |serving| serving.with_cors(cors)).await;
    let refused = running.request(get("/echo?id=zz", "Origin: https://page.example\r\n")).await;
    assert!(refused.starts_with("HTTP/1.1 404 "), "{refused}");
    assert_eq!(
        header(&refused, "access-control-allow-origin"),
        Some("https://page.example"),
        "errors are marked"
    );
    assert_eq!(header(&refused, "access-control-allow-credentials"), Some("true"));
    assert_eq!(header(&refused, "vary"), Some("Origin"));
    let foreign = running.request(get("/echo?id=zz", "Origin: https://evil.example\r\n")).await;
    assert_eq!(header(&foreign, "access-control-allow-origin"), None);
    let preflight = running
        .request(
            "OPTIONS /echo/negotiate HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: https://page.example\r\n\
             Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-requested-with\r\n\r\n"
                .to_owned(),
        )
        .await;
    assert!(preflight.starts_with("HTTP/1.1 204 "), "{preflight}");
    assert_eq!(header(&preflight, "access-control-allow-headers"), Some("x-requested-with"));
    let evil =
        upgrade("/echo", "Origin: https://evil.example\r\n").replace("n: Upgrade", "n: close, Upgrade");
    let evil = running.request(evil).await;
    assert!(evil.starts_with("HTTP/1.1 403 "), "{evil}");
    assert_eq!(running.server.connections(), 0);
    running.stop().await;
}

/// Half heads, half frames, garbage and silence: nothing of it stays, and a good client is served meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_bad_clients_leave_nothing_behind() {
    let options = ServeOptions::default();
    let running = start(EndpointOptions::default(), |serving| serving.with_options(options)).await;
    let address = running.address;
    let bad: [Vec<u8>; 6] = [
        b"\x16\x03\x01 this is no HTTP\r\n\r\n".to_vec(),
        b"GET /echo HTTP/1.1\r\nHost: half".to_vec(),
        Vec::new(),
        [upgrade("/echo", "").as_bytes(), b"\x81\x05not masked"].concat(),
        [upgrade("/echo", "").as_bytes(), b"\x81\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x02\x03\x04half"]
            .concat(),
        [upgrade("/echo", "").as_bytes(), &[0xFF; 300]].concat(),
    ];
    blocking(move || {
        for round in 0..10 {
            let clients: Vec<TcpStream> = (0..100)
                .map(|number| {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                    stream.write_all(&bad[(round + number) % bad.len()]).unwrap();
                    stream
                })
                .collect();
            let good = TcpStream::connect(address).unwrap();
            good.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut good = tungstenite::client(format!("ws://{address}/echo"), good).unwrap().0;
            good.send("still there".into()).unwrap();
            assert_eq!(good.read().unwrap().to_text().unwrap(), "still there");
            drop(clients);
        }
    })
    .await;
    until("the table is empty", || running.server.connections() == 0).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_finishes_its_head_is_let_go() {
    let mut options = ServeOptions::default();
    options.header_timeout = Duration::from_millis(200);
    let running = start(EndpointOptions::default(), |serving| serving.with_options(options)).await;
    for begun in ["", "GET /echo HTTP/1.1\r\nHos"] {
        let address = running.address;
        let rest = blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            stream.write_all(begun.as_bytes()).unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).map(|_| rest)
        })
        .await;
        let text = String::from_utf8(rest.unwrap()).unwrap();
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408 "), "{text}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_request_is_finished_at_the_end_and_a_silent_client_is_cut_at_the_deadline() {
    let release = std::sync::Arc::new(tokio::sync::Notify::new());
    let entered = std::sync::Arc::new(tokio::sync::Notify::new());
    let (held, seen) = (release.clone(), entered.clone());
    let slow = warp::path("slow").then(move || {
        let (held, seen) = (held.clone(), seen.clone());
        async move {
            seen.notify_one();
            held.notified().await;
            "done"
        }
    });
    let running =
        start(EndpointOptions::default(), |serving| serving.with_routes(slow).drain(Duration::from_secs(5)))
            .await;
    let request = running.request(get("/slow", ""));
    let stopping = async {
        entered.notified().await;
        release.notify_one();
    };
    let (answer, ()) = within("the request", async { tokio::join!(request, stopping) }).await;
    assert!(answer.ends_with("done"), "{answer}");
    running.stop().await;

    let running =
        start(EndpointOptions::default(), |serving| serving.drain(Duration::from_millis(100))).await;
    let mut socket = running.connect("/echo").await;
    let server = running.server.clone();
    running.stop().await;
    assert_eq!(server.connections(), 0, "a client that does not answer the Close does not hold the server");
    let last = blocking(move || socket.read()).await;
    assert_eq!(last.unwrap().to_text().unwrap(), "bye");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_an_error_that_names_it() {
    let first = Serving::bind(Server::builder().build(), ([127, 0, 0, 1], 0)).await.unwrap();
    let error = Serving::bind(Server::builder().build(), first.local_addr()).await.unwrap_err();
    assert!(matches!(error, ServeError::Bind { .. }));
    assert!(error.to_string().contains(&first.local_addr().to_string()), "{error}");
}
