//! Rules about sends through a lifetime manager: who receives what, how often, in which order.

use super::fleet::{Fleet, Verdict, Violation, ensure, same};
use super::listener::Listener;
use super::servers::{Server, group, receives, servers, texts, user};
use bytes::Bytes;
use signalr_core::{BackplaneMessage, CloseReason, DeliveryOrder, InvocationMessage, Target, Topic};
use signalr_protocol::{HubProtocol, Protocol};
use std::sync::Arc;
use tokio::sync::Barrier;

/// A send to all reaches every client of every server, in its own protocol.
pub async fn all_reaches_every_server(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let (here, there) = (a.pair().await?, b.pair().await?);
    a.send(Target::All, "from a").await?;
    b.send(Target::All, "from b").await?;
    a.end().await?;
    for mut client in here.into_iter().chain(there) {
        receives(&mut client, &["from a", "from b"]).await?;
    }
    Ok(())
}

/// Exclusions hold on every server.
pub async fn all_except_leaves_out_the_excluded(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [mut here, mut excluded_here] = a.pair().await?;
    let [mut excluded_there, mut there] = b.pair().await?;
    let excluded = vec![excluded_here.id().clone(), excluded_there.id().clone(), "nobody".into()];
    a.send(Target::AllExcept(excluded), "x").await?;
    a.end().await?;
    receives(&mut here, &["x"]).await?;
    receives(&mut there, &["x"]).await?;
    receives(&mut excluded_here, &[]).await?;
    receives(&mut excluded_there, &[]).await
}

/// A connection is reached by its id from any server; an id that nobody has is no error.
pub async fn a_connection_is_reached_on_another_server(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [mut one, mut two] = b.pair().await?;
    a.send(Target::Connection(one.id().clone()), "one").await?;
    a.send(Target::Connection(two.id().clone()), "two").await?;
    a.send(Target::Connection("nobody".into()), "nobody").await?;
    a.end().await?;
    receives(&mut one, &["one"]).await?;
    receives(&mut two, &["two"]).await
}

/// A message to a connection on the same server arrives once, and does not go over the backplane.
pub async fn a_local_connection_gets_one_copy(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let eavesdropper = Listener::join(fleet).await?;
    let [mut here, _] = a.pair().await?;
    let mut there = b.client(Protocol::Json, None).await?;
    let topic = Topic::Connection(here.id().clone());
    eavesdropper.subscribe(std::slice::from_ref(&topic)).await?;
    a.send(Target::Connection(here.id().clone()), "x").await?;
    a.end().await?;
    receives(&mut here, &["x"]).await?;
    receives(&mut there, &[]).await?;
    eavesdropper.settled(&eavesdropper).await?;
    same("what went over the backplane", eavesdropper.beside_all(), Vec::new())
}

/// A message to a connection on the same server arrives in its place among all others of its sender. Only for backplanes
/// that promise it ([`BackplaneHub::orders_direct`](signalr_core::BackplaneHub::orders_direct)), so not in
/// [`backplane_conformance!`](crate::backplane_conformance): their authors call it in a test of their own.
pub async fn a_direct_send_keeps_its_place(fleet: &dyn Fleet) -> Verdict {
    let server = Server::start(fleet).await?;
    let mut clients = server.pair().await?;
    let mut wanted = Vec::new();
    for client in &clients {
        server.join(client, "g").await?;
    }
    let ids: Vec<_> = clients.iter().map(|client| client.id().clone()).collect();
    let [one, two] = [0, 1].map(|at| Target::Connection(ids[at].clone()));
    for round in 0..50 {
        let texts = ["group", "one", "two", "all", "listed"].map(|kind| format!("{kind} {round}"));
        let [to_group, to_one, to_two, to_all, to_listed] = &texts;
        // Nobody waits for the one before: all are on their way together.
        let sent = tokio::join!(
            server.send(group("g"), to_group),
            server.send(one.clone(), to_one),
            server.send(two.clone(), to_two),
            server.send(Target::All, to_all),
            server.send(Target::Connections(ids.clone()), to_listed),
        );
        sent.0.and(sent.1).and(sent.2).and(sent.3).and(sent.4)?;
        wanted.extend(texts);
    }
    server.end().await?;
    for (client, stranger) in clients.iter_mut().zip(["two ", "one "]) {
        let wanted: Vec<_> = wanted.iter().filter(|text| !text.starts_with(stranger)).cloned().collect();
        let what = format!("texts of {:?}", client.id());
        same(&what, texts(client).await?, wanted)?;
    }
    Ok(())
}

