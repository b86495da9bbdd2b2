//! What is logged and measured, and what never is. Alone in its process, because logs and metrics are taken from all of it.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod support;

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit,
};
use signalr_backplane_redis::{RedisBackplane, RedisEvent, RedisOptions, Role};
use signalr_core::{Backplane, BackplaneState, HubJoin, Outcome, Topic};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use support::secure::restrict;
use support::sink::{Node, numbered};
use support::{RedisServer, comes_true};

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The log of this process, everything from now on.
fn log() -> Written {
    static LOG: OnceLock<Written> = OnceLock::new();
    LOG.get_or_init(|| {
        let written = Written::default();
        let writer = written.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_writer(move || writer.clone())
            .init();
        written
    })
    .clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_password_is_logged() {
    let written = log();
    let server = RedisServer::start();
    restrict(&server, "app", "open-sesame", "fleet:");
    let connect = async |password: &str| {
        let url = format!("redis://app:{password}@127.0.0.1:{}?channelPrefix=fleet:", server.port());
        RedisBackplane::new(RedisOptions::parse(&url).unwrap()).await.unwrap()
    };
    let _wrong = connect("hocus-pocus").await;
    assert!(comes_true(PATIENCE, || written.text().contains("WRONGPASS")).await);
    Node::join(connect("open-sesame").await).await.reaches(BackplaneState::Up).await;
    // Who does not know the login repeats it, with the password.
    let older = RedisServer::without_hello(&["--requirepass", "open-sesame"]);
    let connect = async |password: &str| {
        let url = format!("redis://:{password}@127.0.0.1:{}", older.port());
        RedisBackplane::connect(&url).await.unwrap()
    };
    let _wrong = connect("hocus-pocus").await;
    assert!(comes_true(Duration::from_secs(20), || written.text().contains("authentication failed")).await);
    Node::join(connect("open-sesame").await).await.reaches(BackplaneState::Up).await;
    let text = written.text();
    assert!(text.contains("connected to Redis"), "{text}");
    assert!(!text.contains("hocus") && !text.contains("sesame"), "{text}");
}

/// Every way to say a password, and every way to fail with it: nothing that people see, log or store shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_way_to_fail_shows_a_password() {
    const PASSWORD: &str = "S3cr3t-Canary";
    let written = log();
    let locked = RedisServer::start_with(vec!["--requirepass".into(), "another".into()]);
    // A server without these commands repeats in its answer what it was told.
    let rename = |command: &str| ["--rename-command".to_owned(), command.to_owned(), String::new()];
    let without_login = [rename("HELLO"), rename("AUTH")].concat();
    let without_login =
        RedisServer::start_with([without_login, vec!["--requirepass".into(), "x".into()]].concat());
    let mut texts = Vec::new();
    for port in [locked.port(), without_login.port()] {
        texts.extend([
            format!("redis://:{PASSWORD}@127.0.0.1:{port}"),
            format!("redis://app:{PASSWORD}@127.0.0.1:{port}/3"),
            format!("127.0.0.1:{port},password={PASSWORD},abortConnect=false"),
            format!("127.0.0.1:{port},user=app,password={PASSWORD},abortConnect=false,$CLIENT="),
            format!("redis+sentinel://127.0.0.1:{port}/mymaster?sentinelPassword={PASSWORD}"),
            format!("redis+sentinel://app:{PASSWORD}@127.0.0.1:{port}/mymaster"),
            format!("redis-cluster://:{PASSWORD}@127.0.0.1:{port}"),
            format!("rediss://:{PASSWORD}@127.0.0.1:{port}"),
            format!("redis://:{PASSWORD}@127.0.0.1:{port},127.0.0.1:{port}"),
        ]);
    }
    let trials = texts.iter().map(|text| async move {
        let short = Duration::from_millis(1_500);
        let options =
            RedisOptions::parse(text).unwrap().to_builder().connect_timeout(short).async_timeout(short);
        let options = options.build().unwrap();
        let backplane = RedisBackplane::new(options.clone()).await.unwrap();
        let mut events = backplane.events();
        let failed = Node::raises(&mut events, |event| matches!(event, RedisEvent::Failed(..)));
        // It may have happened before anybody listened; the pool fails in the same way.
        let event = tokio::time::timeout(Duration::from_secs(2), failed).await;
        let pooled = backplane.pool().get().await.map(|_| ());
        let strict = options.to_builder().abort_on_connect_fail(true).connect_retry(1).build().unwrap();
        let refused = RedisBackplane::new(strict).await.map(|_| ());
        let said =
            format!("{options:?} {backplane:?} {event:?} {pooled:?} {refused:?} {:?}", backplane.pool());
        let shown = [pooled.err(), refused.err()].into_iter().flatten().map(|error| error.to_string());
        (text, said + &shown.collect::<String>())
    });
    for (text, said) in futures_util::future::join_all(trials).await {
        assert!(said.contains("Err("), "{text} did not fail: {said}");
        assert!(!said.contains(PASSWORD), "{text} shows it: {said}");
    }
    let text = written.text();
    assert!(text.contains("no connection to Redis"), "{text}");
    assert!(!text.contains(PASSWORD), "a log shows it");
}

/// Names and labels of what was recorded, with the sum.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Vec<(String, u64)>>>);

struct Recording(String, Recorded);

