//! One hop: from a publish on one server to its delivery on another, beside a raw round trip through the same Redis.

use crate::Outcome;
use crate::redis::Redis;
use crate::stats::{median, percentile};
use bytes::Bytes;
use signalr_backplane_redis::RedisBackplane;
use signalr_core::{
    Backplane, BackplaneHub, BackplaneMessage, BackplaneSink, HubJoin, InvocationMessage, Topic,
};
use signalr_protocol::Protocol;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const MESSAGES: usize = 2_000;
const ROUNDS: usize = 9;

/// Tells when a message has come.
struct Arrivals(mpsc::Sender<Instant>);

impl BackplaneSink for Arrivals {
    fn deliver(&self, _: &Topic, message: BackplaneMessage) {
        if matches!(message, BackplaneMessage::Invocation(_)) {
            // One at a time is under way, so there is room; nobody listens at the server that sends.
            let _ = self.0.try_send(Instant::now());
        }
    }
}

pub(crate) async fn run() -> Outcome {
    let redis = Redis::start()?;
    let (mut raw, mut hop) = (Raw::open(redis.port()).await?, Hop::open(&redis).await?);
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        // In turn, so that a busy moment hits both.
        for _ in 0..MESSAGES {
            bare.push(raw.trip().await?);
            ours.push(hop.trip().await?);
        }
        if round > 0 {
            let [raw50, raw99, hop50, hop99] = [
                percentile(&mut bare, 0.5),
                percentile(&mut bare, 0.99),
                percentile(&mut ours, 0.5),
                percentile(&mut ours, 0.99),
            ];
            println!("raw p50 {raw50:?} p99 {raw99:?}, hop p50 {hop50:?} p99 {hop99:?}");
            p50.push(hop50.as_secs_f64() / raw50.as_secs_f64());
            p99.push(hop99.as_secs_f64() / raw99.as_secs_f64());
        }
    }
    println!("hop / raw round trip: p50 {:.2} (goal 1.2), p99 {:.2} (goal 1.5)", median(&p50), median(&p99));
    Ok(())
}

/// Two servers of a fleet.
struct Hop {
    from: Arc<dyn BackplaneHub>,
    _to: Arc<dyn BackplaneHub>,
    arrivals: mpsc::Receiver<Instant>,
    topic: Topic,
}

impl Hop {
    async fn open(redis: &Redis) -> Result<Self, Box<dyn std::error::Error>> {
        let (sender, arrivals) = mpsc::channel(1);
        let (unheard, _) = mpsc::channel(1);
        let one = RedisBackplane::connect(&redis.url()).await?;
        let two = RedisBackplane::connect(&redis.url()).await?;
        let from = one.join(HubJoin::new("Hop", Arc::new(Arrivals(unheard)))).await?;
        let to = two.join(HubJoin::new("Hop", Arc::new(Arrivals(sender)))).await?;
        let topic = Topic::group("g");
        to.subscribe(std::slice::from_ref(&topic)).await?;
        Ok(Self { from, _to: to, arrivals, topic })
    }

    async fn trip(&mut self) -> Result<Duration, Box<dyn std::error::Error>> {
        let mut message = InvocationMessage::default();
        message.payloads.set(Protocol::Json, Bytes::from_static(&[b'x'; 100]));
        let since = Instant::now();
        let ticket = self.from.publish(&self.topic, BackplaneMessage::Invocation(message));
        let arrived = self.arrivals.recv().await.ok_or("nothing arrives any more")?;
        ticket.await?;
        Ok(arrived.duration_since(since))
    }
}

/// Two bare connections: one subscribes, one publishes.
struct Raw {
    publisher: TcpStream,
    subscriber: TcpStream,
    publish: Vec<u8>,
}

impl Raw {
    async fn open(port: u16) -> Result<Self, Box<dyn std::error::Error>> {
        let mut subscriber = TcpStream::connect(("127.0.0.1", port)).await?;
        let publisher = TcpStream::connect(("127.0.0.1", port)).await?;
        subscriber.set_nodelay(true)?;
        publisher.set_nodelay(true)?;
        subscriber.write_all(b"SUBSCRIBE raw\r\n").await?;
        let mut buffer = [0; 4096];
        if subscriber.read(&mut buffer).await? == 0 {
            return Err("Redis has closed a connection".into());
        }
        let mut publish = b"*3\r\n$7\r\nPUBLISH\r\n$3\r\nraw\r\n$110\r\n".to_vec();
        publish.extend_from_slice(&[b'x'; 110]);
        publish.extend_from_slice(b"\r\n");
        Ok(Self { publisher, subscriber, publish })
    }

    async fn trip(&mut self) -> Result<Duration, Box<dyn std::error::Error>> {
        let mut buffer = [0; 4096];
        let since = Instant::now();
        self.publisher.write_all(&self.publish).await?;
        let read = self.subscriber.read(&mut buffer).await?;
        let arrived = since.elapsed();
        if read < 110 || self.publisher.read(&mut buffer).await? == 0 {
            return Err("Redis has closed a connection".into());
        }
        Ok(arrived)
    }
}
