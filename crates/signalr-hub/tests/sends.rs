//! Sends, groups, users, questions to clients, and the slow-client rule (B-8, design of the outbox).

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use futures_util::stream;
use signalr_core::{ConnectionOptions, WorkEnd};
use signalr_hub::{ClientStream, Context, HubBuilder, HubContext, HubEndpoint, HubError, HubOptions};
use signalr_protocol::Protocol;
use signalr_testkit::{TestClient, TestError};
use std::sync::Arc;
use std::time::Duration;
use support::Served;
use tokio::sync::mpsc;

async fn user(served: &Served, id: &str, name: &str) -> TestClient {
    TestClient::builder().id(id).user(name).start(served.handler(), Protocol::Json).await.unwrap()
}

fn context(served: &Served) -> HubContext<Served> {
    served.endpoint.context()
}

/// Which of the clients got the message.
async fn receivers(clients: &mut [TestClient]) -> Vec<usize> {
    let mut got = Vec::new();
    for (index, client) in clients.iter_mut().enumerate() {
        // An answered call proves that everything sent before it has arrived.
        client.invoke::<String>("Echo", ("fence",)).await.unwrap();
        while client.try_next_message().unwrap().is_some() {
            got.push(index);
        }
    }
    got
}

#[tokio::test(start_paused = true)]
async fn every_target_reaches_exactly_its_clients() {
    let served = Served::new();
    let mut all = vec![
        user(&served, "a", "ann").await,
        user(&served, "b", "bob").await,
        user(&served, "c", "ann").await,
    ];
    all[0].invoke::<Option<()>>("Join", ("g",)).await.unwrap();
    all[1].invoke::<Option<()>>("Join", ("g",)).await.unwrap();
    all[1].invoke::<Option<()>>("Join", ("h",)).await.unwrap();
    let hub = context(&served);
    let clients = hub.clients();
    clients.all().send("M", ("x", 1)).await.unwrap();
    assert_eq!(receivers(&mut all).await, [0, 1, 2]);
    clients.all_except(["b"]).send("M", ()).await.unwrap();
    assert_eq!(receivers(&mut all).await, [0, 2]);
    clients.client("c").send("M", ()).await.unwrap();
    clients.client("nobody").send("M", ()).await.unwrap();
    assert_eq!(receivers(&mut all).await, [2]);
    clients.clients(["a", "c", "a", "nobody"]).send("M", ()).await.unwrap();
    assert_eq!(receivers(&mut all).await, [0, 2]);
    clients.group("g").send("M", ()).await.unwrap();
    clients.group("G").send("M", ()).await.unwrap();
    clients.group("").send("M", ()).await.unwrap();
    assert_eq!(receivers(&mut all).await, [0, 1]);
    clients.groups(["g", "h"]).send("M", ()).await.unwrap();
    assert_eq!(receivers(&mut all).await, [0, 1, 1]);
    clients.group_except("g", ["a"]).send("M", ()).await.unwrap();
    assert_eq!(receivers(&mut all).await, [1]);
    clients.user("ann").send("M", ()).await.unwrap();
    assert_eq!(receivers(&mut all).await, [0, 2]);
    clients.users(["ann", "bob"]).send("M", ()).await.unwrap();
    assert_eq!(receivers(&mut all).await, [0, 1, 2]);
    let empty = clients.groups(["g", ""]).send("M", ()).await.unwrap_err();
    assert_eq!(empty.message(), "Cannot send to an empty group name.");
    assert!(empty.downcast_ref::<signalr_core::SendError>().is_some());
    assert_eq!(receivers(&mut all).await, [0usize; 0]);
}

