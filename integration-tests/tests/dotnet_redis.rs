//! A fleet of one Rust and one ASP.NET Core server on one Redis: whatever is sent from either reaches clients of both.
//!
//! Needs `redis-server` and the reference (`SIGNALR_DOTNET_PEER`). Clients are the .NET client, two on each server, one
//! per protocol.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signalr_integration_tests::dotnet::{self, DotnetClient};
use signalr_integration_tests::http::control;
use signalr_integration_tests::redis::Redis;
use signalr_integration_tests::server::Server;

/// Names of the four connections: server, then protocol.
const RJ: &str = "rust json";
const RM: &str = "rust messagepack";
const DJ: &str = "dotnet json";
const DM: &str = "dotnet messagepack";
const ALL: [&str; 4] = [RJ, RM, DJ, DM];

/// A user with characters that mean something elsewhere: in patterns, in channels, in URLs.
const ODD_USER: &str = "ü*?[a]:group:%20";
const ODD_GROUP: &str = "räume:*[x]?";

struct Fleet {
    rust: Server,
    dotnet: Server,
    client: DotnetClient,
    ids: [String; 4],
    said: u32,
    _redis: Redis,
}

impl Fleet {
    /// None when the reference is not here.
    async fn start(suite: &str, flags: &[&str]) -> Result<Option<Self>> {
        let Some(program) = dotnet::find(suite)? else { return Ok(None) };
        let redis = Redis::start().await?;
        let address = redis.address();
        let mut all = vec!["--hubs", "scale", "--redis", &address];
        all.extend(flags);
        let rust = Server::start(&all).await?;
        let dotnet = Server::start_program(&program, 0, &all).await?;
        let mut client = DotnetClient::start(&program)?;
        let mut ids = Vec::new();
        let lz4 = flags.contains(&"--lz4");
        for (conn, server) in ALL.into_iter().zip([&rust, &rust, &dotnet, &dotnet]) {
            let protocol = conn.split(' ').nth(1).context("two words")?;
            let user = if conn == RJ || conn == DM { ODD_USER.to_owned() } else { conn.replace(' ', "-") };
            let url = server.url(&format!("/scale?user={}", encoded(&user)));
            let more = json!({
                "on": [{ "method": "M", "argc": 1 }, { "method": "End", "argc": 1 }],
                "respond": [
                    { "method": "Number", "argc": 1, "result": 42 },
                    { "method": "Text", "argc": 1, "result": format!("text of {conn}") },
                    { "method": "Fails", "argc": 1, "throw": "no" },
                    { "method": "Slow", "argc": 1, "result": 1, "delayMs": 60_000 },
                ],
                "lz4": lz4 && protocol == "messagepack",
            });
            ids.push(client.connect(conn, &url, protocol, more).await?);
        }
        let ids = ids.try_into().ok().context("four connections")?;
        Ok(Some(Self { rust, dotnet, client, ids, said: 0, _redis: redis }))
    }

    fn id(&self, conn: &str) -> &str {
        let position = ALL.iter().position(|other| *other == conn);
        &self.ids[position.unwrap_or_default()]
    }

    /// Sends and checks that these connections get it.
    async fn send(&mut self, from: &str, method: &str, targets: &[Value], wanted: &[&str]) -> Result<()> {
        self.said += 1;
        let text = format!("{} {method} from {from}", self.said);
        let mut args = targets.to_vec();
        args.extend([json!("M"), json!(text)]);
        self.client.invoke(from, method, Value::Array(args)).await.with_context(|| text.clone())?;
        for conn in wanted {
            let got = self.client.message(conn, "M").await.with_context(|| format!("{text}, at {conn}"))?;
            ensure!(got == json!([text]), "{conn} got {got}, wanted {text}");
        }
        Ok(())
    }

