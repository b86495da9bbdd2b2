//! A far Redis: how many messages per second one server publishes when every answer takes 80 ms.
//!
//! Owns the distance, a relay that holds everything back for half of that time each way. What is measured is the bound of
//! what is in flight: as in `publish`, but with more publishers than it lets through.

use crate::Outcome;
use crate::publish::{Deaf, WINDOW, publish};
use crate::redis::{Redis, free_port, options};
use crate::stats::median;
use signalr_backplane_redis::RedisBackplane;
use signalr_core::{Backplane, HubJoin};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const ONE_WAY: Duration = Duration::from_millis(40);
const PUBLISHERS: u64 = 512;
const WINDOWS: u64 = 16;
const ROUNDS: usize = 5;
/// Chunks that may be on their way: more than the bound of what is in flight.
const CHUNKS: usize = 1024;

pub(crate) async fn run() -> Outcome {
    let redis = Redis::start()?;
    let port = relay(redis.port()).await?;
    let backplane = RedisBackplane::connect(&format!("redis://127.0.0.1:{port}{}", options())).await?;
    let hub = backplane.join(HubJoin::new("Far", Arc::new(Deaf))).await?;
    let mut rates = Vec::new();
    for round in 0..=ROUNDS {
        let since = Instant::now();
        let publishers: Vec<_> =
            (0..PUBLISHERS).map(|_| tokio::spawn(publish(hub.clone(), WINDOWS))).collect();
        for publisher in publishers {
            publisher.await??;
        }
        let rate = (PUBLISHERS * WINDOW * WINDOWS) as f64 / since.elapsed().as_secs_f64();
        // The first round warms up.
        if round > 0 {
            println!("published {rate:.0}/s");
            rates.push(rate);
        }
    }
    println!("published over a link of {:?}: {:.0}/s (goal 100000)", 2 * ONE_WAY, median(&rates));
    Ok(())
}

/// Listens on a port that leads to Redis.
async fn relay(redis: u16) -> io::Result<u16> {
    let port = free_port()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", redis)).await?;
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            hold_back(near_in, far_out);
            hold_back(far_in, near_out);
        }
        io::Result::Ok(())
    });
    Ok(port)
}

fn hold_back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS);
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            if sender.send((Instant::now() + ONE_WAY, buffer[..read].to_vec())).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((due, chunk)) = receiver.recv().await {
            tokio::time::sleep_until(due.into()).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    });
}
