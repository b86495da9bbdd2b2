//! Two servers with one hub on the memory backplane, over real HTTP and WebSockets: what one server does reaches the
//! clients of the other.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what a test unwraps is what it claims")]

use signalr::memory::{MemoryBackplane, MemoryBus};
use signalr::prelude::*;
use signalr::{Protocol, Server};
use signalr_client::{ClientError, CloseCause, HubClient, Messages};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::oneshot;

struct Board;

/// Whether a client connected that is to be refused.
static SAW_REFUSED: AtomicBool = AtomicBool::new(false);

#[hub(name = "Tests.Board")]
impl Board {
    async fn on_connected(&self, cx: &Context) -> HubResult<()> {
        SAW_REFUSED.fetch_or(cx.user_identifier() == Some("refused"), Ordering::Relaxed);
        Ok(())
    }

    fn id(&self, cx: &Context) -> String {
        cx.connection_id().to_string()
    }

    async fn shout(&self, cx: &Context, text: String) -> HubResult<()> {
        cx.clients().all().send("Heard", (text,)).await
    }

    async fn to_others(&self, cx: &Context, text: String) -> HubResult<()> {
        cx.clients().others().send("Heard", (text,)).await
    }

    async fn to_group(&self, cx: &Context, group: String, text: String) -> HubResult<()> {
        cx.clients().group(group).send("Heard", (text,)).await
    }

    async fn to_user(&self, cx: &Context, user: String, text: String) -> HubResult<()> {
        cx.clients().user(user).send("Heard", (text,)).await
    }

    async fn put(&self, cx: &Context, connection: String, group: String) -> HubResult<()> {
        cx.groups().add_connection(connection, group).await
    }

    async fn take(&self, cx: &Context, connection: String, group: String) -> HubResult<()> {
        cx.groups().remove_connection(connection, group).await
    }

    async fn ask(&self, cx: &Context, connection: String, question: i32) -> HubResult<i32> {
        cx.clients().client(connection).invoke("Answer", (question,)).await
    }

    async fn ask_name(&self, cx: &Context, connection: String) -> HubResult<i32> {
        cx.clients().client(connection).invoke("Name", ()).await
    }
}

struct Node {
    server: Server,
    backplane: MemoryBackplane,
    address: String,
    stop: oneshot::Sender<()>,
    stopped: tokio::task::JoinHandle<()>,
}

struct Client {
    hub: HubClient,
    heard: Messages<(String,)>,
    id: String,
}

async fn node(bus: &MemoryBus) -> Node {
    let mut options = HubOptions::default();
    options.maximum_parallel_invocations = 4;
    options.user_id(|info| info.request.query_value("user"));
    let backplane = bus.backplane();
    let builder = SignalR::builder().hub("/board", Board).options(options).backplane(backplane.clone());
    let server = builder.build().await.unwrap();
    let serving = signalr::warp::Serving::bind(server.clone(), ([127, 0, 0, 1], 0)).await.unwrap();
    let address = format!("http://{}/board", serving.local_addr());
    let (stop, wanted) = oneshot::channel();
    let serving = serving.until(async {
        // A dropped guard ends the server too.
        let _ = wanted.await;
    });
    let stopped = tokio::spawn(async { serving.run().await.unwrap() });
    Node { server, backplane, address, stop, stopped }
}

impl Node {
    async fn client(&self, user: &str, protocol: Protocol) -> Client {
        let mut builder =
            HubClient::builder(format!("{}?user={user}", self.address)).protocol(protocol).on_request(
                "Answer",
                |(question,): (i32,)| {
                    if question < 0 { Err("too small".to_owned()) } else { Ok(question + 1) }
                },
            );
        builder = builder.on_request("Name", |(): ()| Ok("no number".to_owned()));
        let heard = builder.messages("Heard");
        let hub = builder.connect().await.unwrap();
        let id = hub.invoke("Id", ()).await.unwrap();
        Client { hub, heard, id }
    }
}

impl Client {
    async fn call(&self, method: &str, first: &str, second: &str) {
        self.hub.invoke::<()>(method, (first, second)).await.unwrap();
    }

