//! Redis' bad days, with real processes: killed, frozen, cut; nothing arrives twice, and what is lost was counted.

mod support;

use signalr_backplane_redis::{OutagePolicy, RedisBackplane, RedisCounters, RedisEvent, RedisOptions, Role};
use signalr_core::{BackplaneError, BackplaneState, Outcome, Subscribed, Ticket, Topic};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use support::fleet::RedisFleet;
use support::relay::Relay;
use support::sink::{Node, assert_in_order};
use support::{RedisServer, comes_true};

const PATIENCE: Duration = Duration::from_secs(20);
/// Where the numbers of a second speaker begin.
const THERE: u64 = 1_000_000;

async fn pair(fleet: &RedisFleet) -> (Node, Node, Topic) {
    let topic = Topic::group("g");
    let (a, b) = (Node::join(fleet.node().await).await, Node::join(fleet.node().await).await);
    for node in [&a, &b] {
        assert_eq!(node.subscribe(&topic).await, Subscribed::InForce);
        node.reaches(BackplaneState::Up).await;
    }
    (a, b, topic)
}

/// Numbers that a log lacks.
fn lost(node: &Node, said: u64) -> u64 {
    said - node.log.len() as u64
}

/// Messages of a publisher that may echo late.
fn unknown(node: &Node) -> u64 {
    node.backplane.counters().unknown
}

/// Publishes numbers from `next` on, one each few milliseconds, until the future is ready; gives their tickets.
async fn talk_while(
    node: &Node,
    topic: &Topic,
    next: &mut u64,
    until: impl Future<Output = ()>,
) -> Vec<Ticket> {
    let mut until = std::pin::pin!(until);
    let mut pace = tokio::time::interval(Duration::from_millis(2));
    let mut tickets = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = &mut until => return tickets,
            _ = pace.tick() => {
                tickets.push(node.say(topic, *next));
                *next += 1;
            }
        }
    }
}

/// Real time that passes: how long traffic flows, or Redis is away.
async fn passing(time: Duration) {
    let since = Instant::now();
    assert!(comes_true(PATIENCE, || since.elapsed() > time).await);
}

/// Waits until the last number is at both, by saying numbers until one is.
async fn settle(a: &Node, b: &Node, topic: &Topic, next: &mut u64) {
    let last = *next;
    drop(a.say(topic, last));
    *next += 1;
    let arrived = comes_true(PATIENCE, || [a, b].iter().all(|node| node.log.numbers().contains(&last))).await;
    assert!(arrived, "a message after the outage did not arrive");
}

fn assert_accounted(a: &Node, b: &Node, said: u64, before: RedisCounters) {
    let now = a.backplane.counters();
    let (dropped, unknown) = (now.dropped - before.dropped, now.unknown - before.unknown);
    let lost_there = lost(b, said);
    println!("said {said}, lost at the other {lost_there}, dropped {dropped}, unknown {unknown}");
    assert!(dropped <= lost_there && lost_there <= dropped + unknown, "a loss that was not counted");
    assert!(lost(a, said) <= unknown, "local members lost more than what is unknown");
}

type Outcomes = Vec<Result<Outcome, BackplaneError>>;

async fn outcomes(tickets: Vec<Ticket>) -> Outcomes {
    let mut outcomes = Vec::new();
    for ticket in tickets {
        outcomes.push(ticket.await);
    }
    outcomes
}

