//! Whether a connection lives: what must be cut is, and what is only slow is not.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod support;

use signalr_backplane_redis::options::ReconnectRetryPolicy;
use signalr_backplane_redis::{RedisBackplane, RedisEvent, RedisOptions, Role, deadpool_redis::redis};
use signalr_core::{BackplaneState, Outcome, Topic};
use std::time::{Duration, Instant};
use support::fleet::RedisFleet;
use support::relay::Relay;
use support::sink::Node;
use support::{RedisServer, comes_true};

const PATIENCE: Duration = Duration::from_secs(20);

/// The publisher and the subscriber of one server are on two different servers of Redis: each works, nothing arrives.
/// Acceptance scenario 3, its second half.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_leads_elsewhere_is_found_out_and_replaced() {
    let (first, second) = (RedisServer::start(), RedisServer::start());
    let relay = Relay::in_turn(vec![first.port(), second.port()]).await;
    let backplane = RedisBackplane::connect(&relay.url()).await.unwrap();
    let mut events = backplane.events();
    let node = Node::join(backplane).await;
    node.reaches(BackplaneState::Up).await;
    let topic = Topic::group("g");
    node.subscribe(&topic).await;
    assert_eq!(node.say(&topic, 1).await, Ok(Outcome::Receivers(0)), "both are on one server by chance");
    Node::raises(&mut events, |event| *event == RedisEvent::SubscriberReplaced).await;
    let mut number = 1;
    let heard = async {
        while node.log.len() == 0 {
            number += 1;
            let _ = node.say(&topic, number).await;
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, heard).await.is_ok());
}

/// A server that ends does not wait for ever for what a Redis that hangs may still have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catching_up_ends_when_redis_hangs_or_is_gone() {
    let mut redis = RedisServer::start();
    let node = Node::join(RedisBackplane::connect(&redis.url()).await.unwrap()).await;
    node.reaches(BackplaneState::Up).await;
    redis.freeze();
    let caught_up = tokio::time::timeout(PATIENCE, node.hub.caught_up()).await;
    assert!(caught_up.is_ok(), "it waits for a Redis that hangs");
    redis.kill();
    node.reaches(BackplaneState::Down).await;
    let caught_up = tokio::time::timeout(PATIENCE, node.hub.caught_up()).await;
    assert!(caught_up.is_ok(), "it waits for a Redis that is gone");
}

/// What an application hears of a Redis that dies and comes back, each once and the story in its order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_redis_raises_every_event_in_its_order() {
    let mut server = RedisServer::start();
    let backplane = RedisBackplane::connect(&server.url()).await.unwrap();
    let mut events = backplane.events();
    let node = Node::join(backplane).await;
    node.reaches(BackplaneState::Up).await;
    let topic = Topic::group("g");
    node.subscribe(&topic).await;
    server.kill();
    let mut seen = Vec::new();
    let mut number = 0;
    while !seen.contains(&RedisEvent::BreakerOpened) {
        number += 1;
        drop(node.say(&topic, number));
        seen.push(Node::raises(&mut events, |_| true).await);
    }
    server.restart();
    while !matches!(seen.last(), Some(RedisEvent::Restored { .. })) {
        seen.push(Node::raises(&mut events, |_| true).await);
    }
    // Those of the start, if anybody was in time to listen.
    let first = seen.iter().position(|event| matches!(event, RedisEvent::Failed(..))).unwrap();
    let story = &seen[first..];
    let at = |wanted: &dyn Fn(&RedisEvent) -> bool| {
        story.iter().position(wanted).unwrap_or_else(|| panic!("an event is missing in {story:?}"))
    };
    // The state is told before the event: one of the start may come a moment late.
    let connected = |role| story.iter().rposition(|event| *event == RedisEvent::Connected(role)).unwrap();
    let failed = |role| at(&|event| matches!(event, RedisEvent::Failed(which, _) if *which == role));
    let (opened, closed) =
        (at(&|event| *event == RedisEvent::BreakerOpened), at(&|event| *event == RedisEvent::BreakerClosed));
    let replaced = at(&|event| *event == RedisEvent::SubscriberReplaced);
    assert!(failed(Role::Publisher) < opened && opened < closed, "{story:?}");
    assert!(failed(Role::Publisher) < connected(Role::Publisher), "{story:?}");
    assert!(failed(Role::Subscriber) < connected(Role::Subscriber), "{story:?}");
    assert!(connected(Role::Subscriber) < replaced && replaced < story.len() - 1, "{story:?}");
    let counts = node.backplane.counters();
    let restored =
        RedisEvent::Restored { replayed: counts.replayed, dropped: counts.dropped, unknown: counts.unknown };
    assert_eq!(story.last(), Some(&restored), "the counts are those of the outage");
    assert!(counts.replayed + counts.dropped + counts.unknown > 0, "{counts:?}");
}

