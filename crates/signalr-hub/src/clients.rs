//! The clients that hub code sends to: who, and then what.
//!
//! Owns the selectors and the proxies. Delivery is the lifetime manager's.

use crate::context::Context;
use crate::error::{HubError, HubResult};
use serde::de::DeserializeOwned;
use signalr_core::{ConnectionId, HubLifetimeManager, InvokeError, RawResult, SendError, Target};
use signalr_protocol::values::dotnet_name;
use signalr_protocol::{ArgumentList, HubProtocol, Payload};
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Some clients of a hub. Owned and cheap to clone; may be kept and used later.
#[derive(Debug, Clone)]
pub struct ClientProxy {
    manager: Arc<HubLifetimeManager>,
    target: Target,
}

impl ClientProxy {
    /// Calls a client method. No answer is expected, and none tells whether anybody received it.
    ///
    /// Returns when the message is queued for all receivers on this server and taken by the backplane. Cancel safe: the
    /// message is sent or it is not.
    ///
    /// # Errors
    /// An argument cannot be serialised, or the backplane does not take the message
    /// ([`SendError`](signalr_core::SendError), to be found with [`HubError::downcast_ref`]).
    pub async fn send(&self, method: &str, arguments: impl ArgumentList) -> HubResult<()> {
        self.manager.send(&self.target, method, &arguments).await.map_err(send_error)
    }
}

/// One client of a hub. Owned; may be kept and used later.
#[derive(Debug, Clone)]
pub struct SingleClient {
    manager: Arc<HubLifetimeManager>,
    id: ConnectionId,
    caller: Option<Context>,
}

impl SingleClient {
    /// Calls a client method without expecting an answer. An unknown connection is no error. Waits for room when the
    /// client is behind, up to the send time-out. Cancel safe.
    ///
    /// # Errors
    /// As [`ClientProxy::send`], and when the client does not read.
    pub async fn send(&self, method: &str, arguments: impl ArgumentList) -> HubResult<()> {
        self.manager.send(&Target::Connection(self.id.clone()), method, &arguments).await.map_err(send_error)
    }

    /// Asks the client and waits for its answer, at most
    /// [`client_result_timeout`](crate::HubOptions::client_result_timeout). Works across servers.
    ///
    /// Inside a hub method it gives the method's place under the parallel limit back for good, or the answer could never
    /// be read. Not possible while the connect event runs. Cancel safe: a dropped question is forgotten.
    ///
    /// # Errors
    /// The texts of the reference (B-8.5): unknown connection, connection ended, the client's own error, an answer of
    /// another type; and a time-out.
    pub async fn invoke<R: DeserializeOwned>(
        &self,
        method: &str,
        arguments: impl ArgumentList,
    ) -> HubResult<R> {
        if let Some(caller) = &self.caller {
            if caller.inner.connecting.load(Ordering::Acquire) {
                let text = "Client results inside OnConnectedAsync Hub methods are not allowed.";
                return Err(HubError::named("InvalidOperationException", text));
            }
            if let Some(slot) = caller.slot() {
                slot.release();
            }
        }
        let result = self.manager.invoke(&self.id, method, &arguments).await.map_err(invoke_error)?;
        read_result(&self.manager, &result)
    }
}

/// Under the name that the reference's error has.
fn send_error(error: SendError) -> HubError {
    match error {
        SendError::EmptyGroupName => HubError::from(error).renamed("InvalidOperationException"),
        error => error.into(),
    }
}

fn invoke_error(error: InvokeError) -> HubError {
    match error {
        InvokeError::NotFound(_) | InvokeError::Disconnected(_) => {
            HubError::from(error).renamed("IOException")
        }
        error => error.into(),
    }
}

