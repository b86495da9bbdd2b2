//! What happens to a send while Redis is away: the setting only; the rules are the publisher's.

use std::time::Duration;

/// What a send does while Redis cannot be reached. Ours: the reference has no such choice.
///
/// Whatever the policy, delivery is at most once, clients stay connected, and what was lost is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutagePolicy {
    /// The caller gets an error, and nobody gets the message.
    Fail,
    /// The clients of this server get the message; for the rest of the fleet it is lost and counted.
    LocalOnly,
    /// The clients of this server get the message now; for the rest of the fleet it waits until Redis is back.
    Buffer {
        /// How much may wait, in bytes. When it is full the oldest message is dropped and counted. Costs that much
        /// memory per server process.
        bytes: usize,
        /// How long a message may wait; older ones are dropped and counted, not replayed.
        ttl: Duration,
    },
}

impl OutagePolicy {
    /// The room of the default policy: 1 MiB.
    pub const DEFAULT_BUFFER_BYTES: usize = 1024 * 1024;
    /// The patience of the default policy: 10 s.
    pub const DEFAULT_BUFFER_TTL: Duration = Duration::from_secs(10);
}

impl Default for OutagePolicy {
    /// [`Buffer`](Self::Buffer) of 1 MiB and 10 s.
    fn default() -> Self {
        Self::Buffer { bytes: Self::DEFAULT_BUFFER_BYTES, ttl: Self::DEFAULT_BUFFER_TTL }
    }
}
