//! The client against this project's own server, over real sockets.

#![allow(clippy::unwrap_used, reason = "what a test unwraps is what it claims")]

use futures_util::TryStreamExt;
use signalr::prelude::*;
use signalr_client::{ClientError, CloseCause, HubClient, Protocol};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

#[derive(Default)]
struct Lab {
    stream_ended: Arc<Notify>,
}

/// Tells when a stream is dropped.
struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[hub]
impl Lab {
    fn echo(&self, text: String) -> String {
        text
    }

    fn nothing(&self) {}

    fn fail(&self) -> HubResult<()> {
        Err(HubError::new("as asked"))
    }

    fn abort(&self, cx: &Context) {
        cx.abort();
    }

    fn header(&self, cx: &Context, name: String) -> Option<String> {
        cx.info().request.header(&name).map(str::to_owned)
    }

    fn count(&self, count: u32) -> impl Stream<Item = HubResult<u32>> {
        let items =
            (0..count).map(|number| if number == 5 { Err(HubError::new("five")) } else { Ok(number) });
        futures_util::stream::iter(items)
    }

    async fn concat(
        &self,
        first: ClientStream<String>,
        mark: String,
        second: ClientStream<String>,
    ) -> HubResult<String> {
        let (first, second): (Vec<_>, Vec<_>) = (first.try_collect().await?, second.try_collect().await?);
        Ok(first.concat() + &mark + &second.concat())
    }

    fn relay(&self, items: ClientStream<u32>) -> ClientStream<u32> {
        items
    }

    async fn swallow(&self, mut items: ClientStream<u32>) -> HubResult<()> {
        while let Some(item) = items.next().await {
            item?;
        }
        self.stream_ended.notify_one();
        Ok(())
    }

    fn endless(&self) -> impl Stream<Item = u64> {
        let tell = Tell(self.stream_ended.clone());
        futures_util::stream::unfold(
            (0, tell),
            |(number, tell)| async move { Some((number, (number + 1, tell))) },
        )
    }
}

struct Running {
    address: String,
    stop: oneshot::Sender<()>,
    stream_ended: Arc<Notify>,
}

