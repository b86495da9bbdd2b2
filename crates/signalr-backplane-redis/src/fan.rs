//! What is published on: one connection, or one to each node of a Cluster that owns slots.
//!
//! Owns the choice of the connection for a channel, and the watch over all of them. What is asked, and what an end
//! means, is the publisher's business.

use crate::dial::Link;
use crate::pulse::{Beat, Pulse};
use crate::settings::Settings;
use crate::slots::{Node, Table, slot};
use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, Value};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

pub(crate) struct Fan {
    /// In the order of the nodes' names.
    spokes: Vec<Spoke>,
    cluster: Option<Routes>,
}

struct Spoke {
    node: Node,
    link: Link,
    pulse: Pulse,
    due: Arc<AtomicUsize>,
}

struct Routes {
    table: Table,
    by_slot: Vec<usize>,
}

/// An answer is due, until this is dropped.
struct Due(Arc<AtomicUsize>);

impl Due {
    fn on(spoke: &Spoke) -> Self {
        spoke.due.fetch_add(1, Ordering::Relaxed);
        Self(spoke.due.clone())
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Fan {
    /// Everything on one connection.
    pub(crate) fn single(settings: &Settings, link: Link) -> Self {
        let node = Node { id: String::new(), host: String::new(), port: 0 };
        Self { spokes: vec![Spoke::new(settings, node, link)], cluster: None }
    }

    /// Each channel on the owner of its slot. `links` is not empty.
    pub(crate) fn cluster(settings: &Settings, table: Table, links: Vec<(Node, Link)>) -> Self {
        let spokes = links.into_iter().map(|(node, link)| Spoke::new(settings, node, link)).collect();
        let mut fan = Self { spokes, cluster: None };
        fan.route_by(table);
        fan
    }

    fn route_by(&mut self, table: Table) {
        self.spokes.sort_by(|one, other| one.node.cmp(&other.node));
        let owning = |node: &Node| table.masters().iter().any(|master| master.id == node.id);
        // Nodes that own nothing any more may still have subscribers: they are asked, but nothing is published there.
        let places: Vec<_> =
            (0..self.spokes.len()).filter(|&place| owning(&self.spokes[place].node)).collect();
        let places = if places.is_empty() { (0..self.spokes.len()).collect() } else { places };
        let present: Vec<_> = places.iter().map(|&place| &self.spokes[place].node).collect();
        let by_slot = table.routes(&present).into_iter().map(|present| places[present]).collect();
        self.cluster = Some(Routes { table, by_slot });
    }

    /// Takes over a new table and connections. Nothing may be in flight that has to keep its order.
    pub(crate) fn change(&mut self, settings: &Settings, table: Table, links: Vec<(Node, Link)>) {
        for (node, link) in links {
            self.spokes.retain(|spoke| spoke.node.id != node.id);
            self.spokes.push(Spoke::new(settings, node, link));
        }
        self.route_by(table);
    }

    /// The table in use; `None` outside of a Cluster.
    pub(crate) fn table(&self) -> Option<&Table> {
        self.cluster.as_ref().map(|routes| &routes.table)
    }

    /// The owners, by this table, that there is no connection to.
    pub(crate) fn missing(&self, table: &Table) -> Vec<Node> {
        let known = |node: &&Node| !self.spokes.iter().any(|spoke| spoke.node == **node);
        table.masters().iter().filter(known).cloned().collect()
    }

    /// Whether every owner of slots is connected to.
    pub(crate) fn is_complete(&self) -> bool {
        self.table().is_none_or(|table| self.missing(table).is_empty())
    }

    pub(crate) fn len(&self) -> usize {
        self.spokes.len()
    }

    /// Which connection a channel is published on.
    pub(crate) fn place(&self, channel: &[u8]) -> usize {
        let Some(routes) = &self.cluster else { return 0 };
        routes.by_slot.get(usize::from(slot(channel))).copied().unwrap_or(0)
    }

    pub(crate) fn conns(&self) -> Vec<MultiplexedConnection> {
        self.spokes.iter().map(|spoke| spoke.link.conn()).collect()
    }

    pub(crate) fn conn(&self, place: usize) -> MultiplexedConnection {
        self.spokes[place].link.conn()
    }

    /// Asks one.
    pub(crate) fn ask(
        &self,
        place: usize,
        pipeline: Pipeline,
    ) -> impl Future<Output = RedisResult<Vec<Value>>> + Send + 'static {
        let (mut conn, due) = (self.conn(place), Due::on(&self.spokes[place]));
        // A budget that is used up would make requests wait for their first turn, and get it in any order.
        tokio::task::unconstrained(async move {
            let _due = due;
            conn.send_packed_commands(&pipeline, 0, pipeline.len()).await
        })
    }

    /// Asks all the same; each answer comes with the host that gave it.
    pub(crate) fn ask_all(
        &self,
        pipeline: &Pipeline,
    ) -> impl Future<Output = Vec<(String, RedisResult<Vec<Value>>)>> + Send + 'static {
        let questions: Vec<_> = (0..self.spokes.len())
            .map(|place| {
                let (host, answer) =
                    (self.spokes[place].node.host.clone(), self.ask(place, pipeline.clone()));
                async move { (host, answer.await) }
            })
            .collect();
        join_all(questions)
    }

    /// Ready when one of the connections is over. Cancel safe.
    pub(crate) async fn ended(&mut self) {
        std::future::poll_fn(|cx| {
            let over = |spoke: &mut Spoke| pin!(spoke.link.ended()).poll(cx).is_ready();
            if self.spokes.iter_mut().any(over) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Takes a step; true when one of the connections is dead.
    pub(crate) fn step(&mut self) -> bool {
        let mut dead = false;
        for spoke in &mut self.spokes {
            let waiting = spoke.due.load(Ordering::Relaxed) > 0;
            dead |= spoke.pulse.step(spoke.link.traffic().received(), waiting) == Beat::Dead;
        }
        dead
    }

    /// Ends all; when it returns nothing more is received.
    pub(crate) async fn cut(&mut self) {
        for spoke in &mut self.spokes {
            spoke.link.cut().await;
        }
    }
}

impl Spoke {
    fn new(settings: &Settings, node: Node, link: Link) -> Self {
        let pulse = Pulse::new(settings.probe_period, settings.probe_timeout);
        Self { node, link, pulse, due: Arc::default() }
    }
}
