//! Building servers: what is refused, what hubs share, contexts and handles, and a hub over real HTTP and WebSockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test unwraps is what it claims")]

use signalr::prelude::*;
use signalr::{BuildError, ConfigError, Denied, EndpointOptions, RequestHead, Server, User, bearer_token};
use signalr_client::HubClient;
use std::time::Duration;

struct Chat {
    place: &'static str,
    handle: HubHandle<Chat>,
}

impl Chat {
    fn at(place: &'static str) -> Self {
        Self { place, handle: HubHandle::new() }
    }
}

#[hub]
impl Chat {
    fn place(&self) -> &'static str {
        self.place
    }

    async fn join(&self, cx: &Context) -> HubResult<()> {
        cx.groups().add("room").await
    }

    async fn shout(&self, text: String) -> HubResult<()> {
        let context = self.handle.context().ok_or_else(|| HubError::new("not built"))?;
        context.clients().group("room").send("Heard", (text,)).await
    }

    fn numbers(&self, count: u32) -> impl Stream<Item = u32> {
        futures_util::stream::iter(0..count)
    }
}

struct Other;

#[hub(name = "Chat")]
impl Other {}

fn named(name: &'static str) -> HubBuilder {
    HubBuilder::new(name)
}

async fn config_error(builder: signalr::ServerBuilder) -> ConfigError {
    match builder.build().await {
        Err(BuildError::Config(error)) => error,
        other => panic!("expected a configuration error, received {other:?}"),
    }
}

