//! The answer to each kind of wrong input: one client, one input, one clear end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use signalr_integration_tests::http;
use signalr_integration_tests::server::Server;
use signalr_integration_tests::socket::{Incoming, RawSocket, frame, upgrade_request};
use signalr_integration_tests::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What one client may cost a server that has refused it: buffers, tables, and what the tests around it do.
const COST: u64 = 4 * 1024 * 1024;

/// Sends bytes as they are and reads to the end.
async fn ask(port: u16, request: &[u8]) -> Result<String> {
    within("an answer and the end", async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        // A server that has not read everything may reset the connection behind its answer.
        while let Ok(length) = stream.read_buf(&mut answer).await
            && length > 0
        {}
        Ok(String::from_utf8_lossy(&answer).into_owned())
    })
    .await?
}

#[tokio::test]
async fn wrong_requests_are_answered_with_their_status() -> Result<()> {
    let server = Server::start(&[]).await?;
    let port = server.port();
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    let large = "y".repeat(1024 * 1024);
    let cases = [
        ("PUT /scale HTTP/1.1\r\nHost: x\r\n".to_owned(), 405),
        ("PATCH /scale/negotiate HTTP/1.1\r\nHost: x\r\n".to_owned(), 405),
        ("GET /scale/negotiate HTTP/1.1\r\nHost: x\r\n".to_owned(), 405),
        ("GET /scale?id=unknown HTTP/1.1\r\nHost: x\r\n".to_owned(), 404),
        ("POST /scale?id=unknown HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n".to_owned(), 404),
        ("DELETE /scale?id=unknown HTTP/1.1\r\nHost: x\r\n".to_owned(), 404),
        ("GET /scale?id=%ff%00&id=%zz HTTP/1.1\r\nHost: x\r\n".to_owned(), 404),
        ("GET /scale HTTP/1.1\r\nHost: x\r\n".to_owned(), 400),
        ("GET /nowhere HTTP/1.1\r\nHost: x\r\n".to_owned(), 404),
        (format!("GET /scale HTTP/1.1\r\nHost: x\r\n{many}"), 431),
        (format!("GET /scale HTTP/1.1\r\nHost: x\r\nX: {large}\r\n"), 431),
        (format!("GET /scale?id={large} HTTP/1.1\r\nHost: x\r\n"), 431),
        ("GET /sc\u{1}ale HTTP/1.1\r\nHost: x\r\n".to_owned(), 400),
        ("POST /scale/negotiate HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n".to_owned(), 400),
        (
            "POST /scale/negotiate HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n"
                .to_owned(),
            400,
        ),
        (
            "POST /scale/negotiate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
                .to_owned(),
            200,
        ),
    ];
    for (head, status) in cases {
        let shown: String = head.chars().take(60).collect();
        let answer = ask(
            port,
            format!("{}Connection: close\r\n\r\n", head.trim_end_matches("\r\n").to_owned() + "\r\n")
                .as_bytes(),
        )
        .await?;
        let first = answer.lines().next().unwrap_or_default();
        ensure!(
            first.starts_with(&format!("HTTP/1.1 {status} ")),
            "{shown:?} is answered with {first:?}, not {status}"
        );
    }
    server.stop().await
}

#[tokio::test]
async fn frames_and_segments_of_one_byte_are_put_together() -> Result<()> {
    let server = Server::start(&[]).await?;
    let mut socket = RawSocket::open(server.port(), "/scale").await?;
    let call =
        "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"\u{e4}\u{20ac}\"]}\u{1e}";
    for message in ["{\"protocol\":\"json\",\"version\":1}\u{1e}", call] {
        let bytes = message.as_bytes();
        for (index, byte) in bytes.iter().enumerate() {
            let opcode = u8::from(index == 0);
            let last = if index + 1 == bytes.len() { 0x80 } else { 0 };
            // Each frame in segments of one byte, an empty frame between them.
            for byte in frame(opcode | last, &[*byte]) {
                socket.raw(&[byte]).await?;
            }
            if last == 0 {
                socket.raw(&frame(0, b"")).await?;
            }
        }
    }
    ensure!(socket.next().await? == Incoming::Text(b"{}\x1e".to_vec()));
    let expected = "{\"type\":3,\"invocationId\":\"1\",\"result\":\"\u{e4}\u{20ac}\"}\u{1e}";
    let answer = socket.next().await?;
    ensure!(answer == Incoming::Text(expected.as_bytes().to_vec()), "{answer:?}");
    server.stop().await
}

