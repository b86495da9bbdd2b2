//! Primaries that change, with real processes: by Sentinel, after a kill or a pause, and by hand among several endpoints.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may fail loudly")]

mod support;

use signalr_backplane_redis::{RedisBackplane, RedisEvent, RedisEvents, deadpool_redis::redis};
use signalr_core::{BackplaneErrorKind, BackplaneState, Outcome, Subscribed, Ticket, Topic};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use support::sentinel::Trio;
use support::sink::Node;
use support::{RedisServer, comes_true};

/// A split vote makes the Sentinels wait for twice their failover time-out before they try again.
const PATIENCE: Duration = Duration::from_secs(60);

mod conformance_on_sentinel {
    use super::Trio;
    signalr_testkit::backplane_conformance!(Trio::without_replica());
}

/// Two servers of one fleet, both in a group.
struct Pair {
    a: Node,
    b: Node,
    topic: Topic,
    tickets: Vec<Ticket>,
}

impl Pair {
    async fn join(a: RedisBackplane, b: RedisBackplane) -> Self {
        let (a, b, topic) = (Node::join(a).await, Node::join(b).await, Topic::group("g"));
        for node in [&a, &b] {
            node.reaches(BackplaneState::Up).await;
            assert_eq!(node.subscribe(&topic).await, Subscribed::InForce);
        }
        Self { a, b, topic, tickets: Vec::new() }
    }

    /// Publishes a number every few milliseconds until the future is ready.
    async fn talk_while(&mut self, until: impl Future<Output = ()>) {
        let mut until = std::pin::pin!(until);
        let mut pace = tokio::time::interval(Duration::from_millis(2));
        loop {
            tokio::select! {
                biased;
                () = &mut until => return,
                _ = pace.tick() => self.say(),
            }
        }
    }

    fn say(&mut self) {
        let ticket = self.a.say(&self.topic, self.tickets.len() as u64);
        self.tickets.push(ticket);
    }

    /// Waits until a number that is said now has arrived at both.
    async fn settle(&mut self) {
        for node in [&self.a, &self.b] {
            node.reaches(BackplaneState::Up).await;
        }
        let last = self.tickets.len() as u64;
        self.say();
        let all = [&self.a, &self.b];
        let arrived = comes_true(PATIENCE, || all.iter().all(|node| node.log.numbers().contains(&last)));
        assert!(arrived.await, "a message after the failover did not arrive");
    }

    /// Nothing came twice; what was kept arrived, or was dropped by its time to live and counted; what else is lost was
    /// unknown, or had no second receiver.
    async fn assert_accounted(self) {
        let counters = self.a.backplane.counters();
        let said = self.tickets.len();
        let heard: HashSet<u64> = self.b.log.numbers().into_iter().collect();
        for node in [&self.a, &self.b] {
            node.log.assert_once_and_in_order(counters.unknown);
        }
        let mut outcomes = Vec::new();
        for ticket in self.tickets {
            outcomes.push(ticket.await);
        }
        let lost = (0..said as u64).filter(|number| !heard.contains(number)).count();
        println!("said {said}, lost at the other {lost}, {counters:?}");
        let mut too_old = 0;
        for (number, outcome) in outcomes.iter().enumerate() {
            // A server that is killed may have answered the publisher and not yet written to the subscribers.
            let last_words =
                outcomes[number..].iter().take(10).any(|next| *next != Ok(Outcome::Receivers(2)));
            let excused = matches!(outcome, Ok(Outcome::Unknown | Outcome::Receivers(0 | 1))) || last_words;
            let lost = !heard.contains(&(number as u64));
            if lost && *outcome == Ok(Outcome::Buffered) {
                // An election may take longer than messages are kept.
                too_old += 1;
                continue;
            }
            assert!(!lost || excused, "{number} is lost: {outcome:?}");
        }
        assert!(
            too_old <= counters.dropped,
            "{too_old} kept messages are lost, {} were dropped",
            counters.dropped
        );
    }
}

/// Real time that passes while traffic flows.
async fn passing(time: Duration) {
    let since = Instant::now();
    assert!(comes_true(PATIENCE, || since.elapsed() > time).await);
}

async fn restored(events: &mut RedisEvents) {
    Node::raises(events, |event| matches!(event, RedisEvent::Restored { .. })).await;
}