    /// Checks that nobody has got anything else.
    async fn nothing_else(&mut self) -> Result<()> {
        for from in [RJ, DJ] {
            self.client.invoke(from, "SendAll", json!(["End", from])).await?;
            for conn in ALL {
                self.client
                    .message(conn, "End")
                    .await
                    .with_context(|| format!("the end from {from} at {conn}"))?;
            }
        }
        for conn in ALL {
            ensure!(self.client.untaken(conn) == 0, "{conn} got more than was sent to it");
        }
        Ok(())
    }
}

/// Percent-encodes what cannot stand in a query.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn but<'a>(left_out: &[&str]) -> Vec<&'a str> {
    ALL.into_iter().filter(|conn| !left_out.contains(conn)).collect()
}

/// Every kind of send, from both servers, to clients of both.
async fn every_send(fleet: &mut Fleet) -> Result<()> {
    let ids: Vec<Value> = ALL.iter().map(|conn| json!(fleet.id(conn))).collect();
    for from in [RJ, DM] {
        fleet.send(from, "SendAll", &[], &ALL).await?;
        fleet.send(from, "SendCaller", &[], &[from]).await?;
        fleet.send(from, "SendOthers", &[], &but(&[from])).await?;
        fleet.send(from, "SendAllExcept", &[json!([ids[0], ids[3]])], &but(&[RJ, DM])).await?;
        for (conn, id) in ALL.iter().zip(&ids) {
            fleet.send(from, "SendClient", std::slice::from_ref(id), &[conn]).await?;
        }
        fleet.send(from, "SendClients", &[json!([ids[1], ids[2], ids[3]])], &[RM, DJ, DM]).await?;
        fleet.send(from, "SendUser", &[json!("rust-messagepack")], &[RM]).await?;
        fleet.send(from, "SendUser", &[json!(ODD_USER)], &[RJ, DM]).await?;
        fleet
            .send(from, "SendUsers", &[json!(["rust-messagepack", "dotnet-json", "nobody"])], &[RM, DJ])
            .await?;
        fleet.send(from, "SendGroup", &[json!("no such group")], &[]).await?;
    }
    fleet.nothing_else().await
}

/// Groups whose members are put in, and taken out, by the other server.
async fn every_group(fleet: &mut Fleet) -> Result<()> {
    let group = json!(ODD_GROUP);
    let mut members = Vec::new();
    for (from, conn) in [(RJ, DJ), (RJ, DM), (DJ, RJ), (DM, RM)] {
        let args = json!([fleet.id(conn), ODD_GROUP]);
        fleet.client.invoke(from, "AddToGroup", args.clone()).await?;
        fleet.client.invoke(from, "AddToGroup", args).await?;
        // In force when the call returned: the very next send arrives, once.
        members.push(conn);
        fleet.send(from, "SendGroup", std::slice::from_ref(&group), &members).await?;
    }
    for from in [RJ, DM] {
        let except = json!([fleet.id(RJ), fleet.id(DJ)]);
        fleet.send(from, "SendGroup", std::slice::from_ref(&group), &ALL).await?;
        fleet.send(from, "SendGroups", &[json!([ODD_GROUP, "no such group"])], &ALL).await?;
        fleet.send(from, "SendGroupExcept", &[group.clone(), except], &[RM, DM]).await?;
        fleet.send(from, "SendOthersInGroup", std::slice::from_ref(&group), &but(&[from])).await?;
    }
    for (from, conn) in [(RM, DJ), (DJ, RJ)] {
        let args = json!([fleet.id(conn), ODD_GROUP]);
        fleet.client.invoke(from, "RemoveFromGroup", args).await?;
    }
    for from in [RJ, DM] {
        fleet.send(from, "SendGroup", std::slice::from_ref(&group), &[RM, DM]).await?;
    }
    fleet.nothing_else().await
}

