//! Servers that know no `HELLO`, and configurations that forbid it: RESP2 is spoken, and all is as before.

use crate::support::secure::restrict_without_hello;
use crate::support::sink::Node;
use crate::support::{RedisServer, comes_true};
use bytes::Bytes;
use signalr_backplane_redis::options::{CommandMap, RespProtocol};
use signalr_backplane_redis::{RedisBackplane, RedisEvent, RedisOptions, Role, deadpool_redis::redis};
use signalr_core::{
    Backplane, BackplaneErrorKind, BackplaneMessage, BackplaneSink, BackplaneState, HubJoin,
    InvocationMessage, Outcome, Topic,
};
use signalr_protocol::Protocol;
use signalr_testkit::conformance::Fleet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// A user who may use the channels of one prefix and nothing else, on a server without `HELLO`.
struct Older(RedisServer);

impl Older {
    fn start() -> Self {
        let server = RedisServer::without_hello(&[]);
        restrict_without_hello(&server, "app", "open-sesame", "fleet:");
        Self(server)
    }
}

#[async_trait::async_trait]
impl Fleet for Older {
    async fn server(&self) -> Arc<dyn Backplane> {
        let url = format!("redis://app:open-sesame@127.0.0.1:{}?channelPrefix=fleet:", self.0.port());
        Arc::new(RedisBackplane::connect(&url).await.unwrap())
    }
}

mod conformance {
    use super::Older;
    signalr_testkit::backplane_conformance!(Older::start());
}

/// A message goes round on this server, and a key does by the pool.
async fn assert_works(backplane: RedisBackplane) {
    let node = Node::join(backplane).await;
    node.reaches(BackplaneState::Up).await;
    let topic = Topic::group("g");
    node.subscribe(&topic).await;
    assert_eq!(node.say(&topic, 1).await, Ok(Outcome::Receivers(1)));
    assert!(comes_true(PATIENCE, || node.log.len() == 1).await);
    assert_eq!(node.hub.receivers(&topic).await, Some(1));
    let mut connection = node.backplane.pool().get().await.unwrap();
    redis::cmd("SET").arg("key").arg(7).exec_async(&mut connection).await.unwrap();
    let read: u32 = redis::cmd("GET").arg("key").query_async(&mut connection).await.unwrap();
    assert_eq!(read, 7);
}

fn options(server: &RedisServer, login: &str) -> RedisOptions {
    RedisOptions::parse(&format!("redis://{login}127.0.0.1:{}/3?name=a-server", server.port())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_login_works_and_the_wrong_ones_are_refused() {
    let open = RedisServer::without_hello(&[]);
    let closed = RedisServer::without_hello(&["--requirepass", "open-sesame"]);
    assert_eq!(open.ask("ACL SETUSER app on >open-sesame allkeys allchannels +@all"), "+OK");
    for (server, login) in [
        (&open, ""),
        (&closed, ":open-sesame@"),
        (&open, "app:open-sesame@"),
        (&closed, "default:open-sesame@"),
    ] {
        assert_works(RedisBackplane::new(options(server, login)).await.unwrap()).await;
    }
    // In the database that was chosen, and nowhere else.
    assert_eq!(open.ask_all(&["SELECT 3", "GET key"]), ["+OK", "$1", "7"]);
    assert_eq!(open.ask("GET key"), "$-1");
    for (server, login) in [(&closed, ""), (&closed, ":hocus-pocus@"), (&open, "app:hocus-pocus@")] {
        let wrong = options(server, login).to_builder().abort_on_connect_fail(true).connect_retry(1);
        let error = RedisBackplane::new(wrong.build().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), BackplaneErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("password") && !error.to_string().contains("hocus"), "{error}");
        let lenient = RedisBackplane::new(options(server, login)).await.unwrap();
        let pool = lenient.pool().get().await.map(|_| ());
        assert!(!format!("{pool:?}").contains("hocus"), "{pool:?}");
        assert!(login.is_empty() || pool.is_err_and(|error| error.kind() == BackplaneErrorKind::Refused));
    }
}

/// Where `PING` may not be sent nothing tells that a password is wanted, until something is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_password_shows_at_the_first_command() {
    let server = RedisServer::without_hello(&["--requirepass", "open-sesame"]);
    let map = CommandMap::create(["PING"], false).unwrap();
    let options = RedisOptions::parse(&server.url()).unwrap().to_builder().command_map(map).build().unwrap();
    let backplane = RedisBackplane::new(options).await.unwrap();
    let mut events = backplane.events();
    let node = Node::join(backplane).await;
    let failed = |event: &RedisEvent| matches!(event, RedisEvent::Failed(Role::Subscriber, _));
    let RedisEvent::Failed(_, error) = Node::raises(&mut events, failed).await else { unreachable!() };
    assert_eq!(error.kind(), BackplaneErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("NOAUTH"), "{error}");
    assert_ne!(node.hub.state().current(), BackplaneState::Up);
}