    /// The next text. Nothing is waited for in vain here: a lost message ends in the deadline.
    async fn hears(&mut self, wanted: &str) {
        let next = tokio::time::timeout(std::time::Duration::from_secs(10), self.heard.next()).await;
        assert_eq!(next.expect("nothing came").unwrap().unwrap().0, wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_groups_and_users_reach_the_other_server() {
    let bus = MemoryBus::new();
    let (first, second) = (node(&bus).await, node(&bus).await);
    let mut ann = first.client("ann", Protocol::Json).await;
    let mut bob = second.client("bob", Protocol::MessagePack).await;
    let mut bob_again = first.client("bob", Protocol::Json).await;

    ann.hub.invoke::<()>("Shout", ("all",)).await.unwrap();
    ann.hub.invoke::<()>("ToOthers", ("others",)).await.unwrap();
    ann.call("ToUser", "bob", "for bob").await;
    ann.call("Put", &bob.id, "room").await;
    ann.call("ToGroup", "room", "in the room").await;
    ann.call("Take", &bob.id, "room").await;
    ann.call("ToGroup", "room", "nobody").await;
    let context = second.server.context::<Board>().unwrap();
    context.clients().client(ann.id.as_str()).send("Heard", ("from outside",)).await.unwrap();
    context.clients().all().send("Heard", ("end",)).await.unwrap();

    for text in ["all", "from outside", "end"] {
        ann.hears(text).await;
    }
    for text in ["all", "others", "for bob", "in the room", "end"] {
        bob.hears(text).await;
    }
    for text in ["all", "others", "for bob", "end"] {
        bob_again.hears(text).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_asks_a_client_of_the_other_server() {
    let bus = MemoryBus::new();
    let (first, second) = (node(&bus).await, node(&bus).await);
    let asker = first.client("a", Protocol::Json).await;
    let asked = second.client("b", Protocol::MessagePack).await;
    for question in 0..20 {
        assert_eq!(asker.hub.invoke::<i32>("Ask", (&asked.id, question)).await.unwrap(), question + 1);
    }
    let error = asker.hub.invoke::<i32>("Ask", (&asked.id, -1)).await.unwrap_err().to_string();
    assert!(error.ends_with("too small"), "{error}");
    // The reference's text for a result of another type than the hub asked for.
    let error = asker.hub.invoke::<i32>("AskName", (&asked.id,)).await.unwrap_err().to_string();
    assert!(error.contains("Error trying to deserialize result to Int32."), "{error}");
    asked.hub.stop().await;
    assert!(asker.hub.invoke::<i32>("Ask", (&asked.id, 1)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_clients_see_one_order_and_a_stop_disturbs_nobody_else() {
    const EACH: usize = 200;
    let bus = MemoryBus::new();
    let (first, second) = (node(&bus).await, node(&bus).await);
    let mut here = first.client("a", Protocol::Json).await;
    let mut there = second.client("b", Protocol::MessagePack).await;
    for number in 0..EACH {
        here.hub.send("Shout", (format!("a {number}"),)).await.unwrap();
        there.hub.send("Shout", (format!("b {number}"),)).await.unwrap();
    }
    let mut orders = [Vec::new(), Vec::new()];
    for (client, order) in [&mut here, &mut there].into_iter().zip(&mut orders) {
        for _ in 0..2 * EACH {
            order.push(client.heard.next().await.unwrap().unwrap().0);
        }
    }
    assert_eq!(orders[0], orders[1]);

    second.stop.send(()).unwrap();
    second.stopped.await.unwrap();
    let closed = there.hub.closed().await;
    assert_eq!(closed.cause, CloseCause::Server { error: None });
    assert!(closed.allow_reconnect);
    here.hub.invoke::<()>("Shout", ("still here",)).await.unwrap();
    here.hears("still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_fails_what_needs_the_fleet_and_leaves_clients_connected() {
    let bus = MemoryBus::new();
    let (first, second) = (node(&bus).await, node(&bus).await);
    let mut here = first.client("a", Protocol::Json).await;
    let mut there = second.client("b", Protocol::MessagePack).await;

    first.backplane.cut_off();
    let failed = here.hub.invoke::<()>("Shout", ("lost",)).await;
    assert!(matches!(failed, Err(ClientError::Call(_))), "{failed:?}");
    // What needs nobody else works: a connection of the same server.
    let context = first.server.context::<Board>().unwrap();
    context.clients().client(here.id.as_str()).send("Heard", ("local",)).await.unwrap();
    here.hears("local").await;
    there.hub.invoke::<()>("Shout", ("not for a",)).await.unwrap();
    there.hears("not for a").await;

    // A new client cannot be reached by the fleet: it is turned away as an error of the server, before the hub sees it.
    let address = format!("{}?user=refused", first.address);
    let refused = HubClient::builder(address).connect().await.unwrap().closed().await;
    assert_eq!(refused.cause, CloseCause::Transport { code: Some(1011) });

    first.backplane.restore();
    assert!(!SAW_REFUSED.load(Ordering::Relaxed), "the connect hook ran");
    here.hub.invoke::<()>("Shout", ("back",)).await.unwrap();
    here.hears("back").await;
    there.hears("back").await;
}
