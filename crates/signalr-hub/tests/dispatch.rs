//! Calls: results, errors, order, the parallel limit.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use signalr_hub::HubOptions;
use signalr_protocol::Protocol;
use signalr_testkit::TestClient;
use support::Served;

/// Sends one record and returns the next message as text.
async fn ask(client: &mut TestClient, record: &str) -> String {
    client.send_record(record);
    client.next_message().await.unwrap().text()
}

#[tokio::test(start_paused = true)]
async fn results_are_the_references_bytes() {
    let mut client = Served::new().json().await;
    let cases = [
        (
            r#"{"type":1,"invocationId":"1","target":"Echo","arguments":["hi"]}"#,
            r#"{"type":3,"invocationId":"1","result":"hi"}"#,
        ),
        (
            r#"{"type":1,"invocationId":"2","target":"echo","arguments":["hi"]}"#,
            r#"{"type":3,"invocationId":"2","result":"hi"}"#,
        ),
        (
            r#"{"type":1,"invocationId":"3","target":"Add","arguments":[1,2]}"#,
            r#"{"type":3,"invocationId":"3","result":3}"#,
        ),
        (
            r#"{"type":1,"invocationId":"4","target":"Nothing","arguments":[]}"#,
            r#"{"type":3,"invocationId":"4","result":null}"#,
        ),
    ];
    for (record, answer) in cases {
        assert_eq!(ask(&mut client, record).await, answer);
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_without_details() {
    let mut client = Served::new().json().await;
    let cases = [
        (
            r#""target":"Nobody","arguments":[]"#,
            "Failed to invoke 'Nobody' due to an error on the server. HubException: Method does not exist.",
        ),
        (r#""target":"echo","arguments":[]"#, "Failed to invoke 'Echo' due to an error on the server."),
        (r#""target":"Echo","arguments":[1]"#, "Failed to invoke 'Echo' due to an error on the server."),
        (
            r#""target":"Throw","arguments":["hub","no"]"#,
            "An unexpected error occurred invoking 'Throw' on the server. HubException: no",
        ),
        (
            r#""target":"Throw","arguments":["derived","no"]"#,
            "An unexpected error occurred invoking 'Throw' on the server. DerivedHubException: no",
        ),
        (
            r#""target":"Throw","arguments":["other","secret"]"#,
            "An unexpected error occurred invoking 'Throw' on the server.",
        ),
        (
            r#""target":"Panics","arguments":[]"#,
            "An unexpected error occurred invoking 'Panics' on the server.",
        ),
        (
            r#""target":"PanicsLater","arguments":[]"#,
            "An unexpected error occurred invoking 'PanicsLater' on the server.",
        ),
        (
            r#""target":"Counter","arguments":[1]"#,
            "The client attempted to invoke the streaming 'Counter' method with a non-streaming invocation.",
        ),
        (r#""target":"Counter","arguments":[]"#, "Failed to invoke 'Counter' due to an error on the server."),
        (
            r#""target":"Echo","arguments":["a"],"streamIds":["s"]"#,
            "An unexpected error occurred invoking 'Echo' on the server. HubException: Client sent 1 stream(s), Hub method expects 0.",
        ),
    ];
    for (rest, error) in cases {
        let answer = ask(&mut client, &format!(r#"{{"type":1,"invocationId":"1",{rest}}}"#)).await;
        assert_eq!(answer, format!(r#"{{"type":3,"invocationId":"1","error":"{error}"}}"#), "{rest}");
    }
    let answer = ask(&mut client, r#"{"type":4,"invocationId":"1","target":"Echo","arguments":["a"]}"#).await;
    assert!(answer.contains(
        "The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation."
    ));
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_with_details() {
    let mut client = Served::detailed().json().await;
    let cases = [
        (
            r#""target":"Echo","arguments":[]"#,
            "InvalidDataException: Invocation provides 0 argument(s) but target expects 1.",
        ),
        (r#""target":"Throw","arguments":["other","shown"]"#, "InvalidOperationException: shown"),
        (r#""target":"Panics","arguments":[]"#, "Panic: boom"),
    ];
    for (rest, detail) in cases {
        let answer = ask(&mut client, &format!(r#"{{"type":1,"invocationId":"1",{rest}}}"#)).await;
        assert!(answer.contains(detail), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_without_an_id_are_never_answered() {
    let mut client = Served::new().json().await;
    client.send_record(r#"{"type":1,"target":"Throw","arguments":["hub","no"]}"#);
    client.send_record(r#"{"type":1,"target":"Nobody","arguments":[]}"#);
    client.send_record(r#"{"type":1,"target":"Echo","arguments":["unheard"]}"#);
    assert_eq!(client.invoke::<String>("Echo", ("heard",)).await.unwrap(), "heard");
}

#[tokio::test(start_paused = true)]
async fn one_call_at_a_time_by_default_and_the_next_waits() {
    let served = Served::new();
    let mut client = served.json().await;
    let first = client.call("Wait", ("slow",)).unwrap();
    let second = client.call("Echo", ("quick",)).unwrap();
    // Streams are not limited, and messages behind a running call are read until the next plain call.
    client.stays_silent(std::time::Duration::from_secs(1)).await.unwrap();
    served.gate.notify_one();
    assert!(client.next_message().await.unwrap().text().contains(&format!(r#""invocationId":"{first}""#)));
    assert!(client.next_message().await.unwrap().text().contains(&format!(r#""invocationId":"{second}""#)));
}

#[tokio::test(start_paused = true)]
async fn streams_and_pings_pass_a_running_call() {
    let served = Served::new();
    let mut client = served.json().await;
    let slow = client.call("Wait", ("slow",)).unwrap();
    client.ping();
    let stream = client.open_stream("Counter", (1u32,)).unwrap();
    assert!(client.completion(&stream).await.is_ok());
    served.gate.notify_one();
    assert!(client.completion(&slow).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn more_calls_at_once_when_allowed() {
    let mut options = HubOptions::default();
    options.maximum_parallel_invocations = 2;
    let served = Served::with(options);
    let mut client = served.json().await;
    let slow = client.call("Wait", ("slow",)).unwrap();
    assert_eq!(client.invoke::<String>("Echo", ("quick",)).await.unwrap(), "quick");
    served.gate.notify_one();
    assert!(client.completion(&slow).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_completion_never_overtakes_what_its_method_sent() {
    for protocol in Protocol::ALL {
        let mut client = Served::new().client(protocol).await;
        let id = client.call("SendThenReturn", ("x",)).unwrap();
        assert_eq!(client.expect::<(String,)>("First").await.unwrap().0, "x");
        assert_eq!(client.expect::<(String,)>("Second").await.unwrap().0, "x");
        assert!(client.completion(&id).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn many_calls_in_one_read_are_answered_in_order() {
    let mut client = Served::new().json().await;
    let records: String = (0..100)
        .map(|n| {
            format!("{{\"type\":1,\"invocationId\":\"{n}\",\"target\":\"Add\",\"arguments\":[{n},1]}}\u{1e}")
        })
        .collect();
    client.send_text(&records);
    for n in 0..100 {
        let answer = client.next_message().await.unwrap().text();
        assert_eq!(answer, format!(r#"{{"type":3,"invocationId":"{n}","result":{}}}"#, n + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn the_item_bag_belongs_to_the_connection() {
    let served = Served::new();
    let (mut a, mut b) = (served.json().await, served.json().await);
    assert_eq!(a.invoke::<u32>("Count", ()).await.unwrap(), 1);
    assert_eq!(a.invoke::<u32>("Count", ()).await.unwrap(), 2);
    assert_eq!(b.invoke::<u32>("Count", ()).await.unwrap(), 1);
}
