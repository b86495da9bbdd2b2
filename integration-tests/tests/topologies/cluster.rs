//! A Redis Cluster of three masters with a replica each: a master changes, a slot moves.

use anyhow::{Context, Result, ensure};
use signalr_client::HubClient;
use signalr_integration_tests::server::Server;
use signalr_integration_tests::topology::{Kind, Topology};
use signalr_integration_tests::within;

use super::OUTAGE;
use super::faulty_fleet::{Account, Fleet, NODES, passing};

/// The master that owns the channel of the fleet's group, and the channel.
pub(crate) const OWNER: usize = 2;
const CHANNEL: &str = "Peer.ScaleHub:group:g";
const CLIENTS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_is_killed() -> Result<()> {
    super::check_killed_primary("master killed", Kind::Cluster, OWNER).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_hangs_and_comes_back() -> Result<()> {
    super::check_hanging_primary("master stopped", Kind::Cluster, OWNER).await
}

/// Once there and back, while everybody talks: nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moves() -> Result<()> {
    let redis = Topology::start(Kind::Cluster).await?;
    ensure!(redis.owner(CHANNEL).await? == OWNER, "the tests name the wrong master");
    let fleet = Fleet::on(&redis).await?;
    let moves = async {
        for to in [0, OWNER] {
            redis.give(CHANNEL, to).await?;
            passing(OUTAGE / 2).await?;
        }
        Ok(())
    };
    let recovery = fleet.suffer(moves).await?;
    fleet.settle("slot moved twice", Account::NoLoss, recovery).await
}

/// A client is found although the node that takes the question counts no receiver.
/// Acceptance scenario 16.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_on_other_servers_answer_questions() -> Result<()> {
    let redis = Topology::start(Kind::Cluster).await?;
    let flags = redis.flags();
    let flags: Vec<&str> = ["--hubs", "scale"].into_iter().chain(flags.iter().map(String::as_str)).collect();
    let mut servers = Vec::new();
    for _ in 0..NODES {
        servers.push(Server::start(&flags).await?);
    }
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let builder = HubClient::builder(servers[number % NODES].url("/scale"));
        let answer = move |(text,): (String,)| Ok(number * 100 + text.len());
        clients.push(builder.on_request("Ask", answer).connect().await?);
    }
    let mut without_receiver = 0;
    for (number, client) in clients.iter().enumerate() {
        let id = client.connection_id().context("it is connected")?.to_owned();
        let channel = format!("Peer.ScaleHub:connection:{id}");
        let owner = &redis.servers[redis.owner(&channel).await?];
        let listeners = owner.ask(&format!("PUBSUB NUMSUB {channel}")).await?;
        without_receiver += usize::from(listeners.ends_with("\n0"));
        for asker in &clients[..NODES] {
            let question = asker.invoke::<usize>("AskClient", (id.clone(), "Ask", "four"));
            let answer = within("an answer", question).await?.context("nobody was found")?;
            ensure!(answer == number * 100 + 4, "client {number} answered {answer}");
        }
    }
    println!("of {CLIENTS} clients {without_receiver} had a server that listens on another node");
    ensure!(without_receiver > 0, "PUBLISH would have counted every one of them");
    Ok(())
}
