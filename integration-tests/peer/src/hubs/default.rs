//! What the .NET client's functional tests call: one hub in three flavours, and a hub that asks for a token.
//!
//! Made with the builder; the other hubs are made with the macro.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::{Serialize, Serializer};
use signalr::prelude::*;
use signalr_hub::HubDefinition;

/// DefaultHub: the shared methods and what asks about the connection.
pub(crate) fn default_hub() -> HubDefinition {
    shared("Peer.DefaultHub")
        .method("GetUserIdentifier", |cx: Context| async move { Ok(cx.user_identifier().map(str::to_owned)) })
        .method("GetHeaderValues", |cx: Context, names: Vec<String>| async move {
            let header = |name: &String| cx.info().request.header(name).map(str::to_owned);
            Ok(names.iter().map(header).collect::<Vec<_>>())
        })
        .method("GetCookieValue", |cx: Context, name: String| async move {
            Ok(cx.info().request.cookie(&name).map(str::to_owned))
        })
        .method("GetIHttpConnectionFeatureProperties", |cx: Context| async move { Ok(addresses(&cx)) })
        .method("GetActiveTransportName", |cx: Context| async move { Ok(cx.info().transport.name()) })
        .method("GetHttpProtocol", |cx: Context| async move {
            // The reference's names have no minor version where there is only one.
            Ok(cx.info().request.version().replace("/2.0", "/2"))
        })
        .method("Abort", |cx: Context| async move {
            cx.abort();
            Ok(())
        })
        .method("CallWithUnserializableObject", |cx: Context| async move {
            cx.clients().all().send("Foo", (Unserializable,)).await
        })
        .method("GetUnserializableObject", |_: Context| async move { Ok(Unserializable) })
        .define()
}

/// DynamicTestHub.
pub(crate) fn dynamic_hub() -> HubDefinition {
    shared("Peer.DynamicTestHub").define()
}

/// TypedTestHub.
pub(crate) fn typed_hub() -> HubDefinition {
    shared("Peer.TypedTestHub").define()
}

/// A hub for known users only.
pub(crate) fn authorized_hub(name: &'static str) -> HubDefinition {
    HubBuilder::new(name)
        .authorize(signalr::authenticated)
        .method("Echo", |_: Context, message: Option<String>| async move { Ok(message) })
        .define()
}

/// The methods that all flavours share.
fn shared(name: &'static str) -> HubBuilder {
    HubBuilder::new(name)
        .method("HelloWorld", |_: Context| async move { Ok("Hello World!") })
        .method("Echo", |_: Context, message: Option<String>| async move { Ok(message) })
        .method("InvokeException", |_: Context| async move {
            Err::<(), _>(HubError::named("InvalidOperationException", "Error occurred while invoking."))
        })
        .stream("Stream", |_: Context, count: i32| async move {
            Ok(stream::iter(0..count).then(|number| async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(number)
            }))
        })
        .stream("StreamException", |_: Context| async move {
            let error = HubError::named("InvalidOperationException", "Error occurred while streaming.");
            Err::<stream::Empty<HubResult<i32>>, _>(error)
        })
        .stream("StreamBroken", |_: Context| async move {
            let text = "The value returned by the streaming method 'StreamBroken' is not a ChannelReader<> or IAsyncEnumerable<>.";
            Err::<stream::Empty<HubResult<String>>, _>(HubError::named("InvalidOperationException", text))
        })
        .stream("StreamEcho", |_: Context, source: ClientStream<String>| async move { Ok(relay(source)) })
        .stream("StreamEchoInt", |_: Context, source: ClientStream<i32>| async move { Ok(relay(source)) })
        .stream("StreamIAsyncConsumer", |_: Context, source: ClientStream<i32>| async move { Ok(source) })
        .method("CallEcho", |cx: Context, message: Option<String>| async move {
            cx.clients().client(cx.connection_id().clone()).send("Echo", (message,)).await
        })
        .method("CallHandlerThatDoesntExist", |cx: Context| async move {
            cx.clients().client(cx.connection_id().clone()).send("NoClientHandler", ()).await
        })
        .method("GetCallerConnectionId", |cx: Context| async move { Ok(cx.connection_id().to_string()) })
}

/// What the client sends, up to its end or its error, which is not passed on.
fn relay<T: Send + 'static>(source: ClientStream<T>) -> impl Stream<Item = HubResult<T>> + Send {
    source.take_while(|item| std::future::ready(item.is_ok()))
}

/// Local port, remote port, local address, remote address.
fn addresses(cx: &Context) -> (u16, u16, String, String) {
    let (local, peer) = (cx.info().local, cx.info().peer);
    (
        local.map_or(0, |address| address.port()),
        peer.map_or(0, |address| address.port()),
        local.map(|address| address.ip().to_string()).unwrap_or_default(),
        peer.map(|address| address.ip().to_string()).unwrap_or_default(),
    )
}

/// Which no serializer can write.
struct Unserializable;

impl Serialize for Unserializable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("A possible object cycle was detected."))
    }
}