/// The whole runtime stands still for longer than a probe may take; Redis is as well as ever.
#[tokio::test]
async fn a_starved_process_does_not_cut_healthy_connections() {
    let fleet = RedisFleet::start();
    let node = Node::join(fleet.node().await).await;
    node.reaches(BackplaneState::Up).await;
    let topic = Topic::group("g");
    node.subscribe(&topic).await;
    let mut events = node.backplane.events();
    for number in 0..2 {
        let since = Instant::now();
        drop(node.say(&topic, number));
        while since.elapsed() < Duration::from_secs(3) {
            std::hint::spin_loop();
        }
        assert!(comes_true(PATIENCE, || node.log.len() as u64 == number + 1).await);
    }
    let failed = Node::raises(&mut events, |event| matches!(event, RedisEvent::Failed(..)));
    assert!(tokio::time::timeout(Duration::from_secs(2), failed).await.is_err(), "a connection was cut");
    assert_eq!(node.hub.state().current(), BackplaneState::Up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_works_with_keys_on_the_same_redis() {
    let fleet = RedisFleet::start();
    let backplane = fleet.node().await;
    let mut connection = backplane.pool().get().await.unwrap();
    redis::cmd("SET").arg("key").arg(7).exec_async(&mut connection).await.unwrap();
    // Other libraries may use the pool of deadpool-redis that stands behind it.
    let standard = backplane.pool().deadpool().await.unwrap().expect("a pool of deadpool-redis");
    drop(connection);
    let mut connection = standard.get().await.unwrap();
    let value: u32 = redis::cmd("GET").arg("key").query_async(&mut connection).await.unwrap();
    assert_eq!(value, 7);
    drop(connection);
    assert_eq!((backplane.pool().status().size, standard.status().max_size), (1, 8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_is_sized_timed_and_named_by_the_options() {
    let mut server = RedisServer::start();
    let options = RedisOptions::parse(&server.url()).unwrap().to_builder();
    let options =
        options.pool_size(1).async_timeout(Duration::from_millis(300)).client_name("me").default_database(3);
    let backplane = RedisBackplane::new(options.build().unwrap()).await.unwrap();
    let mut connection = backplane.pool().get().await.unwrap();
    let who: String = redis::cmd("CLIENT").arg("INFO").query_async(&mut connection).await.unwrap();
    assert!(who.contains(" name=me ") && who.contains(" db=3 "), "{who}");
    let full = backplane.pool().get().await.unwrap_err();
    assert_eq!((full.is_transient(), backplane.pool().status().size), (true, 1), "{full}");
    server.freeze();
    let hung = redis::cmd("GET").arg("key").query_async::<Option<u32>>(&mut connection).await.unwrap_err();
    assert!(hung.is_timeout(), "{hung}");
    server.thaw();
    drop(connection);
    server.kill();
    let away = backplane.pool().get().await.unwrap_err();
    assert!(away.is_transient() && away.to_string().contains("cannot be reached"), "{away}");
    server.restart();
    let since = Instant::now();
    while backplane.pool().get().await.is_err() {
        assert!(since.elapsed() < PATIENCE, "the pool has not come back");
    }
}

/// Attempts, their length and the waits between them are those of the options; the server takes everybody and says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_tries_as_often_and_as_long_as_configured() {
    const ATTEMPTS: u32 = 4;
    let (time, wait) = (Duration::from_millis(200), Duration::from_millis(150));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let accepting = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let options = RedisOptions::builder().endpoint(&address).abort_on_connect_fail(true);
    let options = options.connect_timeout(time).connect_retry(ATTEMPTS);
    let options = options.reconnect_retry_policy(ReconnectRetryPolicy::linear(wait)).build().unwrap();
    let since = Instant::now();
    let refused = RedisBackplane::new(options).await.map(|_| ()).unwrap_err();
    let took = since.elapsed();
    assert!(refused.is_transient() && refused.to_string().contains(&address), "{refused}");
    assert!(took >= time * ATTEMPTS + wait * (ATTEMPTS - 1), "it gave up after {took:?}");
    accepting.abort();
    assert!(took < PATIENCE, "{took:?}");
}

/// Both connections carry the name and the database of the options.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_named_and_in_the_database_of_the_options() {
    let server = RedisServer::start();
    let options = RedisOptions::parse(&server.url()).unwrap().to_builder();
    let options = options.client_name("machine-42").default_database(5).build().unwrap();
    let node = Node::join(RedisBackplane::new(options).await.unwrap()).await;
    node.reaches(BackplaneState::Up).await;
    let clients = server.ask_all(&["CLIENT LIST"]);
    let ours: Vec<_> = clients.iter().filter(|line| line.contains(" name=machine-42 ")).collect();
    assert_eq!(ours.len(), 2, "{clients:?}");
    assert!(ours.iter().any(|line| line.contains(" db=5 ")), "{ours:?}");
}

/// Such a server repeats what it was told, and that was the password.
#[tokio::test]
async fn a_server_without_a_login_is_refused_and_the_password_is_not_shown() {
    let server = RedisServer::without_hello(&["--rename-command", "AUTH", "", "--requirepass", "hush-hush"]);
    let url = |abort: bool| format!("redis://:hush-hush@127.0.0.1:{}?abortConnect={abort}", server.port());
    let strict = url(true);
    let refused = tokio::time::timeout(PATIENCE, RedisBackplane::connect(&strict))
        .await
        .unwrap()
        .map(|_| ())
        .unwrap_err();
    let backplane = RedisBackplane::connect(&url(false)).await.unwrap();
    let pooled =
        tokio::time::timeout(PATIENCE, backplane.pool().get()).await.unwrap().map(|_| ()).unwrap_err();
    for error in [refused.to_string(), format!("{refused:?}"), pooled.to_string(), format!("{pooled:?}")] {
        assert!(!error.contains("hush-hush"), "{error}");
    }
    assert_eq!(refused.kind(), signalr_core::BackplaneErrorKind::Refused, "{refused}");
    assert!(refused.to_string().contains("password"), "{refused}");
}