fn read_result<R: DeserializeOwned>(manager: &HubLifetimeManager, result: &RawResult) -> HubResult<R> {
    if let Some(error) = &result.error {
        return Err(HubError::new(error.clone()));
    }
    let Some(value) = &result.value else {
        let text = "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown.";
        return Err(HubError::new(text));
    };
    let style = manager.options().protocols.get(result.protocol).map(HubProtocol::style).unwrap_or_default();
    Payload::new(result.protocol, value).with_style(style).decode().map_err(|error| {
        let name = dotnet_name::<R>();
        HubError::new(format!("Error trying to deserialize result to {name}. {}", error.text))
    })
}

/// All clients of a hub, to choose from; what code outside a hub method has.
#[derive(Debug, Clone)]
pub struct HubClients {
    manager: Arc<HubLifetimeManager>,
    caller: Option<Context>,
}

fn ids<I: Into<ConnectionId>>(ids: impl IntoIterator<Item = I>) -> Vec<ConnectionId> {
    ids.into_iter().map(Into::into).collect()
}

fn names<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Vec<Arc<str>> {
    names.into_iter().map(|name| name.as_ref().into()).collect()
}

impl HubClients {
    pub(crate) fn new(manager: Arc<HubLifetimeManager>) -> Self {
        Self { manager, caller: None }
    }

    fn proxy(&self, target: Target) -> ClientProxy {
        ClientProxy { manager: self.manager.clone(), target }
    }

    /// Everybody.
    pub fn all(&self) -> ClientProxy {
        self.proxy(Target::All)
    }

    /// Everybody but these connections.
    pub fn all_except<I: Into<ConnectionId>>(&self, except: impl IntoIterator<Item = I>) -> ClientProxy {
        self.proxy(Target::AllExcept(ids(except)))
    }

    /// One connection.
    pub fn client(&self, id: impl Into<ConnectionId>) -> SingleClient {
        SingleClient { manager: self.manager.clone(), id: id.into(), caller: self.caller.clone() }
    }

    /// These connections.
    pub fn clients<I: Into<ConnectionId>>(&self, list: impl IntoIterator<Item = I>) -> ClientProxy {
        self.proxy(Target::Connections(ids(list)))
    }

    /// The members of a group. Names are case sensitive.
    pub fn group(&self, name: impl AsRef<str>) -> ClientProxy {
        self.proxy(Target::Group(name.as_ref().into()))
    }

    /// The members of each of these groups; who is in two gets the message twice.
    pub fn groups<N: AsRef<str>>(&self, list: impl IntoIterator<Item = N>) -> ClientProxy {
        self.proxy(Target::Groups(names(list)))
    }

    /// The members of a group but these connections.
    pub fn group_except<I: Into<ConnectionId>>(
        &self,
        name: impl AsRef<str>,
        except: impl IntoIterator<Item = I>,
    ) -> ClientProxy {
        self.proxy(Target::GroupExcept(name.as_ref().into(), ids(except)))
    }

    /// All connections of a user.
    pub fn user(&self, id: impl AsRef<str>) -> ClientProxy {
        self.proxy(Target::User(id.as_ref().into()))
    }

    /// All connections of these users.
    pub fn users<N: AsRef<str>>(&self, list: impl IntoIterator<Item = N>) -> ClientProxy {
        self.proxy(Target::Users(names(list)))
    }

    /// The same selectors, with the methods of a `#[hub_client]` trait.
    pub fn typed<C: TypedClient>(&self) -> TypedClients<C> {
        TypedClients { clients: self.clone(), client: PhantomData }
    }
}

/// All clients, seen from a hub method: knows who calls. Has all selectors of [`HubClients`].
#[derive(Debug, Clone)]
pub struct CallerClients {
    clients: HubClients,
    context: Context,
}

impl CallerClients {
    pub(crate) fn new(context: Context) -> Self {
        let clients = HubClients { manager: context.inner.manager.clone(), caller: Some(context.clone()) };
        Self { clients, context }
    }

    /// Who calls.
    pub fn caller(&self) -> SingleClient {
        self.clients.client(self.context.connection_id().clone())
    }

