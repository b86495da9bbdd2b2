//! A hub behind the in-memory test client, and the reading of whole streams.
#![allow(dead_code, reason = "each test file uses what it needs")]
#![allow(clippy::unwrap_used, reason = "a test helper fails the test")]

use serde::de::DeserializeOwned;
use signalr::prelude::*;
use signalr_hub::HubEndpoint;
use signalr_protocol::{ArgumentList, Message, Protocol};
use signalr_testkit::{TestClient, TestError};

/// A client of `hub` that has shaken hands.
pub(crate) async fn connect(hub: impl Hub) -> TestClient {
    let endpoint = HubEndpoint::new(hub, HubOptions::default());
    let mut client = TestClient::connect(endpoint.handler());
    client.handshake(Protocol::Json).await.unwrap();
    client
}

/// Opens a stream and reads it to its end: the items, and the error if there was one.
pub(crate) async fn drain<T: DeserializeOwned>(
    client: &mut TestClient,
    target: &str,
    arguments: impl ArgumentList,
) -> (Vec<T>, Option<String>) {
    let id = client.open_stream(target, arguments).unwrap();
    let mut items = Vec::new();
    loop {
        let received = client.next_message().await.unwrap();
        match received.message().unwrap() {
            Message::StreamItem { invocation_id, item, .. } if invocation_id == id => {
                items.push(item.decode().unwrap());
            }
            Message::Completion { invocation_id, error, .. } if invocation_id == id => {
                return (items, error.map(|error| error.into_owned()));
            }
            other => panic!("expected a message of stream {id}, received {other:?}"),
        }
    }
}

/// The error text of a call that must fail.
pub(crate) async fn refusal(client: &mut TestClient, target: &str, arguments: impl ArgumentList) -> String {
    match client.invoke::<serde_json::Value>(target, arguments).await {
        Err(TestError::Completion(text)) => text,
        other => panic!("expected {target} to fail, received {other:?}"),
    }
}
