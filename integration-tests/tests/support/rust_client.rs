//! What the Rust client does against any server with the peer's hubs: one script for ours and for the reference.
//!
//! Owns the script. Which server it runs against is the test file's choice.

use anyhow::{Context, Result, ensure};
use signalr_client::{ClientError, CloseCause, HubClient, Messages, Protocol};
use signalr_integration_tests::server::Server;
use signalr_integration_tests::within;

/// Plays everything in both protocols.
pub(crate) async fn play(server: &Server) -> Result<()> {
    for protocol in [Protocol::Json, Protocol::MessagePack] {
        let first = Player::join(server, protocol, "ann").await?;
        let second = Player::join(server, Protocol::Json, "bob").await?;
        calls(&first).await?;
        streams(&first).await?;
        sends(first, second).await?;
        ends(server, protocol).await?;
    }
    Ok(())
}

struct Player {
    hub: HubClient,
    heard: Messages<(String,)>,
    id: String,
}

impl Player {
    async fn join(server: &Server, protocol: Protocol, user: &str) -> Result<Self> {
        let url = server.url(&format!("/scale?user={user}"));
        let mut builder =
            HubClient::builder(url).protocol(protocol).on_request("Ask", |(text,): (String,)| {
                if text == "bad" { Err("no idea".to_owned()) } else { Ok(text.len()) }
            });
        let heard = builder.messages("Heard");
        let hub = builder.connect().await?;
        let id = hub.connection_id().context("no id after negotiation")?.to_owned();
        ensure!(hub.invoke::<String>("GetConnectionId", ()).await? == id);
        ensure!(hub.invoke::<String>("GetUserIdentifier", ()).await? == user);
        ensure!(hub.invoke::<String>("GetActiveTransportName", ()).await? == "WebSockets");
        Ok(Self { hub, heard, id })
    }

    async fn hears(&mut self, wanted: &[&str]) -> Result<()> {
        for wanted in wanted {
            let (text,) = within(wanted, self.heard.next()).await?.context("the connection ended")??;
            ensure!(text == *wanted, "heard {text}, wanted {wanted}");
        }
        Ok(())
    }
}

async fn calls(player: &Player) -> Result<()> {
    let hub = &player.hub;
    let values = vec![Some(true), None];
    ensure!(hub.invoke::<Vec<Option<bool>>>("Echo", (&values,)).await? == values);
    let text = "ä€🦀".repeat(1000);
    ensure!(hub.invoke::<String>("Echo", (&text,)).await? == text);
    hub.invoke::<()>("Delay", (1,)).await?;
    let error = hub.invoke::<()>("Throw", ("hub", "as asked")).await;
    ensure!(
        matches!(&error, Err(ClientError::Call(text)) if text.ends_with("HubException: as asked")),
        "{error:?}"
    );
    let error = hub.invoke::<()>("Missing", ()).await;
    ensure!(
        matches!(&error, Err(ClientError::Call(text)) if text.contains("Method does not exist")),
        "{error:?}"
    );
    Ok(())
}

async fn streams(player: &Player) -> Result<()> {
    let mut stream = player.hub.stream::<u32>("Counter", (100, 0)).await?;
    let mut items = Vec::new();
    while let Some(item) = stream.next().await {
        items.push(item?);
    }
    ensure!(items.iter().copied().eq(0..100), "{items:?}");

    let mut stream = player.hub.stream::<u32>("CounterThrow", (2, "hub", "enough")).await?;
    for wanted in 0..2 {
        ensure!(stream.next().await.context("too short")?? == wanted);
    }
    let error = stream.next().await;
    ensure!(matches!(&error, Some(Err(ClientError::Call(text))) if text.contains("enough")), "{error:?}");

    // A stream that is dropped is cancelled; the connection goes on.
    let mut stream = player.hub.stream::<u32>("Counter", (1_000_000, 1)).await?;
    ensure!(stream.next().await.context("too short")?? == 0);
    drop(stream);
    ensure!(player.hub.invoke::<String>("Echo", ("still here",)).await? == "still here");
    Ok(())
}

async fn sends(mut first: Player, mut second: Player) -> Result<()> {
    let hub = first.hub.clone();
    hub.invoke::<()>("SendAll", ("Heard", "all")).await?;
    hub.invoke::<()>("SendOthers", ("Heard", "others")).await?;
    hub.invoke::<()>("SendCaller", ("Heard", "caller")).await?;
    hub.invoke::<()>("SendUser", ("bob", "Heard", "user")).await?;
    hub.invoke::<()>("SendClient", (&second.id, "Heard", "client")).await?;
    hub.invoke::<()>("AddToGroup", (&second.id, "room")).await?;
    hub.invoke::<()>("Join", ("room",)).await?;
    hub.invoke::<()>("SendGroup", ("room", "Heard", "group")).await?;
    hub.invoke::<()>("SendGroupExcept", ("room", [&second.id], "Heard", "but bob")).await?;
    hub.invoke::<()>("RemoveFromGroup", (&second.id, "room")).await?;
    hub.invoke::<()>("SendGroup", ("room", "Heard", "without bob")).await?;
    hub.invoke::<()>("SendAll", ("Heard", "end")).await?;
    first.hears(&["all", "caller", "group", "but bob", "without bob", "end"]).await?;
    second.hears(&["all", "others", "user", "client", "group", "end"]).await?;

    ensure!(hub.invoke::<i32>("AskClient", (&second.id, "Ask", "four")).await? == 4);
    let error = hub.invoke::<i32>("AskClient", (&second.id, "Ask", "bad")).await;
    ensure!(matches!(&error, Err(ClientError::Call(text)) if text.ends_with("no idea")), "{error:?}");
    ensure!(first.hub.stop().await.cause == CloseCause::Stopped);
    ensure!(second.hub.stop().await.cause == CloseCause::Stopped);
    Ok(())
}

async fn ends(server: &Server, protocol: Protocol) -> Result<()> {
    let player = Player::join(server, protocol, "ann").await?;
    let aborted = player.hub.invoke::<()>("Abort", ()).await;
    ensure!(matches!(aborted, Err(ClientError::Closed(_)) | Ok(())), "{aborted:?}");
    let closed = within("the end after an abort", player.hub.closed()).await?;
    ensure!(closed.cause == CloseCause::Server { error: None } && !closed.allow_reconnect, "{closed:?}");

    let direct =
        HubClient::builder(server.url("/testhub")).protocol(protocol).skip_negotiation().connect().await?;
    ensure!(direct.invoke::<String>("Echo", ("direct",)).await? == "direct");
    direct.stop().await;
    let missing = HubClient::connect(server.url("/no-hub-here")).await;
    ensure!(matches!(missing, Err(ClientError::Status { status: 404, .. })), "{missing:?}");
    Ok(())
}
