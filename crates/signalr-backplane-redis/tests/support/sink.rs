//! A hub that writes down what arrives, and numbered messages to find again.

use bytes::Bytes;
use signalr_backplane_redis::RedisBackplane;
use signalr_core::{
    Backplane, BackplaneHub, BackplaneMessage, BackplaneSink, HubJoin, InvocationMessage, Topic,
};
use signalr_protocol::Protocol;
use std::sync::{Arc, Mutex};

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

    pub fn say(&self, topic: &Topic, number: u64) -> signalr_core::Ticket {
        self.hub.publish(topic, numbered(number))
    }
}

pub fn numbered(number: u64) -> BackplaneMessage {
    let mut message = InvocationMessage::default();
    message.payloads.set(Protocol::Json, Bytes::from(number.to_string()));
    BackplaneMessage::Invocation(message)
}