#[tokio::test(start_paused = true)]
async fn groups_are_left_by_command_and_by_disconnecting() {
    let served = Served::new();
    let hub = context(&served);
    let mut clients = vec![user(&served, "a", "ann").await, user(&served, "b", "bob").await];
    for id in ["a", "a", "b", "unknown"] {
        hub.groups().add(id, "g").await.unwrap();
    }
    hub.groups().remove("b", "g").await.unwrap();
    hub.groups().remove("b", "never joined").await.unwrap();
    hub.clients().group("g").send("M", ()).await.unwrap();
    assert_eq!(receivers(&mut clients).await, [0]);
    clients[0].close();
    clients[0].ended().await.unwrap();
    hub.clients().group("g").send("M", ()).await.unwrap();
    assert_eq!(hub.connection_ids().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn clients_of_both_protocols_get_the_same_message() {
    let served = Served::new();
    let (mut json, mut pack) =
        (served.client(Protocol::Json).await, served.client(Protocol::MessagePack).await);
    context(&served).clients().all().send("News", ("text", 7u8, vec![1.5f64])).await.unwrap();
    for client in [&mut json, &mut pack] {
        let (text, number, list) = client.expect::<(String, u8, Vec<f64>)>("News").await.unwrap();
        assert_eq!((text.as_str(), number, list), ("text", 7, vec![1.5]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_cannot_be_written_is_the_senders_error_and_cuts_nobody() {
    let served = Served::new();
    let mut client = served.json().await;
    let bad = std::collections::HashMap::from([((1, 2), 3)]);
    let error = context(&served).clients().all().send("M", (bad,)).await.unwrap_err();
    assert!(error.downcast_ref::<signalr_core::SendError>().is_some(), "{error:?}");
    assert_eq!(client.invoke::<String>("Echo", ("alive",)).await.unwrap(), "alive");
}

#[tokio::test(start_paused = true)]
async fn a_client_answers_questions_from_inside_and_outside() {
    let served = Served::new();
    let (mut asker, mut asked) = (user(&served, "a", "ann").await, user(&served, "b", "bob").await);
    let call = asker.call("Ask", ("b", "6*7")).unwrap();
    let question = asked.next_invocation().await.unwrap();
    assert_eq!(
        (question.target.as_str(), question.arguments::<(String,)>().unwrap().0.as_str()),
        ("Answer", "6*7")
    );
    asked.answer(question.invocation_id.as_deref().unwrap(), &42).unwrap();
    assert!(asker.completion(&call).await.unwrap().text().contains(r#""result":42"#));

    // A connection can answer its own call's question: the slot is given back meanwhile.
    let call = asker.call("Ask", ("a", "self")).unwrap();
    let question = asker.next_invocation().await.unwrap();
    asker.answer(question.invocation_id.as_deref().unwrap(), &1).unwrap();
    assert!(asker.completion(&call).await.unwrap().text().contains(r#""result":1"#));

    let outside = context(&served).clients().client("b");
    let ask = tokio::spawn(async move { outside.invoke::<String>("Name", ()).await });
    let question = asked.next_invocation().await.unwrap();
    asked.answer(question.invocation_id.as_deref().unwrap(), &"Bob").unwrap();
    assert_eq!(ask.await.unwrap().unwrap(), "Bob");
}

#[tokio::test(start_paused = true)]
async fn questions_fail_with_the_references_texts() {
    let served = Served::new();
    let mut asked = user(&served, "b", "bob").await;
    let ask = |id: &'static str| {
        let client = context(&served).clients().client(id);
        tokio::spawn(async move { client.invoke::<i32>("Q", ()).await.unwrap_err() })
    };
    let text = |error: HubError| format!("{}: {}", error.type_name(), error.message());
    assert_eq!(text(ask("x").await.unwrap()), "IOException: Connection 'x' does not exist.");

    let refused = ask("b");
    let question = asked.next_invocation().await.unwrap();
    asked.answer_error(question.invocation_id.as_deref().unwrap(), "no idea").unwrap();
    assert_eq!(text(refused.await.unwrap()), "HubException: no idea");

    let odd = ask("b");
    let question = asked.next_invocation().await.unwrap();
    asked.answer(question.invocation_id.as_deref().unwrap(), &"text").unwrap();
    assert!(
        text(odd.await.unwrap()).starts_with("HubException: Error trying to deserialize result to Int32.")
    );

    let late = ask("b");
    asked.next_invocation().await.unwrap();
    assert!(text(late.await.unwrap()).contains("did not answer within 30s"));

    let cut = ask("b");
    asked.next_invocation().await.unwrap();
    asked.close();
    assert_eq!(text(cut.await.unwrap()), "IOException: Connection 'b' disconnected.");
}

#[tokio::test(start_paused = true)]
async fn who_answers_for_another_is_closed() {
    let served = Served::detailed();
    let (mut asked, mut liar) = (user(&served, "b", "bob").await, user(&served, "l", "liar").await);
    let client = context(&served).clients().client("b");
    let ask = tokio::spawn(async move { client.invoke::<i32>("Q", ()).await });
    let question = asked.next_invocation().await.unwrap();
    let id = question.invocation_id.unwrap();
    liar.answer(&id, &1).unwrap();
    liar.ended().await.unwrap();
    let close = String::from_utf8(liar.take_bytes()).unwrap();
    assert!(close.contains(&format!("Connection ID 'l' is not valid for invocation ID '{id}'.")), "{close}");
    asked.answer(&id, &2).unwrap();
    assert_eq!(ask.await.unwrap().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_client_is_cut_and_the_others_get_everything() {
    let served = Served::new();
    let (mut frozen, mut healthy) = (served.json().await, served.json().await);
    frozen.freeze();
    let hub = context(&served);
    let text = "x".repeat(16 * 1024);
    for n in 0..2_000u32 {
        hub.clients().all().send("M", (n, text.as_str())).await.unwrap();
        assert_eq!(healthy.expect::<(u32, String)>("M").await.unwrap().0, n);
    }
    assert_eq!(frozen.ended().await.unwrap(), WorkEnd::Normal);
    assert_eq!(served.endpoint.manager().connection_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_above_the_soft_limit_that_makes_no_progress_is_cut_after_the_stall_time() {
    let mut options = ConnectionOptions::default();
    options.outbox.soft = 10_000;
    let served = Served::new();
    let client = TestClient::builder().options(options);
    let mut client = client.start(served.handler(), Protocol::Json).await.unwrap();
    client.freeze();
    let hub = context(&served);
    hub.clients().all().send("M", ("x".repeat(20_000),)).await.unwrap();
    client.ended().await.unwrap();
    assert_eq!(served.endpoint.manager().connection_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_send_to_one_client_waits_for_room_and_then_gives_up() {
    let mut options = ConnectionOptions::default();
    options.outbox.soft = 10_000;
    options.outbox.stall = Duration::from_secs(60);
    options.outbox.send_timeout = Duration::from_secs(5);
    let served = Served::new();
    let client = TestClient::builder().id("slow").options(options);
    let mut client = client.start(served.handler(), Protocol::Json).await.unwrap();
    let one = context(&served).clients().client("slow");
    client.freeze();
    one.send("M", ("x".repeat(20_000),)).await.unwrap();
    let waiting = {
        let one = one.clone();
        tokio::spawn(async move { one.send("M", ("second",)).await })
    };
    tokio::task::yield_now().await;
    client.thaw();
    waiting.await.unwrap().unwrap();
    client.expect::<(String,)>("M").await.unwrap();
    assert_eq!(client.expect::<(String,)>("M").await.unwrap().0, "second");
    client.freeze();
    one.send("M", ("x".repeat(20_000),)).await.unwrap();
    let error = one.send("M", ("third",)).await.unwrap_err();
    assert!(error.message().contains("did not read"), "{error:?}");
}

#[tokio::test]
async fn ten_thousand_sends_in_a_loop_cut_no_healthy_client() {
    let served = Served::with(HubOptions::default());
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(served.json().await);
    }
    let hub = context(&served);
    let text = "x".repeat(1024);
    let sender = tokio::spawn(async move {
        for n in 0..10_000u32 {
            hub.clients().all().send("M", (n, text.as_str())).await.unwrap();
        }
    });
    for client in &mut clients {
        for n in 0..10_000u32 {
            assert_eq!(client.expect::<(u32, String)>("M").await.unwrap().0, n);
        }
    }
    sender.await.unwrap();
    assert_eq!(served.endpoint.manager().connection_count(), 100);
}

#[tokio::test(start_paused = true)]
async fn questions_are_not_allowed_while_connecting() {
    let mut options = HubOptions::default();
    options.detailed_errors = true;
    let served = signalr_hub::HubEndpoint::new(
        signalr_hub::HubBuilder::new("Asks").on_connected(|cx| async move {
            cx.clients().caller().invoke::<i32>("Q", ()).await?;
            Ok(())
        }),
        options,
    );
    let mut client = TestClient::builder().start(served.handler(), Protocol::Json).await.unwrap();
    match client.next_message().await {
        Ok(close) => assert!(
            close.text().contains("Client results inside OnConnectedAsync Hub methods are not allowed.")
        ),
        Err(error) => panic!("{error}"),
    }
    assert!(matches!(client.next_message().await, Err(TestError::Ended { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_list_stays_one_argument_for_every_target() {
    let served = Served::new();
    let mut client = user(&served, "a", "ann").await;
    let hub = context(&served);
    hub.groups().add("a", "g").await.unwrap();
    let (clients, list) = (hub.clients(), (vec!["x", "y"],));
    clients.all().send("M", &list).await.unwrap();
    clients.all_except(["b"]).send("M", &list).await.unwrap();
    clients.client("a").send("M", &list).await.unwrap();
    clients.clients(["a"]).send("M", &list).await.unwrap();
    clients.group("g").send("M", &list).await.unwrap();
    clients.groups(["g"]).send("M", &list).await.unwrap();
    clients.group_except("g", ["b"]).send("M", &list).await.unwrap();
    clients.user("ann").send("M", &list).await.unwrap();
    clients.users(["ann"]).send("M", &list).await.unwrap();
    for _ in 0..9 {
        let message = client.next_message().await.unwrap();
        assert_eq!(message.text(), r#"{"type":1,"target":"M","arguments":[["x","y"]]}"#);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connecting_client_can_write_to_another_and_to_itself() {
    let hub = HubBuilder::new("Greets").on_connected(|cx| async move {
        cx.clients().others().send("Came", (cx.connection_id().as_str(),)).await?;
        cx.clients().caller().send("Welcome", ()).await
    });
    let hub = HubEndpoint::new(hub, HubOptions::default());
    let client =
        async |id: &str| TestClient::builder().id(id).start(hub.handler(), Protocol::Json).await.unwrap();
    let mut first = client("a").await;
    first.expect::<()>("Welcome").await.unwrap();
    let mut second = client("b").await;
    assert_eq!(first.expect::<(String,)>("Came").await.unwrap().0, "b");
    second.expect::<()>("Welcome").await.unwrap();
}

/// A hub whose methods ask from unusual places, and what its disconnect hook was answered.
fn asking_hub(heard: mpsc::Sender<String>) -> Arc<HubEndpoint> {
    let hub = HubBuilder::new("Asks")
        .method("InATask", |cx: Context| async move {
            let caller = cx.clients().caller();
            let asked = tokio::spawn(async move { caller.invoke::<i32>("Q", ()).await });
            asked.await.map_err(|_| HubError::new("the task ended"))?
        })
        .method("WhileReading", |cx: Context, mut items: ClientStream<i32>| async move {
            let first = items.next().await.transpose()?.unwrap_or_default();
            Ok(first + cx.clients().caller().invoke::<i32>("Q", ()).await?)
        })
        .stream("WhileStreaming", |cx: Context| async move {
            let caller = cx.clients().caller();
            Ok(stream::once(async move { caller.invoke::<i32>("Q", ()).await }))
        })
        .on_disconnected(move |cx, _| {
            let heard = heard.clone();
            async move {
                let answer = cx.clients().caller().invoke::<i32>("Q", ()).await;
                let text = answer.map_or_else(|error| error.message().to_owned(), |n| n.to_string());
                heard.try_send(text).map_err(|_| HubError::new("nobody listens"))
            }
        });
    HubEndpoint::new(hub, HubOptions::default())
}

#[tokio::test(start_paused = true)]
async fn a_task_of_a_method_may_ask_too() {
    let hub = asking_hub(mpsc::channel(1).0);
    let mut client = TestClient::builder().start(hub.handler(), Protocol::Json).await.unwrap();
    let call = client.call("InATask", ()).unwrap();
    let question = client.next_invocation().await.unwrap();
    client.answer(question.invocation_id.as_deref().unwrap(), &7).unwrap();
    assert!(client.completion(&call).await.unwrap().text().contains(r#""result":7"#));
}

#[tokio::test(start_paused = true)]
async fn methods_with_streams_may_ask() {
    let hub = asking_hub(mpsc::channel(1).0);
    let mut client = TestClient::builder().start(hub.handler(), Protocol::Json).await.unwrap();
    let (call, streams) = client.upload("WhileReading", (), 1).unwrap();
    client.send_item(&streams[0], &1).unwrap();
    let question = client.next_invocation().await.unwrap();
    client.answer(question.invocation_id.as_deref().unwrap(), &7).unwrap();
    assert!(client.completion(&call).await.unwrap().text().contains(r#""result":8"#));
    let stream = client.open_stream("WhileStreaming", ()).unwrap();
    let question = client.next_invocation().await.unwrap();
    client.answer(question.invocation_id.as_deref().unwrap(), &9).unwrap();
    assert!(client.next_message().await.unwrap().text().contains(r#""item":9"#));
    assert!(!client.completion(&stream).await.unwrap().text().contains("error"));
}

#[tokio::test(start_paused = true)]
async fn a_question_in_the_disconnect_hook_fails_at_once() {
    let (heard, mut answers) = mpsc::channel(1);
    let hub = asking_hub(heard);
    let mut client = TestClient::builder().id("a").start(hub.handler(), Protocol::Json).await.unwrap();
    client.close();
    client.ended().await.unwrap();
    assert_eq!(answers.recv().await.unwrap(), "Connection 'a' disconnected.");
}

/// Counts how often it is written.
struct Counting(std::sync::atomic::AtomicU32);

impl serde::Serialize for &Counting {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        serializer.serialize_str("counted")
    }
}

#[tokio::test(start_paused = true)]
async fn what_many_get_is_written_once_for_each_protocol() {
    let served = Served::new();
    let mut clients = Vec::new();
    for protocol in [Protocol::Json, Protocol::MessagePack, Protocol::Json, Protocol::MessagePack] {
        clients.push(served.client(protocol).await);
    }
    let value = Counting(0.into());
    context(&served).clients().all().send("M", (&value,)).await.unwrap();
    for client in &mut clients {
        assert_eq!(client.expect::<(String,)>("M").await.unwrap().0, "counted");
    }
    assert_eq!(value.0.into_inner(), 2);
}
