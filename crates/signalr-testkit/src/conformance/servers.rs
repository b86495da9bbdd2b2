//! A server with clients: a lifetime manager on a backplane, and test clients that are connected to it.
//!
//! Owns the plumbing of the rules that look at what clients receive. There are no hubs: a driver that only completes
//! questions and says good-bye stands for one.

use super::fleet::{Fleet, Verdict, Violation, same};
use super::listener::HUB;
use crate::client::TestClient;
use signalr_core::Instant;
use signalr_core::{
    Backplane, CloseReason, Completed, Connection, ConnectionDriver, ConnectionHandler, ConnectionId,
    DeliveryOrder, HubLifetimeManager, InputEnd, ManagerOptions, RawResult, Target, WorkEnd,
};
use signalr_protocol::{HubProtocol, Message, Protocol};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// One server of a fleet.
pub(super) struct Server {
    pub(super) manager: Arc<HubLifetimeManager>,
    patience: Duration,
    _backplane: Arc<dyn Backplane>,
}

impl Server {
    pub(super) async fn start(fleet: &dyn Fleet) -> Result<Self, Violation> {
        Self::start_with(fleet, DeliveryOrder::Ordered).await
    }

    pub(super) async fn start_with(fleet: &dyn Fleet, order: DeliveryOrder) -> Result<Self, Violation> {
        let backplane = fleet.server().await;
        let mut options = ManagerOptions::default();
        options.order = order;
        options.group_timeout = fleet.patience();
        options.result_timeout = fleet.patience();
        let manager = HubLifetimeManager::new(HUB, options);
        manager.join(&*backplane).await?;
        Ok(Self { manager, patience: fleet.patience(), _backplane: backplane })
    }

    /// A client with its handshake done.
    pub(super) async fn client(
        &self,
        protocol: Protocol,
        user: Option<&str>,
    ) -> Result<TestClient, Violation> {
        let door = Arc::new(Door(self.manager.clone()));
        let mut client = TestClient::builder().patience(self.patience).connect(door);
        let connection = client.connection().clone();
        if let Some(user) = user {
            connection.set_user_id(user);
        }
        connection.set_protocol(protocol);
        client.set_protocol(protocol);
        self.manager.connect(&connection).await?;
        Ok(client)
    }

    /// One client of each protocol.
    pub(super) async fn pair(&self) -> Result<[TestClient; 2], Violation> {
        Ok([self.client(Protocol::Json, None).await?, self.client(Protocol::MessagePack, None).await?])
    }

    pub(super) async fn send(&self, target: Target, text: &str) -> Verdict {
        Ok(self.manager.send(&target, "Text", &(text,)).await?)
    }

    pub(super) async fn join(&self, client: &TestClient, group: &str) -> Verdict {
        Ok(self.manager.add_to_group(client.id(), group).await?)
    }

    /// Sends the word that ends [`texts`] to everybody.
    pub(super) async fn end(&self) -> Verdict {
        Ok(self.manager.send(&Target::All, "End", &()).await?)
    }

    /// Waits until a connection is gone from this server.
    pub(super) async fn forgets(&self, id: &ConnectionId) -> Verdict {
        let gone = async {
            while self.manager.connection(id.as_str()).is_some() {
                tokio::task::yield_now().await;
            }
        };
        let gone = tokio::time::timeout(self.patience, gone).await;
        gone.map_err(|_| Violation::new("a closed connection stays in the table"))
    }
}

pub(super) async fn servers(fleet: &dyn Fleet) -> Result<(Server, Server), Violation> {
    Ok((Server::start(fleet).await?, Server::start(fleet).await?))
}

/// The texts that a client receives up to the end word.
pub(super) async fn texts(client: &mut TestClient) -> Result<Vec<String>, Violation> {
    texts_at_least(client, 0).await
}

/// The texts that a client receives up to the end word, and behind it up to a number: what went to another topic than
/// the end word may be behind it.
async fn texts_at_least(client: &mut TestClient, count: usize) -> Result<Vec<String>, Violation> {
    let (mut texts, mut ended) = (Vec::new(), false);
    while !ended || texts.len() < count {
        let call = client.next_invocation().await?;
        if call.target == "End" {
            ended = true;
        } else {
            let (text,): (String,) = call.arguments()?;
            texts.push(text);
        }
    }
    Ok(texts)
}

/// Checks what a client receives up to the end word, or until it has as much as is wanted, in any order.
pub(super) async fn receives(client: &mut TestClient, wanted: &[&str]) -> Verdict {
    let mut seen = texts_at_least(client, wanted.len()).await?;
    seen.sort();
    let mut wanted: Vec<String> = wanted.iter().map(|&text| text.to_owned()).collect();
    wanted.sort();
    same(&format!("texts of {:?}", client.id()), seen, wanted)
}

pub(super) fn group(name: &str) -> Target {
    Target::Group(name.into())
}

pub(super) fn user(name: &str) -> Target {
    Target::User(name.into())
}

/// Opens drivers that hand completions to a manager.
struct Door(Arc<HubLifetimeManager>);

struct Guest {
    manager: Arc<HubLifetimeManager>,
    connection: Arc<Connection>,
    end: Option<WorkEnd>,
}

impl ConnectionHandler for Door {
    fn open(&self, connection: &Arc<Connection>) -> Box<dyn ConnectionDriver> {
        Box::new(Guest { manager: self.0.clone(), connection: connection.clone(), end: None })
    }
}

impl Guest {
    fn finish(&mut self, end: WorkEnd) {
        self.connection.mark_ended();
        self.manager.disconnect(&self.connection);
        self.end.get_or_insert(end);
    }
}

impl ConnectionDriver for Guest {
    fn on_bytes(&mut self, input: &[u8], _: &mut Context<'_>) -> usize {
        let protocol = HubProtocol::new(self.connection.protocol().unwrap_or(Protocol::Json));
        let mut used = 0;
        while let Ok(Some((body, length))) = protocol.split(&input[used..]) {
            if let Ok(Message::Completion { invocation_id, error, result, .. }) = protocol.parse(body) {
                let result = RawResult::new(protocol.kind(), error.as_deref(), result);
                if self.manager.complete(&self.connection, &invocation_id, result)
                    == Completed::WrongConnection
                {
                    self.finish(WorkEnd::Failed);
                }
            }
            used += length;
        }
        used
    }

    fn wants_input(&self) -> bool {
        self.end.is_none()
    }

    fn poll_work(&mut self, _: &mut Context<'_>) -> Poll<WorkEnd> {
        self.end.map_or(Poll::Pending, Poll::Ready)
    }

    fn on_tick(&mut self, _: Instant) {}

    fn on_input_end(&mut self, _: InputEnd, _: usize) {
        self.finish(WorkEnd::Normal);
    }

    fn on_close_request(&mut self, _: CloseReason) {
        self.finish(WorkEnd::Normal);
    }
}