/// A list of connections is served wherever each of them is.
pub async fn several_connections_are_reached_wherever_they_are(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [mut here, mut other] = a.pair().await?;
    let [mut there, _] = b.pair().await?;
    a.send(Target::Connections(vec![here.id().clone(), there.id().clone()]), "x").await?;
    a.end().await?;
    receives(&mut here, &["x"]).await?;
    receives(&mut there, &["x"]).await?;
    receives(&mut other, &[]).await
}

/// A group is reached on every server, also from one that has no member of it.
pub async fn a_group_is_reached_from_a_server_without_members(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let c = Server::start(fleet).await?;
    let [mut member, mut stranger] = b.pair().await?;
    let [_, mut other_member] = c.pair().await?;
    b.join(&member, "g").await?;
    c.join(&other_member, "g").await?;
    a.send(group("g"), "x").await?;
    a.send(group("h"), "nobody").await?;
    a.end().await?;
    receives(&mut member, &["x"]).await?;
    receives(&mut other_member, &["x"]).await?;
    receives(&mut stranger, &[]).await
}

/// Exclusions of a group send hold on every server.
pub async fn a_group_send_leaves_out_the_excluded(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [mut here, mut excluded_here] = a.pair().await?;
    let [mut there, mut excluded_there] = b.pair().await?;
    for (server, client) in [(&a, &here), (&a, &excluded_here), (&b, &there), (&b, &excluded_there)] {
        server.join(client, "g").await?;
    }
    let excluded = vec![excluded_here.id().clone(), excluded_there.id().clone()];
    a.send(Target::GroupExcept("g".into(), excluded), "x").await?;
    a.end().await?;
    receives(&mut here, &["x"]).await?;
    receives(&mut there, &["x"]).await?;
    receives(&mut excluded_here, &[]).await?;
    receives(&mut excluded_there, &[]).await
}

/// A list of groups is one send to each: who is in two gets two.
pub async fn several_groups_are_several_sends(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [mut both, mut one] = b.pair().await?;
    for (client, name) in [(&both, "g"), (&both, "h"), (&one, "h")] {
        b.join(client, name).await?;
    }
    a.send(Target::Groups(vec!["g".into(), "h".into()]), "x").await?;
    a.end().await?;
    receives(&mut both, &["x", "x"]).await?;
    receives(&mut one, &["x"]).await
}

/// A user is reached on all connections of all servers; lists of users too.
pub async fn all_connections_of_a_user_are_reached(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let mut ann_here = a.client(Protocol::Json, Some("ann")).await?;
    let mut ann_there = b.client(Protocol::MessagePack, Some("ann")).await?;
    let mut ann_again = b.client(Protocol::Json, Some("ann")).await?;
    let mut bob = b.client(Protocol::Json, Some("bob")).await?;
    let mut nobody = a.client(Protocol::Json, None).await?;
    a.send(user("ann"), "x").await?;
    b.send(Target::Users(vec!["ann".into(), "bob".into()]), "y").await?;
    a.end().await?;
    for ann in [&mut ann_here, &mut ann_there, &mut ann_again] {
        receives(ann, &["x", "y"]).await?;
    }
    receives(&mut bob, &["y"]).await?;
    receives(&mut nobody, &[]).await
}