/// What a refused client hears, up to the Close frame or the end.
async fn last_words(socket: &mut RawSocket) -> Result<String> {
    let mut words = String::new();
    loop {
        match socket.next().await? {
            Incoming::Text(bytes) | Incoming::Binary(bytes) => words += &String::from_utf8_lossy(&bytes),
            Incoming::Close(code, reason) => return Ok(format!("{words}[{code:?} {reason}]")),
            Incoming::End => return Ok(words),
        }
    }
}

#[tokio::test]
async fn lengths_of_two_gigabytes_reserve_nothing_and_end_the_connection() -> Result<()> {
    let server = Server::start(&["--max-receive", "32768"]).await?;
    let port = server.port();
    let before = live(port).await?;
    // A frame that announces 2 GiB: what is sent of it is refused as soon as it is above the limit.
    let mut socket = RawSocket::handshaken(port, "/scale", "json").await?;
    socket.raw(&[0x81, 0xff, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]).await?;
    ensure!(live(port).await? < before + COST, "an announced length is reserved");
    // The server may hang up in the middle of this.
    let _ = socket.raw(&[b' '; 64 * 1024]).await;
    let words = last_words(&mut socket).await?;
    ensure!(words.contains("\"type\":7"), "{words}");
    // A MessagePack message that announces 2 GiB, and arrays, maps, strings and binaries that announce 4 G of each.
    let bodies: [&[u8]; 5] = [
        &[0x80, 0x80, 0x80, 0x80, 0x08, 0x96],
        &[0x06, 0xdd, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0x08, 0x96, 0x01, 0xdf, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0x09, 0x96, 0x01, 0x80, 0xdb, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0x0c, 0x96, 0x01, 0x80, 0xc0, 0xa1, b'x', 0xdd, 0xff, 0xff, 0xff, 0xff, 0x01],
    ];
    for body in bodies {
        let mut socket = RawSocket::handshaken(port, "/scale", "messagepack").await?;
        socket.binary(body).await?;
        if body.len() == 6 {
            let _ = socket.binary(&[0; 40_000]).await;
        }
        // An argument that cannot be read is the call's end, not the connection's.
        let _ = socket.close(1000).await;
        last_words(&mut socket).await.with_context(|| format!("{body:02x?}"))?;
    }
    ensure!(live(port).await? < before + COST, "refused clients leave something");
    server.stop().await
}

#[tokio::test]
async fn text_that_is_no_utf_8_ends_the_connection() -> Result<()> {
    let server = Server::start(&[]).await?;
    for bad in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"] {
        let mut socket = RawSocket::handshaken(server.port(), "/scale", "json").await?;
        let call = [b"{\"type\":1,\"target\":\"Echo\",\"arguments\":[\"", bad, b"\"]}\x1e"].concat();
        socket.text(&call).await?;
        let words = last_words(&mut socket).await.with_context(|| format!("{bad:02x?}"))?;
        ensure!(words.contains("\"type\":7") || words.contains("[Some(1007)"), "{bad:02x?}: {words}");
    }
    server.stop().await
}

