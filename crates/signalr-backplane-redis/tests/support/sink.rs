//! A hub that writes down what arrives, and numbered messages to find again.

use bytes::Bytes;
use signalr_backplane_redis::{RedisBackplane, RedisEvent, RedisEvents};
use signalr_core::{
    Backplane, BackplaneHub, BackplaneMessage, BackplaneSink, BackplaneState, HubJoin, InvocationMessage,
    Subscribed, Topic,
};
use signalr_protocol::Protocol;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
pub struct Log {
    pub heard: Mutex<Vec<(Topic, u64)>>,
    own: Mutex<Option<String>>,
}

impl BackplaneSink for Log {
    /// Ignores its own tag, as every node must.
    fn deliver(&self, topic: &Topic, message: BackplaneMessage) {
        let BackplaneMessage::Invocation(message) = message else { return };
        if message.origin.is_some() && message.origin.as_deref() == self.own.lock().unwrap().as_deref() {
            return;
        }
        let bytes = message.payloads.get(Protocol::Json).expect("numbered messages are JSON");
        let number = std::str::from_utf8(bytes).unwrap().parse().unwrap();
        self.heard.lock().unwrap().push((topic.clone(), number));
    }
}

impl Log {
    pub fn numbers(&self) -> Vec<u64> {
        self.heard.lock().unwrap().iter().map(|(_, number)| *number).collect()
    }

    /// Checks that nothing came twice, and that numbers of one sender came in order; at most `unknown` of them may have
    /// been late echoes, which follow newer ones.
    pub fn assert_once_and_in_order(&self, unknown: u64) {
        assert_in_order(self.numbers(), unknown);
    }

    pub fn len(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

/// One hub of one server, and what it heard.
pub struct Node {
    pub backplane: RedisBackplane,
    pub hub: Arc<dyn BackplaneHub>,
    pub log: Arc<Log>,
}

impl Node {
    pub async fn join(backplane: RedisBackplane) -> Self {
        let log = Arc::<Log>::default();
        let hub = backplane.join(HubJoin::new("Test.Hub", log.clone())).await.expect("the join");
        *log.own.lock().unwrap() = Some(hub.node().to_owned());
        Self { backplane, hub, log }
    }

    /// Waits for a state, with patience for a busy machine.
    pub async fn reaches(&self, state: BackplaneState) {
        let mut events = self.hub.state();
        let reached = async {
            while events.current() != state {
                events.changed().await.expect("the backplane lives");
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
        assert!(reached.is_ok(), "the state is {:?}, not {state:?}", self.hub.state().current());
    }

    /// Waits for an event.
    pub async fn raises(events: &mut RedisEvents, wanted: impl Fn(&RedisEvent) -> bool) -> RedisEvent {
        let found = async {
            loop {
                let event = events.next().await.expect("the backplane lives");
                if wanted(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), found).await.expect("the event never came")
    }

    pub async fn subscribe(&self, topic: &Topic) -> Subscribed {
        self.hub.subscribe(std::slice::from_ref(topic)).await.expect("the subscription")
    }

    pub fn say(&self, topic: &Topic, number: u64) -> signalr_core::Ticket {
        self.hub.publish(topic, numbered(number))
    }

    /// The same in so many bytes, and a few more.
    pub fn say_padded(&self, topic: &Topic, number: u64, bytes: usize) -> signalr_core::Ticket {
        let mut message = InvocationMessage::default();
        // Numbers may begin with zeros.
        message.payloads.set(Protocol::Json, Bytes::from(format!("{}{number:020}", "0".repeat(bytes))));
        self.hub.publish(topic, BackplaneMessage::Invocation(message))
    }
}

/// Checks that no number came twice, and that at most `unknown` came behind newer ones.
pub fn assert_in_order(mut numbers: Vec<u64>, unknown: u64) {
    let (mut newest, mut late) = (0, 0);
    for &number in &numbers {
        late += u64::from(number < newest);
        newest = newest.max(number);
    }
    assert!(late <= unknown, "{late} came behind newer ones, of which only {unknown} may");
    numbers.sort_unstable();
    assert_eq!(numbers.windows(2).find(|pair| pair[0] == pair[1]), None, "came twice");
}

pub fn numbered(number: u64) -> BackplaneMessage {
    let mut message = InvocationMessage::default();
    message.payloads.set(Protocol::Json, Bytes::from(number.to_string()));
    BackplaneMessage::Invocation(message)
}
