//! Rules about membership across servers: commands, acks, and what a disconnect takes along.

use super::fleet::{Fleet, Verdict, Violation, ensure};
use super::listener::Listener;
use super::servers::{Server, group, receives, servers};
use signalr_core::{BackplaneMessage, ConnectionId, GroupAction, GroupCommand, GroupError, Topic};
use signalr_protocol::Protocol;
use std::time::Duration;

/// A server puts another server's connection into a group; when the call returns, it is in.
pub async fn a_connection_on_another_server_can_be_grouped(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [mut member, mut other] = b.pair().await?;
    a.join(&member, "g").await?;
    a.send(group("g"), "x").await?;
    b.send(group("g"), "y").await?;
    a.end().await?;
    receives(&mut member, &["x", "y"]).await?;
    receives(&mut other, &[]).await
}

/// Adding again, here or from elsewhere, changes nothing.
pub async fn adding_twice_is_adding_once(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [mut member, _] = b.pair().await?;
    b.join(&member, "g").await?;
    b.join(&member, "g").await?;
    a.join(&member, "g").await?;
    a.send(group("g"), "x").await?;
    a.end().await?;
    receives(&mut member, &["x"]).await?;
    // One removal undoes all of them.
    b.manager.remove_from_group(member.id(), "g").await?;
    a.send(group("g"), "y").await?;
    a.end().await?;
    receives(&mut member, &[]).await
}

/// A server takes another server's connection out of a group; when the call returns, it is out.
pub async fn a_connection_on_another_server_can_be_ungrouped(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [mut member, mut stays] = b.pair().await?;
    b.join(&member, "g").await?;
    b.join(&stays, "g").await?;
    a.manager.remove_from_group(member.id(), "g").await?;
    a.send(group("g"), "x").await?;
    a.end().await?;
    receives(&mut member, &[]).await?;
    receives(&mut stays, &["x"]).await
}

/// Taking out who is not in is no error and changes nothing, here and from elsewhere.
pub async fn ungrouping_a_stranger_changes_nothing(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [mut stranger, mut member] = b.pair().await?;
    b.join(&member, "g").await?;
    for server in [&a, &b] {
        server.manager.remove_from_group(stranger.id(), "g").await?;
        server.manager.remove_from_group(stranger.id(), "no such group").await?;
    }
    a.send(group("g"), "x").await?;
    a.end().await?;
    receives(&mut member, &["x"]).await?;
    receives(&mut stranger, &[]).await
}

/// A connection that ends leaves its groups; the last one takes the group's topic along.
pub async fn a_disconnect_leaves_the_groups(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let watcher = Listener::join(fleet).await?;
    let [first, second] = b.pair().await?;
    b.join(&first, "g").await?;
    a.join(&second, "g").await?;
    watcher.counts(&Topic::group("g"), 1).await?;
    first.close();
    b.forgets(first.id()).await?;
    watcher.counts(&Topic::group("g"), 1).await?;
    second.close();
    b.forgets(second.id()).await?;
    watcher.counts(&Topic::group("g"), 0).await?;
    watcher.counts(&Topic::Connection(second.id().clone()), 0).await
}

/// A command for a connection that nobody has fails, and at once when the backplane can count receivers.
///
/// Acceptance scenario 9.
pub async fn grouping_an_unknown_connection_fails_soon(fleet: &dyn Fleet) -> Verdict {
    let (a, _b) = servers(fleet).await?;
    let unknown = ConnectionId::from("nobody");
    let limit = fleet.patience() * 2;
    for _ in 0..2 {
        let outcome = tokio::time::timeout(limit, a.manager.add_to_group(&unknown, "g")).await;
        let outcome = outcome.map_err(|_| Violation::new("a command for nobody is waited for too long"))?;
        let expected = match outcome {
            Err(GroupError::NotFound(_)) => true,
            Err(GroupError::TimedOut(_)) => !fleet.counts_receivers(),
            _ => false,
        };
        ensure(expected, format_args!("a command for nobody gave {outcome:?}"))?;
    }
    Ok(())
}

/// A command whose action a server does not know changes nothing and is acked all the same.
pub async fn an_unknown_group_command_is_acked(fleet: &dyn Fleet) -> Verdict {
    let server = Server::start(fleet).await?;
    let asker = Listener::join(fleet).await?;
    let mut client = server.client(Protocol::Json, None).await?;
    let command = |id, action| {
        BackplaneMessage::GroupCommand(GroupCommand {
            id,
            node: asker.node(),
            action,
            group: "g".into(),
            connection: client.id().clone(),
        })
    };
    asker.hub.publish(&Topic::Groups, command(1, GroupAction::Unknown(9))).await?;
    asker.hub.publish(&Topic::Groups, command(2, GroupAction::Add)).await?;
    let wanted = [1, 2].map(|id| (Topic::Ack(asker.node()), BackplaneMessage::Ack { id }));
    let acked = asker.until(|log| {
        let acks: Vec<_> = log.iter().filter(|(topic, _)| matches!(topic, Topic::Ack(_))).collect();
        acks.len() == 2 && acks.into_iter().eq(&wanted)
    });
    ensure(acked.await, "the commands were not acked, once each and in order")?;
    server.send(group("g"), "x").await?;
    server.end().await?;
    receives(&mut client, &["x"]).await
}

/// Many commands at once, both ways: every one is acked, and all are in force.
pub async fn many_group_commands_are_all_acked(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [mut here, _] = a.pair().await?;
    let [mut there, _] = b.pair().await?;
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for number in 0..100 {
        let name = format!("g{number}");
        let (manager, id) = (a.manager.clone(), there.id().clone());
        let group = name.clone();
        first.push(tokio::spawn(async move { manager.add_to_group(&id, &group).await }));
        let (manager, id) = (b.manager.clone(), here.id().clone());
        second.push(tokio::spawn(async move { manager.add_to_group(&id, &name).await }));
    }
    for task in first.into_iter().chain(second) {
        let joined = tokio::time::timeout(fleet.patience() + Duration::from_secs(1), task).await;
        joined.map_err(Violation::new)?.map_err(Violation::new)??;
    }
    for number in 0..100 {
        a.send(group(&format!("g{number}")), "x").await?;
    }
    a.end().await?;
    receives(&mut here, &["x"; 100]).await?;
    receives(&mut there, &["x"; 100]).await
}