impl CounterFn for Recording {
    fn increment(&self, value: u64) {
        self.1.0.lock().unwrap().push((self.0.clone(), value));
    }

    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Recording {
    fn record(&self, value: f64) {
        self.1.0.lock().unwrap().push((self.0.clone(), value as u64));
    }
}

impl GaugeFn for Recording {
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, value: f64) {
        self.1.0.lock().unwrap().push((self.0.clone(), value as u64));
    }
}

impl metrics::Recorder for Recorded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Recording(name(key), self.clone())))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(Recording(name(key), self.clone())))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Recording(name(key), self.clone())))
    }
}

fn name(key: &Key) -> String {
    let labels: Vec<String> =
        key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
    format!("{} {}", key.name(), labels.join(",")).trim_end().to_owned()
}

/// The metrics of this process, everything from now on.
fn recorded() -> Recorded {
    static RECORDED: OnceLock<Recorded> = OnceLock::new();
    RECORDED
        .get_or_init(|| {
            let recorded = Recorded::default();
            metrics::set_global_recorder(recorded.clone()).unwrap();
            recorded
        })
        .clone()
}

impl Recorded {
    fn of(&self, name: &str) -> Vec<u64> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|(recorded, _)| recorded == name).map(|(_, value)| *value).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_is_measured_by_hub_as_in_the_guide() {
    let recorded = recorded();
    let server = RedisServer::start();
    let node = Node::join(RedisBackplane::connect(&server.url()).await.unwrap()).await;
    node.reaches(BackplaneState::Up).await;
    let topic = Topic::group("g");
    node.subscribe(&topic).await;
    let before = recorded.of("signalr.messages.published hub=Test.Hub").len();
    for bytes in [10, 5_000] {
        assert!(node.say_padded(&topic, 1, bytes).await.is_ok());
    }
    assert_eq!(recorded.of("signalr.messages.published hub=Test.Hub").len(), before + 2);
    let sizes = recorded.of("signalr.message.size hub=Test.Hub");
    assert!(matches!(sizes[before..], [30..100, 5_020..5_100]), "{sizes:?}");
    assert!(comes_true(PATIENCE, || node.log.len() == 2).await);
    assert!(recorded.of("signalr.redis.published").iter().sum::<u64>() >= 2);
    assert!(recorded.of("signalr.redis.received").iter().sum::<u64>() >= 2);
}

/// An outage from its beginning to its end: whatever changes is an event, a log line and a metric.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transition_is_an_event_a_log_line_and_a_metric() {
    let (written, recorded) = (log(), recorded());
    let mut server = RedisServer::start();
    let node = Node::join(RedisBackplane::connect(&server.url()).await.unwrap()).await;
    node.reaches(BackplaneState::Up).await;
    let hub = node.backplane.join(HubJoin::new("Other.Hub", node.log.clone())).await.unwrap();
    assert!(hub.publish(&Topic::All, numbered(1)).await.is_ok());
    let probed = || !recorded.of("signalr.redis.round_trip_seconds").is_empty();
    assert!(comes_true(PATIENCE, probed).await);
    let mut events = node.backplane.events();
    server.kill();
    let mut seen = Vec::new();
    let mut until = async |wanted: fn(&RedisEvent) -> bool| {
        while !seen.last().is_some_and(wanted) {
            let next = tokio::time::timeout(PATIENCE, events.next()).await;
            seen.push(next.expect("an event").expect("the backplane lives"));
        }
    };
    until(|event| *event == RedisEvent::BreakerOpened).await;
    assert_eq!(hub.publish(&Topic::All, numbered(2)).await, Ok(Outcome::Buffered));
    let kept = || recorded.of("signalr.redis.queue_bytes queue=kept").iter().any(|bytes| *bytes > 0);
    assert!(comes_true(PATIENCE, kept).await);
    server.restart();
    until(|event| matches!(event, RedisEvent::Restored { replayed: 1, dropped: 0, unknown: 0 })).await;
    node.reaches(BackplaneState::Up).await;
    for event in [
        RedisEvent::Connected(Role::Publisher),
        RedisEvent::Connected(Role::Subscriber),
        RedisEvent::SubscriberReplaced,
        RedisEvent::BreakerHalfOpen,
        RedisEvent::BreakerClosed,
    ] {
        assert!(seen.contains(&event), "{event:?} is missing: {seen:?}");
    }
    for role in [Role::Publisher, Role::Subscriber] {
        let failed = |event: &RedisEvent| matches!(event, RedisEvent::Failed(which, _) if *which == role);
        assert!(seen.iter().any(failed), "{role:?} did not fail: {seen:?}");
    }
    for metric in [
        "state_changes state=up",
        "state_changes state=down",
        "connections role=publisher",
        "connections role=subscriber",
        "connection_failures role=publisher",
        "connection_failures role=subscriber",
        "breaker_transitions state=open",
        "breaker_transitions state=half_open",
        "breaker_transitions state=closed",
        "gaps",
        "outages",
        "published",
        "buffered",
        "replayed",
        "received",
        "queue_bytes queue=publish",
        "queue_bytes queue=in_flight",
        "queue_bytes queue=deliver",
        "probe_age_seconds",
        "resubscribe_seconds",
        "fan_out_seconds",
    ] {
        assert!(!recorded.of(&format!("signalr.redis.{metric}")).is_empty(), "{metric} was never told");
    }
    let text = written.text();
    for line in [
        "the Redis backplane",
        "connected to Redis",
        "no connection to Redis; trying again",
        "the circuit breaker of the Redis publisher",
        "the Redis subscriber was replaced",
        "Redis is back",
    ] {
        assert!(text.contains(line), "{line} was not logged");
    }
}
