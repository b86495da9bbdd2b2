//! What the author of a backplane gives to the suite, and what the suite says.
//!
//! Owns the trait [`Fleet`] and the form of a failure.

use async_trait::async_trait;
use signalr_core::Backplane;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// A fleet that nobody else uses: own prefix, own bus, own server process.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// One more server of this fleet, up and running. All servers of one fleet reach each other.
    async fn server(&self) -> Arc<dyn Backplane>;

    /// How long a rule waits for something to arrive. Default 10 s.
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// Whether `receivers` and tickets count exactly. False for a backplane that cannot know. Default true.
    fn counts_receivers(&self) -> bool {
        true
    }

    /// Whether tickets count exactly. False when only `receivers` does. Default: as [`Fleet::counts_receivers`].
    fn tickets_count(&self) -> bool {
        self.counts_receivers()
    }
}

/// What a rule says of a fleet.
pub type Verdict = Result<(), Violation>;

/// A rule is broken; with what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

impl Violation {
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

pub(crate) fn ensure(kept: bool, text: impl fmt::Display) -> Verdict {
    if kept { Ok(()) } else { Err(Violation::new(text)) }
}

pub(crate) fn same<T: PartialEq + fmt::Debug>(what: &str, seen: T, wanted: T) -> Verdict {
    ensure(seen == wanted, format_args!("{what}: seen {seen:?}, wanted {wanted:?}"))
}

macro_rules! from {
    ($($error:ty),*) => {$(
        impl From<$error> for Violation {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        }
    )*};
}

from!(
    signalr_core::BackplaneError,
    signalr_core::SendError,
    signalr_core::GroupError,
    signalr_core::InvokeError,
    crate::TestError,
    signalr_protocol::BindError,
    signalr_protocol::EncodeError
);

/// Runs one rule on a runtime of its own.
///
/// # Panics
/// When the rule is broken: this is the body of a test.
pub fn run(rule: &str, check: impl Future<Output = Verdict>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let verdict = match runtime {
        Ok(runtime) => runtime.block_on(check),
        Err(error) => Err(Violation::new(error)),
    };
    if let Err(violation) = verdict {
        // The body of a test: failing is its job.
        panic!("the backplane breaks the rule '{rule}': {violation}");
    }
}
