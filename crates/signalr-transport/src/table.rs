//! All connections of a server by their token.
//!
//! Owns who exists, who may take which transport (B-2.2), expiry of what was negotiated and never used (B-2.8), and
//! the beat of everybody else. It does not close sockets: a connection's task holds a [`Seat`], and the entry lives as
//! long as that. Tokens are opaque here; the endpoint makes them.

use crate::exchange::Exchange;
use crate::limits::Room;
use crate::seat::Seat;
use crate::ws::{AnyIo, Doorway};
use signalr_core::Instant;
use signalr_core::{CloseReason, Connection, ConnectionId, Heartbeat, Ticks, TransportKind};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

/// The table is cut into parts, so that a beat over many connections does not hold up those who come and go.
const SHARDS: usize = 32;

type Entries = HashMap<Arc<str>, Entry>;

/// The table.
pub(crate) struct Table {
    shards: [Mutex<Entries>; SHARDS],
    hasher: RandomState,
    disconnect_timeout: Duration,
    /// Beats as long as the table lives, which is as long as the server or one of its connections does.
    heartbeat: OnceLock<Heartbeat>,
    /// No connection may begin any more.
    stopping: AtomicBool,
    /// No connection may go on.
    cut: AtomicBool,
}

enum Entry {
    /// Known from negotiate; waits for a transport. The exchange is there once something was posted.
    Negotiated {
        id: ConnectionId,
        since: Instant,
        exchange: Option<Arc<Exchange>>,
        resumable: bool,
        _room: Option<Box<Room>>,
    },
    /// The transport is chosen.
    Chosen(Chosen),
}

/// A connection with its transport.
struct Chosen {
    transport: TransportKind,
    /// `None` while it is just being made.
    connection: Option<Arc<Connection>>,
    /// Where requests carry it.
    exchange: Option<Arc<Exchange>>,
    /// Where another socket is handed in (stateful reconnect).
    doorway: Option<Arc<Doorway<AnyIo>>>,
}

/// Why a request cannot have a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No such token.
    Unknown,
    /// Another transport carries it.
    OtherTransport,
    /// This transport carries it already, by another request.
    Busy,
    /// It has ended, and only its application still has something to do.
    Disposed,
}

/// What a POST may go to.
pub(crate) enum Posting {
    /// Here.
    To(Arc<Exchange>),
    /// The transport takes no POSTs.
    Never,
}