/// A user's topic is kept while the server has one connection of the user.
pub async fn a_user_stays_subscribed_until_the_last_connection_is_gone(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let first = b.client(Protocol::Json, Some("ann")).await?;
    let mut second = b.client(Protocol::Json, Some("ann")).await?;
    first.close();
    b.forgets(first.id()).await?;
    a.send(user("ann"), "x").await?;
    a.end().await?;
    receives(&mut second, &["x"]).await
}

/// Names that look like patterns are names, and letter case counts.
pub async fn names_are_literal(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let mut star = b.client(Protocol::Json, Some("*")).await?;
    let mut plain = b.client(Protocol::Json, Some("ann")).await?;
    b.join(&star, "*").await?;
    b.join(&plain, "Room").await?;
    for name in ["*", "room", "Room"] {
        a.send(group(name), &format!("group {name}")).await?;
    }
    for name in ["*", "Ann", "ann"] {
        a.send(user(name), &format!("user {name}")).await?;
    }
    a.end().await?;
    receives(&mut star, &["group *", "user *"]).await?;
    receives(&mut plain, &["group Room", "user ann"]).await
}

/// Who has gone gets nothing more; the others do.
pub async fn disconnected_clients_get_nothing(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [mut gone, mut stays] = b.pair().await?;
    gone.close();
    b.forgets(gone.id()).await?;
    gone.ended().await?;
    a.send(Target::All, "x").await?;
    a.send(Target::Connection(gone.id().clone()), "x").await?;
    a.end().await?;
    receives(&mut stays, &["x"]).await?;
    same("what a closed client got", gone.try_next_message()?.is_some(), false)
}

/// A client that cannot be written to costs the others nothing, and the sender no error.
pub async fn a_client_that_fails_does_not_hinder_others(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [failing, mut healthy] = b.pair().await?;
    b.join(&failing, "g").await?;
    b.join(&healthy, "g").await?;
    // Its socket is broken, but nobody has noticed yet.
    failing.connection().detach();
    a.send(group("g"), "x").await?;
    a.send(Target::Connection(failing.id().clone()), "y").await?;
    a.end().await?;
    receives(&mut healthy, &["x"]).await
}

/// A client that does not read costs the others nothing.
pub async fn a_frozen_client_does_not_hinder_others(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [frozen, mut healthy] = b.pair().await?;
    frozen.freeze();
    let text = "x".repeat(8 * 1024);
    for _ in 0..64 {
        a.send(Target::All, &text).await?;
    }
    a.end().await?;
    let seen = texts(&mut healthy).await?;
    same("texts of the healthy client", seen.len(), 64)?;
    ensure(frozen.connection().queued_bytes() > 64 * 8 * 1024, "the frozen client's messages are lost")?;
    frozen.thaw();
    let mut thawed = frozen;
    same("texts of the thawed client", texts(&mut thawed).await?.len(), 64)
}

/// Two servers send to all at the same time: every client of both sees one order.
pub async fn all_clients_see_one_order(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let (here, there) = (a.pair().await?, b.pair().await?);
    let both = Arc::new(Barrier::new(2));
    let speak = |server: &Server, name: &'static str| {
        let (manager, both) = (server.manager.clone(), both.clone());
        tokio::spawn(async move {
            let mut sent = Ok(());
            for number in 0..200 {
                // Again and again from the same moment, also after a failure: the other one waits here.
                if number % 7 == 0 {
                    both.wait().await;
                }
                let text = format!("{name} {number}");
                sent = sent.and(manager.send(&Target::All, "Text", &(text,)).await);
            }
            sent
        })
    };
    let (one, two) = (speak(&a, "a"), speak(&b, "b"));
    one.await.map_err(Violation::new)??;
    two.await.map_err(Violation::new)??;
    a.end().await?;
    let mut orders = Vec::new();
    for mut client in here.into_iter().chain(there) {
        orders.push(texts(&mut client).await?);
    }
    same("texts of the first client", orders[0].len(), 400)?;
    for sender in ["a", "b"] {
        let own = orders[0].iter().filter(|text| text.starts_with(sender));
        let wanted = (0..200).map(|number| format!("{sender} {number}"));
        ensure(own.cloned().eq(wanted), format_args!("the order of sender {sender} is lost"))?;
    }
    ensure(orders.iter().all(|order| *order == orders[0]), "two clients saw different orders")
}

