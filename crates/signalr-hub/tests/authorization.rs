//! Methods that not everybody may call (B-7.3): the text, the order of the checks, names of policies.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use futures_util::stream;
use signalr_core::{ConnectInfo, ConnectionHandler, RequestHead, TransportKind, User};
use signalr_hub::{
    Caller, Context, HubBuilder, HubEndpoint, HubOptions, HubResult, PolicyRef, authenticated,
};
use signalr_protocol::Protocol;
use signalr_testkit::TestClient;
use std::sync::Arc;

fn admins(caller: &Caller<'_>) -> bool {
    caller.has_claim("role", "admin")
}

fn hub() -> HubBuilder {
    HubBuilder::new("Guarded")
        .method("Open", |_: Context| async { Ok("open") })
        .method("Ban", |_: Context, user: String| async move { Ok(user) })
        .authorize_method("Ban", authenticated)
        .authorize_method("Ban", admins)
        .stream("Watch", |_: Context| async { Ok(stream::iter([HubResult::Ok(1)])) })
        .authorize_method("Watch", PolicyRef::named("watchers"))
        .method("Broken", |_: Context| async { Ok(()) })
        .authorize_method("Broken", |_: &Caller<'_>| panic!("no database"))
}

async fn client(user: Option<User>) -> TestClient {
    let mut options = HubOptions::default();
    options.policy("watchers", |caller: &Caller<'_>| {
        caller.method == Some("Watch") && caller.connection_id.is_some() && caller.is_authenticated()
    });
    let mut info = ConnectInfo::new(TransportKind::InMemory);
    info.user = user.map(Arc::new);
    let handler = HubEndpoint::new(hub(), options).handler();
    TestClient::builder().info(info).start(handler, Protocol::Json).await.unwrap()
}

fn admin() -> User {
    User::with_claims(vec![("role".to_owned(), "admin".to_owned())])
}

async fn ask(client: &mut TestClient, record: &str) -> String {
    client.send_record(record);
    client.next_message().await.unwrap().text()
}

#[tokio::test(start_paused = true)]
async fn a_call_needs_all_policies_of_its_method() {
    let refused =
        r#"{"type":3,"invocationId":"1","error":"Failed to invoke 'Ban' because user is unauthorized"}"#;
    let ban = r#"{"type":1,"invocationId":"1","target":"ban","arguments":["eve"]}"#;
    for user in [None, Some(User::with_id("ann"))] {
        let mut client = client(user).await;
        assert_eq!(ask(&mut client, ban).await, refused);
        assert_eq!(client.invoke::<String>("Open", ()).await.unwrap(), "open", "the connection goes on");
    }
    let mut client = client(Some(admin())).await;
    assert_eq!(ask(&mut client, ban).await, r#"{"type":3,"invocationId":"1","result":"eve"}"#);
}

#[tokio::test(start_paused = true)]
async fn streams_are_guarded_and_policies_have_names() {
    let watch = r#"{"type":4,"invocationId":"1","target":"Watch","arguments":[]}"#;
    let refused =
        r#"{"type":3,"invocationId":"1","error":"Failed to invoke 'Watch' because user is unauthorized"}"#;
    assert_eq!(ask(&mut client(None).await, watch).await, refused);
    let item = r#"{"type":2,"invocationId":"1","item":1}"#;
    assert_eq!(ask(&mut client(Some(admin())).await, watch).await, item);
}

#[tokio::test(start_paused = true)]
async fn binding_fails_before_and_the_mode_is_judged_after() {
    let mut client = client(None).await;
    let unbound = ask(&mut client, r#"{"type":1,"invocationId":"1","target":"Ban","arguments":[]}"#).await;
    assert!(unbound.contains("Failed to invoke 'Ban' due to an error on the server."), "{unbound}");
    let streamed =
        ask(&mut client, r#"{"type":4,"invocationId":"2","target":"Ban","arguments":["x"]}"#).await;
    assert!(streamed.contains("because user is unauthorized"), "{streamed}");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_panics_allows_nobody_and_keeps_no_slot() {
    let mut client = client(Some(admin())).await;
    for id in ["1", "2"] {
        let call = format!(r#"{{"type":1,"invocationId":"{id}","target":"Broken","arguments":[]}}"#);
        let answer = ask(&mut client, &call).await;
        let text = "An unexpected error occurred invoking 'Broken' on the server.";
        assert!(answer.contains(text), "{answer}");
    }
}

#[test]
fn what_is_wrong_with_policies_is_found_before_serving() {
    let hub = signalr_hub::Hub::define(hub().authorize_method("Nothing", authenticated));
    assert_eq!(hub.guarded_nothing(), Some("Nothing"));
    assert_eq!(hub.unknown_policy(&HubOptions::default()), Some("watchers"));
}

#[test]
fn a_hub_shows_its_policies_to_transports_and_an_unknown_name_lets_nobody_in() {
    let ann = User::with_id("ann");
    let request = RequestHead::default();
    let caller = Caller::of_request(Some(&ann), &request);
    for (policy, expected) in [(PolicyRef::from(authenticated), true), (PolicyRef::named("typo"), false)] {
        let handler =
            HubEndpoint::new(HubBuilder::new("H").authorize(policy), HubOptions::default()).handler();
        let policies = ConnectionHandler::policies(&*handler);
        assert_eq!(policies.len(), 1);
        assert_eq!(policies[0].allows(&caller), expected);
    }
}
