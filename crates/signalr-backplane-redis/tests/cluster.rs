//! A Redis Cluster of three masters, on its good and bad days.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod support;

use signalr_backplane_redis::deadpool_redis::redis;
use signalr_backplane_redis::options::CommandMap;
use signalr_backplane_redis::{
    PooledConnection, RedisBackplane, RedisCounters, RedisEvent, RedisOptions, RedisPool, Role,
};
use signalr_core::{BackplaneErrorKind, BackplaneState, Subscribed, Topic};
use std::future::Future;
use std::time::{Duration, Instant};
use support::cluster::RedisCluster;
use support::sink::Node;
use support::{RedisServer, comes_true};

const PATIENCE: Duration = Duration::from_secs(20);
const ALL: &str = "Test.Hub:all";

async fn node(cluster: &RedisCluster) -> Node {
    let node = Node::join(RedisBackplane::connect(&cluster.url()).await.unwrap()).await;
    node.reaches(BackplaneState::Up).await;
    node
}

/// A group whose channel this node owns.
fn group_of(cluster: &RedisCluster, owner: usize) -> (Topic, String) {
    let names = (0..1000).map(|number| format!("g{number}"));
    let channel = |name: &String| format!("Test.Hub:group:{name}");
    let name = names.into_iter().find(|name| cluster.owner(&channel(name)) == owner).unwrap();
    (Topic::group(&name), channel(&name))
}

/// Two servers, and a node of the Cluster on which neither of them listens, with a group that it owns.
async fn pair(cluster: &RedisCluster) -> (Node, Node, usize, Topic, String) {
    let (a, b) = (node(cluster).await, node(cluster).await);
    let quiet = cluster.nodes().iter().position(|node| node.listeners(ALL) == 0).unwrap();
    let (topic, channel) = group_of(cluster, quiet);
    for node in [&a, &b] {
        assert_eq!(node.subscribe(&topic).await, Subscribed::InForce);
    }
    (a, b, quiet, topic, channel)
}

/// Publishes numbers from `next` on, one each few milliseconds, until the future is ready.
async fn talk_while(node: &Node, topic: &Topic, next: &mut u64, until: impl Future<Output = ()>) {
    let mut until = std::pin::pin!(until);
    let mut pace = tokio::time::interval(Duration::from_millis(2));
    loop {
        tokio::select! {
            biased;
            () = &mut until => return,
            _ = pace.tick() => {
                drop(node.say(topic, *next));
                *next += 1;
            }
        }
    }
}

/// Waits for what the Cluster says of itself, which is asked in between.
async fn until(condition: impl FnMut() -> bool) {
    assert!(comes_true(PATIENCE, condition).await, "it did not come true");
}

async fn passing(time: Duration) {
    let since = Instant::now();
    until(|| since.elapsed() > time).await;
}

/// Says one more number and waits until it is everywhere.
async fn settle(nodes: [&Node; 2], topic: &Topic, next: &mut u64) {
    let last = *next;
    drop(nodes[0].say(topic, last));
    *next += 1;
    until(|| nodes.iter().all(|node| node.log.numbers().contains(&last))).await;
}

