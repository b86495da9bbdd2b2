//! The endpoints of a server, their connections, and how it comes to an end.
//!
//! Owns the table and the tracker of running connections. Requests come from a web framework as parts;
//! what to answer is `respond`'s business.

use crate::limits::{Crowds, Limits};
use crate::options::EndpointOptions;
use crate::respond::{Reply, Request, place};
use crate::table::Table;
use http::request::Parts;
use signalr_core::ConnectionHandler;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

type StopHook = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// How long connections are kept for the hooks that run before they are closed.
const STOPPING_TIME: Duration = Duration::from_secs(5);
/// How long a stop hook may take when the deadline leaves less.
const HOOK_TIME: Duration = Duration::from_secs(5);
/// How long connections that were cut may take to be dropped.
const CUT_TIME: Duration = Duration::from_secs(1);

/// A set of endpoints that share a table, a heartbeat and an end. Cheap to clone; all clones are one server.
///
/// Dropping the last clone does not end connections; their tasks do that.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    endpoints: Vec<Arc<Endpoint>>,
    table: Arc<Table>,
    tracker: TaskTracker,
    crowds: Crowds,
    on_stopping: Mutex<Vec<StopHook>>,
    /// The hooks before the end have run.
    begun: OnceCell<()>,
    on_stop: Mutex<Vec<StopHook>>,
}

/// A path and what is behind it.
pub(crate) struct Endpoint {
    path: String,
    pub(crate) handler: Arc<dyn ConnectionHandler>,
    pub(crate) options: EndpointOptions,
}

impl Endpoint {
    /// Sets what the options say about the socket. A socket that refuses works all the same.
    pub(crate) fn tune(&self, stream: &TcpStream) {
        let tuned = stream.set_nodelay(true).and_then(|()| match self.options.send_buffer {
            Some(bytes) => socket2::SockRef::from(stream).set_send_buffer_size(bytes),
            None => Ok(()),
        });
        if let Err(error) = tuned {
            tracing::debug!(%error, "a socket option could not be set");
        }
    }
}

/// Collects what a [`Server`] is made of.
pub struct ServerBuilder {
    endpoints: Vec<Arc<Endpoint>>,
    disconnect_timeout: Duration,
    limits: Limits,
    on_stopping: Vec<StopHook>,
    on_stop: Vec<StopHook>,
}

impl ServerBuilder {
    /// Serves `handler` at `path` and negotiates at `path/negotiate`. Paths ignore ASCII case and a trailing slash;
    /// of two equal ones the first is served.
    pub fn endpoint(
        mut self,
        path: impl Into<String>,
        handler: Arc<dyn ConnectionHandler>,
        options: EndpointOptions,
    ) -> Self {
        self.endpoints.push(Arc::new(Endpoint { path: normal(path.into()), handler, options }));
        self
    }

    /// How long a negotiated connection may wait for its transport. Default 15 s, as in the reference. Checked once
    /// per second.
    pub fn disconnect_timeout(mut self, timeout: Duration) -> Self {
        self.disconnect_timeout = timeout;
        self
    }

    /// How many connections the server takes, in all and of one client. Default: no limit.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Runs `hook` when the server is stopped, before any connection is asked to close; new ones are refused already. All
    /// hooks of this kind run side by side, until the deadline of the stop and for 5 s at most.
    pub fn on_stopping<F, R>(mut self, hook: F) -> Self
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.on_stopping.push(Box::new(move || Box::pin(hook())));
        self
    }

    /// Runs `hook` when the server is stopped, after the last connection has ended or the deadline has passed. Hooks
    /// run one after the other, in the order in which they were added; each may take until the deadline, but at least
    /// 5 s.
    pub fn on_stop<F, R>(mut self, hook: F) -> Self
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.on_stop.push(Box::new(move || Box::pin(hook())));
        self
    }

    /// The server. Needs no runtime yet; the heartbeat starts with the first connection.
    pub fn build(self) -> Server {
        Server {
            shared: Arc::new(Shared {
                endpoints: self.endpoints,
                table: Arc::new(Table::new(self.disconnect_timeout)),
                tracker: TaskTracker::new(),
                crowds: Crowds::new(&self.limits),
                on_stopping: Mutex::new(self.on_stopping),
                begun: OnceCell::new(),
                on_stop: Mutex::new(self.on_stop),
            }),
        }
    }
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopSummary {
    /// Connections that were there when the stop began.
    pub connections: usize,
    /// Connections that were cut because the deadline had passed.
    pub cut: usize,
}

