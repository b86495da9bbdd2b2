//! Two processes of ours on one Redis, with clients on both: one server behind two addresses, also on Redis' bad day.
//!
//! Needs `redis-server`.

use anyhow::{Context, Result, ensure};
use signalr_client::{HubClient, Messages, Protocol};
use signalr_integration_tests::redis::Redis;
use signalr_integration_tests::server::Server;
use signalr_integration_tests::socket::{Incoming, RawSocket};
use signalr_integration_tests::{http, within};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

struct Guest {
    client: HubClient,
    heard: Messages<(String,)>,
}

impl Guest {
    async fn connect(server: &Server, protocol: Protocol) -> Result<Self> {
        let mut builder = HubClient::builder(server.url("/scale")).protocol(protocol);
        let heard = builder.messages("M");
        Ok(Self { client: builder.connect().await?, heard })
    }

    async fn send(&self, text: &str) -> Result<()> {
        Ok(self.client.invoke::<()>("SendGroup", ("room", "M", text)).await?)
    }

    async fn next(&mut self) -> Result<String> {
        let next = tokio::time::timeout(PATIENCE, self.heard.next()).await;
        Ok(next.context("no message came")?.context("the client has ended")??.0)
    }

    /// The next text must be this one.
    async fn hears(&mut self, text: &str) -> Result<()> {
        let heard = self.next().await?;
        ensure!(heard == text, "heard {heard:?} instead of {text:?}");
        Ok(())
    }

    /// The next texts must be the last ones of these: of the first ones some may have been written to a dead socket.
    async fn hears_the_end_of(&mut self, texts: &[String]) -> Result<()> {
        let mut heard = Vec::new();
        while heard.last() != texts.last() {
            heard.push(self.next().await.with_context(|| format!("heard {heard:?} of {texts:?}"))?);
        }
        ensure!(texts.ends_with(&heard), "heard {heard:?} instead of the end of {texts:?}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_on_two_servers_stay_together_through_the_loss_of_redis() -> Result<()> {
    let mut redis = Redis::start().await?;
    let address = redis.address();
    let flags = ["--hubs", "scale", "--redis", &address];
    let (one, two) = (Server::start(&flags).await?, Server::start(&flags).await?);
    let mut here = Guest::connect(&one, Protocol::Json).await?;
    let mut near = Guest::connect(&one, Protocol::MessagePack).await?;
    let mut there = Guest::connect(&two, Protocol::MessagePack).await?;
    for guest in [&here, &near, &there] {
        guest.client.invoke::<()>("Join", ("room",)).await?;
    }
    here.send("hello").await?;
    there.send("hello back").await?;
    for guest in [&mut here, &mut near, &mut there] {
        let mut heard = [guest.next().await?, guest.next().await?];
        heard.sort();
        ensure!(heard == ["hello", "hello back"], "heard {heard:?}");
    }

    // For as long as a server needs to learn how large its fleet is: kept messages wait for that many to be back.
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(2) {
        here.send("still here").await?;
        for guest in [&mut here, &mut near, &mut there] {
            guest.hears("still here").await?;
        }
    }

    redis.kill().await?;
    // What a server writes before it knows is unknown, and nobody gets it; from then on members here are served, and the
    // text is kept for the other server.
    let mut kept = Vec::new();
    for number in 0.. {
        let text = format!("number {number}");
        here.send(&text).await?;
        if let Ok(heard) = tokio::time::timeout(Duration::from_secs(2), here.next()).await {
            ensure!(heard? == text, "{text} came out of order");
            near.hears(&text).await?;
            kept.push(text);
        }
        if kept.len() == 10 {
            break;
        }
    }
    // A new client may come, and a group may be joined.
    let mut late = Guest::connect(&two, Protocol::Json).await?;
    late.client.invoke::<()>("Join", ("room",)).await?;
    redis.restart().await?;
    for guest in [&mut there, &mut late] {
        guest.hears_the_end_of(&kept).await?;
    }
    there.send("together again").await?;
    for guest in [&mut here, &mut near, &mut there, &mut late] {
        guest.hears("together again").await?;
    }
    for server in [one, two] {
        server.stop().await?;
    }
    Ok(())
}

/// Everything that servers of a fleet log, down to the smallest thing: no token, no password, no message.
#[tokio::test(flavor = "multi_thread")]
async fn logs_show_no_tokens_no_passwords_and_no_messages() -> Result<()> {
    const PASSWORD: &str = "S3cr3t-Password";
    const BEARER: &str = "S3cr3t-Bearer";
    const TEXT: &str = "S3cr3t-Message";
    let redis = Redis::start().await?;
    redis.command(&format!("CONFIG SET requirepass {PASSWORD}")).await?;
    let url = format!("redis://:{PASSWORD}@{}", redis.address());
    let flags = ["--hubs", "scale", "--log-level", "trace", "--redis", &url];
    let (one, two) = (Server::start(&flags).await?, Server::start(&flags).await?);

    let mut tokens = Vec::new();
    for _ in 0..2 {
        let target = format!("/scale/negotiate?negotiateVersion=1&access_token={BEARER}");
        let answer = http::request(one.port(), "POST", &target, "").await?.json()?;
        tokens.push(answer["connectionToken"].as_str().context("a token")?.to_owned());
    }
    let target = format!("/scale?id={}&access_token={BEARER}", tokens[0]);
    let mut socket = RawSocket::handshaken(one.port(), &target, "json").await?;
    let target = format!("/scale?id={}&access_token={BEARER}", tokens[1]);
    let poll = http::request(one.port(), "GET", &target, "").await?;
    ensure!(poll.status == 200, "the first poll is answered at once: {}", poll.status);
    let handshake = "{\"protocol\":\"json\",\"version\":1}\u{1e}";
    ensure!(http::request(one.port(), "POST", &target, handshake).await?.status == 200, "the POST");

    let client = HubClient::builder(two.url("/scale")).access_token(BEARER).protocol(Protocol::MessagePack);
    let client = client.connect().await?;
    client.invoke::<()>("SendAll", ("M", TEXT)).await?;
    let heard = loop {
        if let Incoming::Text(text) = within("the message", socket.next()).await?? {
            let text = String::from_utf8_lossy(&text).into_owned();
            if text.contains("\"M\"") {
                break text;
            }
        }
    };
    ensure!(heard.contains(TEXT), "{heard}");
    // A client that errs, and servers that lose their Redis, have more to log.
    socket
        .text(format!("{{\"type\":1,\"target\":\"SendAll\",\"arguments\":[\"{TEXT}\"]}}\u{1e}").as_bytes())
        .await?;
    socket.text(format!("{{\"type\":1,\"{TEXT}\u{1e}").as_bytes()).await?;
    drop(redis);
    let since = Instant::now();
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    while ![&one, &two].iter().all(|server| server.log().contains("trying again")) {
        ensure!(since.elapsed() < PATIENCE, "the servers say nothing of the loss");
        looks.tick().await;
    }
    for server in [one, two] {
        let log = server.log();
        for secret in [PASSWORD, BEARER, TEXT].into_iter().chain(tokens.iter().map(String::as_str)) {
            let line = log.lines().find(|line| line.contains(secret));
            ensure!(line.is_none(), "the log shows a secret: {line:?}");
        }
        ensure!(log.contains("connected to Redis"), "it logs nothing");
        server.kill().await?;
    }
    Ok(())
}
