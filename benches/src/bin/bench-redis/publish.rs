//! How many messages per second one server publishes, beside what `redis-benchmark -P 64` does with the same bytes.

use crate::Outcome;
use crate::redis::Redis;
use crate::stats::median;
use bytes::Bytes;
use signalr::prelude::*;
use signalr_backplane_redis::RedisBackplane;
use signalr_backplane_redis::wire::{Channels, Codec};
use signalr_core::{
    Backplane, BackplaneError, BackplaneHub, BackplaneMessage, BackplaneSink, HubJoin, InvocationMessage,
    Topic,
};
use signalr_protocol::Protocol;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

const PUBLISHERS: u64 = 64;
pub(crate) const WINDOW: u64 = 64;
const WINDOWS: u64 = 200;
const MESSAGES: u64 = PUBLISHERS * WINDOW * WINDOWS;
const ROUNDS: usize = 9;

pub(crate) struct Deaf;

impl BackplaneSink for Deaf {
    fn deliver(&self, _: &Topic, _: BackplaneMessage) {}
}

struct Bench;

#[hub(name = "Bench")]
impl Bench {}

pub(crate) async fn run() -> Outcome {
    let redis = Redis::start()?;
    let backplane = RedisBackplane::connect(&redis.url()).await?;
    let raw = backplane.join(HubJoin::new("Raw", Arc::new(Deaf))).await?;
    let through = RedisBackplane::connect(&redis.url()).await?;
    let server = SignalR::builder().hub("/bench", Bench).backplane(through).build().await?;
    let context: HubContext<Bench> = server.context().ok_or("the hub is not there")?;
    let (mut ratios, mut hub_ratios) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let floor = benchmark(redis.port())?;
        let ours = rate(|| publish(raw.clone(), WINDOWS)).await?;
        let hub = rate(|| send(context.clone())).await?;
        // The first round warms up.
        if round > 0 {
            println!(
                "redis-benchmark {floor:.0}/s, published {ours:.0}/s, through the hub to All {hub:.0}/s"
            );
            ratios.push(ours / floor);
            hub_ratios.push(hub / floor);
        }
    }
    println!("published / redis-benchmark: {:.2} (goal 0.5 or more)", median(&ratios));
    println!("through the hub to All / redis-benchmark: {:.2}", median(&hub_ratios));
    Ok(())
}

fn message() -> BackplaneMessage {
    let mut message = InvocationMessage::default();
    message.payloads.set(Protocol::Json, Bytes::from(vec![b'x'; 100]));
    BackplaneMessage::Invocation(message)
}

/// What Redis takes from its own tool: the same channel and as many bytes.
fn benchmark(port: u16) -> Result<f64, Box<dyn std::error::Error>> {
    let (channel, bytes) =
        Codec::new(Channels::new("", "Raw")).encode(&Topic::group("nobody"), &message())?;
    let data = "x".repeat(bytes.len());
    let (port, count) = (port.to_string(), MESSAGES.to_string());
    let arguments = ["-p", &port, "-P", "64", "-n", &count, "--csv", "publish", &channel, &data];
    let output = Command::new("redis-benchmark").args(arguments).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let fields = text.lines().last().and_then(|line| line.split("\",\"").nth(1)?.parse().ok());
    fields.ok_or_else(|| format!("redis-benchmark said {text:?}").into())
}

/// Messages per second of so many tasks.
async fn rate<F>(publisher: impl Fn() -> F) -> Result<f64, Box<dyn std::error::Error>>
where
    F: Future<Output = Result<(), BackplaneError>> + Send + 'static,
{
    let since = Instant::now();
    let publishers: Vec<_> = (0..PUBLISHERS).map(|_| tokio::spawn(publisher())).collect();
    for publisher in publishers {
        publisher.await??;
    }
    Ok(MESSAGES as f64 / since.elapsed().as_secs_f64())
}

/// Publishes windows of ready-made messages, and waits for the outcomes of each window.
pub(crate) async fn publish(hub: Arc<dyn BackplaneHub>, windows: u64) -> Result<(), BackplaneError> {
    let (message, topic) = (message(), Topic::group("nobody"));
    for _ in 0..windows {
        let tickets: Vec<_> = (0..WINDOW).map(|_| hub.publish(&topic, message.clone())).collect();
        for ticket in tickets {
            ticket.await?;
        }
    }
    Ok(())
}

/// Sends to all, from outside of hub methods; each window waits for its outcomes.
async fn send(context: HubContext<Bench>) -> Result<(), BackplaneError> {
    let text = "x".repeat(48);
    for _ in 0..WINDOWS {
        let all = context.clients().all();
        let sends = (0..WINDOW).map(|_| all.send("ReceiveMessage", (&text,)));
        futures_util::future::join_all(sends).await;
    }
    Ok(())
}