async fn start() -> Running {
    let lab = Lab::default();
    let stream_ended = lab.stream_ended.clone();
    let server = SignalR::builder().hub("/lab", lab).build().await.unwrap();
    let serving = signalr::warp::Serving::bind(server, ([127, 0, 0, 1], 0)).await.unwrap();
    let address = format!("http://{}/lab", serving.local_addr());
    let (stop, wanted) = oneshot::channel();
    let serving = serving.until(async {
        // A dropped guard ends the server too.
        let _ = wanted.await;
    });
    tokio::spawn(async { serving.run().await.unwrap() });
    Running { address, stop, stream_ended }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_streams_and_errors_in_either_protocol() {
    let lab = start().await;
    for protocol in [Protocol::Json, Protocol::MessagePack] {
        let client = HubClient::builder(&lab.address)
            .protocol(protocol)
            .access_token("secret")
            .header("X-Test", "yes")
            .connect()
            .await
            .unwrap();
        assert_eq!(client.connection_id().map(str::len), Some(22));
        for text in ["", "ä€🦀", &"x".repeat(20_000)] {
            assert_eq!(client.invoke::<String>("Echo", (text,)).await.unwrap(), text);
        }
        client.invoke::<()>("Nothing", ()).await.unwrap();
        let header = async |name: &str| client.invoke::<Option<String>>("Header", (name,)).await.unwrap();
        assert_eq!(header("authorization").await.as_deref(), Some("Bearer secret"));
        assert_eq!(header("x-test").await.as_deref(), Some("yes"));

        let error = client.invoke::<()>("Fail", ()).await.unwrap_err();
        assert!(matches!(&error, ClientError::Call(text) if text.ends_with("as asked")), "{error}");
        let error = client.invoke::<()>("Missing", ()).await.unwrap_err();
        assert!(
            matches!(&error, ClientError::Call(text) if text.contains("Method does not exist")),
            "{error}"
        );

        let mut stream = client.stream::<u32>("Count", (10,)).await.unwrap();
        for wanted in 0..5 {
            assert_eq!(stream.next().await.unwrap().unwrap(), wanted);
        }
        assert!(matches!(stream.next().await, Some(Err(ClientError::Call(text))) if text.ends_with("five")));
        assert!(stream.next().await.is_none());

        let mut stream = client.stream::<u64>("Endless", ()).await.unwrap();
        for wanted in 0..1000 {
            assert_eq!(stream.next().await.unwrap().unwrap(), wanted);
        }
        drop(stream);
        tokio::time::timeout(Duration::from_secs(10), lab.stream_ended.notified())
            .await
            .expect("the server's stream goes on");
        assert_eq!(client.stop().await.cause, CloseCause::Stopped);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_the_client_in_either_protocol() {
    let lab = start().await;
    for protocol in [Protocol::Json, Protocol::MessagePack] {
        let client = HubClient::builder(&lab.address).protocol(protocol).connect().await.unwrap();
        let (call, [left, right]) = client.upload("Concat", ("-",)).await.unwrap();
        for word in ["c", "d"] {
            right.send(word).await.unwrap();
        }
        left.send("ab").await.unwrap();
        left.complete().await.unwrap();
        right.complete().await.unwrap();
        assert_eq!(call.result::<String>().await.unwrap(), "ab-cd");

        // Thousands of items through a buffer of ten, there and back.
        let (mut items, [numbers]) = client.upload_and_stream::<u32, 1>("Relay", ()).await.unwrap();
        let sending = tokio::spawn(async move {
            for number in 0..5_000u32 {
                numbers.send(&number).await.unwrap();
            }
            numbers.fail("no more").await.unwrap();
        });
        for wanted in 0..5_000 {
            assert_eq!(items.next().await.unwrap().unwrap(), wanted);
        }
        let end = items.next().await;
        assert!(
            matches!(&end, Some(Err(ClientError::Call(text))) if text.ends_with("HubException: no more")),
            "{end:?}"
        );
        sending.await.unwrap();

        let [numbers] = client.send_and_upload("Swallow", ()).await.unwrap();
        numbers.send(&1).await.unwrap();
        numbers.complete().await.unwrap();
        tokio::time::timeout(Duration::from_secs(30), lab.stream_ended.notified())
            .await
            .expect("the stream of a call without an answer does not end");

        let (call, [numbers]) = client.upload("Swallow", ()).await.unwrap();
        drop(numbers);
        let error = call.result::<()>().await.unwrap_err();
        assert!(
            matches!(&error, ClientError::Call(text) if text.ends_with("dropped before its end.")),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_find_their_answers() {
    let lab = start().await;
    let client = HubClient::builder(&lab.address).skip_negotiation().connect().await.unwrap();
    assert_eq!(client.connection_id(), None);
    let calls: Vec<_> = (0..500)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                let text = format!("{number}").repeat(number % 50);
                assert_eq!(client.invoke::<String>("Echo", (&text,)).await.unwrap(), text);
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_is_told() {
    let lab = start().await;
    let client = HubClient::connect(&lab.address).await.unwrap();
    assert!(matches!(client.invoke::<()>("Abort", ()).await, Err(ClientError::Closed(_))));
    let closed = client.closed().await;
    assert_eq!((closed.cause, closed.allow_reconnect), (CloseCause::Server { error: None }, false));

    let client = HubClient::connect(&lab.address).await.unwrap();
    let text = "x".repeat(40_000);
    let too_large = client.invoke::<String>("Echo", (&text,)).await;
    assert!(matches!(too_large, Err(ClientError::Closed(_))), "{too_large:?}");
    assert!(matches!(client.closed().await.cause, CloseCause::Server { error: Some(_) }));

    let client = HubClient::connect(&lab.address).await.unwrap();
    lab.stop.send(()).unwrap();
    let closed = client.closed().await;
    assert_eq!((closed.cause, closed.allow_reconnect), (CloseCause::Server { error: None }, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_and_a_path_without_a_hub_are_told_apart() {
    let lab = start().await;
    let error = HubClient::connect(format!("{}/nothing", lab.address)).await.unwrap_err();
    assert!(matches!(error, ClientError::Status { what: "negotiate", status: 404 }), "{error}");
    assert!(!error.is_transient());
    let builder = HubClient::builder(format!("{}/nothing", lab.address)).skip_negotiation();
    assert!(matches!(builder.connect().await, Err(ClientError::Status { status: 404, .. })));

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = HubClient::connect(format!("http://{free}/lab")).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect(_)) && error.is_transient(), "{error}");
}
