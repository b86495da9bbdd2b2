//! Filters: their order, what they can change, and that checks come first (B-7.12).

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use futures_util::stream;
use signalr_hub::{
    ClientStream, Context, HubBuilder, HubCall, HubEndpoint, HubError, HubFilter, HubOptions, HubResult,
    HubValue, Next, NextConnected, NextDisconnected,
};
use signalr_protocol::Protocol;
use signalr_testkit::TestClient;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Writes down when it is entered and left.
struct Noting(&'static str, Log);

impl HubFilter for Noting {
    async fn invoke(&self, call: HubCall, next: Next<'_>) -> HubResult<HubValue> {
        let Self(name, log) = self;
        log.add(format!("{name} {}", call.method()));
        tokio::task::yield_now().await;
        let result = next.run(call).await;
        log.add(format!("{name} {}", if result.is_ok() { "ok" } else { "failed" }));
        result
    }

    async fn on_connected(&self, _: &Context, next: NextConnected<'_>) -> HubResult<()> {
        self.1.add(format!("{} connects", self.0));
        next.run().await
    }

    async fn on_disconnected(
        &self,
        context: &Context,
        error: Option<HubError>,
        next: NextDisconnected<'_>,
    ) -> HubResult<()> {
        assert!(!context.connection_id().as_str().is_empty());
        self.1.add(format!("{} disconnects", self.0));
        next.run(error).await
    }
}

/// Implements nothing.
struct Idle;

impl HubFilter for Idle {}

/// Changes what passes.
struct Changing;

impl HubFilter for Changing {
    async fn invoke(&self, mut call: HubCall, next: Next<'_>) -> HubResult<HubValue> {
        match call.method() {
            "Skipped" => return Ok(HubValue::new("by the filter")),
            "Renamed" => call.set_method("Echo"),
            "Lost" => call.set_method("Nowhere"),
            "Mistaken" => call.set_method("Add"),
            "StreamSkipped" => return Ok(HubValue::new(1)),
            "Forbidden" | "StreamForbidden" => return Err(HubError::new("not for you")),
            "Panics" => panic!("the test says so"),
            _ => {}
        }
        let id = call.context().connection_id().clone();
        assert!(!id.as_str().is_empty());
        if let Some(text) = call.argument_mut::<String>(0) {
            text.push('!');
        }
        assert!(call.argument_mut::<String>(7).is_none());
        match next.run(call).await {
            Ok(mut value) => {
                if let Some(text) = value.downcast_mut::<String>() {
                    text.insert(0, '?');
                }
                Ok(value)
            }
            Err(error) if error.message() == "swallow" => Ok(HubValue::new("swallowed")),
            Err(error) => Err(error),
        }
    }
}

fn hub(log: &Log) -> HubBuilder {
    let (calls, connects, disconnects) = (log.clone(), log.clone(), log.clone());
    let echo = |_: Context, text: String| async move { Ok(text) };
    let mut hub = HubBuilder::new("Filtered")
        .method("Note", move |_: Context| {
            calls.add("method");
            async { Ok(()) }
        })
        .method("Add", |_: Context, a: i32, b: i32| async move { Ok(a + b) })
        .method("Fail", |_: Context, text: String| async move { HubResult::<()>::Err(HubError::new(text)) })
        .method("Swallow", |_: Context| async { HubResult::<()>::Err(HubError::new("swallow")) })
        .method("Ask", |cx: Context| async move {
            cx.clients().client(cx.connection_id().clone()).invoke::<String>("Name", ()).await
        })
        .method("Concat", |_: Context, text: String, mut parts: ClientStream<String>| async move {
            let mut text = text;
            while let Some(part) = parts.next().await {
                text += &part?;
            }
            Ok(text)
        })
        .stream("Count", |_: Context, count: i32| async move { Ok(stream::iter((0..count).map(Ok))) })
        .stream("Words", |_: Context, text: String| async move { Ok(stream::iter([Ok(text)])) })
        .stream("NoStream", |_: Context| async {
            HubResult::<stream::Empty<HubResult<i32>>>::Err(HubError::new("no stream"))
        })
        .on_connected(move |_| {
            connects.add("connected");
            async { Ok(()) }
        })
        .on_disconnected(move |_, error| {
            disconnects.add(format!("disconnected {:?}", error.map(|error| error.message().to_owned())));
            async { Ok(()) }
        });
    for name in ["Echo", "Skipped", "Renamed", "Lost", "Mistaken", "Forbidden", "Panics"] {
        hub = hub.method(name, echo);
    }
    for name in ["StreamSkipped", "StreamForbidden"] {
        hub = hub.stream(name, |_: Context| async { Ok(stream::iter([Ok(1)])) });
    }
    hub
}

fn options(filters: impl FnOnce(&mut HubOptions)) -> HubOptions {
    let mut options = HubOptions::default();
    filters(&mut options);
    options
}

async fn client(options: HubOptions, log: &Log) -> TestClient {
    let endpoint = HubEndpoint::new(hub(log), options);
    TestClient::builder().start(endpoint.handler(), Protocol::Json).await.unwrap()
}

async fn answer(client: &mut TestClient, kind: u32, target: &str, arguments: &str) -> String {
    client.send_record(&format!(
        r#"{{"type":{kind},"invocationId":"1","target":"{target}","arguments":[{arguments}]}}"#
    ));
    client.next_message().await.unwrap().text()
}

fn completed(with: &str) -> String {
    format!(r#"{{"type":3,"invocationId":"1",{with}}}"#)
}

#[tokio::test(start_paused = true)]
async fn filters_of_all_hubs_come_first_each_in_order() {
    let log = Log::default();
    let mut filtered = options(|all| {
        all.filter(Noting("a", log.clone()));
        all.filter(Idle);
        all.filter(Noting("b", log.clone()));
    });
    filtered.filter(Noting("c", log.clone()));
    let mut client = client(filtered, &log).await;
    assert_eq!(answer(&mut client, 1, "note", "").await, completed(r#""result":null"#));
    let expected =
        ["a connects", "b connects", "c connects", "connected", "a Note", "b Note", "c Note", "method"];
    let seen = log.take();
    assert_eq!(seen[..8], expected);
    assert_eq!(seen[8..], ["c ok", "b ok", "a ok"]);
    client.send_record(r#"{"type":7,"error":"bored"}"#);
    client.ended().await.unwrap();
    assert_eq!(
        log.take(),
        ["a disconnects", "b disconnects", "c disconnects", r#"disconnected Some("bored")"#]
    );
}

#[tokio::test(start_paused = true)]
async fn a_filter_changes_arguments_results_errors_and_targets() {
    let log = Log::default();
    let mut client = client(options(|all| all.filter(Changing)), &log).await;
    let failed = |method: &str, detail: &str| {
        completed(&format!(
            r#""error":"An unexpected error occurred invoking '{method}' on the server.{detail}""#
        ))
    };
    let cases = [
        ("Echo", r#""x""#, completed(r#""result":"?x!""#)),
        ("Renamed", r#""x""#, completed(r#""result":"?x!""#)),
        ("Skipped", r#""x""#, completed(r#""result":"by the filter""#)),
        ("Swallow", "", completed(r#""result":"swallowed""#)),
        ("Add", "1,2", completed(r#""result":3"#)),
        ("Fail", r#""x""#, failed("Fail", " HubException: x!")),
        ("Forbidden", r#""x""#, failed("Forbidden", " HubException: not for you")),
        ("Lost", r#""x""#, failed("Lost", " HubException: Unknown hub method 'Nowhere'")),
        ("Mistaken", r#""x""#, failed("Mistaken", "")),
        ("Panics", r#""x""#, failed("Panics", "")),
    ];
    for (target, arguments, expected) in cases {
        assert_eq!(answer(&mut client, 1, target, arguments).await, expected, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn checks_come_before_filters() {
    let log = Log::default();
    let mut client = client(options(|all| all.filter(Noting("a", log.clone()))), &log).await;
    log.take();
    for (kind, target, arguments) in
        [(1, "Echo", "1"), (1, "Nobody", ""), (1, "Count", "1"), (4, "Echo", r#""x""#)]
    {
        let refused = answer(&mut client, kind, target, arguments).await;
        assert!(refused.contains(r#""error":""#), "{refused}");
    }
    client
        .send_record(r#"{"type":1,"invocationId":"1","target":"Echo","arguments":["x"],"streamIds":["s"]}"#);
    assert!(client.next_message().await.unwrap().text().contains("Client sent 1 stream(s)"));
    assert_eq!(log.take(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_filter_is_done_before_the_first_item_of_a_stream() {
    let log = Log::default();
    let filters = |all: &mut HubOptions| {
        all.filter(Noting("a", log.clone()));
        all.filter(Changing);
    };
    let mut client = client(options(filters), &log).await;
    log.take();
    for n in 0..3 {
        let item = if n == 0 {
            answer(&mut client, 4, "Count", "3").await
        } else {
            client.next_message().await.unwrap().text()
        };
        assert_eq!(item, format!(r#"{{"type":2,"invocationId":"1","item":{n}}}"#));
        assert_eq!(log.take(), if n == 0 { vec!["a Count", "a ok"] } else { vec![] });
    }
    assert_eq!(client.next_message().await.unwrap().text(), r#"{"type":3,"invocationId":"1"}"#);
    let item = answer(&mut client, 4, "Words", r#""x""#).await;
    assert_eq!(item, r#"{"type":2,"invocationId":"1","item":"x!"}"#);
    assert_eq!(client.next_message().await.unwrap().text(), r#"{"type":3,"invocationId":"1"}"#);
    let failed = "An unexpected error occurred invoking";
    let cases = [
        ("NoStream", format!("{failed} 'NoStream' on the server. HubException: no stream")),
        ("StreamForbidden", format!("{failed} 'StreamForbidden' on the server. HubException: not for you")),
        (
            "StreamSkipped",
            "The value returned by the streaming method 'StreamSkipped' is not a ChannelReader<> or IAsyncEnumerable<>."
                .to_owned(),
        ),
    ];
    for (target, text) in cases {
        assert_eq!(answer(&mut client, 4, target, "").await, completed(&format!(r#""error":"{text}""#)));
    }
}

#[tokio::test(start_paused = true)]
async fn client_streams_and_questions_pass_through_filters() {
    let log = Log::default();
    let mut client = client(options(|all| all.filter(Changing)), &log).await;
    client.send_record(
        r#"{"type":1,"invocationId":"1","target":"Concat","arguments":["x"],"streamIds":["s"]}"#,
    );
    client.send_item("s", &"y").unwrap();
    client.end_stream("s", None).unwrap();
    assert_eq!(client.next_message().await.unwrap().text(), completed(r#""result":"?x!y""#));
    // The question gives the only slot back, so that a second call and the answer are read meanwhile.
    let asking = client.call("Ask", ()).unwrap();
    let question = client.next_invocation().await.unwrap();
    assert_eq!(client.invoke::<i32>("Add", (1, 2)).await.unwrap(), 3);
    client.answer(question.invocation_id.as_deref().unwrap(), &"Ada").unwrap();
    let told = client.completion(&asking).await.unwrap().text();
    assert_eq!(told, format!(r#"{{"type":3,"invocationId":"{asking}","result":"?Ada"}}"#));
}

/// Decides about connections by itself.
struct Door(&'static str);

impl HubFilter for Door {
    async fn on_connected(&self, _: &Context, next: NextConnected<'_>) -> HubResult<()> {
        match self.0 {
            "closed" => Err(HubError::new("come back later")),
            "forgiving" => {
                assert!(next.run().await.is_err());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_decides_who_may_connect() {
    let strict = || HubBuilder::new("Strict").on_connected(|_| async { Err(HubError::new("nobody")) });
    for (door, refusal) in
        [("closed", Some("come back later")), ("forgiving", None), ("open", None), ("", Some("nobody"))]
    {
        let filters = options(|all| if door.is_empty() { all.filter(Idle) } else { all.filter(Door(door)) });
        let endpoint = HubEndpoint::new(strict().method("Ping", |_: Context| async { Ok("pong") }), filters);
        let mut client = TestClient::builder().start(endpoint.handler(), Protocol::Json).await.unwrap();
        match refusal {
            Some(text) => {
                let close = client.next_message().await.unwrap().text();
                let error = format!("Connection closed with an error. HubException: {text}");
                assert_eq!(close, format!(r#"{{"type":7,"error":"{error}"}}"#));
            }
            None => assert_eq!(client.invoke::<String>("Ping", ()).await.unwrap(), "pong"),
        }
    }
}
