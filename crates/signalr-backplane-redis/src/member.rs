//! One hub of this server, as the engine sees it.
//!
//! Owns the hub's names, its inbox, and the count of what it has published and not heard of yet. Which channels it
//! wants is in `registry`.

use crate::inbox::{Inbox, Overflow};
use crate::meter::Meter;
use crate::wire::{Codec, WireError};
use bytes::Bytes;
use signalr_core::{BackplaneMessage, BackplaneSink, Topic};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Notify;

pub(crate) struct Member {
    node: Arc<str>,
    codec: Codec,
    inbox: Inbox,
    meter: Meter,
    all: String,
    left: AtomicBool,
    outstanding: AtomicUsize,
    flushed: Notify,
    fleet: AtomicU64,
}

/// What was received.
pub(crate) enum Received {
    Message,
    /// A server of the fleet listens now that did not before.
    Arrival,
}

/// Why a received message was not delivered.
pub(crate) enum Lost {
    Malformed(WireError),
    Overflow,
}

impl Member {
    pub(crate) fn new(
        node: Arc<str>,
        codec: Codec,
        sink: Arc<dyn BackplaneSink>,
    ) -> Result<Arc<Self>, WireError> {
        Ok(Arc::new(Self {
            node,
            all: codec.channels().name(&Topic::All)?,
            meter: Meter::new(codec.channels().hub()),
            codec,
            inbox: Inbox::new(sink),
            left: AtomicBool::new(false),
            outstanding: AtomicUsize::new(0),
            flushed: Notify::new(),
            fleet: AtomicU64::new(0),
        }))
    }

    pub(crate) fn node(&self) -> &Arc<str> {
        &self.node
    }

    pub(crate) fn codec(&self) -> &Codec {
        &self.codec
    }

    pub(crate) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The channel that every server of this hub's fleet listens to.
    pub(crate) fn all_channel(&self) -> &str {
        &self.all
    }

    /// How many servers listened to it when all was well; 0 when that is not known.
    pub(crate) fn fleet(&self) -> &AtomicU64 {
        &self.fleet
    }

    /// Takes a message from Redis and delivers it, behind all that came before.
    pub(crate) fn receive(&self, channel: &[u8], bytes: &Bytes) -> Result<Received, Lost> {
        let (topic, message) = self.codec.decode(channel, bytes).map_err(Lost::Malformed)?;
        if topic == arrivals() && message == arrival() {
            return Ok(Received::Arrival);
        }
        self.inbox.push(topic, message).map_err(|Overflow| Lost::Overflow)?;
        self.inbox.deliver();
        Ok(Received::Message)
    }

    pub(crate) fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// Publishes nothing more. True for the first call.
    pub(crate) fn leave(&self) -> bool {
        !self.left.swap(true, Ordering::AcqRel)
    }

    /// One more message is on its way, until the guard is dropped.
    pub(crate) fn publishing(self: &Arc<Self>) -> Publishing {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
        Publishing(self.clone())
    }

    /// Ready when nothing is on its way. Cancel safe.
    pub(crate) async fn flushed(&self) {
        loop {
            let mut flushed = std::pin::pin!(self.flushed.notified());
            flushed.as_mut().enable();
            if self.outstanding.load(Ordering::Acquire) == 0 {
                return;
            }
            flushed.await;
        }
    }
}

/// The fleet's word for a server that listens now, on a topic of its own.
pub(crate) fn arrivals() -> Topic {
    Topic::Fleet(ARRIVAL.into())
}

/// What is said there.
pub(crate) fn arrival() -> BackplaneMessage {
    BackplaneMessage::Fleet { kind: ARRIVAL.into(), version: 1, body: Bytes::new() }
}

const ARRIVAL: &str = "arrival";

/// A message that is on its way.
pub(crate) struct Publishing(Arc<Member>);

impl Publishing {
    pub(crate) fn member(&self) -> &Arc<Member> {
        &self.0
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        if self.0.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.flushed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Channels, FleetMessage};
    use std::sync::Mutex;

    #[derive(Default)]
    struct Log(Mutex<Vec<BackplaneMessage>>);

    impl BackplaneSink for Log {
        fn deliver(&self, _: &Topic, message: BackplaneMessage) {
            self.0.lock().unwrap().push(message);
        }
    }

    #[test]
    fn an_arrival_is_told_from_what_a_later_version_may_say_there() {
        let log = Arc::<Log>::default();
        let member = Member::new("node".into(), Codec::new(Channels::new("", "H")), log.clone()).unwrap();
        let receive = |version, body: &'static [u8]| {
            let bytes = FleetMessage { version, body: Bytes::from_static(body) }.write();
            member.receive(b"H:internal:fleet:arrival", &bytes.into())
        };
        assert!(matches!(receive(1, b""), Ok(Received::Arrival)));
        assert!(log.0.lock().unwrap().is_empty());
        // The manager leaves out what it does not know.
        assert!(matches!(receive(2, b"more"), Ok(Received::Message)));
        assert_eq!(log.0.lock().unwrap().len(), 1);
        let garbage = Bytes::from_static(b"\xc1");
        assert!(matches!(member.receive(b"H:internal:fleet:arrival", &garbage), Err(Lost::Malformed(_))));
    }
}
