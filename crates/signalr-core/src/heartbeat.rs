//! One timer for all connections of a server.
//!
//! Owns the rhythm; what a beat means is up to those who are asked. Runs as one task that ends with its guard.

use crate::clock::Instant;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Something that wants to know the time once per beat. Must not block.
pub trait Ticks: Send + Sync + 'static {
    /// One beat.
    fn tick(&self, now: Instant);
}

/// The running timer. Dropping it stops the beats.
#[derive(Debug)]
pub struct Heartbeat {
    task: tokio::task::JoinHandle<()>,
}

impl Heartbeat {
    /// Time between two beats: 1 s, as in the reference (B-2.8). Every time-out is checked at a beat, so it fires up
    /// to this much late.
    pub const PERIOD: Duration = Duration::from_secs(1);

    /// Starts to beat. Must be called inside a tokio runtime with time enabled.
    pub fn start(ticks: Arc<dyn Ticks>) -> Self {
        let task = tokio::spawn(async move {
            let mut interval =
                tokio::time::interval_at(tokio::time::Instant::now() + Self::PERIOD, Self::PERIOD);
            interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick(Instant::of(interval.tick().await));
            }
        });
        Self { task }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.task.abort();
    }
}