/// With local delivery first, nobody gets a message twice.
pub async fn local_first_delivers_one_copy(fleet: &dyn Fleet) -> Verdict {
    let a = Server::start_with(fleet, DeliveryOrder::LocalFirst).await?;
    let b = Server::start_with(fleet, DeliveryOrder::LocalFirst).await?;
    let mut here = a.client(Protocol::Json, Some("ann")).await?;
    let mut there = b.client(Protocol::MessagePack, Some("ann")).await?;
    a.join(&here, "g").await?;
    b.join(&there, "g").await?;
    for target in [Target::All, group("g"), user("ann"), Target::AllExcept(vec!["nobody".into()])] {
        a.send(target, "x").await?;
    }
    a.end().await?;
    receives(&mut here, &["x"; 4]).await?;
    // The end came by the backplane too, so nothing of server a can be on its way any more.
    receives(&mut there, &["x"; 4]).await?;
    b.end().await?;
    receives(&mut here, &[]).await
}

/// A client whose protocol the sender did not write is cut; the others get the message.
pub async fn a_client_without_its_protocol_is_cut(fleet: &dyn Fleet) -> Verdict {
    let server = Server::start(fleet).await?;
    let stranger = Listener::join(fleet).await?;
    let [mut json, mut cut] = server.pair().await?;
    let mut out = Vec::new();
    HubProtocol::new(Protocol::Json).write_invocation(&mut out, None, "Text", &("x",))?;
    let mut message = InvocationMessage::default();
    message.payloads.set(Protocol::Json, Bytes::from(out));
    stranger.hub.publish(&Topic::All, BackplaneMessage::Invocation(message)).await?;
    same("what the JSON client got", json.expect::<(String,)>("Text").await?.0.as_str(), "x")?;
    cut.ended().await?;
    let reason = cut.connection().close_requested();
    same("why the other was cut", reason, Some(CloseReason::ProtocolUnavailable))
}

/// Kinds and versions of fleet messages that a server does not know change nothing.
///
/// Acceptance scenario 17.
pub async fn unknown_kinds_of_the_fleet_are_ignored(fleet: &dyn Fleet) -> Verdict {
    let server = Server::start(fleet).await?;
    let stranger = Listener::join(fleet).await?;
    let mut client = server.client(Protocol::Json, None).await?;
    for version in [0, u32::MAX] {
        let body = Bytes::from_static(b"\xc1 anything");
        let message = BackplaneMessage::Fleet { kind: "never heard of".into(), version, body };
        drop(stranger.hub.publish(&Topic::Fleet("never heard of".into()), message).await);
    }
    server.send(Target::All, "x").await?;
    server.end().await?;
    receives(&mut client, &["x"]).await
}

/// After one server has left, the others reach each other; its own clients still get what is local.
pub async fn a_server_that_stops_leaves_the_others_alone(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let leaver = Server::start(fleet).await?;
    let mut there = b.client(Protocol::Json, None).await?;
    let mut left = leaver.client(Protocol::Json, None).await?;
    leaver.send(Target::All, "last words").await?;
    leaver.manager.leave().await;
    a.send(Target::All, "x").await?;
    a.end().await?;
    receives(&mut there, &["last words", "x"]).await?;
    leaver.send(Target::Connection(left.id().clone()), "local").await?;
    let mut seen = vec![left.expect::<(String,)>("Text").await?.0];
    if seen[0] == "last words" {
        seen.push(left.expect::<(String,)>("Text").await?.0);
    }
    same("the last text of the server that left", seen.pop().as_deref(), Some("local"))
}