/// How often a command was sent to this server, known there or not.
fn sent(server: &RedisServer, command: &str) -> usize {
    let lines = server.ask_all(&["INFO commandstats"]);
    lines.iter().filter(|line| line.starts_with(&format!("cmdstat_{command}"))).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hello_is_never_sent_where_it_is_forbidden() {
    let server = RedisServer::start_with(vec!["--requirepass".into(), "open-sesame".into()]);
    let ask = |command: &str| server.ask_all(&["AUTH open-sesame", command]).join("\n");
    let options = || options(&server, ":open-sesame@").to_builder();
    let map = || CommandMap::default().disable("HELLO").unwrap();
    let without_ping = map().disable("PING").unwrap();
    for options in [
        options().command_map(map()),
        options().protocol(RespProtocol::Resp2),
        options().command_map(without_ping),
    ] {
        assert_works(RedisBackplane::new(options.build().unwrap()).await.unwrap()).await;
    }
    let stats = ask("INFO commandstats");
    assert!(stats.contains("cmdstat_subscribe") && !stats.contains("cmdstat_hello"), "{stats}");
    let errors = ask("INFO errorstats");
    assert!(!errors.contains("errorstat_"), "{errors}");
    // The count works.
    assert_works(RedisBackplane::new(options().build().unwrap()).await.unwrap()).await;
    assert!(ask("INFO commandstats").contains("cmdstat_hello"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_would_need_what_is_forbidden_is_refused() {
    let server = RedisServer::without_hello(&[]);
    let url = format!("127.0.0.1:{},defaultDatabase=3,$SELECT=,abortConnect=false", server.port());
    let error = RedisBackplane::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), BackplaneErrorKind::Config, "{error}");
    assert!(error.to_string().contains("SELECT"), "{error}");
    let url = format!("127.0.0.1:{},password=hocus,$AUTH=OTHER,connectRetry=1", server.port());
    let error = RedisBackplane::connect(&url).await.unwrap_err();
    assert!(error.to_string().contains("AUTH") && !error.to_string().contains("hocus"), "{error}");
    assert_eq!(sent(&server, "auth"), 0);
}

/// What a server speaks is found out each time: another one may answer at the same address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_lose_hello_and_get_it_back() {
    let mut server = RedisServer::start();
    let node = Node::join(RedisBackplane::connect(&server.url()).await.unwrap()).await;
    let topic = Topic::group("g");
    node.reaches(BackplaneState::Up).await;
    node.subscribe(&topic).await;
    let arrangements: [&[&str]; 3] = [&[], &["--rename-command", "HELLO", ""], &[]];
    for (number, arguments) in (0..).zip(arrangements) {
        server.kill();
        node.reaches(BackplaneState::Down).await;
        server.rearrange(arguments);
        server.restart();
        node.reaches(BackplaneState::Up).await;
        assert_eq!(node.say(&topic, number).await, Ok(Outcome::Receivers(1)));
        drop(node.backplane.pool().get().await.unwrap());
        let pool = node.backplane.pool().deadpool().await.unwrap().expect("deadpool-redis serves it");
        let mut connection = pool.get().await.unwrap();
        redis::cmd("SET").arg("key").arg(number).exec_async(&mut connection).await.unwrap();
    }
    assert!(comes_true(PATIENCE, || node.log.len() == 3).await);
    assert_eq!(node.log.numbers(), [0, 1, 2]);
}

/// Remembers what arrives in MessagePack.
#[derive(Default)]
struct Frames(Mutex<Vec<Bytes>>);

impl BackplaneSink for Frames {
    fn deliver(&self, _: &Topic, message: BackplaneMessage) {
        let BackplaneMessage::Invocation(message) = message else { return };
        self.0.lock().unwrap().extend(message.payloads.get(Protocol::MessagePack).cloned());
    }
}

/// Servers that speak either protocol are one fleet, and no byte has a meaning of its own in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_protocols_carry_every_byte_in_one_fleet() {
    let server = RedisServer::start();
    let frames = Arc::<Frames>::default();
    let mut hubs = Vec::new();
    for protocol in [RespProtocol::Resp2, RespProtocol::Resp3] {
        let options = RedisOptions::parse(&server.url()).unwrap().to_builder().protocol(protocol);
        let backplane = RedisBackplane::new(options.build().unwrap()).await.unwrap();
        let hub = backplane.join(HubJoin::new("Test.Hub", frames.clone())).await.unwrap();
        let mut events = hub.state();
        while events.current() != BackplaneState::Up {
            tokio::time::timeout(PATIENCE, events.changed()).await.unwrap().unwrap();
        }
        hubs.push((backplane, hub));
    }
    let clients = server.ask_all(&["CLIENT LIST TYPE pubsub"]).join("\n");
    assert!(clients.contains("resp=2") && clients.contains("resp=3"), "{clients}");
    // Each byte, also as the end of what looks like a line, and what would not fit into one read.
    let all: Vec<u8> = (0..=255).flat_map(|byte| [byte, b'\r', b'\n', byte]).collect();
    let wanted: Vec<Bytes> = [0, 1, 1000].map(|times| Bytes::from(all.repeat(times))).into();
    for (_, hub) in &hubs {
        for frame in &wanted {
            let mut message = InvocationMessage::default();
            message.payloads.set(Protocol::MessagePack, frame.clone());
            assert_eq!(
                hub.publish(&Topic::All, BackplaneMessage::Invocation(message)).await,
                Ok(Outcome::Receivers(2))
            );
        }
    }
    // Both hubs hear both senders.
    let expected = 4 * wanted.len();
    assert!(comes_true(PATIENCE, || frames.0.lock().unwrap().len() == expected).await);
    let heard = frames.0.lock().unwrap();
    for frame in &wanted {
        assert_eq!(heard.iter().filter(|bytes| *bytes == frame).count(), 4, "{} bytes", frame.len());
    }
}
