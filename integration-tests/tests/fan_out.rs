//! Sends to many: nobody who reads is cut, however fast the sender is, and who does not read is cut alone.
//!
//! The server runs in this process, so that the sender is as fast as it can be; the clients are real WebSockets.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use signalr::prelude::*;
use signalr::{SignalR, warp::Serving};
use signalr_integration_tests::PATIENCE;
use signalr_integration_tests::socket::{Incoming, RawSocket};
use tokio::sync::oneshot;

const CLIENTS: usize = 100;

struct News;

#[hub]
impl News {
    fn echo(&self, text: String) -> String {
        text
    }
}

/// A served hub; ends when dropped.
struct Served {
    port: u16,
    hub: HubContext<News>,
    _stop: oneshot::Sender<()>,
}

async fn serve() -> Result<Served> {
    let server = SignalR::builder().hub("/news", News).build().await?;
    let hub = server.context::<News>().context("the hub is there")?;
    let serving = Serving::bind(server, (Ipv4Addr::LOCALHOST, 0)).await?;
    let port = serving.local_addr().port();
    let (stop, stopped) = oneshot::channel::<()>();
    let end = async move {
        let _ = stopped.await;
    };
    tokio::spawn(serving.until(end).drain(Duration::ZERO).run());
    Ok(Served { port, hub, _stop: stop })
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_sends_in_a_loop_cut_no_healthy_client() -> Result<()> {
    const SENDS: usize = 10_000;
    let served = serve().await?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let socket = RawSocket::handshaken(served.port, "/news", "json").await?;
        clients.push(tokio::spawn(read_all(socket, SENDS)));
    }
    let started = Instant::now();
    let filler = "x".repeat(1024);
    for number in 0..SENDS {
        served
            .hub
            .clients()
            .all()
            .send("News", (number, &filler))
            .await
            .map_err(|error| anyhow::anyhow!("{error}"))?;
    }
    let sent = started.elapsed();
    for client in try_join_all(clients).await? {
        client?;
    }
    println!(
        "{SENDS} sends to {CLIENTS} clients: queued after {sent:?}, all read after {:?}",
        started.elapsed()
    );
    Ok(())
}

/// Reads numbered messages; every one, in order.
async fn read_all(mut socket: RawSocket, messages: usize) -> Result<()> {
    let mut next = 0;
    while next < messages {
        match socket.next().await? {
            Incoming::Text(text) => next = check_numbers(&text, next)?,
            other => anyhow::bail!("after {next} messages: {other:?}"),
        }
    }
    Ok(())
}

/// Checks the hub messages of one WebSocket message; gives the number that comes next.
fn check_numbers(text: &[u8], mut next: usize) -> Result<usize> {
    for record in text.split(|byte| *byte == 0x1e).filter(|record| !record.is_empty()) {
        if record == b"{\"type\":6}" {
            continue;
        }
        let start = format!("{{\"type\":1,\"target\":\"News\",\"arguments\":[{next},");
        ensure!(
            record.starts_with(start.as_bytes()),
            "wanted {next}, got {:?}",
            String::from_utf8_lossy(&record[..60])
        );
        next += 1;
    }
    Ok(next)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_client_is_cut_and_holds_nobody_back() -> Result<()> {
    let served = serve().await?;
    let frozen = RawSocket::handshaken(served.port, "/news", "json").await?;
    let mut readers = Vec::new();
    for _ in 1..CLIENTS {
        readers.push(RawSocket::handshaken(served.port, "/news", "json").await?);
    }
    ensure!(served.hub.connection_ids().len() == CLIENTS, "not all are connected");
    let filler = "x".repeat(16 * 1024);
    let deadline = Instant::now() + PATIENCE + PATIENCE;
    let mut sent = 0;
    let mut slowest = Duration::ZERO;
    // One message at a time, read by every healthy client before the next is sent, until the frozen one is gone.
    while served.hub.connection_ids().len() == CLIENTS {
        ensure!(Instant::now() < deadline, "the frozen client is still there after {sent} messages");
        let started = Instant::now();
        served
            .hub
            .clients()
            .all()
            .send("News", (sent, &filler))
            .await
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        try_join_all(readers.iter_mut().map(|reader| read_one(reader, sent))).await?;
        slowest = slowest.max(started.elapsed());
        sent += 1;
    }
    println!(
        "cut after {sent} messages of 16 KiB; the slowest round to {} readers took {slowest:?}",
        CLIENTS - 1
    );
    ensure!(slowest < Duration::from_secs(5), "the healthy clients had to wait: {slowest:?}");
    ensure!(served.hub.connection_ids().len() == CLIENTS - 1, "others were cut too");
    ends(frozen).await
}

/// Reads until the next numbered message, which must be this one.
async fn read_one(reader: &mut RawSocket, number: usize) -> Result<()> {
    loop {
        match reader.next().await? {
            Incoming::Text(text) if check_numbers(&text, number)? > number => return Ok(()),
            Incoming::Text(_) => {}
            other => anyhow::bail!("a healthy client got {other:?}"),
        }
    }
}

/// What was sent to it before is still read; then the connection is over.
async fn ends(mut socket: RawSocket) -> Result<()> {
    while !matches!(socket.next().await?, Incoming::End | Incoming::Close(..)) {}
    Ok(())
}
