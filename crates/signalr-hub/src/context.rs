//! What hub code knows of the connection that calls it (the reference's `HubCallerContext`).
//!
//! Owns the item bag and the slot of a running call. Connections belong to core; this is a view of one.

use crate::clients::CallerClients;
use crate::definition::Method;
use crate::groups::CallerGroups;
use crate::options::HubOptions;
use signalr_core::{Caller, CloseReason, ConnectInfo, Connection, ConnectionId, HubLifetimeManager, User};
use signalr_protocol::{EncodeError, HubProtocol, Protocol};
use std::any::{Any, TypeId};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// The calling connection. Cheap to clone, owned, and valid for as long as somebody keeps it: after the connection has
/// ended, sends to it are dropped.
#[derive(Clone)]
pub struct Context {
    pub(crate) inner: Arc<ContextInner>,
    slot: Option<Arc<Slot>>,
}

pub(crate) struct ContextInner {
    pub(crate) connection: Arc<Connection>,
    pub(crate) manager: Arc<HubLifetimeManager>,
    pub(crate) options: Arc<HubOptions>,
    pub(crate) protocol: HubProtocol,
    /// How many plain calls hold a slot.
    pub(crate) busy: AtomicUsize,
    /// While the connect event runs, no client can answer (B-8.5).
    pub(crate) connecting: AtomicBool,
    /// Hub code has called [`Context::abort`].
    aborted: AtomicBool,
    fault: Mutex<Option<EncodeError>>,
    items: Mutex<Vec<(TypeId, Box<dyn Any + Send>)>>,
}

/// A running plain call's place under the parallel limit. Given back when dropped, or before, when the call waits for a
/// client's answer (B-8.6).
pub(crate) struct Slot {
    inner: Arc<ContextInner>,
    released: AtomicBool,
}

impl Slot {
    pub(crate) fn release(&self) {
        if !self.released.swap(true, Ordering::AcqRel) {
            self.inner.busy.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.release();
    }
}

impl Context {
    pub(crate) fn new(
        connection: Arc<Connection>,
        manager: Arc<HubLifetimeManager>,
        options: Arc<HubOptions>,
        protocol: HubProtocol,
    ) -> Self {
        let inner = ContextInner {
            connection,
            manager,
            options,
            protocol,
            busy: AtomicUsize::new(0),
            connecting: AtomicBool::new(true),
            aborted: AtomicBool::new(false),
            fault: Mutex::new(None),
            items: Mutex::new(Vec::new()),
        };
        Self { inner: Arc::new(inner), slot: None }
    }

    /// The same context, holding a slot.
    pub(crate) fn with_slot(&self) -> (Self, Arc<Slot>) {
        self.inner.busy.fetch_add(1, Ordering::AcqRel);
        let slot = Arc::new(Slot { inner: self.inner.clone(), released: AtomicBool::new(false) });
        (Self { inner: self.inner.clone(), slot: Some(slot.clone()) }, slot)
    }

    /// Whether hub code wants no more of this connection: nothing is read or answered any more.
    pub(crate) fn is_aborted(&self) -> bool {
        self.inner.aborted.load(Ordering::Acquire)
    }

    pub(crate) fn slot(&self) -> Option<&Arc<Slot>> {
        self.slot.as_ref()
    }

    /// The public id of the connection.
    pub fn connection_id(&self) -> &ConnectionId {
        self.inner.connection.id()
    }

    /// The user identifier, fixed at the handshake.
    pub fn user_identifier(&self) -> Option<&str> {
        self.inner.connection.user_id()
    }

    /// The authenticated user.
    pub fn user(&self) -> Option<&User> {
        self.info().user.as_deref()
    }

    /// Transport, addresses and the request that opened the connection.
    pub fn info(&self) -> &ConnectInfo {
        self.inner.connection.info()
    }

