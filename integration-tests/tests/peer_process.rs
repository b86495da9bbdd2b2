//! The peer as a process: what it prints, how it ends, and its endpoint without a hub.

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use signalr_integration_tests::http;
use signalr_integration_tests::server::{self, Server};
use signalr_integration_tests::socket::{Incoming, RawSocket};
use signalr_integration_tests::within;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

/// Arguments, environment, text.
type WrongUse = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str);

fn run(args: &[&str], variables: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(server::peer()?);
    Ok(command.args(args).envs(variables.iter().copied()).stdin(Stdio::null()).output()?)
}

#[test]
fn wrong_use_ends_with_two_and_says_why() -> Result<()> {
    let cases: &[WrongUse] = &[
        (&[], &[], "no command"),
        (&["dance"], &[], "unknown command 'dance'"),
        (&["serve", "--wings"], &[], "unknown flag '--wings'"),
        (&["serve", "--urls", "ftp://x"], &[], "--urls: 'ftp://x' is not an http or https address"),
        (&["serve"], &[("PEER_MAX_RECEIVE", "x")], "--max-receive: 'x' is not a whole number"),
        (&["serve", "--parallel", "0"], &[], "--parallel: 0 is out of range, it must be at least 1"),
    ];
    for (args, variables, text) in cases {
        let output = run(args, variables)?;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.lines().next().is_some_and(|line| line.ends_with(text)), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    let help = run(&["serve", "--help"], &[])?;
    assert!(help.status.success() && String::from_utf8(help.stdout)?.contains("--max-receive BYTES"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_ends_with_one() -> Result<()> {
    let first = Server::start(&[]).await?;
    let url = first.url("");
    let output = tokio::task::spawn_blocking(move || run(&["serve", "--urls", &url], &[])).await??;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("Failed to bind to address {}: address already in use.", first.url(""))),
        "{said}"
    );
    first.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_end_it_in_order_and_only_addresses_are_printed() -> Result<()> {
    for signal in ["TERM", "INT"] {
        let mut child = tokio::process::Command::new(server::peer()?)
            .args(["serve", "--urls", "http://127.0.0.1:0;http://127.0.0.1:0"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let mut ports = Vec::new();
        for _ in 0..2 {
            let line = within("an address", lines.next_line()).await??.context("no line")?;
            let port = line.strip_prefix("Now listening on: http://127.0.0.1:").context(line.clone())?;
            ports.push(port.parse::<u16>()?);
        }
        let mut socket = RawSocket::handshaken(ports[1], "/scale", "json").await?;
        let pid = child.id().context("it runs")?;
        let killed = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status()?;
        ensure!(killed.success(), "kill -{signal}");
        let good_bye = b"{\"type\":7,\"allowReconnect\":true}\x1e".to_vec();
        assert_eq!(socket.next().await?, Incoming::Text(good_bye), "{signal}");
        assert_eq!(socket.next().await?, Incoming::Close(Some(1000), String::new()), "{signal}");
        socket.close(1000).await?;
        let status = within("the end", child.wait()).await??;
        assert_eq!(status.code(), Some(0), "{signal}");
        let mut rest = String::new();
        lines.into_inner().read_to_string(&mut rest).await?;
        assert_eq!(rest, "", "{signal}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn echo_needs_no_hub_and_answers_in_text() -> Result<()> {
    let server = Server::start(&["--hubs", "suite"]).await?;
    let mut socket = RawSocket::open(server.port(), "/echo").await?;
    for payload in [&b"{}\x1e"[..], b"no record at all"] {
        socket.text(payload).await?;
        assert_eq!(socket.next().await?, Incoming::Text(payload.to_vec()));
    }
    socket.binary(b"bytes").await?;
    assert_eq!(socket.next().await?, Incoming::Text(b"bytes".to_vec()));
    socket.close(1000).await?;
    assert_eq!(socket.next().await?, Incoming::Close(Some(1000), String::new()));
    // Only the hubs that were asked for are there.
    for path in ["/bench/negotiate", "/scale/negotiate", "/control/stop"] {
        assert_eq!(http::request(server.port(), "POST", path, "").await?.status, 404, "{path}");
    }
    Ok(())
}
