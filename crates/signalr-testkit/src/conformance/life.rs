//! Rules about joining, leaving, state, and the content of messages.

use super::fleet::{Fleet, Verdict, Violation, ensure, same};
use super::listener::{HUB, Listener, invocation, listeners, numbered};
use bytes::Bytes;
use signalr_core::{
    BackplaneErrorKind, BackplaneMessage, BackplaneState, ConnectionId, GroupAction, GroupCommand, Topic,
};
use signalr_protocol::{HubProtocol, Protocol};
use std::collections::HashSet;

fn command(node: &str, id: i32, action: GroupAction) -> BackplaneMessage {
    BackplaneMessage::GroupCommand(GroupCommand {
        id,
        node: node.into(),
        action,
        group: "a group: *?".into(),
        connection: ConnectionId::from("c-1_"),
    })
}

fn completion(protocol: Protocol) -> BackplaneMessage {
    let mut out = Vec::new();
    HubProtocol::new(protocol).write_completion_error(&mut out, "id", "an error");
    BackplaneMessage::Completion { protocol, message: out.into() }
}

/// When `join` returns, the topics that a hub always has are in force: all, groups, its ack and its return topic.
pub async fn a_join_puts_the_hubs_own_topics_in_force(fleet: &dyn Fleet) -> Verdict {
    let [publisher, listener] = listeners(fleet).await?;
    let node = listener.node();
    let sent = [
        (Topic::Groups, command(&node, 1, GroupAction::Add)),
        (Topic::Ack(node.clone()), BackplaneMessage::Ack { id: 7 }),
        (Topic::Return(node), completion(Protocol::Json)),
    ];
    for (topic, message) in &sent {
        publisher.hub.publish(topic, message.clone()).await?;
    }
    publisher.say(&Topic::All, 1).await?;
    listener.hears(&Topic::All, &[1]).await?;
    listener.until(|log| log.len() > sent.len()).await;
    for wanted in &sent {
        ensure(listener.beside_all().contains(wanted), format_args!("{wanted:?} did not arrive"))?;
    }
    // The publisher hears the groups topic too, but neither of the other server's own.
    publisher.settled(&publisher).await?;
    publisher.until(|log| log.iter().any(|(topic, _)| *topic == Topic::Groups)).await;
    same("what the other server heard", publisher.beside_all(), vec![sent[0].clone()])
}

/// Every join gets a name that no other join has.
pub async fn nodes_have_different_names(fleet: &dyn Fleet) -> Verdict {
    let server = fleet.server().await;
    let mut names = HashSet::new();
    for hub in ["A", "B"] {
        names.insert(Listener::join_on(fleet, server.clone(), hub).await?.node());
    }
    names.insert(Listener::join(fleet).await?.node());
    names.insert(Listener::join(fleet).await?.node());
    ensure(!names.contains(""), "a node has no name")?;
    same("different names", names.len(), 4)
}

/// A backplane that has joined is up.
pub async fn the_state_is_up_after_a_join(fleet: &dyn Fleet) -> Verdict {
    let listener = Listener::join(fleet).await?;
    let mut events = listener.hub.state();
    let up = async {
        while events.current() != BackplaneState::Up {
            events.changed().await?;
        }
        Some(())
    };
    let reached = tokio::time::timeout(fleet.patience(), up).await;
    ensure(matches!(reached, Ok(Some(()))), format_args!("the state is {:?}", listener.hub.state().current()))
}

/// Every part of every kind of message arrives as it was sent.
pub async fn every_message_arrives_unchanged(fleet: &dyn Fleet) -> Verdict {
    let [publisher, listener] = listeners(fleet).await?;
    let group = Topic::group("g");
    listener.subscribe(std::slice::from_ref(&group)).await?;
    let mut full = invocation(1);
    full.excluded = vec![ConnectionId::from("one"), ConnectionId::from("zwei ü")];
    full.invocation_id = Some("an id".into());
    full.return_to = Some(publisher.node());
    let mut tagged = invocation(2);
    tagged.origin = Some(publisher.node());
    let mut json_only = invocation(3);
    json_only.payloads = Default::default();
    json_only.payloads.set(Protocol::Json, Bytes::from_static(b"{\"type\":6}\x1e"));
    let mut wanted = Vec::new();
    for message in [full, tagged, json_only] {
        wanted.push((group.clone(), BackplaneMessage::Invocation(message)));
    }
    let node = publisher.node();
    let actions = [GroupAction::Add, GroupAction::Remove, GroupAction::Unknown(77)];
    for (id, action) in [1, i32::MAX, -1].into_iter().zip(actions) {
        wanted.push((Topic::Groups, command(&node, id, action)));
    }
    let (ack, back) = (Topic::Ack(listener.node()), Topic::Return(listener.node()));
    wanted.extend([1, i32::MAX].map(|id| (ack.clone(), BackplaneMessage::Ack { id })));
    wanted.extend(Protocol::ALL.map(|protocol| (back.clone(), completion(protocol))));
    for (topic, message) in &wanted {
        publisher.hub.publish(topic, message.clone()).await?;
    }
    listener.until(|log| log.len() >= wanted.len()).await;
    let heard = listener.beside_all();
    for message in &wanted {
        ensure(heard.contains(message), format_args!("{message:?} is not among {heard:?}"))?;
    }
    same("number of messages", heard.len(), wanted.len())
}

