//! What is published on: one connection, or one to each node of a Cluster that owns slots.
//!
//! Owns the choice of the connection for a channel, and the watch over all of them. What is asked, and what an end
//! means, is the publisher's business.

use crate::outlet::Outlet;
use crate::parcel::Parcel;
use crate::pipe::{Asker, Pipe, Replies};
use crate::pulse::{Beat, Pulse};
use crate::settings::Settings;
use crate::slots::{Node, Table, slot};
use futures_util::future::join_all;
use redis::{Cmd, RedisResult, Value};
use std::future::Future;
use std::task::Poll;

pub(crate) struct Fan {
    /// In the order of the nodes' names.
    spokes: Vec<Spoke>,
    cluster: Option<Routes>,
}

struct Spoke {
    node: Node,
    outlet: Outlet,
    pulse: Pulse,
}

struct Routes {
    table: Table,
    by_slot: Vec<usize>,
}

impl Fan {
    /// Everything on one connection.
    pub(crate) fn single(settings: &Settings, pipe: Pipe) -> Self {
        let node = Node { id: String::new(), host: String::new(), port: 0 };
        Self { spokes: vec![Spoke::new(settings, node, pipe)], cluster: None }
    }

    /// Each channel on the owner of its slot. `pipes` is not empty.
    pub(crate) fn cluster(settings: &Settings, table: Table, pipes: Vec<(Node, Pipe)>) -> Self {
        let spokes = pipes.into_iter().map(|(node, pipe)| Spoke::new(settings, node, pipe)).collect();
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
    pub(crate) fn change(&mut self, settings: &Settings, table: Table, pipes: Vec<(Node, Pipe)>) {
        for (node, pipe) in pipes {
            self.spokes.retain(|spoke| spoke.node.id != node.id);
            self.spokes.push(Spoke::new(settings, node, pipe));
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

    pub(crate) fn askers(&self) -> Vec<Asker> {
        self.spokes.iter().map(|spoke| spoke.outlet.lock().asker()).collect()
    }

    pub(crate) fn asker(&self, place: usize) -> Asker {
        self.spokes[place].outlet.lock().asker()
    }

    /// What others may publish on while nothing is on its way; `None` in a Cluster, where slots move.
    pub(crate) fn outlet(&self) -> Option<Outlet> {
        match (&self.cluster, &self.spokes[..]) {
            (None, [spoke]) => Some(spoke.outlet.clone()),
            _ => None,
        }
    }

    /// Bytes of messages that were not answered, on all.
    pub(crate) fn in_flight(&self) -> usize {
        self.spokes.iter().map(|spoke| spoke.outlet.lock().in_flight()).sum()
    }

    /// Queues messages on one; they are written by the next [`turn`](Self::turn).
    pub(crate) fn publish(&mut self, place: usize, parcels: Vec<Parcel>) {
        self.spokes[place].outlet.lock().publish(parcels);
    }

    /// Asks all the same; each answer comes with the host that gave it.
    pub(crate) fn ask_all(
        &self,
        question: &Cmd,
    ) -> impl Future<Output = Vec<(String, RedisResult<Value>)>> + Send + 'static {
        let questions: Vec<_> = self
            .spokes
            .iter()
            .map(|spoke| {
                let (host, mut asker, question) =
                    (spoke.node.host.clone(), spoke.outlet.lock().asker(), question.clone());
                async move { (host, question.query_async(&mut asker).await) }
            })
            .collect();
        join_all(questions)
    }

    /// Writes and reads, until there are replies or one of the connections has ended; false then. Nothing happens on the
    /// connections but in here, except what is written through an [`Outlet`]. Cancel safe.
    pub(crate) async fn turn(&mut self, replies: &mut Replies) -> bool {
        std::future::poll_fn(|cx| {
            let (mut ready, mut well) = (false, true);
            for spoke in &self.spokes {
                let mut pipe = spoke.outlet.lock();
                if !pipe.is_over() && pipe.poll(cx, replies).is_ready() {
                    ready = true;
                    well &= !pipe.is_over();
                }
            }
            if ready { Poll::Ready(well) } else { Poll::Pending }
        })
        .await
    }

    /// Whether answers may still come.
    pub(crate) fn is_waiting(&self) -> bool {
        let waiting = |pipe: &Pipe| !pipe.is_over() && pipe.is_waiting();
        self.spokes.iter().any(|spoke| waiting(&spoke.outlet.lock()))
    }

    /// Takes a step; true when one of the connections is dead.
    pub(crate) fn step(&mut self) -> bool {
        let mut dead = false;
        for spoke in &mut self.spokes {
            let pipe = spoke.outlet.lock();
            let beat = spoke.pulse.step(pipe.traffic().received(), pipe.is_waiting());
            dead |= beat == Beat::Dead;
        }
        dead
    }

    /// Ends all: nothing more is received. What had arrived counts.
    pub(crate) fn cut(&mut self, replies: &mut Replies) {
        self.spokes.iter().for_each(|spoke| spoke.outlet.lock().cut(replies));
    }

    /// What no byte was written of, in order on each connection.
    pub(crate) fn unwritten(&self) -> Vec<Parcel> {
        self.spokes.iter().flat_map(|spoke| spoke.outlet.lock().unwritten()).collect()
    }

    /// What was written, or in part, and never answered.
    pub(crate) fn unanswered(&self) -> Vec<Parcel> {
        let mut all = Vec::new();
        self.spokes.iter().for_each(|spoke| all.extend(spoke.outlet.lock().unanswered()));
        all
    }
}

impl Spoke {
    fn new(settings: &Settings, node: Node, pipe: Pipe) -> Self {
        let pulse = Pulse::new(settings.probe_period, settings.probe_timeout);
        Self { node, outlet: Outlet::new(pipe), pulse }
    }
}
