//! How much waits, and how old the last proof of delivery is: told regularly, whatever the connections do.
//!
//! Owns the gauges, and what only the passing of time changes: kept messages that become too old, an overflow that is long
//! over. Events are counted where they happen.

use crate::engine::Shared;
use crate::publisher::ticks;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

/// Reports for ever.
pub(crate) async fn report(shared: &Shared) {
    let mut steps = ticks();
    let mut last = (0, Instant::now());
    loop {
        steps.tick().await;
        let now = Instant::now();
        shared.lane.expire_kept(now);
        shared.health.refresh();
        let heard = shared.heard.load(Ordering::Relaxed);
        if heard != last.0 {
            last = (heard, now);
        }
        metrics::gauge!("signalr.redis.probe_age_seconds").set(now.duration_since(last.1));
        tell_queues(shared);
    }
}

fn tell_queues(shared: &Shared) {
    let (publish, kept) = shared.lane.waiting();
    let deliver = shared.registry.joined().iter().map(|member| member.inbox().waiting()).sum();
    let in_flight = shared.in_flight.load(Ordering::Relaxed);
    for (queue, bytes) in
        [("publish", publish), ("in_flight", in_flight), ("kept", kept), ("deliver", deliver)]
    {
        metrics::gauge!("signalr.redis.queue_bytes", "queue" => queue).set(bytes as f64);
    }
}