/// A message of a megabyte arrives, and what follows it too.
pub async fn large_messages_arrive(fleet: &dyn Fleet) -> Verdict {
    let [publisher, listener] = listeners(fleet).await?;
    let mut large = invocation(1);
    large.payloads.set(Protocol::MessagePack, Bytes::from(vec![b'x'; 1 << 20]));
    let large = BackplaneMessage::Invocation(large);
    publisher.hub.publish(&Topic::All, large.clone()).await?;
    publisher.say(&Topic::All, 2).await?;
    listener.hears(&Topic::All, &[1, 2]).await?;
    let arrived = listener.until(|log| log.first().is_some_and(|(_, message)| *message == large)).await;
    ensure(arrived, "a large message was changed on its way")
}

/// Messages of the fleet's own kinds go to who subscribed to them, unchanged.
pub async fn messages_of_the_fleet_arrive_unchanged(fleet: &dyn Fleet) -> Verdict {
    let [publisher, listener] = listeners(fleet).await?;
    let topic = Topic::Fleet("presence".into());
    listener.subscribe(std::slice::from_ref(&topic)).await?;
    let body = Bytes::from_static(&[0, 255, 30, 10, 13]);
    let message = BackplaneMessage::Fleet { kind: "presence".into(), version: 3, body: body.clone() };
    publisher.hub.publish(&topic, message.clone()).await?;
    let other = BackplaneMessage::Fleet { kind: "other".into(), version: 3, body };
    publisher.hub.publish(&Topic::Fleet("other".into()), other).await?;
    listener.until(|log| !log.is_empty()).await;
    listener.settled(&publisher).await?;
    same("messages of the fleet", listener.beside_all(), vec![(topic, message)])
}

/// Hubs are fleets of their own, whatever their names look like.
pub async fn hubs_do_not_mix(fleet: &dyn Fleet) -> Verdict {
    let (here, there) = (fleet.server().await, fleet.server().await);
    let names = [HUB, "Conformance.Hub2", "Conformance", "conformance.hub", "Conformance.Hub:all"];
    let mut pairs = Vec::new();
    for name in names {
        let speaker = Listener::join_on(fleet, here.clone(), name).await?;
        pairs.push((speaker, Listener::join_on(fleet, there.clone(), name).await?));
    }
    for (number, (speaker, listener)) in (0..).zip(&pairs) {
        listener.subscribe(&[Topic::group("g")]).await?;
        speaker.say(&Topic::All, number).await?;
        speaker.say(&Topic::group("g"), number).await?;
    }
    for (number, (speaker, listener)) in (0..).zip(&pairs) {
        listener.settled(speaker).await?;
        listener.hears(&Topic::All, &[number]).await?;
        listener.hears(&Topic::group("g"), &[number]).await?;
    }
    Ok(())
}

/// A server that has caught up has heard all that was confirmed to whoever said it; catching up needs no messages.
pub async fn what_was_confirmed_is_here_when_a_server_has_caught_up(fleet: &dyn Fleet) -> Verdict {
    let [publisher, listener] = listeners(fleet).await?;
    let groups: Vec<_> = (0..8).map(|number| Topic::group(&format!("g{number}"))).collect();
    listener.subscribe(&groups).await?;
    for round in 1..=20 {
        listener.hub.caught_up().await;
        let words = groups.iter().chain([&Topic::All]);
        let tickets: Vec<_> =
            words.clone().map(|topic| publisher.hub.publish(topic, numbered(round))).collect();
        for ticket in tickets {
            ticket.await?;
        }
        listener.hub.caught_up().await;
        for topic in words {
            same(&format!("the last number on {topic:?}"), listener.numbers(topic).last(), Some(&round))?;
        }
    }
    Ok(())
}

/// What was published before `leave` arrives; afterwards nothing is delivered, published or counted.
pub async fn leaving_flushes_and_ends_delivery(fleet: &dyn Fleet) -> Verdict {
    let [leaver, other] = listeners(fleet).await?;
    let group = Topic::group("g");
    leaver.subscribe(std::slice::from_ref(&group)).await?;
    let tickets: Vec<_> = (0..100).map(|number| leaver.hub.publish(&Topic::All, numbered(number))).collect();
    drop(tickets);
    leaver.hub.leave().await;
    other.hears(&Topic::All, &(0..100).collect::<Vec<_>>()).await?;

    let before = leaver.numbers(&Topic::All).len();
    other.counts(&group, 0).await?;
    other.counts(&Topic::Ack(leaver.node()), 0).await?;
    other.say(&group, 200).await?;
    other.say(&Topic::All, 201).await?;
    other.hears(&Topic::All, &(0..100).chain([201]).collect::<Vec<_>>()).await?;
    same("numbers after leaving", leaver.numbers(&Topic::All).len(), before)?;
    same("group messages after leaving", leaver.numbers(&group), Vec::new())?;

    let refused = leaver.hub.publish(&Topic::All, numbered(300)).await;
    let kind = refused.err().map(|error| error.kind());
    ensure(kind == Some(BackplaneErrorKind::Left), format_args!("publishing after leaving gave {kind:?}"))?;
    ensure(leaver.hub.subscribe(&[group]).await.is_err(), "subscribing after leaving succeeded")?;
    // Twice is once.
    leaver.hub.leave().await;
    Ok(())
}

/// The others do not notice that a server leaves or vanishes.
pub async fn others_go_on_when_one_leaves(fleet: &dyn Fleet) -> Verdict {
    let [first, second, leaver, vanisher] = listeners(fleet).await?;
    let group = Topic::group("g");
    for listener in [&second, &leaver, &vanisher] {
        listener.subscribe(std::slice::from_ref(&group)).await?;
    }
    first.say(&group, 1).await?;
    leaver.hub.leave().await;
    first.say(&group, 2).await?;
    drop(vanisher);
    first.say(&group, 3).await?;
    second.hears(&group, &[1, 2, 3]).await?;
    first
        .counts(&group, 1)
        .await
        .map_err(|violation| Violation::new(format_args!("after a drop: {violation}")))
}