impl Server {
    /// A server without endpoints so far.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            endpoints: Vec::new(),
            disconnect_timeout: Duration::from_secs(15),
            limits: Limits::default(),
            on_stopping: Vec::new(),
            on_stop: Vec::new(),
        }
    }

    /// Whether a path belongs to one of the endpoints.
    pub fn owns(&self, path: &str) -> bool {
        self.shared.endpoints.iter().any(|endpoint| place(&endpoint.path, path).is_some())
    }

    /// What to answer to a request; `None` when its path is not one of the endpoints'. The body is not needed. Must be
    /// called inside a tokio runtime.
    ///
    /// Put a [`PeerAddress`](crate::PeerAddress) into the extensions to let hubs see it. Cancel safe.
    pub async fn respond(&self, parts: &Parts) -> Option<Reply> {
        let path = parts.uri.path();
        let (endpoint, place) = self
            .shared
            .endpoints
            .iter()
            .find_map(|endpoint| place(&endpoint.path, path).map(|place| (endpoint, place)))?;
        self.shared.table.start_heartbeat();
        Some(Request { server: self, endpoint, parts }.respond(place).await)
    }

    /// How many connections there are, including those that are only negotiated.
    pub fn connections(&self) -> usize {
        self.shared.table.len()
    }

    pub(crate) fn table(&self) -> &Arc<Table> {
        &self.shared.table
    }

    pub(crate) fn crowds(&self) -> &Crowds {
        &self.shared.crowds
    }

    pub(crate) fn track(&self) -> TaskTrackerToken {
        self.shared.tracker.token()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.shared.table.is_stopping()
    }

    /// The first half of [`stop`](Server::stop), which else does it by itself: refuses new connections with 503 and runs the
    /// hooks of [`on_stopping`](ServerBuilder::on_stopping), while all others go on as before. A second call waits as the first
    /// and runs no hooks. Not cancel safe, as `stop`.
    ///
    /// For web servers that tell their own connections to end: they do so after this.
    pub async fn begin_stop(&self, deadline: Duration) {
        self.shared.table.refuse();
        self.shared.begun.get_or_init(|| self.run_first_hooks(deadline.min(STOPPING_TIME))).await;
    }

    async fn run_first_hooks(&self, time: Duration) {
        let mut hooks = JoinSet::new();
        for hook in take(&self.shared.on_stopping) {
            hooks.spawn(hook());
        }
        let all = async { while hooks.join_next().await.is_some() {} };
        if tokio::time::timeout(time, all).await.is_err() {
            tracing::warn!("what was to be done before connections are closed did not end in time");
        }
    }

    /// Stops: refuses new connections with 503, runs the hooks that come first, asks all others to close, waits for them
    /// until `deadline` has passed, cuts the rest, and runs the stop hooks. A second call waits as the first and runs no hooks.
    ///
    /// Not cancel safe: dropping the future leaves a server that accepts nothing and whose hooks have not run.
    pub async fn stop(&self, deadline: Duration) -> StopSummary {
        let until = tokio::time::Instant::now() + deadline;
        let tracker = &self.shared.tracker;
        self.begin_stop(deadline).await;
        self.shared.table.close();
        tracker.close();
        let connections = tracker.len();
        let drained = tokio::time::timeout_at(until, tracker.wait()).await.is_ok();
        let cut = if drained { 0 } else { tracker.len() };
        if cut > 0 {
            tracing::warn!(cut, "connections did not end in time and are cut");
            self.shared.table.cut();
            // What does not end now is stuck in code that blocks; nothing can be done about it from here.
            let _ = tokio::time::timeout(CUT_TIME, tracker.wait()).await;
        }
        for hook in take(&self.shared.on_stop) {
            let time = until.saturating_duration_since(tokio::time::Instant::now()).max(HOOK_TIME);
            if tokio::time::timeout(time, hook()).await.is_err() {
                tracing::warn!("a stop hook did not end in time");
            }
        }
        StopSummary { connections, cut }
    }
}

/// Hooks run once.
fn take(hooks: &Mutex<Vec<StopHook>>) -> Vec<StopHook> {
    std::mem::take(&mut *hooks.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The text of the answer where a web server cannot upgrade.
pub const UPGRADE_IMPOSSIBLE: &str = "This server cannot upgrade the connection.";

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("paths", &self.shared.endpoints.iter().map(|endpoint| &endpoint.path).collect::<Vec<_>>())
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("paths", &self.endpoints.iter().map(|endpoint| &endpoint.path).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// One leading slash, none at the end; the root is empty.
fn normal(path: String) -> String {
    match path.trim_matches('/') {
        "" => String::new(),
        inner => format!("/{inner}"),
    }
}
