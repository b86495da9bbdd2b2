//! Many of one kind: negotiates that nobody follows up, POSTs that nobody reads, connections of one client.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use signalr::prelude::*;
use signalr::{Limits, SignalR, warp::Serving};
use signalr_integration_tests::server::Server;
use signalr_integration_tests::socket::upgrade_request;
use signalr_integration_tests::{http, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;

use crate::answers::live;

const NEGOTIATES: usize = 15_000;
/// On one TCP connection, one behind the other.
const IN_A_ROW: usize = 150;
/// What 15,000 forgotten connections may leave: the table's own room, which is kept.
const TABLE: u64 = 8 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn fifteen_thousand_negotiates_that_never_connect_are_forgotten() -> Result<()> {
    let server = Server::start(&["--disconnect-timeout-ms", "3000"]).await?;
    let port = server.port();
    negotiate(port, 10).await?;
    let before = live(port).await?;
    let mut resident = Vec::new();
    for round in 0..2 {
        stream::iter(0..NEGOTIATES / IN_A_ROW)
            .map(|_| negotiate(port, IN_A_ROW))
            .buffer_unordered(20)
            .try_collect::<Vec<_>>()
            .await?;
        let most = live(port).await?;
        ensure!(
            most < before + NEGOTIATES as u64 * 1024,
            "a negotiate costs {} bytes",
            most / NEGOTIATES as u64
        );
        until_back(port, before + TABLE).await.with_context(|| format!("round {round}"))?;
        resident.push(server.resident()?);
    }
    ensure!(resident[1] <= resident[0] + resident[0] / 4, "resident memory grew: {resident:?}");
    server.stop().await
}

/// Negotiates `count` times on one connection.
async fn negotiate(port: u16, count: usize) -> Result<()> {
    const REQUEST: &str =
        "POST /scale/negotiate?negotiateVersion=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut received = Vec::new();
    for _ in 0..count {
        stream.write_all(REQUEST.as_bytes()).await?;
        received.clear();
        while !received.ends_with(b"]}]}") {
            ensure!(stream.read_buf(&mut received).await? > 0, "{}", String::from_utf8_lossy(&received));
        }
    }
    Ok(())
}

async fn until_back(port: u16, limit: u64) -> Result<()> {
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    for _ in 0..200 {
        looks.tick().await;
        if live(port).await? <= limit {
            return Ok(());
        }
    }
    anyhow::bail!("memory does not return: {} bytes live, {limit} allowed", live(port).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_that_nobody_reads_wait_outside() -> Result<()> {
    const POSTS: usize = 200;
    const BODY: usize = 1024 * 1024;
    let server = Server::start(&["--application-buffer", "65536", "--disconnect-timeout-ms", "4000"]).await?;
    let port = server.port();
    let answer = http::request(port, "POST", "/scale/negotiate?negotiateVersion=1", "").await?.json()?;
    let token = answer["connectionToken"].as_str().context("a token")?.to_owned();
    let before = live(port).await?;
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..POSTS {
        let token = token.clone();
        flood.spawn(async move {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
            let head = format!(
                "POST /scale?id={token} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {BODY}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await?;
            // Ends early when the connection is gone.
            let _ = stream.write_all(&vec![b' '; BODY]).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            anyhow::Ok(String::from_utf8_lossy(&answer).into_owned())
        });
    }
    let mut most = 0;
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    for _ in 0..10 {
        looks.tick().await;
        most = most.max(live(port).await?);
    }
    ensure!(most < before + 32 * 1024 * 1024, "{POSTS} POSTs of {BODY} bytes cost {} bytes", most - before);
    // Nobody polls: the connection is forgotten, and every POST is told.
    while let Some(answer) = flood.join_next().await {
        let answer = answer??;
        ensure!(answer.is_empty() || answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
    until_back(port, before + TABLE).await?;
    server.stop().await
}

struct Quiet;

#[hub]
impl Quiet {}

/// The two clients are two addresses of this machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_too_much_is_refused_and_nobody_else_is() -> Result<()> {
    const GREEDY: Ipv4Addr = Ipv4Addr::LOCALHOST;
    const MODEST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
    let mut limits = Limits::default();
    (limits.pending_per_client, limits.connections_per_client) = (Some(3), Some(2));
    let server = SignalR::builder().limits(limits).hub("/scale", Quiet).build().await?;
    let serving = Serving::bind(server, (Ipv4Addr::LOCALHOST, 0)).await?;
    let port = serving.local_addr().port();
    let (_stop, stopped) = oneshot::channel::<()>();
    let end = async move {
        let _ = stopped.await;
    };
    tokio::spawn(serving.until(end).drain(Duration::ZERO).run());

    let negotiate =
        "POST /scale/negotiate?negotiateVersion=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    let upgrade = upgrade_request(port, "/scale");
    for expected in [200, 200, 200, 429] {
        answered(port, GREEDY, negotiate, expected).await?;
    }
    answered(port, MODEST, negotiate, 200).await?;
    let open = [answered(port, GREEDY, &upgrade, 101).await?, answered(port, GREEDY, &upgrade, 101).await?];
    answered(port, GREEDY, &upgrade, 429).await?;
    let _other = answered(port, MODEST, &upgrade, 101).await?;
    // Who goes makes room.
    drop(open);
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..400 {
        looks.tick().await;
        if answered(port, GREEDY, &upgrade, 101).await.is_ok() {
            return Ok(());
        }
    }
    anyhow::bail!("connections that have ended still count")
}

/// Sends a request from this address; gives the connection if the answer has this status.
async fn answered(port: u16, from: Ipv4Addr, request: &str, expected: u16) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let mut stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut head = [0; 12];
    within("an answer", stream.read_exact(&mut head)).await??;
    let line = String::from_utf8_lossy(&head).into_owned();
    ensure!(line == format!("HTTP/1.1 {expected}"), "{from} was answered with {line}, not {expected}");
    Ok(stream)
}
