//! What the memory backplane adds to the contract: cuts, overflow, crashes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may fail loudly")]

use bytes::Bytes;
use signalr_backplane_memory::{MemoryBackplane, MemoryBus};
use signalr_core::{
    Backplane, BackplaneErrorKind, BackplaneHub, BackplaneMessage, BackplaneSink, BackplaneState, HubJoin,
    Outcome, Subscribed, Topic,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct Sink {
    ids: Mutex<Vec<i32>>,
    big: Mutex<usize>,
    closed: AtomicBool,
}

impl BackplaneSink for Sink {
    fn deliver(&self, _: &Topic, message: BackplaneMessage) {
        assert!(!self.closed.load(Ordering::SeqCst), "delivered after the end");
        match message {
            BackplaneMessage::Ack { id } => self.ids.lock().unwrap().push(id),
            _ => *self.big.lock().unwrap() += 1,
        }
    }
}

async fn join(backplane: &MemoryBackplane) -> (Arc<dyn BackplaneHub>, Arc<Sink>) {
    let sink = Arc::<Sink>::default();
    (backplane.join(HubJoin::new("Hub", sink.clone())).await.unwrap(), sink)
}

/// Waits for a condition; virtual time passes meanwhile.
async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await; // virtual time
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("the condition never came true");
}

fn ack(id: i32) -> BackplaneMessage {
    BackplaneMessage::Ack { id }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_cut_off_neither_hears_nor_speaks_and_comes_back_with_its_wishes() {
    let bus = MemoryBus::new();
    let (first, second) = (bus.backplane(), bus.backplane());
    let ((a, _), (b, heard)) = (join(&first).await, join(&second).await);
    let topic = Topic::group("g");
    b.subscribe(std::slice::from_ref(&topic)).await.unwrap();
    let mut events = b.state();
    assert_eq!(events.current(), BackplaneState::Up);

    second.cut_off();
    assert_eq!(events.changed().await, Some(BackplaneState::Down));
    assert_eq!(a.publish(&topic, ack(1)).await, Ok(Outcome::Receivers(0)));
    assert_eq!(a.receivers(&topic).await, Some(0));
    let refused = b.publish(&topic, ack(2)).await.unwrap_err();
    assert_eq!(refused.kind(), BackplaneErrorKind::Unavailable);
    assert!(refused.is_transient());
    assert_eq!(b.receivers(&topic).await, None);
    let late = Topic::user("u");
    assert!(b.subscribe(std::slice::from_ref(&late)).await.is_err());
    assert!(second.join(HubJoin::new("Other", Arc::<Sink>::default())).await.is_err());

    second.restore();
    assert_eq!(events.changed().await, Some(BackplaneState::Up));
    assert_eq!(a.publish(&topic, ack(3)).await, Ok(Outcome::Receivers(1)));
    assert_eq!(a.publish(&late, ack(4)).await, Ok(Outcome::Receivers(1)));
    until(|| *heard.ids.lock().unwrap() == [3, 4]).await;
}

#[tokio::test(start_paused = true)]
async fn wishes_can_be_pending_while_a_server_is_cut_off() {
    let bus = MemoryBus::new();
    let first = bus.backplane();
    let second = bus.backplane().accept_while_down();
    second.cut_off();
    let ((a, _), (b, heard)) = (join(&first).await, join(&second).await);
    let topic = Topic::group("g");
    assert_eq!(b.subscribe(std::slice::from_ref(&topic)).await, Ok(Subscribed::Pending));
    second.restore();
    assert_eq!(b.state().current(), BackplaneState::Up);
    assert_eq!(a.publish(&topic, ack(1)).await, Ok(Outcome::Receivers(1)));
    assert_eq!(a.publish(&Topic::All, ack(2)).await, Ok(Outcome::Receivers(2)));
    until(|| *heard.ids.lock().unwrap() == [1, 2]).await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_full_drops_for_that_server_and_says_so() {
    let bus = MemoryBus::new();
    let (backplane, other) = (bus.backplane(), bus.backplane());
    let (a, _) = join(&backplane).await;
    let (b, heard) = join(&other).await;
    let topic = Topic::group("g");
    b.subscribe(std::slice::from_ref(&topic)).await.unwrap();
    let body = Bytes::from(vec![0; 1 << 20]);
    // No task runs between these calls, so the queue of 64 MiB fills.
    let outcomes: Vec<_> = (0..70)
        .map(|_| BackplaneMessage::Fleet { kind: "big".into(), version: 1, body: body.clone() })
        .map(|message| a.publish(&topic, message))
        .collect();
    assert_eq!(b.state().current(), BackplaneState::Degraded);
    let mut taken = 0;
    for outcome in outcomes {
        match outcome.await {
            Ok(Outcome::Receivers(count)) => taken += count,
            other => panic!("unexpected outcome {other:?}"),
        }
    }
    assert_eq!(taken, 63);
    until(|| *heard.big.lock().unwrap() == 63).await;
    until(|| b.state().current() == BackplaneState::Up).await;
    assert_eq!(a.publish(&topic, ack(1)).await, Ok(Outcome::Receivers(1)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_vanishes_gets_nothing_more_and_one_that_leaves_gets_what_was_queued() {
    let bus = MemoryBus::new();
    let servers = [bus.backplane(), bus.backplane(), bus.backplane()];
    let (a, _) = join(&servers[0]).await;
    let (vanishing, unheard) = join(&servers[1]).await;
    let (leaving, heard) = join(&servers[2]).await;
    assert_eq!(a.publish(&Topic::All, ack(1)).await, Ok(Outcome::Receivers(3)));
    unheard.closed.store(true, Ordering::SeqCst);
    drop(vanishing);
    leaving.leave().await;
    assert_eq!(*heard.ids.lock().unwrap(), [1]);
    heard.closed.store(true, Ordering::SeqCst);
    assert_eq!(a.publish(&Topic::All, ack(2)).await, Ok(Outcome::Receivers(1)));
    assert_eq!(a.receivers(&Topic::All).await, Some(1));
    assert_eq!(leaving.state().current(), BackplaneState::Down);
    assert!(unheard.ids.lock().unwrap().is_empty());
}