#[tokio::test]
async fn a_compression_bomb_is_refused_before_it_is_blown_up() -> Result<()> {
    let server = Server::start(&["--lz4", "--protocols", "messagepack", "--max-receive", "32768"]).await?;
    let port = server.port();
    let before = live(port).await?;
    // Lz4BlockArray: [ext 98 of the blocks' lengths, block, ...]; a run of one byte, 255-fold per byte of input.
    let run = [&[0x1f, 0x00, 0x01, 0x00][..], &[0xff; 8_000], &[0x00]].concat();
    for length in [0x7fff_ffff_u32, 0xffff_ffff, 2_040_000] {
        let block = [&[0xc5][..], &(run.len() as u16).to_be_bytes(), &run].concat();
        let head = [&[0x92, 0xc7, 0x05, 98, 0xce][..], &length.to_be_bytes()].concat();
        let body = [head, block].concat();
        let prefix = [(body.len() & 0x7f) as u8 | 0x80, (body.len() >> 7) as u8];
        let mut socket = RawSocket::handshaken(port, "/scale", "messagepack").await?;
        socket.binary(&[&prefix[..], &body].concat()).await?;
        last_words(&mut socket).await.with_context(|| format!("{length}"))?;
    }
    // The most that ever was resident: what is blown up and freed again counts.
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()?))?;
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let most: u64 = most.trim().trim_end_matches(" kB").parse()?;
    ensure!(live(port).await? < before + COST, "refused clients leave something");
    ensure!(most < 200 * 1024, "{most} kB were resident");
    server.stop().await
}

#[tokio::test]
async fn clients_that_fall_silent_are_ended() -> Result<()> {
    let server = Server::start(&["--handshake-timeout-ms", "1000", "--client-timeout-ms", "1000"]).await?;
    let port = server.port();
    let started = Instant::now();
    // Half open: the other side is gone, and no packet says so.
    let mut shaken = RawSocket::handshaken(port, "/scale", "json").await?;
    // Silence counts from a client's first ping on, as in the reference.
    shaken.text(b"{\"type\":6}\x1e").await?;
    let mut opened = RawSocket::open(port, "/scale").await?;
    let mut halfway = RawSocket::handshaken(port, "/scale", "json").await?;
    halfway.text(b"{\"type\":6}\x1e").await?;
    halfway.raw(&[0x81]).await?;
    let opened = last_words(&mut opened).await.context("no handshake")?;
    let shaken = last_words(&mut shaken).await.context("no message")?;
    let halfway = last_words(&mut halfway).await.context("half a frame")?;
    ensure!(shaken.contains("\"type\":7"), "{shaken}");
    ensure!(opened.contains("Handshake was canceled"), "{opened}");
    ensure!(halfway.contains("\"type\":7"), "{halfway}");
    ensure!(started.elapsed() < Duration::from_secs(15));
    until_nobody(port).await?;
    server.stop().await
}

#[tokio::test]
async fn heads_that_never_end_are_cut_however_slowly_they_come() -> Result<()> {
    let server = Server::start(&[]).await?;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await?;
    stream.write_all(upgrade_request(server.port(), "/scale").trim_end().as_bytes()).await?;
    let started = Instant::now();
    let mut drops = tokio::time::interval(Duration::from_millis(500));
    let mut answer = [0; 1024];
    loop {
        tokio::select! {
            read = stream.read(&mut answer) => match read {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            },
            _ = drops.tick() => if stream.write_all(b"x").await.is_err() { break },
        }
        ensure!(started.elapsed() < Duration::from_secs(45), "a slow head holds its connection");
    }
    server.stop().await
}

/// Live bytes of the server.
pub(crate) async fn live(port: u16) -> Result<u64> {
    Ok(http::info(port).await?["liveBytes"].as_u64().unwrap_or_default())
}

/// Waits until no connection is left.
pub(crate) async fn until_nobody(port: u16) -> Result<()> {
    within("the last connection to end", async {
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        loop {
            looks.tick().await;
            if http::info(port).await?["connections"] == 0 {
                return Ok(());
            }
        }
    })
    .await?
}