fn has_listeners(server: &RedisServer) -> bool {
    server.ask("PUBSUB CHANNELS") != "*0"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_is_replaced_by_the_one_that_sentinel_names() {
    kill_and_replace(Trio::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_is_replaced_where_nobody_knows_hello() {
    kill_and_replace(Trio::start_without_hello().await).await;
}

async fn kill_and_replace(mut trio: Trio) {
    let mut pair = Pair::join(trio.node().await, trio.node().await).await;
    let (node, mut events) = (trio.node().await, pair.a.backplane.events());
    pair.talk_while(passing(Duration::from_millis(1500))).await;
    drop(node.pool().get().await.unwrap());
    let before = node.pool().deadpool().await.unwrap().expect("deadpool-redis goes where Sentinel points");
    trio.primary.kill();
    let killed = Instant::now();
    pair.talk_while(restored(&mut events)).await;
    println!("a killed primary was replaced after {:?}", killed.elapsed());
    assert!(has_listeners(trio.replica.as_ref().unwrap()));
    pair.settle().await;
    pair.assert_accounted().await;
    // The pool has moved too.
    let mut connection = node.pool().get().await.unwrap();
    redis::cmd("SET").arg("key").arg(7).exec_async(&mut connection).await.unwrap();
    assert!(before.is_closed(), "nobody goes on with the old primary");
    assert_eq!(node.pool().deadpool().await.unwrap().expect("a new one").status().size, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_primary_that_comes_back_splits_nothing() {
    let trio = Trio::start().await;
    let mut pair = Pair::join(trio.node().await, trio.node().await).await;
    let mut events = pair.a.backplane.events();
    pair.talk_while(passing(Duration::from_millis(1500))).await;
    trio.primary.freeze();
    let paused = Instant::now();
    pair.talk_while(restored(&mut events)).await;
    println!("a paused primary was replaced after {:?}", paused.elapsed());
    pair.settle().await;
    // It still believes that it is primary, until Sentinel tells it otherwise.
    trio.primary.thaw();
    let before = pair.tickets.len();
    let demoted = async {
        let is_replica = || support::sentinel::is_replica(&trio.primary);
        assert!(comes_true(PATIENCE, is_replica).await, "the old primary was not demoted");
        passing(Duration::from_millis(1500)).await;
    };
    pair.talk_while(demoted).await;
    pair.settle().await;
    for ticket in pair.tickets.drain(before..) {
        assert_eq!(ticket.await, Ok(Outcome::Receivers(2)));
    }
    pair.tickets.truncate(before);
    let heard = pair.b.log.numbers().into_iter().filter(|number| *number >= before as u64).count();
    assert!(heard > 100, "only {heard} arrived while the old primary was back");
    pair.assert_accounted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_while_a_sentinel_and_the_primary_are_gone_waits_for_the_failover() {
    let mut trio = Trio::start().await;
    trio.sentinels[0].kill();
    trio.primary.kill();
    let node = Node::join(trio.node().await).await;
    assert_eq!(node.hub.state().current(), BackplaneState::Starting);
    let topic = Topic::group("g");
    assert_eq!(node.say(&topic, 0).await, Ok(Outcome::Buffered));
    node.reaches(BackplaneState::Up).await;
    node.subscribe(&topic).await;
    let said = async { while node.say(&topic, 1).await != Ok(Outcome::Receivers(1)) {} };
    assert!(tokio::time::timeout(PATIENCE, said).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_by_hand_moves_both_connections() {
    let trio = Trio::start().await;
    let mut pair = Pair::join(trio.node().await, trio.node().await).await;
    let mut events = pair.a.backplane.events();
    pair.talk_while(passing(Duration::from_millis(1500))).await;
    assert!(trio.sentinels[0].ask("SENTINEL FAILOVER mymaster").starts_with("+OK"));
    let asked = Instant::now();
    let moved = async {
        Node::raises(&mut events, |event| *event == RedisEvent::SubscriberReplaced).await;
        restored(&mut events).await;
    };
    pair.talk_while(moved).await;
    println!("a failover by hand took {:?}", asked.elapsed());
    assert!(comes_true(PATIENCE, || support::sentinel::is_replica(&trio.primary)).await);
    pair.settle().await;
    for node in [&pair.a, &pair.b] {
        node.log.assert_once_and_in_order(pair.a.backplane.counters().unknown);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_no_sentinel_knows_is_an_error_that_names_it() {
    let trio = Trio::without_replica();
    let text = trio.url().replace("redis+sentinel://", "").replace("/mymaster", "");
    let refused = RedisBackplane::connect(&format!("{text},serviceName=other,connectRetry=1")).await;
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), BackplaneErrorKind::Config);
    assert!(error.to_string().contains("\"other\""), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_primary_among_several_endpoints_is_used_and_followed() {
    let (mut absent, one, two) = (RedisServer::start(), RedisServer::start(), RedisServer::start());
    two.follows(&one).await;
    absent.kill();
    // The first is refused, the second is a replica.
    let url =
        format!("redis://127.0.0.1:{},127.0.0.1:{},127.0.0.1:{}", absent.port(), two.port(), one.port());
    let connect = || async { RedisBackplane::connect(&url).await.unwrap() };
    let mut pair = Pair::join(connect().await, connect().await).await;
    let mut events = pair.a.backplane.events();
    pair.talk_while(passing(Duration::from_millis(300))).await;
    assert_eq!((has_listeners(&one), has_listeners(&two)), (true, false));
    // Changed by hand: nobody's connection is closed, and the old primary goes on to take messages.
    assert_eq!(two.ask("REPLICAOF NO ONE"), "+OK");
    one.follows(&two).await;
    pair.talk_while(restored(&mut events)).await;
    pair.settle().await;
    for node in [&pair.a, &pair.b] {
        node.log.assert_once_and_in_order(pair.a.backplane.counters().unknown);
    }
    assert_eq!((has_listeners(&one), has_listeners(&two)), (false, true));
}

/// Sets a key through the pool, on a connection of its own.
async fn set(backplane: &RedisBackplane, value: u32) -> Result<(), String> {
    let mut connection = backplane.pool().get().await.map_err(|error| error.to_string())?;
    let done: redis::RedisResult<()> =
        redis::cmd("SET").arg("key").arg(value).query_async(&mut connection).await;
    done.map_err(|error| error.code().map_or_else(|| error.to_string(), str::to_owned))
}

/// Tries again until it works; gives what was answered before.
async fn set_at_last(backplane: &RedisBackplane, value: u32) -> Vec<String> {
    let mut refused = Vec::new();
    let since = Instant::now();
    while let Err(error) = set(backplane, value).await {
        refused.push(error);
        assert!(since.elapsed() < PATIENCE, "it was never written: {:?}", refused.last());
        // Between two looks at the condition.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("written {:?} after the fault, refused {} times", since.elapsed(), refused.len());
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_leaves_a_primary_that_has_become_read_only() {
    let (one, two) = (RedisServer::start(), RedisServer::start());
    two.follows(&one).await;
    let url = format!("redis://127.0.0.1:{},127.0.0.1:{}", one.port(), two.port());
    let node = Node::join(RedisBackplane::connect(&url).await.unwrap()).await;
    node.reaches(BackplaneState::Up).await;
    set(&node.backplane, 1).await.unwrap();
    assert_eq!(two.ask("REPLICAOF NO ONE"), "+OK");
    // Nobody's connection is closed: it says so to whoever writes.
    assert_eq!(one.ask(&format!("REPLICAOF 127.0.0.1 {}", two.port())), "+OK");
    let refused = set_at_last(&node.backplane, 2).await;
    assert!(refused.iter().any(|answer| answer == "READONLY"), "{refused:?}");
    assert_eq!(two.ask_all(&["GET key"])[1], "2");
    // Pub/sub has moved with it, although it was refused nothing.
    node.reaches(BackplaneState::Up).await;
    let moved = || has_listeners(&two) && !has_listeners(&one);
    assert!(comes_true(PATIENCE, moved).await, "the subscriber has stayed with a replica");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_still_loads_its_data_delivers_and_is_waited_for() {
    let files = support::secure::Directory::new();
    let directory = files.path().to_str().unwrap();
    // Slow enough to be looked at, and it answers meanwhile.
    let words =
        ["--dir", directory, "--key-load-delay", "200", "--loading-process-events-interval-bytes", "1024"];
    let mut server = RedisServer::start_with(words.map(str::to_owned).into());
    assert_eq!(server.ask("DEBUG POPULATE 20000"), "+OK");
    assert_eq!(server.ask("SAVE"), "+OK");
    let connect = || async { RedisBackplane::connect(&server.url()).await.unwrap() };
    let mut pair = Pair::join(connect().await, connect().await).await;
    pair.talk_while(passing(Duration::from_millis(300))).await;
    let mut events = pair.a.backplane.events();
    server.kill();
    server.restart_loading();
    let loads = || server.ask_all(&["INFO persistence"]).iter().any(|line| line.trim() == "loading:1");
    pair.talk_while(restored(&mut events)).await;
    pair.settle().await;
    assert!(loads(), "it was over too soon to show anything");
    let refused = set_at_last(&pair.a.backplane, 1).await;
    assert!(refused.iter().any(|answer| answer == "LOADING"), "{refused:?}");
    assert!(!loads(), "it wrote before it knew its data");
    pair.assert_accounted().await;
}
