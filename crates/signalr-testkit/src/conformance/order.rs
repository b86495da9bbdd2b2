//! Rules about order and outcome.

use super::fleet::{Fleet, Verdict, Violation, ensure, same};
use super::listener::{Listener, listeners, numbered};
use signalr_core::{Outcome, Topic};
use std::sync::Arc;
use tokio::sync::Barrier;

/// Enough to overtake each other, if that is possible.
const MANY: u64 = 500;

/// Messages of one publisher to one topic arrive in the order of their publication, at every subscriber.
pub async fn a_topic_keeps_the_order_of_its_publisher(fleet: &dyn Fleet) -> Verdict {
    let [publisher, near, far] = listeners(fleet).await?;
    let topics = [Topic::group("g"), Topic::user("u"), Topic::All];
    for listener in [&near, &far] {
        listener.subscribe(&topics[..2]).await?;
    }
    let mut tickets = Vec::new();
    for number in 0..MANY {
        tickets.extend(topics.iter().map(|topic| publisher.hub.publish(topic, numbered(number))));
    }
    for ticket in tickets {
        ticket.await?;
    }
    let wanted: Vec<u64> = (0..MANY).collect();
    for topic in &topics {
        near.hears(topic, &wanted).await?;
        far.hears(topic, &wanted).await?;
    }
    Ok(())
}

/// Two servers publish to one topic at the same time: all servers, the publishers too, see one order, in which each
/// publisher's own order is kept.
pub async fn two_publishers_are_seen_in_one_order_by_all(fleet: &dyn Fleet) -> Verdict {
    let [first, second] = listeners(fleet).await?;
    let both = Arc::new(Barrier::new(2));
    let speak = |listener: &Listener, start: u64| {
        let (hub, both) = (listener.hub.clone(), both.clone());
        tokio::spawn(async move {
            for number in start..start + MANY {
                // Again and again from the same moment: alone, one of them might have done before the other begins.
                if number % 7 == 0 {
                    both.wait().await;
                }
                drop(hub.publish(&Topic::All, numbered(number)));
            }
        })
    };
    let (one, two) = (speak(&first, 0), speak(&second, 1000));
    one.await.map_err(Violation::new)?;
    two.await.map_err(Violation::new)?;
    let all = 2 * MANY as usize;
    for listener in [&first, &second] {
        listener.until(|log| log.len() >= all).await;
        let heard = listener.numbers(&Topic::All);
        same("messages heard", heard.len(), all)?;
        for start in [0, 1000] {
            let own: Vec<u64> = heard.iter().copied().filter(|n| (start..start + MANY).contains(n)).collect();
            ensure(
                own.is_sorted(),
                format_args!("the order of the publisher from {start} is lost: {own:?}"),
            )?;
        }
    }
    ensure(first.numbers(&Topic::All) == second.numbers(&Topic::All), "two servers saw different orders")
}

/// A message has its place when `publish` returns, even if nobody ever looks at the ticket.
pub async fn a_publish_takes_its_place_before_it_returns(fleet: &dyn Fleet) -> Verdict {
    let [publisher, listener] = listeners(fleet).await?;
    for number in 0..MANY {
        // Odd ones are waited for, even ones are not.
        let ticket = publisher.hub.publish(&Topic::All, numbered(number));
        if number % 2 == 1 {
            ticket.await?;
        }
    }
    listener.hears(&Topic::All, &(0..MANY).collect::<Vec<_>>()).await
}

/// The sink is never inside two messages of one topic at once.
pub async fn messages_of_one_topic_come_one_at_a_time(fleet: &dyn Fleet) -> Verdict {
    let [first, second, listener] = listeners(fleet).await?;
    for number in 0..MANY {
        drop(first.hub.publish(&Topic::All, numbered(number)));
        drop(second.hub.publish(&Topic::All, numbered(number)));
    }
    let all = 2 * MANY as usize;
    ensure(listener.until(|log| log.len() >= all).await, "messages are missing")?;
    same("overlapping deliveries", listener.overlaps(), 0)
}

/// A ticket tells how many servers a message was handed to.
pub async fn tickets_tell_the_receivers(fleet: &dyn Fleet) -> Verdict {
    let [publisher, listener] = listeners(fleet).await?;
    let topic = Topic::group("g");
    let mut seen = Vec::new();
    // Where tickets tell of one node only, another one may not have this message yet when somebody subscribes there.
    if fleet.tickets_count() {
        seen.push(publisher.say(&topic, 1).await?);
    }
    listener.subscribe(std::slice::from_ref(&topic)).await?;
    seen.push(publisher.say(&topic, 2).await?);
    publisher.subscribe(std::slice::from_ref(&topic)).await?;
    seen.push(publisher.say(&topic, 3).await?);
    listener.hears(&topic, &[2, 3]).await?;
    if fleet.tickets_count() {
        same("outcomes", seen, vec![Outcome::Receivers(0), Outcome::Receivers(1), Outcome::Receivers(2)])?;
    }
    Ok(())
}

/// Who publishes to a topic that it subscribes to hears itself, in the same order as all.
pub async fn a_publisher_hears_itself(fleet: &dyn Fleet) -> Verdict {
    let [publisher] = listeners(fleet).await?;
    let topic = Topic::user("u");
    publisher.subscribe(std::slice::from_ref(&topic)).await?;
    for number in 0..10 {
        publisher.say(&topic, number).await?;
    }
    publisher.hears(&topic, &(0..10).collect::<Vec<_>>()).await
}
