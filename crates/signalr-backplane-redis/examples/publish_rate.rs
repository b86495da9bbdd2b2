//! How many messages per second one server publishes: `cargo run --release --example publish_rate -- redis://HOST:PORT`.
//!
//! Messages of 128 bytes to a channel without subscribers, many publishers side by side, each waiting for its outcome.
//! Compare with `redis-benchmark -P 64 -n 1000000 publish x DATA` of the same size on the same machine.

use bytes::Bytes;
use signalr_backplane_redis::RedisBackplane;
use signalr_core::{
    Backplane, BackplaneHub, BackplaneMessage, BackplaneSink, HubJoin, InvocationMessage, Topic,
};
use signalr_protocol::Protocol;
use std::sync::Arc;
use std::time::Instant;

const PUBLISHERS: u64 = 64;
const WINDOW: u64 = 64;
const ROUNDS: u64 = 200;

struct Deaf;

impl BackplaneSink for Deaf {
    fn deliver(&self, _: &Topic, _: BackplaneMessage) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://127.0.0.1".to_owned());
    let backplane = RedisBackplane::connect(&url).await?;
    let hub = backplane.join(HubJoin::new("Bench", Arc::new(Deaf))).await?;
    let since = Instant::now();
    let publishers: Vec<_> = (0..PUBLISHERS).map(|_| tokio::spawn(publish(hub.clone()))).collect();
    for publisher in publishers {
        publisher.await??;
    }
    let count = PUBLISHERS * WINDOW * ROUNDS;
    let rate = count as f64 / since.elapsed().as_secs_f64();
    println!("{count} messages, {rate:.0} per second, {:?}", backplane.counters());
    Ok(())
}

/// Publishes windows of messages and waits for each window.
async fn publish(hub: Arc<dyn BackplaneHub>) -> Result<(), signalr_core::BackplaneError> {
    let mut message = InvocationMessage::default();
    message.payloads.set(Protocol::Json, Bytes::from(vec![b'x'; 100]));
    let message = BackplaneMessage::Invocation(message);
    let topic = Topic::group("nobody");
    for _ in 0..ROUNDS {
        let tickets: Vec<_> = (0..WINDOW).map(|_| hub.publish(&topic, message.clone())).collect();
        for ticket in tickets {
            ticket.await?;
        }
    }
    Ok(())
}
