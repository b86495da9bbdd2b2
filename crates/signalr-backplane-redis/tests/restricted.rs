//! Servers that allow little: users with few rights, commands that are not there, no network.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod support;
mod without_hello;

use signalr_backplane_redis::options::{CommandMap, RedisVersion};
use signalr_backplane_redis::{RedisBackplane, RedisEvent, RedisOptions, Role};
use signalr_core::{Backplane, BackplaneError, BackplaneErrorKind, BackplaneState, Outcome, Topic};
use signalr_testkit::conformance::Fleet;
use std::sync::Arc;
use std::time::Duration;
use support::secure::{Directory, restrict};
use support::sink::Node;
use support::{RedisServer, comes_true};

const PATIENCE: Duration = Duration::from_secs(20);

/// What the guide disables for ElastiCache.
const DISABLED: [&str; 6] = ["INFO", "CONFIG", "CLUSTER", "PING", "ECHO", "CLIENT"];

/// A Redis without the commands that the guide's map for ElastiCache disables, reached with that map.
struct ElastiCache(RedisServer);

impl ElastiCache {
    fn start() -> Self {
        let mut arguments: Vec<String> = vec!["--requirepass".into(), "token".into()];
        for command in DISABLED {
            // INFO has a name that nobody guesses, to ask for what went wrong.
            let name = if command == "INFO" { "SECRETINFO" } else { "" };
            arguments.extend(["--rename-command".into(), command.into(), name.into()]);
        }
        Self(RedisServer::start_with(arguments))
    }

    async fn connect(&self) -> RedisBackplane {
        let options = RedisOptions::builder()
            .endpoint(&format!("127.0.0.1:{}", self.0.port()))
            .command_map(CommandMap::create(DISABLED, false).unwrap())
            .keep_alive(Duration::from_secs(180))
            .default_version(RedisVersion::new(3, 0, 0))
            .client_name("never-sent")
            .password("token")
            .build()
            .unwrap();
        RedisBackplane::new(options).await.unwrap()
    }
}

#[async_trait::async_trait]
impl Fleet for ElastiCache {
    async fn server(&self) -> Arc<dyn Backplane> {
        Arc::new(self.connect().await)
    }
}

signalr_testkit::backplane_conformance!(ElastiCache::start());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_command_map_disables_is_never_sent() {
    let server = ElastiCache::start();
    let node = Node::join(server.connect().await).await;
    node.reaches(BackplaneState::Up).await;
    let topic = Topic::group("g");
    node.subscribe(&topic).await;
    // Long enough for probes on both connections.
    let mut number = 0;
    let since = std::time::Instant::now();
    assert!(comes_true(PATIENCE, || since.elapsed() > Duration::from_millis(2500)).await);
    while number < 10 {
        number += 1;
        assert_eq!(node.say(&topic, number).await, Ok(Outcome::Receivers(1)));
    }
    for _ in 0..3 {
        drop(node.backplane.pool().get().await.unwrap());
    }
    assert_eq!(node.backplane.pool().status().size, 1, "connections are used again without a PING");
    assert!(node.backplane.pool().deadpool().await.unwrap().is_none(), "deadpool-redis would send PING");
    assert!(comes_true(PATIENCE, || node.log.len() == 10).await);
    let errors = |text: &str| server.0.ask_all(&["AUTH token", text]).join("\n");
    let before = errors("SECRETINFO errorstats");
    assert!(before.contains("# Errorstats") && !before.contains("errorstat_"), "{before}");
    // The count works: an unknown command shows.
    assert!(errors("PING").contains("unknown command"));
    assert!(errors("SECRETINFO errorstats").contains("errorstat_ERR:count=1"));
}

/// What `connect` says when it may fail; what is refused is not tried a thousand times.
async fn first_error(options: &RedisOptions) -> BackplaneError {
    let strict = options.to_builder().abort_on_connect_fail(true).connect_retry(1_000).build().unwrap();
    RedisBackplane::new(strict).await.unwrap_err()
}