/// Checks that each number which a log lacks has an outcome that allows it.
fn assert_losses_excused(outcomes: &Outcomes, first: u64, log: &[u64]) {
    let heard: HashSet<u64> = log.iter().copied().collect();
    let lost = |position: &usize| !heard.contains(&(first + *position as u64));
    for position in (0..outcomes.len()).filter(lost) {
        // Unknown; or the other server was deaf, so that Redis counted one receiver less.
        let excused = matches!(outcomes[position], Ok(Outcome::Unknown | Outcome::Receivers(0 | 1)));
        // A Redis that is killed may have answered the publisher and not yet written to the subscribers.
        let last_words = outcomes[position..].iter().take(10).any(|next| *next != Ok(Outcome::Receivers(2)));
        assert!(excused || last_words, "{position} is lost, its outcome was {:?}", outcomes[position]);
        assert_ne!(outcomes[position], Ok(Outcome::Buffered), "{position} was kept and is lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_costs_what_was_counted_and_nothing_arrives_twice() {
    kill_and_restart(RedisFleet::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_without_hello_costs_what_was_counted_and_nothing_arrives_twice() {
    kill_and_restart(RedisFleet::without_hello()).await;
}

async fn kill_and_restart(mut fleet: RedisFleet) {
    let (a, b, topic) = pair(&fleet).await;
    let mut events = a.backplane.events();
    let before = a.backplane.counters();
    let mut next = 0;
    // Long enough to have learned how many servers the fleet has.
    let mut tickets = talk_while(&a, &topic, &mut next, passing(Duration::from_millis(1500))).await;
    fleet.0.kill();
    let killed = Instant::now();
    tickets.extend(talk_while(&a, &topic, &mut next, passing(Duration::from_secs(1))).await);
    assert_eq!(a.hub.state().current(), BackplaneState::Down);
    fleet.0.restart();
    let back = Instant::now();
    let restored = async {
        let event = Node::raises(&mut events, |event| matches!(event, RedisEvent::Restored { .. })).await;
        println!(
            "{event:?} {:?} after the start of Redis, {:?} after its end",
            back.elapsed(),
            killed.elapsed()
        );
    };
    tickets.extend(talk_while(&a, &topic, &mut next, restored).await);
    b.reaches(BackplaneState::Up).await;
    settle(&a, &b, &topic, &mut next).await;
    for node in [&a, &b] {
        node.log.assert_once_and_in_order(unknown(&a));
    }
    let now = a.backplane.counters();
    assert_eq!(now.dropped, before.dropped, "the buffer is large enough");
    let outcomes = outcomes(tickets).await;
    for node in [&a, &b] {
        assert_losses_excused(&outcomes, 0, &node.log.numbers());
    }
    assert!(now.replayed > 0 && now.buffered >= now.replayed, "nothing was kept: {now:?}");
}

/// Acceptance scenario 2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_redis_is_noticed_and_costs_what_was_counted() {
    freeze_and_thaw(RedisFleet::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_redis_without_hello_is_noticed_and_costs_what_was_counted() {
    freeze_and_thaw(RedisFleet::without_hello()).await;
}

async fn freeze_and_thaw(fleet: RedisFleet) {
    let (a, b, topic) = pair(&fleet).await;
    let before = a.backplane.counters();
    let mut next = 0;
    talk_while(&a, &topic, &mut next, passing(Duration::from_millis(200))).await;
    fleet.0.freeze();
    let frozen = Instant::now();
    talk_while(&a, &topic, &mut next, a.reaches(BackplaneState::Down)).await;
    println!("a frozen Redis was noticed after {:?}", frozen.elapsed());
    // The promise is 3.5 s; the margin is for a busy machine.
    assert!(frozen.elapsed() < Duration::from_secs(8), "noticed after {:?}", frozen.elapsed());
    b.reaches(BackplaneState::Down).await;
    fleet.0.thaw();
    talk_while(&a, &topic, &mut next, async {
        a.reaches(BackplaneState::Up).await;
        b.reaches(BackplaneState::Up).await
    })
    .await;
    settle(&a, &b, &topic, &mut next).await;
    for node in [&a, &b] {
        node.log.assert_once_and_in_order(unknown(&a));
    }
    assert_accounted(&a, &b, next, before);
    assert!(a.backplane.counters().unknown > before.unknown, "what was written to a frozen Redis is unknown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_and_never_answered_is_unknown_and_never_sent_again() {
    let mut fleet = RedisFleet::start();
    let (a, b, topic) = pair(&fleet).await;
    fleet.0.freeze();
    let ticket = a.say(&topic, 1);
    let before = a.backplane.counters();
    // Handed over as soon as the publisher had its turn; then the server dies with it.
    let questions = a.hub.receivers(&topic);
    assert_eq!(questions.await, None, "a frozen Redis answers nothing");
    fleet.0.kill();
    assert_eq!(ticket.await, Ok(Outcome::Unknown));
    assert_eq!(a.backplane.counters().unknown - before.unknown, 1);
    fleet.0.restart();
    for node in [&a, &b] {
        node.reaches(BackplaneState::Up).await;
    }
    let mut next = 2;
    settle(&a, &b, &topic, &mut next).await;
    assert_eq!((a.log.numbers(), b.log.numbers()), (vec![2], vec![2]));
}

/// The network takes some of it; the rest is what an outage is for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_written_to_a_frozen_redis_is_kept() {
    const SAID: u64 = 40;
    let mut fleet = RedisFleet::start();
    let policy = OutagePolicy::Buffer { bytes: 64 << 20, ttl: Duration::from_secs(60) };
    let options = RedisOptions::parse(&fleet.0.url()).unwrap().to_builder();
    let options = options.outage(policy).in_flight_bytes(64 << 20).build().unwrap();
    let a = Node::join(RedisBackplane::new(options).await.unwrap()).await;
    let b = Node::join(fleet.node().await).await;
    let topic = Topic::group("g");
    for node in [&a, &b] {
        node.subscribe(&topic).await;
        node.reaches(BackplaneState::Up).await;
    }
    fleet.0.freeze();
    let tickets = (0..SAID).map(|number| a.say_padded(&topic, number, 512 << 10)).collect();
    let outcomes = outcomes(tickets).await;
    let unknown = outcomes.iter().take_while(|outcome| **outcome == Ok(Outcome::Unknown)).count();
    println!("{unknown} of {SAID} messages of 512 KiB were written, at least in part");
    assert!(unknown > 0 && unknown < SAID as usize, "{unknown}");
    assert!(outcomes[unknown..].iter().all(|outcome| *outcome == Ok(Outcome::Buffered)));
    let kept: Vec<u64> = (unknown as u64..SAID).collect();
    assert!(comes_true(PATIENCE, || a.log.len() == kept.len()).await, "local members are served");
    assert_eq!((a.log.numbers(), a.backplane.counters().unknown), (kept.clone(), unknown as u64));
    fleet.0.kill();
    fleet.0.restart();
    assert!(comes_true(PATIENCE, || b.log.len() == kept.len()).await);
    assert_eq!((a.log.numbers(), b.log.numbers()), (kept.clone(), kept));
}

/// Acceptance scenario 5.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_channels_come_back_before_the_state_is_up() {
    let mut fleet = RedisFleet::start();
    let (a, b, _) = pair(&fleet).await;
    let topics: Vec<Topic> = (0..10_000).map(|number| Topic::group(&format!("group {number}"))).collect();
    assert_eq!(b.hub.subscribe(&topics).await, Ok(Subscribed::InForce));
    fleet.0.kill();
    b.reaches(BackplaneState::Down).await;
    // Wished for and taken back while Redis is away: the last wish counts.
    let late = Topic::user("late");
    assert_eq!(b.subscribe(&late).await, Subscribed::Pending);
    b.hub.unsubscribe(&topics[..1]);
    fleet.0.restart();
    let back = Instant::now();
    b.reaches(BackplaneState::Up).await;
    println!("10,000 channels are back {:?} after the start of Redis", back.elapsed());
    a.reaches(BackplaneState::Up).await;
    let mut wanted = Vec::new();
    for (number, topic) in (0..).zip(topics.iter().step_by(100).chain([&late])) {
        let expected = u64::from(number > 0);
        assert_eq!(a.say(topic, number).await, Ok(Outcome::Receivers(expected)), "{topic:?}");
        wanted.extend((number > 0).then_some(number));
    }
    assert!(comes_true(PATIENCE, || b.log.len() == wanted.len()).await);
    assert_eq!(b.log.numbers(), wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deaf_server_serves_its_own_members_and_reports_the_gap() {
    let fleet = RedisFleet::start();
    let (a, b, topic) = pair(&fleet).await;
    let mut events = a.backplane.events();
    let before = a.backplane.counters();
    let mut next = 0;
    for _ in 0..5 {
        let cut = async {
            fleet.0.cut_subscribers();
            Node::raises(&mut events, |event| matches!(event, RedisEvent::Failed(Role::Subscriber, _))).await;
            Node::raises(&mut events, |event| *event == RedisEvent::SubscriberReplaced).await;
            Node::raises(&mut events, |event| matches!(event, RedisEvent::Restored { .. })).await;
        };
        talk_while(&a, &topic, &mut next, cut).await;
        b.reaches(BackplaneState::Up).await;
    }
    settle(&a, &b, &topic, &mut next).await;
    for node in [&a, &b] {
        node.log.assert_once_and_in_order(unknown(&a));
    }
    println!("said {next}, lost here {}, lost there {}", lost(&a, next), lost(&b, next));
    // The publisher never lost its connection: what is missing was lost by deaf subscribers, in reported gaps.
    let now = a.backplane.counters();
    assert_eq!((now.unknown, now.dropped), (before.unknown, before.dropped));
    assert!(lost(&b, next) < next, "nothing arrived at all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_is_cut_alone_loses_only_what_is_unknown() {
    cut_publishers(RedisFleet::start()).await;
}

/// Its fences are passed by subscribing again, which RESP2 confirms too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_is_cut_alone_loses_only_what_is_unknown_without_hello() {
    cut_publishers(RedisFleet::without_hello()).await;
}

async fn cut_publishers(fleet: RedisFleet) {
    let (a, b, topic) = pair(&fleet).await;
    let mut events = a.backplane.events();
    let before = a.backplane.counters();
    let mut next = 0;
    for _ in 0..5 {
        let cut = async {
            fleet.0.cut_publishers();
            Node::raises(&mut events, |event| matches!(event, RedisEvent::Failed(Role::Publisher, _))).await;
            Node::raises(&mut events, |event| matches!(event, RedisEvent::Restored { .. })).await;
        };
        talk_while(&a, &topic, &mut next, cut).await;
    }
    settle(&a, &b, &topic, &mut next).await;
    for node in [&a, &b] {
        node.log.assert_once_and_in_order(unknown(&a));
    }
    assert_accounted(&a, &b, next, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_that_are_cut_at_once_get_everything_once() {
    let mut fleet = RedisFleet::start();
    let (a, b, topic) = pair(&fleet).await;
    let other = Topic::group("other");
    for node in [&a, &b] {
        node.subscribe(&other).await;
    }
    let (mut here, mut there) = (0, THERE);
    let outage = async {
        // Long enough to have learned how many servers the fleet has.
        passing(Duration::from_millis(1000)).await;
        fleet.0.kill();
        passing(Duration::from_millis(300)).await;
        fleet.0.restart();
        a.reaches(BackplaneState::Up).await;
        b.reaches(BackplaneState::Up).await;
    };
    let (ours, theirs) = tokio::join!(
        talk_while(&a, &topic, &mut here, outage),
        talk_while(&b, &other, &mut there, passing(Duration::from_millis(1800)))
    );
    for node in [&a, &b] {
        node.reaches(BackplaneState::Up).await;
    }
    settle(&a, &b, &topic, &mut here).await;
    settle(&b, &a, &other, &mut there).await;
    let unknown = unknown(&a) + unknown(&b);
    let (at_a, at_b) = (a.log.numbers(), b.log.numbers());
    for log in [&at_a, &at_b] {
        let (low, high) = log.iter().copied().partition(|number| *number < THERE);
        assert_in_order(low, unknown);
        assert_in_order(high, unknown);
    }
    let dropped = a.backplane.counters().dropped + b.backplane.counters().dropped;
    assert_eq!(dropped, 0, "the buffers are large enough");
    assert_losses_excused(&outcomes(ours).await, 0, &at_b);
    assert_losses_excused(&outcomes(theirs).await, THERE, &at_a);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_without_memory_delivers_all_the_same() {
    let fleet = RedisFleet::start();
    let (a, b, topic) = pair(&fleet).await;
    assert_eq!(fleet.0.ask("CONFIG SET maxmemory 1"), "+OK");
    assert!(fleet.0.ask("SET key value").starts_with("-OOM"));
    for number in 0..100 {
        assert_eq!(a.say(&topic, number).await, Ok(Outcome::Receivers(2)));
    }
    assert!(comes_true(PATIENCE, || b.log.len() == 100).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_breaker_opens_while_redis_is_dead_and_closes_when_it_is_back() {
    let mut fleet = RedisFleet::start();
    let (a, _b, _) = pair(&fleet).await;
    let mut events = a.backplane.events();
    fleet.0.kill();
    Node::raises(&mut events, |event| *event == RedisEvent::BreakerOpened).await;
    fleet.0.restart();
    Node::raises(&mut events, |event| *event == RedisEvent::BreakerHalfOpen).await;
    Node::raises(&mut events, |event| *event == RedisEvent::BreakerClosed).await;
    a.reaches(BackplaneState::Up).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_late_is_waited_for() {
    let absent = RedisServer::absent();
    let backplane = signalr_backplane_redis::RedisBackplane::connect(&absent.url()).await.unwrap();
    assert_eq!(backplane.state().current(), BackplaneState::Starting);
    let node = Node::join(backplane).await;
    let topic = Topic::group("g");
    assert_eq!(node.subscribe(&topic).await, Subscribed::Pending);
    assert_eq!(node.say(&topic, 1).await, Ok(Outcome::Buffered));
    assert_eq!(node.log.numbers(), [1], "local members are served at once");
    let server = absent.start();
    node.reaches(BackplaneState::Up).await;
    let fleet = RedisFleet(server);
    let other = Node::join(fleet.node().await).await;
    assert_eq!(other.say(&topic, 2).await, Ok(Outcome::Receivers(1)));
    assert!(comes_true(PATIENCE, || node.log.len() == 2).await);
    assert_eq!(node.log.numbers(), [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_string_fails_at_the_start_as_the_reference_does() {
    let absent = RedisServer::absent();
    let string = absent.url().replace("redis://", "") + ",connectRetry=2,connectTimeout=1000";
    let refused = signalr_backplane_redis::RedisBackplane::connect(&string).await;
    assert!(refused.is_err_and(|error| error.is_transient()));
    let lenient = string + ",abortConnect=false";
    assert!(signalr_backplane_redis::RedisBackplane::connect(&lenient).await.is_ok());
}

/// Redis ends subscribers with more than 8 MB waiting for a minute (here 5 s); one that keeps up is not ended, however long
/// the bursts go on.
/// Acceptance scenario 14.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bursts_beyond_the_soft_limit_of_redis_cost_nothing() {
    let fleet = RedisFleet::start();
    let (a, b, topic) = pair(&fleet).await;
    assert_eq!(fleet.0.ask("CONFIG SET client-output-buffer-limit \"pubsub 256mb 8mb 5\""), "+OK");
    let (mut next, mut waiting) = (0, 0);
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(8) {
        let tickets: Vec<_> =
            (next..next + 40).map(|number| a.say_padded(&topic, number, 512 << 10)).collect();
        next += 40;
        waiting = waiting.max(most_waiting(&fleet.0));
        for outcome in outcomes(tickets).await {
            assert_eq!(outcome, Ok(Outcome::Receivers(2)));
        }
        // On a machine with much else to do, bursts without any pause would be more than it can carry.
        let all_came = || [&a, &b].iter().all(|node| node.log.len() as u64 == next);
        assert!(next % 160 != 0 || comes_true(PATIENCE, all_came).await);
    }
    println!("{next} messages of 512 KiB, up to {waiting} bytes waiting for one subscriber");
    for node in [&a, &b] {
        assert!(comes_true(PATIENCE, || node.log.len() as u64 == next).await);
        node.log.assert_once_and_in_order(0);
        assert_eq!(node.backplane.counters().overflowed, 0);
    }
}

/// Bytes that Redis holds for the subscriber that is furthest behind.
fn most_waiting(server: &RedisServer) -> u64 {
    let lines = server.ask_all(&["CLIENT LIST TYPE pubsub"]);
    let waiting =
        lines.iter().filter_map(|line| line.split(" omem=").nth(1)?.split(' ').next()?.parse().ok());
    waiting.max().unwrap_or_default()
}

/// The subscriber is cut again and again while it brings its channels into force: in the end all are.
/// Acceptance scenario 5.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_is_cut_while_it_subscribes_gets_everything_back() {
    cut_while_it_subscribes(RedisFleet::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_is_cut_while_it_subscribes_gets_everything_back_without_hello() {
    cut_while_it_subscribes(RedisFleet::without_hello()).await;
}

async fn cut_while_it_subscribes(fleet: RedisFleet) {
    let a = Node::join(fleet.node().await).await;
    let topics: Vec<Topic> = (0..10_000).map(|number| Topic::group(&format!("group {number}"))).collect();
    assert_eq!(a.hub.subscribe(&topics).await, Ok(Subscribed::InForce));
    let all = subscribed(&fleet.0);
    assert!(all > 10_000);
    let mut events = a.backplane.events();
    let mut cut_halfway = 0;
    fleet.0.cut_subscribers();
    while cut_halfway < 2 {
        let mut seen = 0;
        let halfway = comes_true(PATIENCE, || {
            seen = subscribed(&fleet.0);
            seen > 0
        });
        assert!(halfway.await, "it does not come back");
        cut_halfway += u32::from(seen < all);
        fleet.0.cut_subscribers();
    }
    Node::raises(&mut events, |event| *event == RedisEvent::SubscriberReplaced).await;
    a.reaches(BackplaneState::Up).await;
    assert_eq!(subscribed(&fleet.0), all);
    for (number, topic) in (0..).zip(topics.iter().step_by(50)) {
        assert_eq!(a.say(topic, number).await, Ok(Outcome::Receivers(1)), "{topic:?}");
    }
    assert!(comes_true(PATIENCE, || a.log.len() == topics.len() / 50).await);
    a.log.assert_once_and_in_order(0);
}

/// Channels that the one subscriber of a Redis has at the moment.
fn subscribed(server: &RedisServer) -> usize {
    let lines = server.ask_all(&["CLIENT LIST TYPE pubsub"]);
    let counts =
        lines.iter().filter_map(|line| line.split(" sub=").nth(1)?.split(' ').next()?.parse::<usize>().ok());
    counts.sum()
}

/// A third server at the same Redis, which a relay can keep away from it.
async fn third(fleet: &RedisFleet, topic: &Topic) -> (Node, Relay) {
    let relay = Relay::in_turn(vec![fleet.0.port()]).await;
    let url = format!("{}?reconnect_retry_policy=linear:50ms", relay.url());
    let c = Node::join(RedisFleet::node_at(&url).await).await;
    assert_eq!(c.subscribe(topic).await, Subscribed::InForce);
    (c, relay)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_came_just_before_an_outage_is_waited_for() {
    let mut fleet = RedisFleet::start();
    let (a, b, topic) = pair(&fleet).await;
    // Long enough to have counted two servers.
    passing(Duration::from_millis(600)).await;
    let (c, relay) = third(&fleet, &topic).await;
    // Its word is on its way, and a tenth of the time between two counts is enough for it.
    passing(Duration::from_millis(25)).await;
    fleet.0.kill();
    let port = relay.port();
    drop(relay);
    let mut next = 0;
    let outage = async {
        a.reaches(BackplaneState::Down).await;
        passing(Duration::from_millis(300)).await;
        fleet.0.restart();
        b.reaches(BackplaneState::Up).await;
        a.reaches(BackplaneState::Up).await;
    };
    drop(talk_while(&a, &topic, &mut next, outage).await);
    let back = Instant::now();
    passing(Duration::from_millis(700)).await;
    let replayed = a.backplane.counters().replayed;
    assert!(replayed == 0 || back.elapsed() > Duration::from_millis(1900), "{replayed} went without it");
    let _relay = Relay::on(port, vec![fleet.0.port()]).await;
    c.reaches(BackplaneState::Up).await;
    settle(&a, &c, &topic, &mut next).await;
    assert!(a.backplane.counters().replayed > 0);
    c.log.assert_once_and_in_order(unknown(&a));
    if back.elapsed() < Duration::from_millis(1900) {
        assert_accounted(&a, &c, next, RedisCounters::default());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_is_cut_again_and_again_keeps_nothing_for_ever() {
    let fleet = RedisFleet::start();
    let (a, b, topic) = pair(&fleet).await;
    let (_c, relay) = third(&fleet, &topic).await;
    passing(Duration::from_millis(600)).await;
    // From now on the fleet is never complete.
    drop(relay);
    let mut next = 0;
    let since = Instant::now();
    let cuts = async {
        while a.backplane.counters().replayed == 0 && since.elapsed() < PATIENCE {
            fleet.0.cut_publishers();
            passing(Duration::from_millis(1200)).await;
        }
    };
    drop(talk_while(&a, &topic, &mut next, cuts).await);
    let counters = a.backplane.counters();
    assert!(counters.replayed > 0, "nothing that was kept has left in {:?}", since.elapsed());
    println!("kept messages left after {:?}", since.elapsed());
    a.reaches(BackplaneState::Up).await;
    settle(&a, &b, &topic, &mut next).await;
    for node in [&a, &b] {
        node.log.assert_once_and_in_order(unknown(&a));
    }
    assert_accounted(&a, &b, next, RedisCounters::default());
}
