//! Redis' and the network's bad days, seen by clients: three servers talk all the time, each through a relay of its own.
//!
//! After every fault: nothing arrived twice; what is missing was said during the fault; and its number is what the senders
//! counted, or a server that could not hear has reported a gap. The table of all faults is printed (`--nocapture`).

#[path = "support/common_days.rs"]
mod common_days;
#[path = "support/faulty_fleet.rs"]
mod faulty_fleet;
#[path = "support/hard_days.rs"]
mod hard_days;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common_days::{OUTAGE, hangs, killed, network};
use faulty_fleet::{Account, Fleet, NODES, Node, eventually, passing};
use futures_util::future::try_join_all;
use serde_json::json;
use signalr_client::HubClient;
use signalr_integration_tests::redis::Redis;
use signalr_integration_tests::relay::{Line, Relay, Way};
use signalr_integration_tests::socket::{Incoming, RawSocket};
use signalr_integration_tests::{http, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_killed_and_back_after_a_second() -> Result<()> {
    killed(Redis::start().await?, "killed 1 s", Duration::from_secs(1)).await
}

/// The connection id of a user whose client does not know it itself.
async fn id_of(node: &Node, user: &str) -> Result<String> {
    let ids = || async { anyhow::Ok(http::info(node.server.port()).await?["ids"].take()) };
    eventually("the connection to be known", || async { Ok(ids().await?.to_string().contains(user)) })
        .await?;
    let ids = ids().await?;
    let found = ids.as_array().into_iter().flatten().find(|each| each["user"] == user);
    Ok(found.and_then(|each| each["id"].as_str()).context("it is there")?.to_owned())
}

fn is_question(text: &[u8]) -> bool {
    String::from_utf8_lossy(text).contains("\"Ask\"")
}

/// Longer than messages are kept: the oldest are dropped, and counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_killed_and_back_after_twenty_seconds() -> Result<()> {
    killed(Redis::start().await?, "killed 20 s", Duration::from_secs(20)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_hangs() -> Result<()> {
    hangs(Redis::start().await?, "Redis stopped 5 s").await
}

/// Both ways, without an end or a reset; the bytes in between arrive when it is over.
/// Acceptance scenario 2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_network_of_one_server_freezes() -> Result<()> {
    network(Redis::start().await?, "one server frozen 5 s", Account::ByGap, |nodes| {
        nodes[0].relay.freeze_all()
    })
    .await
}

/// Acceptance scenario 2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_network_of_all_servers_freezes() -> Result<()> {
    let freeze = |nodes: &[Node]| nodes.iter().for_each(|node| node.relay.freeze_all());
    network(Redis::start().await?, "all frozen 5 s", Account::ByGap, freeze).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_subscriber_is_cut() -> Result<()> {
    network(Redis::start().await?, "subscriber cut 5 s", Account::ByGap, |nodes| {
        nodes[0].relay.bar(Line::Subscriber)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_publisher_is_cut() -> Result<()> {
    network(Redis::start().await?, "publisher cut 5 s", Account::BySender, |nodes| {
        nodes[0].relay.bar(Line::Publisher)
    })
    .await
}

/// What is published arrives, and nobody says so: the outcome is unknown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_are_cut_while_publishes_pass() -> Result<()> {
    let freeze = |nodes: &[Node]| nodes[0].relay.freeze(&[Line::Publisher], &[Way::FromRedis]);
    network(Redis::start().await?, "replies cut 5 s", Account::BySender, freeze).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_are_degraded_at_once() -> Result<()> {
    let cut = |nodes: &[Node]| {
        nodes[0].relay.bar(Line::Subscriber);
        nodes[1].relay.bar(Line::Publisher);
    };
    network(Redis::start().await?, "two degraded 5 s", Account::ByGap, cut).await
}

/// A far Redis is no fault: nothing is cut, nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_far_away() -> Result<()> {
    let redis = Redis::start().await?;
    let fleet = Fleet::start(&redis).await?;
    let fault = async {
        fleet.nodes.iter().for_each(|node| node.relay.delay(Duration::from_millis(40)));
        passing(OUTAGE).await?;
        for node in &fleet.nodes {
            ensure!(node.backplane().await?["state"] == "Up", "the way is long, not broken");
        }
        Ok(())
    };
    let recovery = fleet.suffer(fault).await?;
    fleet.settle("80 ms to Redis and back", Account::NoLoss, recovery).await
}

/// Each connection is reset once, one after the other, at every server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_is_reset_once() -> Result<()> {
    let redis = Redis::start().await?;
    let fleet = Fleet::start(&redis).await?;
    let fault = async {
        for node in &fleet.nodes {
            for line in [Line::Publisher, Line::Subscriber] {
                let before = node.outages().await?;
                node.relay.cut(line);
                let over = || async { Ok(node.outages().await? > before) };
                eventually("an outage to be over", over).await?;
            }
        }
        Ok(())
    };
    let recovery = fleet.suffer(fault).await?;
    fleet.settle("each reset once", Account::ByGap, recovery).await
}

/// Acceptance scenario 3, its first half.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_not_there_at_the_start() -> Result<()> {
    let redis = Redis::start().await?;
    let starting = (0..NODES).map(|number| {
        let port = redis.port();
        async move {
            let relay = Relay::start(port).await?;
            relay.refuse().await;
            let node = Node::start(number, relay).await?;
            let state = node.backplane().await?["state"].clone();
            ensure!(state != "Up", "node {number} is {state} without a Redis");
            Ok(node)
        }
    });
    let nodes = try_join_all(starting).await?;
    for node in &nodes {
        node.relay.accept().await?;
    }
    let fleet = Fleet::of(nodes).await?;
    let recovery = fleet.suffer(async { Ok(()) }).await?;
    fleet.settle("first dial refused", Account::NoLoss, recovery).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_has_no_memory_left() -> Result<()> {
    let redis = Redis::start().await?;
    let fleet = Fleet::start(&redis).await?;
    let fault = async {
        redis.command("CONFIG SET maxmemory 1").await?;
        ensure!(redis.command("SET key value").await.is_err(), "there is memory");
        passing(OUTAGE).await
    };
    let recovery = fleet.suffer(fault).await?;
    fleet.settle("maxmemory", Account::NoLoss, recovery).await
}

/// Redis ends subscribers for which too much is waiting.
/// Acceptance scenario 14: what does happen is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_ends_subscribers_that_are_behind() -> Result<()> {
    let redis = Redis::start().await?;
    let fleet = Fleet::start(&redis).await?;
    let fault = async {
        redis.command("CONFIG SET client-output-buffer-limit \"pubsub 64kb 0 0\"").await?;
        let big = json!({ "target": "all", "method": "Big", "args": ["x".repeat(1 << 20)] });
        http::control(fleet.nodes[0].server.port(), "send", &big).await?;
        for node in &fleet.nodes {
            let replaced = || async { Ok(node.gaps().await? > 0) };
            eventually("the subscriber to be replaced", replaced).await?;
        }
        redis.command("CONFIG SET client-output-buffer-limit \"pubsub 0 0 0\"").await?;
        Ok(())
    };
    let recovery = fleet.suffer(fault).await?;
    fleet.settle("output buffer", Account::ByGap, recovery).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_paused() -> Result<()> {
    let redis = Redis::start().await?;
    let fleet = Fleet::start(&redis).await?;
    let fault = async {
        fleet.nodes[0].server.pause().await?;
        passing(Duration::from_secs(20)).await?;
        fleet.nodes[0].server.resume().await
    };
    let recovery = fleet.suffer(fault).await?;
    fleet.settle("server paused 20 s", Account::ByGap, recovery).await
}

/// Questions to clients of a server that is gone fail within seconds; the others go on.
/// Acceptance scenario 10.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_killed_with_questions_pending() -> Result<()> {
    let redis = Redis::start().await?;
    let mut fleet = Fleet::start(&redis).await?;
    let dying = fleet.nodes.pop().context("there are three")?;
    // It reads the question and never answers.
    let mut mute = RawSocket::handshaken(dying.server.port(), "/scale?user=mute", "json").await?;
    let id = id_of(&dying, "mute").await?;
    let asker = HubClient::connect(fleet.nodes[0].server.url("/scale")).await?;
    let question = asker.invoke::<i64>("AskClient", (id, "Ask", "x"));
    let murder = async {
        while !matches!(mute.next().await?, Incoming::Text(text) if is_question(&text)) {}
        dying.server.kill().await
    };
    let fault = async {
        let (answer, killed) = tokio::join!(within("an answer", question), murder);
        killed?;
        let error = answer?.err().context("nobody could answer")?;
        ensure!(error.to_string().contains("AskClient"), "it failed for another reason: {error}");
        Ok(())
    };
    let recovery = fleet.suffer(fault).await?;
    fleet.settle("server killed", Account::NoLoss, recovery).await
}
