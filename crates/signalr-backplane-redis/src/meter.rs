//! What one hub publishes, as the guide to scaling out measures it: `signalr.messages.published` and `signalr.message.size`.
//!
//! Owns the two handles of the `metrics` facade. They are looked up once, so that a message costs no look-up: a recorder
//! must be installed before the hub joins. All other metrics are in `stats` and `health`.

use metrics::{Counter, Histogram};

pub(crate) struct Meter {
    published: Counter,
    size: Histogram,
}

impl Meter {
    /// For the hub of this wire name.
    pub(crate) fn new(hub: &str) -> Self {
        Self {
            published: metrics::counter!("signalr.messages.published", "hub" => hub.to_owned()),
            size: metrics::histogram!("signalr.message.size", "hub" => hub.to_owned()),
        }
    }

    /// A message of this many bytes took its place on the way to Redis.
    pub(crate) fn published(&self, bytes: usize) {
        self.published.increment(1);
        // Sizes of messages are far below what a float cannot tell apart.
        self.size.record(bytes as f64);
    }
}
