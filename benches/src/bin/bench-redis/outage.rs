//! Bad days: how long 200,000 subscriptions take to come back, and how long a Redis that hangs goes unnoticed.

use crate::Outcome;
use crate::redis::Redis;
use crate::stats::median;
use signalr_backplane_redis::RedisBackplane;
use signalr_core::{Backplane, BackplaneMessage, BackplaneSink, BackplaneState, HubJoin, Topic};
use std::sync::Arc;
use std::time::Instant;

const SUBSCRIPTIONS: usize = 200_000;
const ROUNDS: usize = 5;

struct Deaf;

impl BackplaneSink for Deaf {
    fn deliver(&self, _: &Topic, _: BackplaneMessage) {}
}

pub(crate) async fn restore() -> Outcome {
    let mut redis = Redis::start()?;
    let backplane = RedisBackplane::connect(&redis.url()).await?;
    let hub = backplane.join(HubJoin::new("Bench", Arc::new(Deaf))).await?;
    let topics: Vec<_> = (0..SUBSCRIPTIONS).map(|number| Topic::group(&format!("room-{number}"))).collect();
    let since = Instant::now();
    hub.subscribe(&topics).await?;
    println!("{SUBSCRIPTIONS} subscriptions made in {:?}", since.elapsed());
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        redis.kill()?;
        reaches(&backplane, |state| state == BackplaneState::Down).await?;
        redis.restart()?;
        let since = Instant::now();
        reaches(&backplane, |state| state == BackplaneState::Up).await?;
        println!("restored {:?} after Redis accepts connections again", since.elapsed());
        times.push(since.elapsed().as_secs_f64());
    }
    println!("{SUBSCRIPTIONS} subscriptions restored in {:.2} s (goal 2 s)", median(&times));
    Ok(())
}

pub(crate) async fn hung() -> Outcome {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let redis = Redis::start()?;
        let backplane = RedisBackplane::connect(&redis.url()).await?;
        let _hub = backplane.join(HubJoin::new("Bench", Arc::new(Deaf))).await?;
        reaches(&backplane, |state| state == BackplaneState::Up).await?;
        redis.freeze()?;
        let since = Instant::now();
        reaches(&backplane, |state| state != BackplaneState::Up).await?;
        println!("noticed after {:?}", since.elapsed());
        times.push(since.elapsed().as_secs_f64());
    }
    let slowest = times.iter().copied().fold(0.0, f64::max);
    println!("a Redis that hangs is noticed in {:.2} s, {slowest:.2} s at most (goal 3.5 s)", median(&times));
    Ok(())
}

async fn reaches(backplane: &RedisBackplane, wanted: impl Fn(BackplaneState) -> bool) -> Outcome {
    let mut events = backplane.state();
    while !wanted(events.current()) {
        events.changed().await.ok_or("the backplane has ended")?;
    }
    Ok(())
}