#[tokio::test]
async fn wrong_descriptions_are_refused_with_advice() {
    let refused = |builder| async { config_error(builder).await.to_string() };
    let builder = SignalR::builder;
    let text = refused(builder().hub("chat", Chat::at("a"))).await;
    assert_eq!(text, r#"path "chat" does not begin with a slash; write it like "/chat""#);
    let text = refused(builder().hub("/chat", Chat::at("a")).hub("/CHAT/", named("B"))).await;
    assert!(text.starts_with(r#"path "/CHAT/" is used twice"#), "{text}");
    let text = refused(builder().hub("/a", Chat::at("a")).hub("/b", Other)).await;
    assert!(text.starts_with(r#"two hubs are called "Chat""#), "{text}");
    let text = refused(builder().hub("/a", named("X")).hub("/b", named("X"))).await;
    assert!(text.starts_with(r#"two hubs are called "X""#), "{text}");
    let two_names = builder().hub("/a", HubBuilder::of::<Other>("A")).hub("/b", HubBuilder::of::<Other>("B"));
    assert!(matches!(config_error(two_names).await, ConfigError::HubTypeTwice { .. }));
    let method = |cx: Context| async move { Ok(cx.connection_id().to_string()) };
    let text = refused(builder().hub("/a", named("A").method("Echo", method).method("ECHO", method))).await;
    assert!(text.starts_with(r#"hub "A" has two methods called "ECHO""#), "{text}");
    let options = EndpointOptions::new().send_timeout(Duration::ZERO);
    let text = refused(builder().hub("/a", named("A")).endpoint_options(options)).await;
    assert!(text.starts_with(r#"the endpoint options of path "/a": send_timeout is zero"#), "{text}");
    let text = refused(builder().disconnect_timeout(Duration::ZERO)).await;
    assert!(text.starts_with("disconnect_timeout is zero"), "{text}");
    let text = refused(builder().hub("/a", named("A")).handle(&HubHandle::<Chat>::new())).await;
    assert!(text.contains("builder::Chat, which is not among the hubs"), "{text}");
}

#[tokio::test]
async fn a_failed_build_leaves_handles_dead() {
    let handle = HubHandle::<Chat>::new();
    let builder =
        SignalR::builder().hub("/chat", Chat::at("a")).handle(&handle).handle(&HubHandle::<Other>::new());
    assert!(matches!(config_error(builder).await, ConfigError::HandleWithoutHub { .. }));
    assert!(handle.context().is_none());
}

#[tokio::test]
async fn contexts_are_found_by_type() {
    let server =
        SignalR::builder().hub("/chat", Chat::at("a")).hub("/other", named("Other")).build().await.unwrap();
    assert!(server.context::<Chat>().is_some());
    assert!(server.context::<Other>().is_none());
    assert!(server.owns("/chat") && server.owns("/other/negotiate") && !server.owns("/nothing"));
}

/// Serves on a free port until the guard is dropped.
async fn serve(server: &Server) -> (String, tokio::sync::oneshot::Sender<()>) {
    let serving = signalr::warp::Serving::bind(server.clone(), ([127, 0, 0, 1], 0)).await.unwrap();
    let address = format!("http://{}", serving.local_addr());
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let serving = serving.until(async {
        // An error is a dropped guard, which is what ends the server.
        let _ = stopped.await;
    });
    tokio::spawn(serving.run());
    (address, stop)
}

#[tokio::test]
async fn one_type_at_two_paths_shares_its_connections() {
    let handle = HubHandle::new();
    let first = Chat { place: "first", handle: handle.clone() };
    let second = Chat { place: "second", handle: handle.clone() };
    let server =
        SignalR::builder().hub("/first", first).hub("/second", second).handle(&handle).build().await.unwrap();
    let (address, _guard) = serve(&server).await;

    let mut builder = HubClient::builder(format!("{address}/first"));
    let mut heard = builder.messages::<(String,)>("Heard");
    let first = builder.connect().await.unwrap();
    let second = HubClient::builder(format!("{address}/second"))
        .protocol(signalr::Protocol::MessagePack)
        .connect()
        .await
        .unwrap();
    assert_eq!(first.invoke::<String>("Place", ()).await.unwrap(), "first");
    assert_eq!(second.invoke::<String>("Place", ()).await.unwrap(), "second");
    first.invoke::<()>("Join", ()).await.unwrap();
    second.invoke::<()>("Shout", ("hello",)).await.unwrap();
    assert_eq!(heard.next().await.unwrap().unwrap(), ("hello".to_owned(),));
    assert_eq!(server.context::<Chat>().unwrap().connection_ids().len(), 2);

    let mut numbers = second.stream::<u32>("Numbers", (3,)).await.unwrap();
    let mut received = Vec::new();
    while let Some(number) = numbers.next().await {
        received.push(number.unwrap());
    }
    assert_eq!(received, [0, 1, 2]);
}

#[tokio::test]
async fn options_of_one_hub_are_its_own() {
    let secret = |_: Context| async move { Err::<(), _>(HubError::named("Secret", "details")) };
    let open = named("Open").method("Fail", secret);
    let closed = named("Closed").method("Fail", secret);
    let server = SignalR::builder()
        .hub_with("/open", open, |options, _| options.detailed_errors = true)
        .hub("/closed", closed)
        .endpoint_options(EndpointOptions::new())
        .build()
        .await
        .unwrap();
    let (address, _guard) = serve(&server).await;
    let open = HubClient::connect(format!("{address}/open")).await.unwrap();
    let closed = HubClient::connect(format!("{address}/closed")).await.unwrap();
    let text = open.invoke::<()>("Fail", ()).await.unwrap_err().to_string();
    assert!(text.contains("Secret: details"), "{text}");
    let text = closed.invoke::<()>("Fail", ()).await.unwrap_err().to_string();
    assert!(!text.contains("details"), "{text}");
}

#[tokio::test]
async fn a_handler_of_bytes_has_a_path_of_its_own() {
    let handler = signalr_hub::HubEndpoint::new(Chat::at("raw"), HubOptions::default()).handler();
    let server =
        SignalR::builder().connections("/raw", handler, EndpointOptions::new()).build().await.unwrap();
    let (address, _guard) = serve(&server).await;
    let client = HubClient::connect(format!("{address}/raw")).await.unwrap();
    assert_eq!(client.invoke::<String>("Place", ()).await.unwrap(), "raw");
    assert!(server.context::<Chat>().is_none());
}

fn moderators(caller: &Caller<'_>) -> bool {
    caller.has_claim("role", "moderator")
}

struct Staff;

#[hub(authorize)]
impl Staff {
    fn who(&self, cx: &Context) -> Option<String> {
        cx.user_identifier().map(str::to_owned)
    }

    #[hub_method(authorize = moderators)]
    fn ban(&self, name: String) -> String {
        name
    }

    #[hub_method(authorize = "on duty", authorize = moderators)]
    fn alarm(&self) -> bool {
        true
    }
}

/// Tokens are names; a star in front of one makes a moderator.
async fn by_name(request: RequestHead) -> Result<Option<User>, Denied> {
    Ok(bearer_token(&request).map(|token| {
        let mut user = User::with_id(token.trim_start_matches('*'));
        if token.starts_with('*') {
            user.claims.push(("role".to_owned(), "moderator".to_owned()));
        }
        user
    }))
}

#[tokio::test]
async fn policies_guard_hubs_and_methods() {
    let server = SignalR::builder()
        .hub_with("/staff", Staff, |options, _| options.policy("on duty", |_: &Caller<'_>| false))
        .endpoint_options(EndpointOptions::new().authenticate(by_name))
        .build()
        .await
        .unwrap();
    let (address, _guard) = serve(&server).await;
    let connect = async |token: &str| {
        HubClient::builder(format!("{address}/staff")).access_token(token).connect().await.unwrap()
    };
    assert!(HubClient::connect(format!("{address}/staff")).await.is_err(), "strangers are kept out");
    let (ann, moderator) = (connect("ann").await, connect("*mo").await);
    assert_eq!(ann.invoke::<Option<String>>("Who", ()).await.unwrap().as_deref(), Some("ann"));
    assert_eq!(moderator.invoke::<String>("Ban", ("eve",)).await.unwrap(), "eve");
    let ban = ann.invoke::<String>("Ban", ("eve",)).await.unwrap_err();
    let alarm = moderator.invoke::<bool>("Alarm", ()).await.unwrap_err();
    for (error, method) in [(ban, "Ban"), (alarm, "Alarm")] {
        let expected = format!("Failed to invoke '{method}' because user is unauthorized");
        assert!(error.to_string().contains(&expected), "{error}");
    }
}

#[tokio::test]
async fn policies_that_cannot_work_are_refused() {
    let text = config_error(SignalR::builder().hub("/staff", Staff)).await.to_string();
    assert!(text.starts_with(r#"hub "Staff" asks for the policy "on duty""#), "{text}");
    let typo = SignalR::builder().hub("/x", named("X").authorize_method("Typo", moderators));
    let text = config_error(typo).await.to_string();
    assert!(text.starts_with(r#"hub "X" has no method "Typo""#), "{text}");
}

#[tokio::test]
async fn options_that_cannot_work_are_refused() {
    let builder = SignalR::builder().hub_with("/a", named("A"), |options, _| options.protocols.clear());
    let text = config_error(builder).await.to_string();
    assert!(text.starts_with(r#"the options of hub "A": protocols is empty"#), "{text}");
}
