//! Rules about subscriptions.

use super::fleet::{Fleet, Verdict, ensure, same};
use super::listener::{Listener, listeners};
use signalr_core::{ConnectionId, Topic};

/// When `subscribe` says so, everything that is published from then on arrives.
pub async fn a_subscription_is_in_force_when_it_returns(fleet: &dyn Fleet) -> Verdict {
    let [publisher, listener] = listeners(fleet).await?;
    for number in 0..100 {
        let topic = Topic::group(&format!("group {number}"));
        listener.subscribe(std::slice::from_ref(&topic)).await?;
        publisher.say(&topic, number).await?;
        listener.hears(&topic, &[number]).await?;
    }
    let many: Vec<Topic> = (0..500).map(|number| Topic::user(&format!("user {number}"))).collect();
    listener.subscribe(&many).await?;
    for topic in [&many[0], &many[499]] {
        publisher.say(topic, 7).await?;
        listener.hears(topic, &[7]).await?;
    }
    Ok(())
}

/// A topic is wanted or not, however often that was said.
pub async fn subscribing_twice_is_subscribing_once(fleet: &dyn Fleet) -> Verdict {
    let [publisher, listener] = listeners(fleet).await?;
    let topic = Topic::group("g");
    listener.subscribe(&[topic.clone(), topic.clone()]).await?;
    listener.subscribe(std::slice::from_ref(&topic)).await?;
    publisher.say(&topic, 1).await?;
    listener.settled(&publisher).await?;
    listener.hears(&topic, &[1]).await?;
    publisher.counts(&topic, 1).await?;
    listener.hub.unsubscribe(std::slice::from_ref(&topic));
    unsubscribed(&publisher, &listener, &topic, &[1]).await
}

/// The wish is on record when `subscribe` returns its future; dropping that future changes nothing.
pub async fn a_dropped_subscribe_keeps_the_wish(fleet: &dyn Fleet) -> Verdict {
    let [publisher, listener] = listeners(fleet).await?;
    let topic = Topic::group("g");
    drop(listener.hub.subscribe(std::slice::from_ref(&topic)));
    let mut number = 0;
    let arrives = async {
        while listener.numbers(&topic).is_empty() {
            publisher.say(&topic, number).await?;
            number += 1;
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    match tokio::time::timeout(fleet.patience(), arrives).await {
        Ok(verdict) => verdict,
        Err(_) => ensure(false, "a subscription whose future was dropped never came into force"),
    }
}

/// Of contrary wishes the last one counts, also when none was waited for.
pub async fn the_last_wish_counts(fleet: &dyn Fleet) -> Verdict {
    let [publisher, listener] = listeners(fleet).await?;
    let (kept, dropped) = (Topic::group("kept"), Topic::group("dropped"));
    for _ in 0..50 {
        drop(listener.hub.subscribe(&[kept.clone(), dropped.clone()]));
        listener.hub.unsubscribe(&[kept.clone(), dropped.clone()]);
    }
    listener.subscribe(std::slice::from_ref(&kept)).await?;
    publisher.say(&kept, 1).await?;
    listener.hears(&kept, &[1]).await?;
    unsubscribed(&publisher, &listener, &dropped, &[]).await
}

/// After `unsubscribe` nothing new arrives; taking back what was never wanted is nothing.
pub async fn unsubscribing_ends_delivery(fleet: &dyn Fleet) -> Verdict {
    let [publisher, listener, stays] = listeners(fleet).await?;
    let topic = Topic::user("u");
    listener.hub.unsubscribe(&[Topic::user("nobody"), topic.clone()]);
    for subscriber in [&listener, &stays] {
        subscriber.subscribe(std::slice::from_ref(&topic)).await?;
    }
    publisher.say(&topic, 1).await?;
    listener.hears(&topic, &[1]).await?;
    listener.hub.unsubscribe(std::slice::from_ref(&topic));
    publisher.counts(&topic, 1).await?;
    listener.settled(&publisher).await?;
    publisher.say(&topic, 2).await?;
    listener.settled(&publisher).await?;
    same("numbers after unsubscribing", listener.numbers(&topic), vec![1])?;
    stays.hears(&topic, &[1, 2]).await
}

/// Equal names of different kinds are different topics; names are compared exactly and hold any character.
pub async fn topics_do_not_mix(fleet: &dyn Fleet) -> Verdict {
    let [publisher, listener] = listeners(fleet).await?;
    let names = ["a", "A", "*", "a*", "[a]", "?", "a:b", "all", "a b", "ü€🦀", "a\nb", "", "internal:groups"];
    let mut topics: Vec<Topic> = Vec::new();
    for name in names {
        topics.extend([Topic::group(name), Topic::user(name), Topic::Connection(ConnectionId::from(name))]);
    }
    // Every second one, so that a mix-up shows as too little or too much.
    let wanted: Vec<Topic> = topics.iter().step_by(2).cloned().collect();
    listener.subscribe(&wanted).await?;
    for (number, topic) in (0..).zip(&topics) {
        publisher.say(topic, number).await?;
    }
    listener.until(|log| log.len() >= wanted.len()).await;
    listener.settled(&publisher).await?;
    for (number, topic) in (0..).zip(&topics) {
        let expected = if wanted.contains(topic) { vec![number] } else { Vec::new() };
        same(&format!("numbers on {topic:?}"), listener.numbers(topic), expected)?;
    }
    same("messages in all", listener.beside_all().len(), wanted.len())
}

/// `receivers` follows the subscriptions, or says that it cannot know.
pub async fn receivers_are_counted(fleet: &dyn Fleet) -> Verdict {
    let [first, second] = listeners(fleet).await?;
    let topic = Topic::connection("c");
    let known = first.hub.receivers(&topic).await.is_some();
    same("whether receivers can be counted", known, fleet.counts_receivers())?;
    first.counts(&topic, 0).await?;
    second.subscribe(std::slice::from_ref(&topic)).await?;
    first.counts(&topic, 1).await?;
    first.subscribe(std::slice::from_ref(&topic)).await?;
    first.counts(&topic, 2).await?;
    first.counts(&Topic::All, 2).await?;
    first.counts(&Topic::Ack(second.node()), 1).await?;
    second.hub.unsubscribe(std::slice::from_ref(&topic));
    first.counts(&topic, 1).await
}

/// Checks that a listener hears nothing more on a topic than it has.
async fn unsubscribed(publisher: &Listener, listener: &Listener, topic: &Topic, heard: &[u64]) -> Verdict {
    publisher.counts(topic, 0).await?;
    listener.settled(publisher).await?;
    publisher.say(topic, 999).await?;
    listener.settled(publisher).await?;
    same(&format!("numbers on {topic:?}"), listener.numbers(topic), heard.to_vec())
}
