//! A hub that shows every behaviour of the dispatcher, and short ways to talk to it in memory.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use futures_util::{StreamExt, stream};
use signalr_core::ConnectionHandler;
use signalr_hub::{
    ClientStream, Context, HubBuilder, HubDefinition, HubEndpoint, HubError, HubOptions, StreamSink,
};
use signalr_protocol::Protocol;
use signalr_testkit::TestClient;
use std::sync::Arc;
use tokio::sync::Notify;

pub(crate) struct Served {
    pub(crate) endpoint: Arc<HubEndpoint>,
    pub(crate) gate: Arc<Notify>,
}

impl Served {
    pub(crate) fn new() -> Self {
        Self::with(HubOptions::default())
    }

    pub(crate) fn with(options: HubOptions) -> Self {
        let gate = Arc::new(Notify::new());
        Self { endpoint: HubEndpoint::of(definition(&gate), options), gate }
    }

    pub(crate) fn detailed() -> Self {
        let mut options = HubOptions::default();
        options.detailed_errors = true;
        Self::with(options)
    }

    pub(crate) fn handler(&self) -> Arc<dyn ConnectionHandler> {
        self.endpoint.handler()
    }

    pub(crate) async fn client(&self, protocol: Protocol) -> TestClient {
        TestClient::builder().start(self.handler(), protocol).await.unwrap()
    }

    pub(crate) async fn json(&self) -> TestClient {
        self.client(Protocol::Json).await
    }
}

fn definition(gate: &Arc<Notify>) -> HubDefinition {
    let mut hub = HubDefinition::new::<Served>("TestHub");
    hub.sync_method("Echo", |_: &Context, (text,): (String,)| Ok(text));
    hub.sync_method("Add", |_: &Context, (a, b): (i32, i32)| Ok(a + b));
    hub.sync_method("Nothing", |_: &Context, (): ()| Ok(()));
    hub.sync_method("Panics", |_: &Context, (): ()| -> Result<(), HubError> { panic!("boom") });
    hub.async_method("PanicsLater", |_, (): ()| async move {
        tokio::task::yield_now().await;
        if true {
            panic!("boom later");
        }
        Ok(())
    });
    hub.sync_method("Throw", |_: &Context, (kind, text): (String, String)| -> Result<(), HubError> {
        Err(match kind.as_str() {
            "hub" => HubError::new(text),
            "derived" => HubError::exception_named("DerivedHubException", text),
            _ => HubError::named("InvalidOperationException", text),
        })
    });
    let waits = gate.clone();
    hub.async_method("Wait", move |_, (text,): (String,)| {
        let gate = waits.clone();
        async move {
            gate.notified().await;
            Ok(text)
        }
    });
    hub.async_method("SendAll", |cx: Context, (method, text): (String, String)| async move {
        cx.clients().all().send(&method, (text,)).await
    });
    hub.async_method("SendThenReturn", |cx: Context, (text,): (String,)| async move {
        cx.clients().caller().send("First", (text.clone(),)).await?;
        cx.clients().all().send("Second", (text.clone(),)).await?;
        Ok(text)
    });
    hub.async_method("Join", |cx: Context, (group,): (String,)| async move { cx.groups().add(group).await });
    hub.async_method("Ask", |cx: Context, (id, question): (String, String)| async move {
        cx.clients().client(id).invoke::<i32>("Answer", (question,)).await
    });
    hub.sync_method("Abort", |cx: &Context, (): ()| {
        cx.abort();
        Ok(())
    });
    hub.sync_method("Count", |cx: &Context, (): ()| {
        let seen = cx.items().get::<u32>().unwrap_or_default() + 1;
        cx.items().insert(seen);
        Ok(seen)
    });
    uploads(&mut hub);
    hub.stream_method("Counter", |_, (count,): (u32,), sink: StreamSink| async move {
        sink.items(stream::iter(0..count)).await;
    });
    hub.stream_method("Endless", |_, (): (), sink: StreamSink| async move {
        sink.items(stream::pending::<u32>()).await;
    });
    hub.stream_method("Breaks", |_, (kind,): (String,), sink: StreamSink| async move {
        let error = match kind.as_str() {
            "hub" => HubError::new("over"),
            _ => HubError::named("InvalidOperationException", "secret"),
        };
        sink.results(stream::iter([Ok(1), Err(error), Ok(2)])).await;
    });
    hub.stream_method("NoStream", |_, (): (), sink: StreamSink| async move {
        sink.fail(HubError::named("InvalidOperationException", "secret")).await;
    });
    hub
}

/// Methods that take streams of the client.
fn uploads(hub: &mut HubDefinition) {
    hub.async_method("Sum", |_, (mut numbers,): (ClientStream<i32>,)| async move {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += number?;
        }
        Ok(sum)
    });
    // Streams on both sides of an argument: they do not count.
    hub.async_method(
        "Join2",
        |_, (a, between, b): (ClientStream<String>, String, ClientStream<String>)| async move {
            let read = |stream: ClientStream<String>| {
                stream.map(Result::ok).filter_map(std::future::ready).collect()
            };
            let (a, b): (Vec<_>, Vec<_>) = tokio::join!(read(a), read(b));
            Ok(format!("{}{between}{}", a.concat(), b.concat()))
        },
    );
    hub.stream_method("Relay", |_, (items,): (ClientStream<String>,), sink: StreamSink| async move {
        sink.results(items).await;
    });
    hub.sync_method("Drop", |_: &Context, (items,): (ClientStream<String>,)| {
        drop(items);
        Ok("dropped")
    });
}

/// A hub that writes down its life-cycle events.
pub(crate) fn recorder(log: &Arc<std::sync::Mutex<Vec<String>>>, fail: &'static str) -> HubBuilder {
    let (connects, disconnects, calls) = (log.clone(), log.clone(), log.clone());
    HubBuilder::new("Recorder")
        .method("Note", move |_: Context, text: String| {
            calls.lock().unwrap().push(format!("call {text}"));
            async move { Ok(()) }
        })
        .on_connected(move |_| {
            connects.lock().unwrap().push("connected".to_owned());
            async move { if fail == "connect" { Err(HubError::new("not today")) } else { Ok(()) } }
        })
        .on_disconnected(move |_, error| {
            let error = error.map(|error| format!("{error:?}")).unwrap_or_default();
            disconnects.lock().unwrap().push(format!("disconnected {error}").trim_end().to_owned());
            async move { if fail == "disconnect" { Err(HubError::new("no")) } else { Ok(()) } }
        })
}
