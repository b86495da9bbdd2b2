//! Payloads in the hub's style on every way: arguments, results, sends, streams in both directions, client results.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use futures_util::stream;
use serde::{Deserialize, Serialize};
use signalr_hub::{ClientStream, Context, HubBuilder, HubEndpoint, HubOptions, HubResult};
use signalr_protocol::Protocol;
use signalr_testkit::TestClient;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Mood {
    Good,
    Bad,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    user_name: String,
    mood: Mood,
}

fn hub() -> HubBuilder {
    HubBuilder::new("Notes")
        .method("Echo", |_: Context, note: Note| async move { Ok(note) })
        .method(
            "Tell",
            |cx: Context, note: Note| async move { cx.clients().all().send("Told", (note,)).await },
        )
        .method("Ask", |cx: Context| async move { cx.clients().caller().invoke::<Note>("Which", ()).await })
        .stream("Twice", |_: Context, note: Note| async move {
            Ok(stream::iter([HubResult::Ok(note.clone()), Ok(note)]))
        })
        .method(
            "First",
            |_: Context, mut notes: ClientStream<Note>| async move { notes.next().await.transpose() },
        )
}

async fn client() -> TestClient {
    let mut options = HubOptions::default();
    options.dotnet_payloads();
    let handler = HubEndpoint::new(hub(), options).handler();
    TestClient::builder().start(handler, Protocol::Json).await.unwrap()
}

const NOTE: &str = r#"{"userName":"ann","mood":1}"#;

async fn next(client: &mut TestClient) -> String {
    client.next_message().await.unwrap().text()
}

#[tokio::test(start_paused = true)]
async fn everything_that_passes_has_the_style() {
    let mut client = client().await;
    let call = |id: &str, target: &str| {
        format!(r#"{{"type":1,"invocationId":"{id}","target":"{target}","arguments":[{NOTE}]}}"#)
    };
    client.send_record(&call("1", "Echo"));
    assert_eq!(next(&mut client).await, format!(r#"{{"type":3,"invocationId":"1","result":{NOTE}}}"#));
    client.send_record(&call("2", "Tell"));
    assert_eq!(next(&mut client).await, format!(r#"{{"type":1,"target":"Told","arguments":[{NOTE}]}}"#));
    next(&mut client).await;
    client.send_record(&call("3", "Twice").replace(r#""type":1"#, r#""type":4"#));
    for _ in 0..2 {
        assert_eq!(next(&mut client).await, format!(r#"{{"type":2,"invocationId":"3","item":{NOTE}}}"#));
    }
    assert_eq!(next(&mut client).await, r#"{"type":3,"invocationId":"3"}"#);
}

#[tokio::test(start_paused = true)]
async fn what_clients_stream_and_answer_is_read_in_the_style() {
    let mut client = client().await;
    client.send_record(r#"{"type":1,"invocationId":"1","target":"First","arguments":[],"streamIds":["s"]}"#);
    client.send_record(&format!(r#"{{"type":2,"invocationId":"s","item":{NOTE}}}"#));
    assert_eq!(next(&mut client).await, format!(r#"{{"type":3,"invocationId":"1","result":{NOTE}}}"#));
    client.send_record(r#"{"type":1,"invocationId":"2","target":"Ask","arguments":[]}"#);
    let question = client.next_invocation().await.unwrap();
    let id = question.invocation_id.unwrap();
    client.send_record(&format!(r#"{{"type":3,"invocationId":"{id}","result":{NOTE}}}"#));
    assert_eq!(next(&mut client).await, format!(r#"{{"type":3,"invocationId":"2","result":{NOTE}}}"#));
}