fn assert_accounted(nodes: [&Node; 2], said: u64, before: RedisCounters) {
    let now = nodes[0].backplane.counters();
    let (dropped, unknown) = (now.dropped - before.dropped, now.unknown - before.unknown);
    let lost = nodes.map(|node| said - node.log.len() as u64);
    println!("said {said}, lost {lost:?}, dropped {dropped}, unknown {unknown}");
    assert!(lost[0] <= unknown, "local members lost more than what is unknown");
    assert!(dropped <= lost[1] && lost[1] <= dropped + unknown, "a loss that was not counted");
    nodes.iter().for_each(|node| node.log.assert_once_and_in_order(unknown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_channel_is_published_on_the_owner_of_its_slot() {
    let cluster = RedisCluster::start().await;
    let (a, b) = (node(&cluster).await, node(&cluster).await);
    for owner in 0..3 {
        let (topic, _) = group_of(&cluster, owner);
        b.subscribe(&topic).await;
        let before: Vec<_> = cluster.nodes().iter().map(|node| node.publishes()).collect();
        let heard = b.log.len();
        for number in 0..200 {
            a.say(&topic, number).await.unwrap();
        }
        until(|| b.log.len() == heard + 200).await;
        for (number, node) in cluster.nodes().iter().enumerate() {
            let more = node.publishes() - before[number];
            // Others get probes at the most.
            assert!(if number == owner { more >= 200 } else { more < 50 }, "{number} of {owner}: {more}");
        }
    }
}

/// Acceptance scenario 16.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_are_counted_on_all_nodes() {
    let cluster = RedisCluster::start().await;
    let mut nodes = Vec::new();
    // Each begins at a node of its own choice: with so many it is not the same one.
    for count in 1..=8 {
        nodes.push(node(&cluster).await);
        assert_eq!(nodes[0].hub.receivers(&Topic::All).await, Some(count));
    }
    let spread: Vec<_> = cluster.nodes().iter().map(|node| node.listeners(ALL)).collect();
    assert_eq!(spread.iter().sum::<u64>(), 8);
    assert!(spread.iter().all(|&count| count < 8), "all listen on one node: {spread:?}");
    assert_eq!(nodes[0].hub.receivers(&Topic::group("nobody")).await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_while_messages_are_published_costs_nothing() {
    let cluster = RedisCluster::start().await;
    let (a, b, old, topic, channel) = pair(&cluster).await;
    let before = a.backplane.counters();
    let mut next = 0;
    for step in 1..=2 {
        let new = (old + step) % 3;
        talk_while(&a, &topic, &mut next, passing(Duration::from_millis(200))).await;
        cluster.give(&channel, new);
        let published = cluster.node(new).publishes();
        talk_while(&a, &topic, &mut next, until(|| cluster.node(new).publishes() > published + 100)).await;
    }
    settle([&a, &b], &topic, &mut next).await;
    let all: Vec<_> = (0..next).collect();
    assert_eq!(a.log.numbers(), all);
    assert_eq!(b.log.numbers(), all);
    let now = a.backplane.counters();
    assert_eq!((now.unknown, now.dropped), (before.unknown, before.dropped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_costs_what_was_counted_and_is_used_again_when_it_is_back() {
    let mut cluster = RedisCluster::start().await;
    let (a, b, owner, topic, _) = pair(&cluster).await;
    let mut events = a.backplane.events();
    let before = a.backplane.counters();
    let mut next = 0;
    talk_while(&a, &topic, &mut next, passing(Duration::from_millis(1500))).await;
    cluster.kill(owner);
    let killed = Instant::now();
    let restored = async {
        Node::raises(&mut events, |event| matches!(event, RedisEvent::Failed(Role::Publisher, _))).await;
        let event = Node::raises(&mut events, |event| matches!(event, RedisEvent::Restored { .. })).await;
        println!("{event:?} {:?} after the end of a node", killed.elapsed());
    };
    talk_while(&a, &topic, &mut next, restored).await;
    settle([&a, &b], &topic, &mut next).await;
    cluster.restart(owner);
    cluster.wait_until_connected().await;
    talk_while(&a, &topic, &mut next, until(|| cluster.node(owner).publishes() > 100)).await;
    settle([&a, &b], &topic, &mut next).await;
    assert_accounted([&a, &b], next, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_is_noticed_and_done_without() {
    let cluster = RedisCluster::start().await;
    let (a, b, owner, topic, _) = pair(&cluster).await;
    let mut events = a.backplane.events();
    let before = a.backplane.counters();
    let mut next = 0;
    talk_while(&a, &topic, &mut next, passing(Duration::from_millis(1500))).await;
    cluster.node(owner).server.freeze();
    let restored = async {
        Node::raises(&mut events, |event| matches!(event, RedisEvent::Restored { .. })).await;
    };
    talk_while(&a, &topic, &mut next, restored).await;
    settle([&a, &b], &topic, &mut next).await;
    cluster.node(owner).server.thaw();
    let published = cluster.node(owner).publishes();
    talk_while(&a, &topic, &mut next, until(|| cluster.node(owner).publishes() > published + 100)).await;
    settle([&a, &b], &topic, &mut next).await;
    assert_accounted([&a, &b], next, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_whose_node_dies_goes_on_at_another_one() {
    let mut cluster = RedisCluster::start().await;
    let a = node(&cluster).await;
    let home = cluster.nodes().iter().position(|node| node.listeners(ALL) == 1).unwrap();
    let mut events = a.backplane.events();
    cluster.kill(home);
    Node::raises(&mut events, |event| *event == RedisEvent::SubscriberReplaced).await;
    a.reaches(BackplaneState::Up).await;
    // The node stays away: channels that it owns are published on the others.
    for owner in 0..3 {
        let (topic, _) = group_of(&cluster, owner);
        assert_eq!(a.subscribe(&topic).await, Subscribed::InForce);
        a.say(&topic, owner as u64).await.unwrap();
    }
    until(|| a.log.len() == 3).await;
    assert_eq!(
        a.hub.receivers(&Topic::group("nobody")).await,
        None,
        "a node that is away may know of somebody"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_no_cluster_is_named_as_the_trouble() {
    let server = RedisServer::start();
    let url = server.url().replace("redis://", "redis-cluster://") + "?abortConnect=true&connectRetry=1";
    let error = RedisBackplane::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), BackplaneErrorKind::Refused);
    assert!(error.to_string().contains("write redis://"), "{error}");
}

/// Four keys that this node owns at the start, of which the last two are in one slot.
fn keys_of(cluster: &RedisCluster, owner: usize) -> [String; 4] {
    let names: Vec<_> = (0..1000).map(|number| format!("key{number}")).collect();
    let mut owned = names.iter().filter(|name| cluster.owner(name) == owner).cloned();
    let tag = owned.next().unwrap();
    [owned.next().unwrap(), owned.next().unwrap(), format!("{{{tag}}}1"), format!("{{{tag}}}2")]
}

async fn served_by(connection: &mut PooledConnection) -> String {
    redis::cmd("CLUSTER").arg("MYID").query_async(connection).await.unwrap()
}

async fn set(connection: &mut PooledConnection, key: &str, value: &str) {
    redis::cmd("SET").arg(key).arg(value).exec_async(connection).await.unwrap();
}

async fn value_of(connection: &mut PooledConnection, key: &str) -> Option<String> {
    redis::cmd("GET").arg(key).query_async(connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_reaches_the_keys_of_all_nodes() {
    let cluster = RedisCluster::start().await;
    cluster.wait_until_keys_are_served().await;
    let options = RedisOptions::parse(&cluster.url()).unwrap();
    // Without it deadpool-redis cannot be used: the connections are dialled by the backplane.
    let without_ping = CommandMap::default().disable("PING").unwrap();
    let dialled = options.to_builder().command_map(without_ping).build().unwrap();
    for options in [options, dialled] {
        let backplane = RedisBackplane::new(options).await.unwrap();
        check_all_keys(&cluster, &backplane.pool()).await;
    }
}

/// Messages by every node, the count of listeners and keys, where RESP2 is all that is spoken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_without_hello_serves_messages_and_keys() {
    let cluster = RedisCluster::start_with(&["--rename-command", "HELLO", ""]).await;
    cluster.wait_until_keys_are_served().await;
    let (a, b) = (node(&cluster).await, node(&cluster).await);
    for owner in 0..3 {
        let (topic, _) = group_of(&cluster, owner);
        for node in [&a, &b] {
            assert_eq!(node.subscribe(&topic).await, Subscribed::InForce);
        }
        assert_eq!(a.hub.receivers(&topic).await, Some(2));
        let mut next = 10 * owner as u64;
        settle([&a, &b], &topic, &mut next).await;
    }
    check_all_keys(&cluster, &a.backplane.pool()).await;
}

async fn check_all_keys(cluster: &RedisCluster, pool: &RedisPool) {
    let mut anywhere = pool.get().await.unwrap();
    for owner in 0..3 {
        let [one, two, first, second] = keys_of(cluster, owner);
        let mut connection = pool.get_for(&one).await.unwrap();
        assert_eq!(served_by(&mut connection).await, cluster.node(owner).id(), "a way that is not straight");
        set(&mut connection, &one, "1").await;
        set(&mut anywhere, &two, "2").await;
        assert_eq!(value_of(&mut anywhere, &one).await.as_deref(), Some("1"));
        assert_eq!(value_of(&mut connection, &two).await.as_deref(), Some("2"));
        // A transaction on the keys of one slot.
        let mut connection = pool.get_for(&first).await.unwrap();
        let mut both = redis::pipe();
        both.atomic().set(&first, 1).ignore().incr(&first, 2).set(&second, 4).ignore().get(&second);
        assert_eq!(both.query_async::<(u32, u32)>(&mut connection).await.unwrap(), (3, 4));
    }
    drop(anywhere);
    let status = pool.status();
    assert_eq!(status.max_size, 24);
    assert_eq!(status.available, status.size, "each node's connections go back to it");
    assert!(pool.deadpool().await.unwrap().is_none(), "there is no one pool");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_follows_a_slot_that_moves() {
    let cluster = RedisCluster::start().await;
    cluster.wait_until_keys_are_served().await;
    let backplane = RedisBackplane::connect(&cluster.url()).await.unwrap();
    let pool = backplane.pool();
    let [.., first, second] = keys_of(&cluster, 0);
    let mut connection = pool.get_for(&first).await.unwrap();
    set(&mut connection, &first, "1").await;
    cluster.begin_move(&first, 0, 1);
    // What is still there is answered there; what is new goes to the new owner, and the connection stays.
    assert_eq!(value_of(&mut connection, &first).await.as_deref(), Some("1"));
    set(&mut connection, &second, "2").await;
    cluster.migrate(&first, 0, 1);
    assert_eq!(value_of(&mut connection, &first).await.as_deref(), Some("1"));
    assert_eq!(served_by(&mut connection).await, cluster.node(0).id());
    cluster.give(&first, 1);
    assert_eq!(value_of(&mut connection, &second).await.as_deref(), Some("2"));
    assert_eq!(served_by(&mut connection).await, cluster.node(1).id());
    // A pipeline of which nothing was done is sent on too; the next connection knows the way.
    cluster.begin_move(&first, 1, 2);
    cluster.migrate(&first, 1, 2);
    cluster.migrate(&second, 1, 2);
    cluster.give(&first, 2);
    let mut both = redis::pipe();
    both.incr(&first, 1).incr(&second, 1);
    assert_eq!(both.query_async::<(u32, u32)>(&mut connection).await.unwrap(), (2, 3));
    both.atomic();
    let mut connection = until_it_leads_to(&pool, &first, cluster.node(2).id()).await;
    assert_eq!(both.query_async::<(u32, u32)>(&mut connection).await.unwrap(), (3, 4));
}

/// Gets connections for a key until one leads to this node: who owns a slot is asked for once a second.
async fn until_it_leads_to(pool: &RedisPool, key: &str, id: &str) -> PooledConnection {
    let since = Instant::now();
    loop {
        let mut connection = pool.get_for(key).await.unwrap();
        if served_by(&mut connection).await == id {
            return connection;
        }
        assert!(since.elapsed() < PATIENCE, "the pool does not learn that the slot has moved");
    }
}
