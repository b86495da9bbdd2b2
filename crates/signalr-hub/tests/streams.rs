//! Streams both ways: items, ends, cancellation, errors, back-pressure (B-7.5, 7.6).

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use signalr_hub::{ClientStream, Context, HubBuilder, HubEndpoint, HubOptions, HubResult};
use signalr_protocol::Protocol;
use signalr_testkit::TestClient;
use support::Served;
use tokio::sync::mpsc;

fn completed(id: &str, with: &str) -> String {
    format!(r#"{{"type":3,"invocationId":"{id}",{with}}}"#)
}

fn failed(id: &str, text: &str) -> String {
    completed(id, &format!(r#""error":"{text}""#))
}

async fn next(client: &mut TestClient) -> String {
    client.next_message().await.unwrap().text()
}

#[tokio::test(start_paused = true)]
async fn items_then_an_empty_completion() {
    let mut client = Served::new().json().await;
    client.send_record(r#"{"type":4,"invocationId":"7","target":"Counter","arguments":[3]}"#);
    for n in 0..3 {
        let item = client.next_message().await.unwrap().text();
        assert_eq!(item, format!(r#"{{"type":2,"invocationId":"7","item":{n}}}"#));
    }
    assert_eq!(client.next_message().await.unwrap().text(), r#"{"type":3,"invocationId":"7"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_stream_completes_without_error() {
    let mut client = Served::new().json().await;
    client.send_record(r#"{"type":4,"invocationId":"7","target":"Endless","arguments":[]}"#);
    client.send_record(r#"{"type":5,"invocationId":"unknown"}"#);
    client.send_record(r#"{"type":5,"invocationId":"7"}"#);
    assert_eq!(client.next_message().await.unwrap().text(), r#"{"type":3,"invocationId":"7"}"#);
}

#[tokio::test(start_paused = true)]
async fn an_id_in_use_is_refused_and_the_first_stream_can_still_be_cancelled() {
    let mut client = Served::new().json().await;
    client.send_record(r#"{"type":4,"invocationId":"7","target":"Endless","arguments":[]}"#);
    client.send_record(r#"{"type":4,"invocationId":"7","target":"Counter","arguments":[1]}"#);
    let refused = client.next_message().await.unwrap().text();
    assert_eq!(refused, r#"{"type":3,"invocationId":"7","error":"Invocation ID '7' is already in use."}"#);
    client.send_record(r#"{"type":5,"invocationId":"7"}"#);
    assert_eq!(client.next_message().await.unwrap().text(), r#"{"type":3,"invocationId":"7"}"#);
    // The id is free again.
    client.send_record(r#"{"type":4,"invocationId":"7","target":"Counter","arguments":[0]}"#);
    assert_eq!(client.next_message().await.unwrap().text(), r#"{"type":3,"invocationId":"7"}"#);
}

#[tokio::test(start_paused = true)]
async fn the_first_error_ends_the_stream() {
    let mut client = Served::new().json().await;
    for (kind, detail) in [("hub", " HubException: over"), ("other", "")] {
        client.send_record(&format!(
            r#"{{"type":4,"invocationId":"7","target":"Breaks","arguments":["{kind}"]}}"#
        ));
        assert!(client.next_message().await.unwrap().text().contains(r#""item":1"#));
        let text = format!("An error occurred on the server while streaming results.{detail}");
        let end = client.next_message().await.unwrap().text();
        assert_eq!(end, format!(r#"{{"type":3,"invocationId":"7","error":"{text}"}}"#));
    }
    client.send_record(r#"{"type":4,"invocationId":"7","target":"NoStream","arguments":[]}"#);
    let end = client.next_message().await.unwrap().text();
    assert!(end.contains("An unexpected error occurred invoking 'NoStream' on the server.\""), "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_slows_its_stream_and_gets_every_item() {
    let mut client = Served::new().json().await;
    client.freeze();
    let stream = client.open_stream("Counter", (200_000u32,)).unwrap();
    // The sink waits at the soft limit of the outbox instead of queueing everything.
    client.stays_silent(std::time::Duration::from_secs(1)).await.unwrap();
    assert!(client.connection().queued_bytes() < 2 << 20);
    client.thaw();
    client.completion(&stream).await.unwrap();
    let mut items = 0;
    while client.try_next_message().unwrap().is_some() {
        items += 1;
    }
    assert_eq!(items, 200_000);
}

#[tokio::test(start_paused = true)]
async fn a_method_reads_a_stream_of_the_client_in_both_protocols() {
    for protocol in [Protocol::Json, Protocol::MessagePack] {
        let mut client = Served::new().client(protocol).await;
        let (call, streams) = client.upload("Sum", (), 1).unwrap();
        for number in 1..=100 {
            client.send_item(&streams[0], &number).unwrap();
        }
        client.end_stream(&streams[0], None).unwrap();
        let answer = client.completion(&call).await.unwrap();
        let signalr_protocol::Message::Completion { result: Some(result), .. } = answer.message().unwrap()
        else {
            panic!("no result: {answer:?}");
        };
        assert_eq!(result.decode::<i32>().unwrap(), 5050);
    }
}

#[tokio::test(start_paused = true)]
async fn streams_are_matched_in_order_and_are_no_arguments() {
    let mut client = Served::new().json().await;
    client.send_record(
        r#"{"type":1,"invocationId":"1","target":"Join2","arguments":["-"],"streamIds":["left","right"]}"#,
    );
    for (stream, item) in [("right", "c"), ("left", "a"), ("right", "d"), ("left", "b")] {
        client.send_item(stream, &item).unwrap();
    }
    client.end_stream("right", None).unwrap();
    client.end_stream("left", None).unwrap();
    assert_eq!(next(&mut client).await, completed("1", r#""result":"ab-cd""#));
}

#[tokio::test(start_paused = true)]
async fn a_call_sends_and_receives_streams_at_once() {
    let mut client = Served::new().json().await;
    let (call, streams) = client.open_stream_and_upload("Relay", (), 1).unwrap();
    for item in ["a", "b"] {
        // Each item comes back before the next one is sent.
        client.send_item(&streams[0], &item).unwrap();
        assert_eq!(
            next(&mut client).await,
            format!(r#"{{"type":2,"invocationId":"{call}","item":"{item}"}}"#)
        );
    }
    client.end_stream(&streams[0], Some("enough")).unwrap();
    let text = "An error occurred on the server while streaming results. HubException: enough";
    assert_eq!(next(&mut client).await, failed(&call, text));
}

#[tokio::test(start_paused = true)]
async fn cancelling_the_answer_ends_the_streams_that_the_call_took() {
    let mut client = Served::new().json().await;
    let (call, streams) = client.open_stream_and_upload("Relay", (), 1).unwrap();
    client.send_record(&format!(r#"{{"type":5,"invocationId":"{call}"}}"#));
    assert_eq!(next(&mut client).await, format!(r#"{{"type":3,"invocationId":"{call}"}}"#));
    for _ in 0..100 {
        client.send_item(&streams[0], &"late").unwrap();
    }
    client.end_stream(&streams[0], None).unwrap();
    assert_eq!(client.invoke::<i32>("Add", (1, 2)).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_client_and_items_that_do_not_fit_reach_the_method() {
    let cases = [
        (Served::new(), r#"{"type":3,"invocationId":"s","error":"gave up"}"#, "HubException: gave up"),
        (
            Served::new(),
            r#"{"type":2,"invocationId":"s","item":"text"}"#,
            "HubException: Failed to bind Stream message.",
        ),
        (
            Served::new(),
            r#"{"type":2,"item":"text","invocationId":"s"}"#,
            "HubException: Failed to bind Stream message.",
        ),
    ];
    for (served, record, detail) in cases {
        let mut client = served.json().await;
        client
            .send_record(r#"{"type":1,"invocationId":"1","target":"Sum","arguments":[],"streamIds":["s"]}"#);
        client.send_item("s", &1).unwrap();
        client.send_record(record);
        let text = format!("An unexpected error occurred invoking 'Sum' on the server. {detail}");
        assert_eq!(next(&mut client).await, failed("1", &text));
        // The stream is over; what still comes for it is ignored.
        client.send_item("s", &1).unwrap();
        client.send_record(record);
        assert_eq!(client.invoke::<i32>("Add", (1, 2)).await.unwrap(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_streams_are_ignored() {
    let mut client = Served::new().json().await;
    client.send_record(r#"{"type":2,"invocationId":"nobody","item":1}"#);
    client.send_record(r#"{"type":2,"item":{"a":[1]},"invocationId":"nobody"}"#);
    client.end_stream("nobody", None).unwrap();
    client.end_stream("nobody", Some("no")).unwrap();
    assert_eq!(client.invoke::<i32>("Add", (1, 2)).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_number_of_streams_is_told_after_binding() {
    let mut client = Served::new().json().await;
    let unexpected = |method: &str, sent: usize, expected: usize| {
        format!(
            "An unexpected error occurred invoking '{method}' on the server. HubException: Client sent {sent} stream(s), Hub method expects {expected}."
        )
    };
    let unbound = |method: &str| format!("Failed to invoke '{method}' due to an error on the server.");
    let cases = [
        (r#""type":1,"target":"sum","arguments":[],"streamIds":["a","b"]"#, unexpected("Sum", 2, 1)),
        (r#""type":1,"target":"Sum","arguments":[]"#, unexpected("Sum", 0, 1)),
        (r#""type":1,"target":"Sum","arguments":[],"streamIds":[]"#, unexpected("Sum", 0, 1)),
        (r#""type":1,"target":"Join2","arguments":["-"],"streamIds":["a"]"#, unexpected("Join2", 1, 2)),
        (r#""type":1,"target":"Add","arguments":[1,2],"streamIds":["a"]"#, unexpected("Add", 1, 0)),
        (r#""type":4,"target":"Relay","arguments":[]"#, unexpected("Relay", 0, 1)),
        (r#""type":1,"target":"Sum","arguments":[1],"streamIds":["a"]"#, unbound("Sum")),
        (r#""type":1,"target":"Join2","arguments":[],"streamIds":["a"]"#, unbound("Join2")),
    ];
    for (body, text) in cases {
        client.send_record(&format!(r#"{{"invocationId":"1",{body}}}"#));
        assert_eq!(next(&mut client).await, failed("1", &text), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_take_streams_do_not_count_towards_the_parallel_limit() {
    let served = Served::new();
    let mut client = served.json().await;
    let waiting = client.call("Wait", ("slot",)).unwrap();
    let (first, firsts) = client.upload("Sum", (), 1).unwrap();
    let (second, seconds) = client.upload("Sum", (), 1).unwrap();
    for (call, stream) in [(second, &seconds[0]), (first, &firsts[0])] {
        client.send_item(stream, &7).unwrap();
        client.end_stream(stream, None).unwrap();
        assert_eq!(next(&mut client).await, completed(&call, r#""result":7"#));
    }
    served.gate.notify_one();
    assert_eq!(next(&mut client).await, completed(&waiting, r#""result":"slot""#));
}

#[tokio::test(start_paused = true)]
async fn an_id_used_again_belongs_to_the_newest_stream() {
    let mut client = Served::new().json().await;
    for call in ["1", "2"] {
        client.send_record(&format!(
            r#"{{"type":1,"invocationId":"{call}","target":"Sum","arguments":[],"streamIds":["s"]}}"#
        ));
    }
    client.send_item("s", &5).unwrap();
    client.end_stream("s", None).unwrap();
    assert_eq!(next(&mut client).await, completed("2", r#""result":5"#));
    client.send_item("s", &5).unwrap();
    client.stays_silent(std::time::Duration::from_secs(3)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn streams_that_nobody_reads_any_more_hold_nothing_up() {
    let mut client = Served::new().json().await;
    let (call, streams) = client.upload("Drop", (), 1).unwrap();
    for _ in 0..100 {
        client.send_item(&streams[0], &"late").unwrap();
    }
    assert_eq!(next(&mut client).await, completed(&call, r#""result":"dropped""#));
    assert_eq!(client.invoke::<i32>("Add", (1, 2)).await.unwrap(), 3);
}

/// A hub whose method gives its stream to the test, and ends when the test says so.
fn handing_over(
    capacity: usize,
) -> (std::sync::Arc<HubEndpoint>, mpsc::Receiver<ClientStream<i32>>, std::sync::Arc<tokio::sync::Notify>) {
    let (sender, receiver) = mpsc::channel(1);
    let end = std::sync::Arc::new(tokio::sync::Notify::new());
    let ends = end.clone();
    let hub = HubBuilder::new("Handing")
        .method("Take", move |_: Context, stream: ClientStream<i32>| {
            let (sender, end) = (sender.clone(), ends.clone());
            async move {
                sender.send(stream).await?;
                end.notified().await;
                Ok(())
            }
        })
        .method("Ping", |_: Context| async { HubResult::Ok("pong") });
    let mut options = HubOptions::default();
    options.stream_buffer_capacity = capacity;
    (HubEndpoint::new(hub, options), receiver, end)
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_stops_the_reading_until_the_method_reads() {
    let (endpoint, mut taken, end) = handing_over(2);
    let mut client = TestClient::builder().start(endpoint.handler(), Protocol::Json).await.unwrap();
    let (call, streams) = client.upload("Take", (), 1).unwrap();
    let mut stream = taken.recv().await.unwrap();
    for number in 0..3 {
        client.send_item(&streams[0], &number).unwrap();
    }
    let ping = client.call("Ping", ()).unwrap();
    // Two wait in the buffer, the third for room in it, and the call behind them.
    client.stays_silent(std::time::Duration::from_secs(60)).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), 0);
    assert_eq!(next(&mut client).await, completed(&ping, r#""result":"pong""#));
    client.send_item(&streams[0], &3).unwrap();
    let ping = client.call("Ping", ()).unwrap();
    client.stays_silent(std::time::Duration::from_secs(60)).await.unwrap();
    // The end of the method empties nothing, but nothing waits for it any more.
    end.notify_one();
    assert_eq!(next(&mut client).await, completed(&call, r#""result":null"#));
    assert_eq!(next(&mut client).await, completed(&ping, r#""result":"pong""#));
    client.send_item(&streams[0], &4).unwrap();
    assert_eq!(client.invoke::<String>("Ping", ()).await.unwrap(), "pong");
    for number in 1..4 {
        assert_eq!(stream.next().await.unwrap().unwrap(), number);
    }
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn open_streams_fail_when_the_connection_ends() {
    let (endpoint, mut taken, _end) = handing_over(10);
    let mut client = TestClient::builder().start(endpoint.handler(), Protocol::Json).await.unwrap();
    let (_, streams) = client.upload("Take", (), 1).unwrap();
    client.send_item(&streams[0], &1).unwrap();
    let mut stream = taken.recv().await.unwrap();
    drop(client);
    assert_eq!(stream.next().await.unwrap().unwrap(), 1);
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(
        (error.type_name(), error.message()),
        ("OperationCanceledException", "The underlying connection was closed.")
    );
    assert!(stream.next().await.is_none());
}

#[derive(Debug, serde::Deserialize)]
#[serde(tag = "kind")]
enum Shape {
    Circle { radius: u32 },
    Square { side: u32 },
}

#[tokio::test(start_paused = true)]
async fn a_stream_takes_arguments_that_may_be_missing_or_have_variants() {
    let hub = HubBuilder::new("Shapes").stream(
        "Sizes",
        |_: Context, shape: Shape, times: Option<u32>| async move {
            let size = match shape {
                Shape::Circle { radius } => radius,
                Shape::Square { side } => side,
            };
            Ok(futures_util::stream::iter([Ok(size * times.unwrap_or(1))]))
        },
    );
    let hub = HubEndpoint::new(hub, HubOptions::default());
    let mut client = TestClient::builder().start(hub.handler(), Protocol::Json).await.unwrap();
    for (arguments, item) in
        [(r#"{"kind":"Circle","radius":3},null"#, 3), (r#"{"kind":"Square","side":4},2"#, 8)]
    {
        client.send_record(&format!(
            r#"{{"type":4,"invocationId":"s","target":"Sizes","arguments":[{arguments}]}}"#
        ));
        let expected = format!(r#"{{"type":2,"invocationId":"s","item":{item}}}"#);
        assert_eq!(client.next_message().await.unwrap().text(), expected);
        assert_eq!(client.completion("s").await.unwrap().text(), r#"{"type":3,"invocationId":"s"}"#);
    }
}