impl Table {
    pub(crate) fn new(disconnect_timeout: Duration) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Entries::new())),
            hasher: RandomState::new(),
            disconnect_timeout,
            heartbeat: OnceLock::new(),
            stopping: AtomicBool::new(false),
            cut: AtomicBool::new(false),
        }
    }

    /// Starts the beat, once. Must be called inside a tokio runtime.
    pub(crate) fn start_heartbeat(self: &Arc<Self>) {
        self.heartbeat.get_or_init(|| Heartbeat::start(Arc::new(Beat(Arc::downgrade(self)))));
    }

    fn shard(&self, token: &str) -> MutexGuard<'_, Entries> {
        lock(&self.shards[self.hasher.hash_one(token) as usize % SHARDS])
    }

    /// Remembers a negotiated connection until a transport takes it or the disconnect time-out has passed.
    /// `resumable` says that the client was told that it may replace its socket.
    pub(crate) fn negotiated(
        &self,
        token: Arc<str>,
        id: ConnectionId,
        resumable: bool,
        room: Option<Box<Room>>,
    ) {
        let entry = Entry::Negotiated { id, since: Instant::now(), exchange: None, resumable, _room: room };
        self.shard(&token).insert(token, entry);
    }

    /// The transport that a known token has chosen; `Err` for unknown tokens.
    pub(crate) fn transport_of(&self, token: &str) -> Result<Option<TransportKind>, Refusal> {
        match self.shard(token).get(token) {
            None => Err(Refusal::Unknown),
            Some(Entry::Negotiated { .. }) => Ok(None),
            Some(Entry::Chosen(chosen)) => Ok(Some(chosen.transport)),
        }
    }

    /// The connection of a token, once a transport carries it.
    pub(crate) fn connection(&self, token: &str) -> Option<Arc<Connection>> {
        match self.shard(token).get(token)? {
            Entry::Chosen(chosen) => chosen.connection.clone(),
            Entry::Negotiated { .. } => None,
        }
    }

    /// Where a POST for this token goes. Before a transport is chosen it waits in a buffer of `room` bytes.
    pub(crate) fn posting(&self, token: &str, room: usize) -> Result<Posting, Refusal> {
        match self.shard(token).get_mut(token) {
            None => Err(Refusal::Unknown),
            Some(Entry::Negotiated { exchange, .. }) => {
                Ok(Posting::To(exchange.get_or_insert_with(|| Exchange::new(room)).clone()))
            }
            Some(Entry::Chosen(chosen)) => match &chosen.exchange {
                None => Ok(Posting::Never),
                Some(exchange) => Ok(Posting::To(exchange.clone())),
            },
        }
    }

    /// The exchange of a connection that `transport` carries; `None` for a token that has chosen no transport yet.
    pub(crate) fn exchange(
        &self,
        token: &str,
        transport: TransportKind,
    ) -> Result<Option<Arc<Exchange>>, Refusal> {
        match self.shard(token).get(token) {
            None => Err(Refusal::Unknown),
            Some(Entry::Negotiated { .. }) => Ok(None),
            Some(Entry::Chosen(chosen)) if chosen.transport != transport => Err(Refusal::OtherTransport),
            Some(Entry::Chosen(chosen)) => chosen.exchange.clone().map(Some).ok_or(Refusal::Busy),
        }
    }

    /// The connection that this request brings another socket for; `None` when it is no such request.
    pub(crate) fn reconnect(&self, token: &str, transport: TransportKind) -> Option<Returning> {
        match self.shard(token).get(token)? {
            Entry::Chosen(chosen) if chosen.transport == transport => chosen.returning(),
            _ => None,
        }
    }

    /// Gives a negotiated connection to a transport, for good. With `room` it is one that requests carry, with an
    /// application buffer of so many bytes.
    pub(crate) fn claim(
        self: &Arc<Self>,
        token: &str,
        transport: TransportKind,
        room: Option<usize>,
        counted: Option<Box<Room>>,
    ) -> Result<Claimed, Refusal> {
        let mut shard = self.shard(token);
        let (token, entry) = shard.get_key_value(token).ok_or(Refusal::Unknown)?;
        let (id, posted, resumable) = match entry {
            Entry::Negotiated { id, exchange, resumable, .. } => (id.clone(), exchange.clone(), *resumable),
            Entry::Chosen(chosen) => return Err(chosen.refuses(transport)),
        };
        let token = token.clone();
        let exchange = room.map(|room| posted.clone().unwrap_or_else(|| Exchange::new(room)));
        let doorway = (resumable && transport == TransportKind::WebSockets).then(|| Arc::new(Doorway::new()));
        let chosen =
            Chosen { transport, connection: None, exchange: exchange.clone(), doorway: doorway.clone() };
        shard.insert(token.clone(), Entry::Chosen(chosen));
        drop(shard);
        let exchange = exchange.or(posted);
        Ok(Claimed { id, exchange, doorway, seat: Seat::new(self.clone(), token, transport, counted) })
    }

    /// A connection that was not negotiated: its id is its token.
    pub(crate) fn claim_new(
        self: &Arc<Self>,
        transport: TransportKind,
        counted: Option<Box<Room>>,
    ) -> Claimed {
        let id = ConnectionId::random();
        let token: Arc<str> = id.as_str().into();
        let chosen = Chosen { transport, connection: None, exchange: None, doorway: None };
        self.shard(&token).insert(token.clone(), Entry::Chosen(chosen));
        Claimed {
            id,
            exchange: None,
            doorway: None,
            seat: Seat::new(self.clone(), token, transport, counted),
        }
    }

    /// The connection of a claimed entry exists now.
    pub(crate) fn activate(&self, token: &str, active: &Arc<Connection>) {
        if let Some(Entry::Chosen(chosen)) = self.shard(token).get_mut(token) {
            chosen.connection = Some(active.clone());
        }
        // After the insertion, so that either this thread or the one that stops sees the other.
        if self.stopping.load(Ordering::SeqCst) {
            active.request_close(CloseReason::ServerShutdown);
        }
    }

    pub(crate) fn remove(&self, token: &str) -> Option<Arc<Connection>> {
        match self.shard(token).remove(token)? {
            Entry::Chosen(chosen) => chosen.connection,
            Entry::Negotiated { .. } => None,
        }
    }

    /// How many entries there are: negotiated and connected ones.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Takes no new connections: those that are just beginning are asked to close, what was only negotiated is forgotten.
    pub(crate) fn refuse(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for shard in &self.shards {
            lock(shard).retain(|_, entry| match entry {
                Entry::Chosen(_) => true,
                Entry::Negotiated { exchange, .. } => {
                    forget(exchange.as_ref());
                    false
                }
            });
        }
    }

    /// Asks every connection to close.
    pub(crate) fn close(&self) {
        self.each_connection(|connection| connection.request_close(CloseReason::ServerShutdown));
    }

    /// Ends the tasks of all connections at their next poll, which is now.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.each_connection(|connection| connection.wake());
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    fn each_connection(&self, act: impl Fn(&Connection)) {
        for shard in &self.shards {
            for entry in lock(shard).values() {
                if let Entry::Chosen(Chosen { connection: Some(connection), .. }) = entry {
                    act(connection);
                }
            }
        }
    }
}

