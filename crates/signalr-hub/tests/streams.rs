//! Streams from the server: items, end, cancellation, errors (B-7.5).

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use support::Served;

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
