//! A server under bad input stays up: ten thousand connections that each send garbage, half frames, oversized messages,
//! half HTTP heads or nothing at all, while a good client is answered throughout.
//!
//! "Memory returns" means: live bytes of the counting allocator are back, and resident memory after a second identical
//! round is within a quarter of that after the first. Floods of one kind are in `floods`, the answers to single wrong
//! inputs in `answers`.

mod answers;
mod floods;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, stream};
use signalr_integration_tests::http;
use signalr_integration_tests::server::Server;
use signalr_integration_tests::socket::{Incoming, RawSocket, frame, upgrade_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

const CONNECTIONS: usize = 10_000;
const AT_ONCE: usize = 500;
/// How long a connection waits for the server to do something about it. Nothing depends on whether it does.
const LINGER: Duration = Duration::from_millis(300);
/// What the first round may leave: tables and buffers that have grown and are kept.
const GROWN_ONCE: u64 = 512 * 1024;
/// What the second, identical round may leave beyond that: 6 bytes per connection.
const GROWN_AGAIN: u64 = 64 * 1024;
/// Open files of a server with one connection, generously.
const FILES: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_under_bad_input_stays_up_and_gives_its_memory_back() -> Result<()> {
    let mut server = Server::start(&[
        "--log-level",
        "warn",
        "--handshake-timeout-ms",
        "2000",
        "--disconnect-timeout-ms",
        "2000",
    ])
    .await?;
    let port = server.port();
    let (stop, stopped) = watch::channel(false);
    let good = tokio::spawn(good_client(port, stopped));

    let before = memory_when(&server, |_| true).await?;
    let started = Instant::now();
    round(port).await;
    println!("{CONNECTIONS} bad connections in {:?}", started.elapsed());
    let first = memory_when(&server, |live| live <= before.live + GROWN_ONCE).await?;
    round(port).await;
    let second = memory_when(&server, |live| live <= first.live + GROWN_AGAIN).await?;

    stop.send(true)?;
    let calls = good.await??;
    println!("good calls {calls}; before {before:?}, after one round {first:?}, after two {second:?}");
    ensure!(calls >= 10, "the good client got {calls} answers only");
    ensure!(server.is_running()?, "the server has ended");
    let log = server.log();
    ensure!(!log.contains("panicked"), "{log}");
    let limit = first.resident + first.resident / 4;
    ensure!(second.resident <= limit, "resident memory grew from {} to {}", first.resident, second.resident);
    server.stop().await
}

/// Bytes.
#[derive(Debug, Clone, Copy)]
struct Memory {
    /// Allocated now; 0 where the server does not count, as the reference does not.
    live: u64,
    resident: u64,
}

/// Waits until only the good client is connected, no socket is left over and live bytes are as wished.
async fn memory_when(server: &Server, is_right: impl Fn(u64) -> bool) -> Result<Memory> {
    let started = Instant::now();
    let mut looks = tokio::time::interval(Duration::from_millis(100));
    loop {
        looks.tick().await;
        let info = http::info(server.port()).await?;
        ensure!(info.get("liveBytes").is_none_or(|live| live.is_u64()), "build the peer with --all-features");
        let live = info["liveBytes"].as_u64().unwrap_or_default();
        if info["connections"] == 1 && open_files(server)? < FILES && is_right(live) {
            println!("memory after {:?}", started.elapsed());
            return Ok(Memory { live, resident: server.resident()? });
        }
        let files = open_files(server)?;
        ensure!(
            started.elapsed() < Duration::from_secs(40),
            "memory does not return: {files} files open, {info}"
        );
    }
}

fn open_files(server: &Server) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{}/fd", server.pid()?))?.count())
}

async fn round(port: u16) {
    stream::iter(0..CONNECTIONS).for_each_concurrent(AT_ONCE, |number| bad_client(port, number)).await;
}

/// One bad client; whatever the server does to it is right as long as others are served.
async fn bad_client(port: u16, number: usize) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    for piece in misbehaviour(port, number) {
        if stream.write_all(&piece).await.is_err() {
            return;
        }
    }
    // To see what the server does, not to wait for it.
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(LINGER, stream.read_to_end(&mut answer)).await;
}

/// What the client of this number sends.
fn misbehaviour(port: u16, number: usize) -> Vec<Vec<u8>> {
    const HANDSHAKE: &[u8] = b"{\"protocol\":\"json\",\"version\":1}\x1e";
    const PACK: &[u8] = b"{\"protocol\":\"messagepack\",\"version\":1}\x1e";
    let noise = |length: usize| -> Vec<u8> {
        let mut state = number as u64 ^ 0x9e37_79b9_7f4a_7c15;
        (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect()
    };
    let opened = |after: Vec<u8>| vec![upgrade_request(port, "/scale").into_bytes(), after];
    let shaken = |after: Vec<u8>| opened([frame(0x81, HANDSHAKE), after].concat());
    match number % 20 {
        0 => vec![],
        1 => vec![noise(300)],
        2 => vec![b"GET /scale HTT".to_vec()],
        3 => {
            vec![b"POST /scale/negotiate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc".to_vec()]
        }
        4 => vec![format!("GET /scale HTTP/1.1\r\nX: {}", "y".repeat(20_000)).into_bytes()],
        5 => vec![format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "z".repeat(9_000)).into_bytes()],
        6 => opened(vec![]),
        7 => opened(noise(500)),
        8 => opened(vec![0x81]),
        9 => opened(vec![0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]),
        10 => opened(frame(0x81, &vec![b'x'; 40_000])),
        11 => shaken(vec![]),
        12 => shaken(frame(0x81, &vec![b'['; 40_000])),
        13 => shaken(frame(0x81, &[vec![b'{'; 5_000], vec![0x1e]].concat())),
        14 => shaken(frame(0x01, b"{\"type\":1,\"target\":\"Echo\",\"arg")),
        15 => shaken(frame(0x82, &noise(2_000))),
        16 => opened([frame(0x81, PACK), frame(0x82, &[0x0c, 0x96, 0xdd, 0xff, 0xff, 0xff, 0xff])].concat()),
        17 => opened([frame(0x81, PACK), frame(0x82, &noise(1_000))].concat()),
        18 => shaken(frame(
            0x81,
            "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Delay\",\"arguments\":[60000]}\u{1e}".as_bytes(),
        )),
        _ => shaken(frame(
            0x81,
            "{\"type\":4,\"invocationId\":\"s\",\"target\":\"Counter\",\"arguments\":[1000000,0]}\u{1e}"
                .as_bytes(),
        )),
    }
}

/// Calls and waits for answers until told to stop; gives how many came.
async fn good_client(port: u16, stopped: watch::Receiver<bool>) -> Result<usize> {
    let mut socket = RawSocket::handshaken(port, "/scale", "json").await?;
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    let mut calls = 0;
    while !*stopped.borrow() {
        pace.tick().await;
        let call = format!(
            "{{\"type\":1,\"invocationId\":\"{calls}\",\"target\":\"Echo\",\"arguments\":[{calls}]}}\u{1e}"
        );
        socket.text(call.as_bytes()).await?;
        let expected = format!("{{\"type\":3,\"invocationId\":\"{calls}\",\"result\":{calls}}}\u{1e}");
        loop {
            match socket.next().await.context("the good client")? {
                Incoming::Text(text) if text == expected.as_bytes() => break,
                Incoming::Text(text) if text == b"{\"type\":6}\x1e" => {}
                other => anyhow::bail!("the good client got {other:?} instead of {expected}"),
            }
        }
        calls += 1;
    }
    Ok(calls)
}