fn options(server: &RedisServer, login: &str, prefix: &str) -> RedisOptions {
    let url = format!("redis://{login}@127.0.0.1:{}?channelPrefix={prefix}", server.port());
    RedisOptions::parse(&url).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_refused_and_shown_to_nobody() {
    let server = RedisServer::start();
    restrict(&server, "app", "open-sesame", "fleet:");
    for login in ["app:hocus-pocus", "nobody:hocus-pocus"] {
        let options = options(&server, login, "fleet:");
        let error = first_error(&options).await;
        assert_eq!(error.kind(), BackplaneErrorKind::Refused, "{error}");
        assert!(!error.is_transient() && error.to_string().contains("password"), "{error}");
        let lenient = RedisBackplane::new(options.clone()).await.unwrap();
        let shown = format!("{error} {error:?} {options:?} {lenient:?}");
        assert!(!shown.contains("hocus"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_password_is_refused() {
    let server = RedisServer::start_with(vec!["--requirepass".into(), "open-sesame".into()]);
    let url = format!("redis://127.0.0.1:{}", server.port());
    let error = first_error(&RedisOptions::parse(&url).unwrap()).await;
    assert_eq!(error.kind(), BackplaneErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("password"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_rights_are_refused_until_they_are_granted() {
    let server = RedisServer::start();
    restrict(&server, "app", "open-sesame", "fleet:");
    let strange = options(&server, "app:open-sesame", "strange:");
    let backplane = RedisBackplane::new(strange).await.unwrap();
    let mut events = backplane.events();
    // The channels of a hub are what the user lacks the right to.
    let node = Node::join(backplane).await;
    let failed = |event: &RedisEvent| matches!(event, RedisEvent::Failed(Role::Subscriber, _));
    let RedisEvent::Failed(_, error) = Node::raises(&mut events, failed).await else { unreachable!() };
    assert_eq!(error.kind(), BackplaneErrorKind::Refused, "{error}");
    assert!(!error.is_transient() && error.to_string().contains("rights"), "{error}");
    let refused = node.say(&Topic::All, 1).await.unwrap_err();
    assert_eq!(refused.kind(), BackplaneErrorKind::Refused, "{refused}");
    assert!(refused.to_string().contains("rights"), "{refused}");
    restrict(&server, "app", "open-sesame", "");
    node.reaches(BackplaneState::Up).await;
    let topic = Topic::group("g");
    node.subscribe(&topic).await;
    assert_eq!(node.say(&topic, 2).await, Ok(Outcome::Receivers(1)));
}

/// Without the right to count receivers everything else works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_to_count_is_optional() {
    let server = RedisServer::start();
    restrict(&server, "app", "open-sesame", "fleet:");
    assert_eq!(server.ask("ACL SETUSER app -pubsub"), "+OK");
    let backplane = RedisBackplane::new(options(&server, "app:open-sesame", "fleet:")).await.unwrap();
    let node = Node::join(backplane).await;
    node.reaches(BackplaneState::Up).await;
    let topic = Topic::group("g");
    node.subscribe(&topic).await;
    assert_eq!(node.hub.receivers(&topic).await, None);
    assert_eq!(node.say(&topic, 1).await, Ok(Outcome::Receivers(1)));
    assert!(comes_true(PATIENCE, || node.log.len() == 1).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unix_socket_is_a_way_to_redis() {
    let directory = Directory::new();
    let socket = directory.path().join("redis.sock").to_str().unwrap().to_owned();
    let mut server = RedisServer::start_with(vec!["--unixsocket".into(), socket.clone()]);
    let backplane = RedisBackplane::connect(&format!("redis+unix://{socket}")).await.unwrap();
    let node = Node::join(backplane).await;
    node.reaches(BackplaneState::Up).await;
    let topic = Topic::group("g");
    node.subscribe(&topic).await;
    assert_eq!(node.say(&topic, 1).await, Ok(Outcome::Receivers(1)));
    assert!(comes_true(PATIENCE, || node.log.len() == 1).await);
    drop(node.backplane.pool().get().await.unwrap());
    let standard =
        node.backplane.pool().deadpool().await.unwrap().expect("deadpool-redis knows Unix sockets");
    assert_eq!(standard.status().size, 1);
    let mut events = node.backplane.events();
    server.kill();
    let failed = Node::raises(
        &mut events,
        |event| matches!(event, RedisEvent::Failed(_, error) if error.to_string().contains("redis.sock")),
    );
    failed.await;
    server.restart();
    node.reaches(BackplaneState::Up).await;
    assert_eq!(node.say(&topic, 2).await, Ok(Outcome::Receivers(1)));
    assert!(comes_true(PATIENCE, || node.log.len() == 2).await);
}