/// Questions to clients of the other server, from hub methods and from outside.
async fn every_question(fleet: &mut Fleet) -> Result<()> {
    for (from, conn) in [(RJ, DJ), (RM, DM), (DJ, RJ), (DM, RM), (RJ, RM)] {
        let id = fleet.id(conn).to_owned();
        let number = fleet.client.invoke(from, "AskClient", json!([id, "Number", "x"])).await?;
        ensure!(number == json!(42), "{conn} answered {from} with {number}");
        let text = fleet.client.invoke(from, "AskClientText", json!([id, "Text", "x"])).await?;
        ensure!(text == json!(format!("text of {conn}")), "{conn} answered {from} with {text}");
        let refused = fleet.client.refused(from, "AskClientText", json!([id, "Fails", "x"])).await?;
        ensure!(refused.contains("HubException: no"), "the error came as {refused}");
    }
    for (server, conn) in [(&fleet.rust, DJ), (&fleet.dotnet, RM)] {
        let body =
            json!({ "connectionId": fleet.id(conn), "method": "Number", "args": ["x"], "type": "int" });
        let answer = control(server.port(), "invoke", &body).await?;
        ensure!(answer["result"] == json!(42), "{conn} answered from outside with {answer}");
    }
    for from in [RJ, DJ] {
        let refused = fleet.client.refused(from, "AskClient", json!(["nobody", "Number", "x"])).await?;
        ensure!(refused.contains("does not exist"), "asking nobody failed with {refused}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_target_is_reached_from_both_servers() -> Result<()> {
    let Some(mut fleet) = Fleet::start("dotnet-redis", &[]).await? else { return Ok(()) };
    every_send(&mut fleet).await?;
    every_group(&mut fleet).await?;
    fleet.client.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn client_results_cross_both_ways() -> Result<()> {
    let Some(mut fleet) = Fleet::start("dotnet-redis", &["--detailed-errors"]).await? else { return Ok(()) };
    every_question(&mut fleet).await?;
    fleet.client.end().await
}

/// Asks a client and waits until it has got the question, which it will not answer.
async fn ask_in_vain(fleet: &mut Fleet, from: &str, conn: &str) -> Result<u64> {
    let args = json!([fleet.id(conn), "Slow", "x"]);
    let asked =
        fleet.client.begin("invoke", json!({ "conn": from, "method": "AskClient", "args": args })).await?;
    fleet.client.message(conn, "Slow").await?;
    Ok(asked)
}

/// Acceptance scenario 10.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_fails_soon_when_its_client_or_the_clients_server_is_gone() -> Result<()> {
    let Some(mut fleet) = Fleet::start("dotnet-redis", &["--detailed-errors"]).await? else { return Ok(()) };
    for (from, conn) in [(RM, DJ), (DM, RJ)] {
        let asked = ask_in_vain(&mut fleet, from, conn).await?;
        fleet.client.ask("stop", json!({ "conn": conn })).await?;
        let answer = fleet.client.reply(asked).await;
        ensure!(answer.is_err(), "a client that is gone answered {answer:?}");
    }
    // Only the Rust server asks whether anybody still listens: .NET would wait for ever.
    let asked = ask_in_vain(&mut fleet, RM, DM).await?;
    fleet.dotnet.kill().await?;
    let answer = fleet.client.reply(asked).await;
    ensure!(answer.is_err(), "a server that is gone answered {answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_and_a_prefix_change_nothing() -> Result<()> {
    let flags = ["--lz4", "--prefix", "pre*fix:"];
    let Some(mut fleet) = Fleet::start("dotnet-redis", &flags).await? else { return Ok(()) };
    // Another fleet on the same Redis, without the prefix.
    let address = fleet._redis.address();
    let stranger = Server::start(&["--hubs", "scale", "--redis", &address]).await?;
    let more = json!({ "on": [{ "method": "End", "argc": 1 }] });
    fleet.client.connect("stranger", &stranger.url("/scale"), "json", more).await?;
    every_send(&mut fleet).await?;
    fleet.client.invoke("stranger", "SendAll", json!(["End", "own"])).await?;
    let heard = fleet.client.message("stranger", "End").await?;
    ensure!(heard == json!(["own"]), "a server without the prefix heard {heard}");
    fleet.client.end().await
}