/// A connection that has its transport and whose entry is held.
pub(crate) struct Claimed {
    pub(crate) id: ConnectionId,
    /// The exchange of a connection that requests carry; otherwise only there when something was posted before.
    pub(crate) exchange: Option<Arc<Exchange>>,
    /// There for a client that may replace its socket.
    pub(crate) doorway: Option<Arc<Doorway<AnyIo>>>,
    pub(crate) seat: Seat,
}

/// A connection whose client brings another socket.
pub(crate) struct Returning {
    pub(crate) connection: Arc<Connection>,
    pub(crate) doorway: Arc<Doorway<AnyIo>>,
}

impl Chosen {
    /// Why `transport` cannot have this connection.
    fn refuses(&self, transport: TransportKind) -> Refusal {
        let over = self.connection.as_ref().is_some_and(|connection| connection.is_ended());
        if self.transport != transport {
            Refusal::OtherTransport
        } else if over && self.exchange.is_some() {
            Refusal::Disposed
        } else {
            Refusal::Busy
        }
    }

    fn returning(&self) -> Option<Returning> {
        let connection = self.connection.clone().filter(|connection| connection.can_resume())?;
        Some(Returning { connection, doorway: self.doorway.clone()? })
    }

    fn beat(&self, now: Instant, patience: Duration) {
        // A connection whose client stays away gets no more than that in this beat (B-2.8).
        if self.exchange.as_ref().is_some_and(|exchange| exchange.beat(now, patience)) {
            return;
        }
        let Some(connection) = &self.connection else { return };
        let away = self.doorway.as_ref().and_then(|_| connection.away_since());
        if away.is_some_and(|since| now.saturating_duration_since(since) > patience) {
            connection.request_close(CloseReason::Inactive);
            return;
        }
        connection.beat(now);
    }
}

/// A connection that never got its transport is gone; whoever still posts to it is told.
fn forget(exchange: Option<&Arc<Exchange>>) {
    if let Some(exchange) = exchange {
        exchange.dispose();
    }
}

/// The heart knows its table only as long as others do.
struct Beat(Weak<Table>);

impl Ticks for Beat {
    fn tick(&self, now: Instant) {
        if let Some(table) = self.0.upgrade() {
            table.beat(now);
        }
    }
}

impl Table {
    fn beat(&self, now: Instant) {
        for shard in &self.shards {
            lock(shard).retain(|_, entry| match entry {
                Entry::Negotiated { since, exchange, .. } => {
                    let kept = now.saturating_duration_since(*since) <= self.disconnect_timeout;
                    if !kept {
                        forget(exchange.as_ref());
                    }
                    kept
                }
                Entry::Chosen(chosen) => {
                    chosen.beat(now, self.disconnect_timeout);
                    true
                }
            });
        }
    }
}

fn lock(shard: &Mutex<Entries>) -> MutexGuard<'_, Entries> {
    // Only single insertions and removals happen under these locks.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
