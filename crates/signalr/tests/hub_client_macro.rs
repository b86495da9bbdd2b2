//! `#[hub_client]`: typed senders from inside a hub and from outside, client results, wire names.

mod support;

use serde::{Deserialize, Serialize};
use signalr::prelude::*;
use signalr_hub::HubEndpoint;
use signalr_protocol::Protocol;
use signalr_testkit::TestClient;
use support::connect;

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
struct Note<'a> {
    text: &'a str,
}

#[hub_client]
trait ChatClient {
    /// Shows a message.
    async fn receive_message(&self, user: &str, text: &str);
    async fn receive_note<'a>(&self, note: &Note<'a>);
    async fn nothing(&self) -> ();
    #[hub_method(name = "Chat.Left")]
    async fn left(&self, users: &[String]);
    async fn ask(&self, question: String) -> i32;
    #[cfg(any())]
    async fn absent(&self, value: TypeThatDoesNotExist);
}

#[hub_client(rename_all = "camelCase", crate = "signalr")]
pub(crate) trait Lower {
    async fn say_hello(&self, r#type: u8);
}

struct Chat;

#[hub]
impl Chat {
    async fn everything(&self, cx: &Context) -> HubResult<()> {
        let clients = cx.clients().typed::<ChatClient>();
        clients.all().receive_message("ada", "hello").await?;
        clients.caller().receive_note(&Note { text: "borrowed" }).await?;
        clients.client(cx.connection_id().clone()).nothing().await?;
        clients.all().left(&["ada".to_owned()]).await?;
        cx.clients().typed::<Lower>().caller().say_hello(1).await
    }

    async fn ask_back(&self, cx: &Context, question: String) -> HubResult<i32> {
        cx.clients().typed::<ChatClient>().caller().ask(question).await
    }
}

#[tokio::test(start_paused = true)]
async fn typed_senders_use_the_wire_names() {
    let mut client = connect(Chat).await;
    let id = client.call("Everything", ()).unwrap();
    let text = |text: &str| text.to_owned();
    let message = client.expect::<(String, String)>("ReceiveMessage").await.unwrap();
    assert_eq!(message, (text("ada"), text("hello")));
    let (note,) = client.expect::<(serde_json::Value,)>("ReceiveNote").await.unwrap();
    assert_eq!(note, serde_json::json!({ "text": "borrowed" }));
    client.expect::<()>("Nothing").await.unwrap();
    assert_eq!(client.expect::<(Vec<String>,)>("Chat.Left").await.unwrap(), (vec![text("ada")],));
    assert_eq!(client.expect::<(u8,)>("sayHello").await.unwrap(), (1,));
    client.completion(&id).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_single_client_can_be_asked() {
    let mut client = connect(Chat).await;
    let id = client.call("AskBack", ("6 * 7",)).unwrap();
    let question = client.next_invocation().await.unwrap();
    assert_eq!(question.target, "Ask");
    assert_eq!(question.arguments::<(String,)>().unwrap(), ("6 * 7".to_owned(),));
    client.answer(question.invocation_id.as_deref().unwrap(), &42).unwrap();
    let answer = client.completion(&id).await.unwrap();
    match answer.message().unwrap() {
        signalr_protocol::Message::Completion { result: Some(result), .. } => {
            assert_eq!(result.decode::<i32>().unwrap(), 42);
        }
        other => panic!("expected a result, received {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn senders_work_from_outside_and_can_be_kept() {
    let endpoint = HubEndpoint::new(Chat, HubOptions::default());
    let mut client = TestClient::connect(endpoint.handler());
    client.handshake(Protocol::Json).await.unwrap();
    // The first answer shows that the connection has been added to the hub.
    client.invoke::<serde_json::Value>("Unknown", ()).await.unwrap_err();
    let context: HubContext<Chat> = endpoint.context();
    let everybody: ChatClientProxy = context.clients().typed::<ChatClient>().all();
    let sent = tokio::spawn(async move { everybody.clone().receive_message("server", "hi").await });
    let expected = ("server".to_owned(), "hi".to_owned());
    assert_eq!(client.expect::<(String, String)>("ReceiveMessage").await.unwrap(), expected);
    sent.await.unwrap().unwrap();
}