    /// Everybody but who calls.
    pub fn others(&self) -> ClientProxy {
        self.clients.all_except([self.context.connection_id().clone()])
    }

    /// The members of a group but who calls.
    pub fn others_in_group(&self, name: impl AsRef<str>) -> ClientProxy {
        self.clients.group_except(name, [self.context.connection_id().clone()])
    }

    /// The same selectors, with the methods of a `#[hub_client]` trait.
    pub fn typed<C: TypedClient>(&self) -> TypedCallerClients<C> {
        TypedCallerClients { clients: self.clone(), typed: self.clients.typed() }
    }
}

impl Deref for CallerClients {
    type Target = HubClients;

    fn deref(&self) -> &HubClients {
        &self.clients
    }
}

/// Says how a `#[hub_client]` trait wraps proxies. Implemented by the macro.
pub trait TypedClient {
    /// The sender for many clients.
    type Proxy;
    /// The sender for one client; has the methods that return something as well.
    type Single;

    /// Wraps a proxy.
    fn proxy(proxy: ClientProxy) -> Self::Proxy;
    /// Wraps a single client.
    fn single(client: SingleClient) -> Self::Single;
}

/// [`HubClients`] with typed senders.
#[derive(Debug)]
pub struct TypedClients<C> {
    clients: HubClients,
    client: PhantomData<fn() -> C>,
}

impl<C: TypedClient> TypedClients<C> {
    /// Everybody.
    pub fn all(&self) -> C::Proxy {
        C::proxy(self.clients.all())
    }

    /// Everybody but these connections.
    pub fn all_except<I: Into<ConnectionId>>(&self, except: impl IntoIterator<Item = I>) -> C::Proxy {
        C::proxy(self.clients.all_except(except))
    }

    /// One connection.
    pub fn client(&self, id: impl Into<ConnectionId>) -> C::Single {
        C::single(self.clients.client(id))
    }

    /// These connections.
    pub fn clients<I: Into<ConnectionId>>(&self, list: impl IntoIterator<Item = I>) -> C::Proxy {
        C::proxy(self.clients.clients(list))
    }

    /// The members of a group.
    pub fn group(&self, name: impl AsRef<str>) -> C::Proxy {
        C::proxy(self.clients.group(name))
    }

    /// The members of each of these groups.
    pub fn groups<N: AsRef<str>>(&self, list: impl IntoIterator<Item = N>) -> C::Proxy {
        C::proxy(self.clients.groups(list))
    }

    /// The members of a group but these connections.
    pub fn group_except<I: Into<ConnectionId>>(
        &self,
        name: impl AsRef<str>,
        except: impl IntoIterator<Item = I>,
    ) -> C::Proxy {
        C::proxy(self.clients.group_except(name, except))
    }

    /// All connections of a user.
    pub fn user(&self, id: impl AsRef<str>) -> C::Proxy {
        C::proxy(self.clients.user(id))
    }

    /// All connections of these users.
    pub fn users<N: AsRef<str>>(&self, list: impl IntoIterator<Item = N>) -> C::Proxy {
        C::proxy(self.clients.users(list))
    }
}

/// [`CallerClients`] with typed senders. Has all selectors of [`TypedClients`].
#[derive(Debug)]
pub struct TypedCallerClients<C> {
    clients: CallerClients,
    typed: TypedClients<C>,
}

impl<C: TypedClient> TypedCallerClients<C> {
    /// Who calls.
    pub fn caller(&self) -> C::Single {
        C::single(self.clients.caller())
    }

    /// Everybody but who calls.
    pub fn others(&self) -> C::Proxy {
        C::proxy(self.clients.others())
    }

    /// The members of a group but who calls.
    pub fn others_in_group(&self, name: impl AsRef<str>) -> C::Proxy {
        C::proxy(self.clients.others_in_group(name))
    }
}

impl<C> Deref for TypedCallerClients<C> {
    type Target = TypedClients<C>;

    fn deref(&self) -> &TypedClients<C> {
        &self.typed
    }
}
