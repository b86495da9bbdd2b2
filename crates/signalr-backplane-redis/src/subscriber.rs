//! The subscriber: one connection that everything arrives on.
//!
//! Owns dialling without an end, bringing what is wanted into force, and handing over what arrives, inside the
//! connection's own task. What is wanted is the registry's. Nothing but (un)subscribing is ever asked on this
//! connection.

use crate::backoff::Backoff;
use crate::dial::Push;
use crate::engine::Shared;
use crate::health::Role;
use crate::listener::{Ear, Listener};
use crate::member::{Lost, Member, Received};
use crate::publisher::{is_useless, lost, ticks};
use crate::pulse::{Beat, Pulse};
use crate::registry::Receivers;
use crate::settings::Address;
use crate::traffic::Traffic;
use bytes::Bytes;
use redis::{PushInfo, PushKind, Value};
use signalr_core::{BackplaneError, BackplaneErrorKind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use tokio::time::Instant;

/// Keeps a connection for receiving, for ever.
pub(crate) async fn supervise(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(shared.settings.retry);
    loop {
        let weak = Arc::downgrade(&shared);
        let error = match reach(&shared, Arc::new(move |push| receive(&weak, push))).await {
            Ok((listener, address)) => run(&shared, listener, address.as_ref(), &mut backoff).await,
            Err(error) => error,
        };
        shared.registry.lost();
        shared.markers.lost();
        shared.lane.subscriber_down();
        shared.health.lost(Role::Subscriber, error);
        tokio::time::sleep(backoff.pause()).await;
    }
}

/// The connection, and where it is if it may have to be left.
async fn reach(shared: &Shared, push: Push) -> Result<(Listener, Option<Address>), BackplaneError> {
    let (link, address) = if shared.settings.cluster.is_some() {
        (shared.cluster.dial_subscriber(&shared.settings, push).await?, None)
    } else {
        let (link, address) = shared.route.connect(&shared.settings, Some(push)).await?;
        (link, Some(address))
    };
    let listener = link.into_listener().await.ok_or_else(|| lost("the connection was closed"))?;
    Ok((listener, address))
}

/// Ready when the primary is elsewhere; never in a Cluster, which has several.
async fn left(shared: &Shared, address: Option<&Address>) -> BackplaneError {
    match address {
        Some(address) => shared.route.moved(&shared.settings, address, None).await,
        None => std::future::pending().await,
    }
}

/// Receives until the connection is over; says why. Nothing arrives on it afterwards.
async fn run(
    shared: &Shared,
    mut listener: Listener,
    address: Option<&Address>,
    backoff: &mut Backoff,
) -> BackplaneError {
    shared.registry.connected();
    let (ear, traffic) = (listener.ear(), listener.traffic().clone());
    let error = tokio::select! {
        biased;
        () = listener.ended() => lost("the connection was closed"),
        error = follow(shared, ear.clone(), backoff) => error,
        error = watch(shared, ear, &traffic) => error,
        error = left(shared, address) => error,
        () = shared.deaf.notified() => lost("Redis does not deliver to it; it leads to another server"),
    };
    listener.cut().await;
    error
}

/// Brings what is wanted into force, now and whenever that changes.
async fn follow(shared: &Shared, mut ear: Ear, backoff: &mut Backoff) -> BackplaneError {
    let mut complete = false;
    let mut hubs = 0;
    let since = Instant::now();
    loop {
        while let Some(batch) = shared.registry.batch() {
            let names =
                |channels: &[Arc<str>]| channels.iter().map(|name| name.to_string()).collect::<Vec<_>>();
            let mut asked = Ok(());
            if !batch.subscribe.is_empty() {
                asked = ear.subscribe(names(&batch.subscribe)).await;
            }
            if !batch.unsubscribe.is_empty() && asked.is_ok() {
                asked = ear.unsubscribe(names(&batch.unsubscribe)).await;
            }
            if let Err(error) = asked {
                return refusal(&error);
            }
            shared.registry.confirmed(&batch);
        }
        if !std::mem::replace(&mut complete, true) {
            backoff.reset();
            metrics::histogram!("signalr.redis.resubscribe_seconds").record(since.elapsed());
            shared.lane.subscriber_up();
            shared.health.up(Role::Subscriber);
            // It proves that Redis lives: the publisher need not wait longer.
            shared.life.shown();
        }
        let listening = shared.registry.listening();
        if std::mem::replace(&mut hubs, listening) < listening {
            shared.arrived.notify_one();
        }
        tokio::select! {
            () = shared.registry.changed() => {}
            () = shared.lane.fence_raised() => {
                if let Err(error) = pass_fence(shared, &mut ear).await {
                    return refusal(&error);
                }
            }
        }
    }
}

/// Asks for something and waits: whatever Redis had for this connection before has come when the answer has.
async fn pass_fence(shared: &Shared, ear: &mut Ear) -> redis::RedisResult<()> {
    let fence = shared.lane.fence();
    if let Some(channel) = shared.registry.probe() {
        ear.subscribe(vec![channel.to_string()]).await?;
    }
    shared.lane.fence_passed(fence);
    Ok(())
}

/// Ready when the connection is dead although it was not closed.
async fn watch(shared: &Shared, ear: Ear, traffic: &Traffic) -> BackplaneError {
    let mut steps = ticks();
    let mut pulse = Pulse::new(shared.settings.probe_period, shared.settings.probe_timeout);
    let mut asked: Option<tokio::task::JoinHandle<()>> = None;
    loop {
        steps.tick().await;
        if asked.as_ref().is_some_and(tokio::task::JoinHandle::is_finished) {
            asked = None;
        }
        match pulse.step(traffic.received(), asked.is_some()) {
            Beat::Fine => {}
            Beat::Dead => return lost("no sign of life"),
            Beat::Ask => {
                // Asking again for what is in force changes nothing, and is allowed wherever this works at all.
                if let Some(channel) = shared.registry.probe() {
                    let mut ear = ear.clone();
                    asked = Some(tokio::spawn(async move {
                        // The bytes of the answer are what counts.
                        let _ = ear.subscribe(vec![channel.to_string()]).await;
                    }));
                }
            }
        }
    }
}

/// Hands over what Redis sent. Runs inside the connection's task and never waits.
fn receive(shared: &Weak<Shared>, push: PushInfo) {
    if push.kind != PushKind::Message {
        return;
    }
    let Some(shared) = shared.upgrade() else { return };
    let mut data = push.data.into_iter();
    let (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) = (data.next(), data.next())
    else {
        return;
    };
    let receivers = match std::str::from_utf8(&channel) {
        Ok(channel) => shared.registry.receivers(channel),
        Err(_) => Receivers::Nobody,
    };
    let payload = Bytes::from(payload);
    match receivers {
        Receivers::Nobody => {}
        Receivers::Probe => {
            shared.heard.fetch_add(1, Ordering::Relaxed);
            shared.markers.take(&payload);
        }
        Receivers::One(member) => hand_over(&shared, &member, &channel, &payload),
        Receivers::Some(members) => {
            members.iter().for_each(|member| hand_over(&shared, member, &channel, &payload));
        }
    }
}

fn hand_over(shared: &Shared, member: &Arc<Member>, channel: &[u8], payload: &Bytes) {
    // The clock costs as much as a small fan-out: few of them are measured.
    let since = shared.stats.samples().then(Instant::now);
    let received = member.receive(channel, payload);
    if let Some(since) = since {
        metrics::histogram!("signalr.redis.fan_out_seconds").record(since.elapsed());
    }
    if matches!(received, Ok(Received::Arrival)) {
        return shared.arrival.notify_one();
    }
    shared.stats.received(1);
    match received {
        Ok(_) => {}
        Err(Lost::Overflow) => shared.health.overflowed(),
        Err(Lost::Malformed(error)) => {
            shared.stats.malformed(1);
            tracing::warn!(%error, "a message from Redis cannot be read and is left out");
        }
    }
}

fn refusal(error: &redis::RedisError) -> BackplaneError {
    if is_useless(error) {
        return lost("the server is not ready, or the wrong one");
    }
    // What the library has no kind for is a server's answer too, as that there was no login.
    if matches!(error.kind(), redis::ErrorKind::Server(_) | redis::ErrorKind::Extension) {
        let text = format!("Redis refuses a subscription: {error}; check the rights of the user");
        return BackplaneError::new(BackplaneErrorKind::Refused, text);
    }
    lost("a subscription was not answered")
}
