//! What was published, received and lost, counted.
//!
//! Owns the counters; they are also written to the `metrics` facade. Nothing is decided here.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $metric:literal,)*) => {
        /// Counts since the backplane was made.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct RedisCounters {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The counters themselves.
        #[derive(Debug, Default)]
        pub(crate) struct Stats {
            $($name: AtomicU64,)*
        }

        impl Stats {
            $(pub(crate) fn $name(&self, count: u64) {
                if count > 0 {
                    self.$name.fetch_add(count, Ordering::Relaxed);
                    metrics::counter!($metric).increment(count);
                }
            })*

            pub(crate) fn snapshot(&self) -> RedisCounters {
                RedisCounters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

impl Stats {
    /// Whether the message that arrives now is one of those whose fan-out is measured: one of 64.
    pub(crate) fn samples(&self) -> bool {
        self.received.load(Ordering::Relaxed).is_multiple_of(64)
    }
}

counters! {
    /// Messages that Redis has confirmed.
    published: "signalr.redis.published",
    /// Messages whose bytes were written and never answered: they may or may not have arrived. Never sent again.
    unknown: "signalr.redis.unknown",
    /// Messages that will not arrive at other servers: no room, too old, or not kept by the policy.
    dropped: "signalr.redis.dropped",
    /// Messages that Redis refused, that found no room in time, or that may not be kept while Redis is away: the caller was
    /// told.
    refused: "signalr.redis.refused",
    /// Messages that were kept while nothing could be published.
    buffered: "signalr.redis.buffered",
    /// Kept messages that were published later; counted in `published` too.
    replayed: "signalr.redis.replayed",
    /// Messages that arrived from Redis.
    received: "signalr.redis.received",
    /// Messages that arrived and were no messages of this format.
    malformed: "signalr.redis.malformed",
    /// Messages that arrived and found no room, because this server does not keep up.
    overflowed: "signalr.redis.overflowed",
}