    /// As [`Context::info`], from the client's latest request: after a stateful reconnect that is another one. User and
    /// user identifier of the connection stay what they were at first, as in the reference.
    pub fn latest_info(&self) -> Arc<ConnectInfo> {
        self.inner.connection.latest_info()
    }

    /// The hub protocol that the client speaks.
    pub fn protocol(&self) -> Protocol {
        self.inner.protocol.kind()
    }

    /// The connection's own data, by type.
    pub fn items(&self) -> Items<'_> {
        Items(&self.inner)
    }

    /// Ends the connection; the client is told not to come back by itself. Takes effect after the current turn.
    pub fn abort(&self) {
        self.inner.aborted.store(true, Ordering::Release);
        self.inner.connection.abort();
    }

    /// Fires when the connection has ended.
    pub fn ended(&self) -> CancellationToken {
        self.inner.connection.ended_token()
    }

    /// Clients to send to.
    pub fn clients(&self) -> CallerClients {
        CallerClients::new(self.clone())
    }

    /// Groups of this connection and of others.
    pub fn groups(&self) -> CallerGroups {
        CallerGroups::new(self.inner.clone())
    }

    /// Whether all policies of a method allow a call.
    pub(crate) fn is_allowed(&self, method: &Method) -> bool {
        let mut caller = Caller::of_request(self.user(), &self.info().request);
        caller.connection_id = Some(self.connection_id());
        caller.method = Some(&method.name);
        method.policies.iter().all(|policy| policy.allows(&self.inner.options, &caller))
    }

    /// A result or an item could not be written: the connection ends with that error (B-7.8).
    pub(crate) fn fail_write(&self, error: EncodeError) {
        self.inner.fault().get_or_insert(error);
        self.inner.connection.request_close(CloseReason::WriteFailed);
    }

    pub(crate) fn take_fault(&self) -> Option<EncodeError> {
        self.inner.fault().take()
    }
}

impl ContextInner {
    fn fault(&self) -> MutexGuard<'_, Option<EncodeError>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(self.connection_id()).finish()
    }
}

/// A connection's own data: at most one value of each type, gone when the connection is.
pub struct Items<'a>(&'a ContextInner);

impl Items<'_> {
    fn lock(&self) -> MutexGuard<'_, Vec<(TypeId, Box<dyn Any + Send>)>> {
        self.0.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a value in and returns the one that was there.
    pub fn insert<T: Any + Send>(&self, value: T) -> Option<T> {
        let old = self.remove::<T>();
        self.lock().push((TypeId::of::<T>(), Box::new(value)));
        old
    }

    /// A copy of the value.
    pub fn get<T: Any + Send + Clone>(&self) -> Option<T> {
        self.with(|value: &mut T| value.clone())
    }

    /// Works on the value in place. Do not use the bag inside `f`: it is locked.
    pub fn with<T: Any + Send, R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut items = self.lock();
        let (_, value) = items.iter_mut().find(|(kind, _)| *kind == TypeId::of::<T>())?;
        value.downcast_mut().map(f)
    }

    /// Works on the value in place; where there is none, on the type's default, which then stays. Do not use the bag
    /// inside `f`: it is locked.
    pub fn with_default<T: Any + Send + Default, R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let kind = TypeId::of::<T>();
        let mut items = self.lock();
        let at = items.iter().position(|(known, _)| *known == kind).unwrap_or_else(|| {
            items.push((kind, Box::new(T::default())));
            items.len() - 1
        });
        match items[at].1.downcast_mut() {
            Some(value) => f(value),
            // Never: the value beside a type's id is of that type.
            None => f(&mut T::default()),
        }
    }

    /// Takes the value out.
    pub fn remove<T: Any + Send>(&self) -> Option<T> {
        let mut items = self.lock();
        let at = items.iter().position(|(kind, _)| *kind == TypeId::of::<T>())?;
        items.swap_remove(at).1.downcast().ok().map(|value| *value)
    }
}
