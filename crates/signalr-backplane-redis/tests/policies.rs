//! What a send does while Redis is away, for each policy.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod support;

use signalr_backplane_redis::{OutagePolicy, RedisBackplane, RedisEvent, RedisOptions};
use signalr_core::{
    Backplane, BackplaneErrorKind, BackplaneMessage, BackplaneState, GroupAction, GroupCommand, HubJoin,
    Outcome, Subscribed, Topic,
};
use std::time::Duration;
use support::fleet::RedisFleet;
use support::sink::Node;
use support::{RedisServer, comes_true};

const PATIENCE: Duration = Duration::from_secs(20);

async fn node(server: &RedisServer, policy: OutagePolicy) -> Node {
    let address = format!("127.0.0.1:{}", server.port());
    let options = RedisOptions::builder().endpoint(&address).outage(policy).build().unwrap();
    let node = Node::join(RedisBackplane::new(options).await.unwrap()).await;
    node.subscribe(&Topic::group("g")).await;
    node.reaches(BackplaneState::Up).await;
    node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fail_tells_the_caller_and_delivers_nothing() {
    let mut server = RedisServer::start();
    let node = node(&server, OutagePolicy::Fail).await;
    server.kill();
    node.reaches(BackplaneState::Down).await;
    let topic = Topic::group("g");
    let refused = node.say(&topic, 1).await.unwrap_err();
    assert_eq!(refused.kind(), BackplaneErrorKind::Unavailable);
    let late = [Topic::user("late")];
    assert!(node.hub.subscribe(&late).await.is_err_and(|error| error.is_transient()));
    let join = HubJoin::new("Late.Hub", node.log.clone());
    assert!(node.backplane.join(join).await.is_err_and(|error| error.is_transient()));
    assert_eq!(node.log.len(), 0);
    assert_eq!(node.backplane.counters().refused, 1);
    server.restart();
    node.reaches(BackplaneState::Up).await;
    // The wish stayed on record although it was refused.
    assert_eq!(node.say(&late[0], 2).await, Ok(Outcome::Receivers(1)));
    assert!(comes_true(PATIENCE, || node.log.len() == 1).await);
    assert_eq!(node.log.numbers(), [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_only_serves_who_is_here_and_counts_the_rest() {
    let mut server = RedisServer::start();
    let node = node(&server, OutagePolicy::LocalOnly).await;
    server.kill();
    node.reaches(BackplaneState::Down).await;
    assert_eq!(node.say(&Topic::group("g"), 1).await, Ok(Outcome::Receivers(1)));
    assert_eq!(node.say(&Topic::group("nobody"), 2).await, Ok(Outcome::Receivers(0)));
    assert_eq!(node.log.numbers(), [1]);
    assert_eq!(node.backplane.counters().dropped, 2);
    let mut events = node.backplane.events();
    server.restart();
    let restored = Node::raises(&mut events, |event| matches!(event, RedisEvent::Restored { .. })).await;
    assert_eq!(restored, RedisEvent::Restored { replayed: 0, dropped: 2, unknown: 0 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_buffer_drops_the_oldest_and_replays_the_rest_in_order() {
    let mut server = RedisServer::start();
    let policy = OutagePolicy::Buffer { bytes: 4096, ttl: Duration::from_secs(60) };
    let (here, there) = (node(&server, policy).await, node(&server, policy).await);
    // Long enough to have counted two servers.
    let joined = std::time::Instant::now();
    assert!(comes_true(PATIENCE, || joined.elapsed() > Duration::from_millis(600)).await);
    server.kill();
    here.reaches(BackplaneState::Down).await;
    there.reaches(BackplaneState::Down).await;
    let topic = Topic::group("g");
    for number in 0..100 {
        assert_eq!(here.say(&topic, number).await, Ok(Outcome::Buffered));
    }
    assert_eq!(here.log.numbers(), (0..100).collect::<Vec<_>>());
    let mut events = here.backplane.events();
    server.restart();
    let event = Node::raises(&mut events, |event| matches!(event, RedisEvent::Restored { .. })).await;
    let RedisEvent::Restored { replayed, dropped, unknown } = event else { unreachable!() };
    assert_eq!((replayed + dropped, unknown), (100, 0));
    assert!(replayed > 5 && dropped > 5, "{event:?}");
    assert!(comes_true(PATIENCE, || there.log.len() as u64 == replayed).await);
    assert_eq!(there.log.numbers(), (dropped..100).collect::<Vec<_>>());
    assert_eq!(here.log.len(), 100, "the sender got its own messages once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_old_is_dropped_and_not_replayed() {
    let mut server = RedisServer::start();
    let policy = OutagePolicy::Buffer { bytes: 1 << 20, ttl: Duration::from_millis(100) };
    let here = node(&server, policy).await;
    server.kill();
    here.reaches(BackplaneState::Down).await;
    assert_eq!(here.say(&Topic::group("g"), 1).await, Ok(Outcome::Buffered));
    let mut events = here.backplane.events();
    let kept = std::time::Instant::now();
    assert!(comes_true(PATIENCE, || kept.elapsed() > Duration::from_millis(150)).await);
    server.restart();
    let restored = Node::raises(&mut events, |event| matches!(event, RedisEvent::Restored { .. })).await;
    assert_eq!(restored, RedisEvent::Restored { replayed: 0, dropped: 1, unknown: 0 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_acks_and_answers_are_never_kept() {
    let mut fleet = RedisFleet::start();
    let node = Node::join(fleet.node().await).await;
    node.reaches(BackplaneState::Up).await;
    fleet.0.kill();
    node.reaches(BackplaneState::Down).await;
    let command = GroupCommand {
        id: 1,
        node: node.hub.node().into(),
        action: GroupAction::Add,
        group: "g".into(),
        connection: "c".into(),
    };
    let messages = [
        (Topic::Groups, BackplaneMessage::GroupCommand(command)),
        (Topic::Ack("other".into()), BackplaneMessage::Ack { id: 1 }),
    ];
    for (topic, message) in messages {
        let refused = node.hub.publish(&topic, message).await;
        assert!(refused.is_err_and(|error| error.is_transient()), "{topic:?}");
    }
    assert_eq!(node.hub.receivers(&Topic::All).await, None);
    assert_eq!(node.subscribe(&Topic::user("new")).await, Subscribed::Pending);
    assert_eq!(node.backplane.counters().buffered, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_finds_no_room_in_time_is_refused_and_never_sent() {
    let server = RedisServer::start();
    let options = RedisOptions::parse(&server.url()).unwrap().to_builder();
    // One message fills it; a Redis that hangs is not given up before the other has waited long enough.
    let options = options.in_flight_bytes(1).async_timeout(Duration::from_millis(300));
    let options = options.probe_timeout(Duration::from_secs(60)).build().unwrap();
    let node = Node::join(RedisBackplane::new(options).await.unwrap()).await;
    let topic = Topic::group("g");
    node.subscribe(&topic).await;
    node.reaches(BackplaneState::Up).await;
    server.freeze();
    let (written, waiting) = (node.say(&topic, 1), node.say(&topic, 2));
    let refused = waiting.await.unwrap_err();
    assert_eq!((refused.kind(), refused.is_transient()), (BackplaneErrorKind::TimedOut, true));
    assert_eq!(node.backplane.counters().refused, 1);
    // A subscription that nobody confirms is not waited for any longer either, and stays on record.
    let late = Topic::user("late");
    let unconfirmed = node.hub.subscribe(std::slice::from_ref(&late)).await.unwrap_err();
    assert_eq!((unconfirmed.kind(), unconfirmed.is_transient()), (BackplaneErrorKind::TimedOut, true));
    server.thaw();
    assert_eq!(written.await, Ok(Outcome::Receivers(1)));
    assert_eq!(node.say(&topic, 3).await, Ok(Outcome::Receivers(1)));
    assert_eq!(node.subscribe(&late).await, Subscribed::InForce);
    assert!(comes_true(PATIENCE, || node.log.len() == 2).await);
    assert_eq!(node.log.numbers(), [1, 3]);
}
