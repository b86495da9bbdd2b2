//! What the TypeScript functional tests call: TestHub, a hub that cannot be built, and a raw echo without a hub.

use std::sync::Arc;
use std::task::Poll;

use serde::{Deserialize, Serialize};
use signalr::prelude::*;
use signalr_core::{
    CloseReason, Connection, ConnectionDriver, ConnectionHandler, InputEnd, Instant, WorkEnd,
};
use signalr_protocol::values::{Binary, Guid};

use super::everything::DateTime;

/// Names are as declared in both protocols.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(crate) struct CustomObject {
    name: Option<String>,
    value: i32,
}

/// Names are as declared in both protocols.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ComplexObject {
    string: Option<String>,
    int_array: Option<Vec<i32>>,
    byte_array: Option<Binary>,
    guid: Guid,
    date_time: DateTime,
}

/// The hub.
pub(crate) struct TestHub;

#[hub(name = "Peer.TestHub")]
impl TestHub {
    fn echo(&self, message: Option<String>) -> Option<String> {
        message
    }

    fn get_caller_connection_id(&self, cx: &Context) -> String {
        cx.connection_id().to_string()
    }

    fn get_num_redirects(&self, cx: &Context) -> HubResult<i32> {
        let text = cx.info().request.query_value("numRedirects").unwrap_or_default();
        text.parse().map_err(|_| {
            HubError::named(
                "FormatException",
                format!("The input string '{text}' was not in a correct format."),
            )
        })
    }

    fn throw_exception(&self, message: String) -> HubResult<()> {
        Err(HubError::named("InvalidOperationException", message))
    }

    async fn invoke_with_string(&self, cx: &Context, message: Option<String>) -> HubResult<()> {
        cx.clients().caller().send("Message", (message,)).await
    }

    async fn send_custom_object(&self, cx: &Context, object: CustomObject) -> HubResult<()> {
        cx.clients().caller().send("CustomObject", (object,)).await
    }

    fn stream(&self) -> impl Stream<Item = &'static str> {
        futures_util::stream::iter(["a", "b", "c"])
    }

    /// Never yields; tells the caller when its stream was cancelled.
    fn infinite_stream(&self, cx: &Context) -> impl Stream<Item = String> {
        let teller = TellsTheEnd(cx.clone());
        futures_util::stream::poll_fn(move |_| {
            let _kept = &teller;
            Poll::Pending
        })
    }

    async fn streaming_concat(&self, mut stream: ClientStream<String>) -> HubResult<String> {
        let mut text = String::new();
        while let Some(part) = stream.next().await {
            text += &part?;
        }
        Ok(text)
    }

    fn empty_stream(&self) -> impl Stream<Item = i32> {
        futures_util::stream::empty()
    }

    fn stream_throw_exception(&self, message: String) -> HubResult<impl Stream<Item = String>> {
        let nothing = futures_util::stream::empty::<String>();
        Err(HubError::named("InvalidOperationException", message)).map(|()| nothing)
    }

    fn get_active_transport_name(&self, cx: &Context) -> String {
        cx.info().transport.name().to_owned()
    }

    fn echo_complex_object(&self, object: Option<ComplexObject>) -> Option<ComplexObject> {
        object
    }

    fn send_complex_object(&self) -> ComplexObject {
        ComplexObject {
            string: Some("hello world".to_owned()),
            int_array: Some(vec![1, 2, 3]),
            byte_array: Some(Binary(vec![1, 2, 3])),
            guid: super::everything::sample_guid(),
            date_time: DateTime::utc(946_684_800, 0),
        }
    }

    fn get_content_type_header(&self, cx: &Context) -> Option<String> {
        cx.info().request.header("Content-Type").map(str::to_owned)
    }

    fn get_header(&self, cx: &Context, name: String) -> Option<String> {
        cx.info().request.header(&name).map(str::to_owned)
    }

    fn get_cookie(&self, cx: &Context, name: String) -> Option<String> {
        cx.info().request.cookie(&name).map(str::to_owned)
    }
}

struct TellsTheEnd(Context);

impl Drop for TellsTheEnd {
    fn drop(&mut self) {
        let client = self.0.clients().caller();
        tokio::spawn(async move { client.send("StreamCanceled", ()).await });
    }
}

/// Cannot be built: the reference's hub asks for a service that nobody provides.
pub(crate) fn uncreatable_hub() -> signalr_hub::HubDefinition {
    let error = || {
        HubError::named(
            "InvalidOperationException",
            "Unable to resolve service for type 'System.Object' while attempting to activate 'Peer.UncreatableHub'.",
        )
    };
    HubBuilder::new("Peer.UncreatableHub").on_connected(move |_| async move { Err(error()) }).define()
}

/// Writes back whatever arrives, until the input ends.
#[derive(Debug)]
pub(crate) struct EchoHandler;

impl ConnectionHandler for EchoHandler {
    fn open(&self, connection: &Arc<Connection>) -> Box<dyn ConnectionDriver> {
        Box::new(Echo { connection: connection.clone(), is_over: false })
    }
}

struct Echo {
    connection: Arc<Connection>,
    is_over: bool,
}

impl ConnectionDriver for Echo {
    fn on_bytes(&mut self, input: &[u8], _: &mut std::task::Context<'_>) -> usize {
        self.connection.send_payload(input);
        input.len()
    }

    fn wants_input(&self) -> bool {
        !self.is_over
    }

    fn poll_work(&mut self, _: &mut std::task::Context<'_>) -> Poll<WorkEnd> {
        if self.is_over { Poll::Ready(WorkEnd::Normal) } else { Poll::Pending }
    }

    fn on_tick(&mut self, _: Instant) {}

    fn on_input_end(&mut self, _: InputEnd, _: usize) {
        self.is_over = true;
    }

    fn on_close_request(&mut self, _: CloseReason) {
        self.is_over = true;
    }
}
