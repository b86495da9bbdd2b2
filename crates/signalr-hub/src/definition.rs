//! A hub as data: its name, its methods and its life-cycle hooks.
//!
//! Owns the method table and how arguments are bound before a call. Filled by `#[hub]` or by
//! [`HubBuilder`](crate::HubBuilder); read by the dispatcher.

use crate::arguments::{HubArguments, OpenedStreams};
use crate::context::{Context, Slot};
use crate::error::{HubError, HubResult};
use crate::filter::{BoundArguments, HubValue, bind};
use crate::options::HubOptions;
use crate::policy::PolicyRef;
use crate::reply::Reply;
use crate::stream::StreamSink;
use crate::trace::Beginning;
use futures_util::FutureExt;
use serde::Serialize;
use signalr_protocol::{Arguments, BindError, ProtocolError};
use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

/// Something that can be served at an endpoint. Implemented by `#[hub]` and by [`HubBuilder`](crate::HubBuilder).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no hub",
    label = "not a hub",
    note = "put `#[hub]` on its `impl` block, or build one with `HubBuilder::new(\"Name\")`"
)]
pub trait Hub: Sized + Send + Sync + 'static {
    /// The hub's methods and hooks.
    fn define(self) -> HubDefinition;
}

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Hook<A> = Arc<dyn Fn(Context, A) -> BoxFuture<HubResult<()>> + Send + Sync>;

/// Why a call was not started.
pub(crate) enum CallFault {
    /// The arguments do not fit; the connection goes on.
    Bind(BindError),
    /// The client broke the protocol, which shows only now.
    Protocol(ProtocolError),
}

impl From<BindError> for CallFault {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}

/// One call on its way to its method.
pub(crate) struct Call<'a> {
    pub(crate) context: &'a Context,
    pub(crate) arguments: Arguments<'a>,
    pub(crate) deferred: Option<ProtocolError>,
    pub(crate) id: Option<&'a str>,
    pub(crate) method: &'a Arc<Method>,
    /// Where the streams go that the method takes.
    pub(crate) streams: &'a mut OpenedStreams,
    /// The span that begins when the arguments are bound, unless it has begun already.
    pub(crate) span: Option<Beginning<'a>>,
}

impl Call<'_> {
    fn bind<A: HubArguments>(&mut self) -> Result<A, CallFault> {
        let arguments = A::bind(self.arguments, self.streams)?;
        self.begin()?;
        Ok(arguments)
    }

    /// As [`Self::bind`], for filters.
    pub(crate) fn bind_any(&mut self) -> Result<Box<dyn BoundArguments>, CallFault> {
        let arguments = (self.method.bind)(self.arguments, self.streams)?;
        self.begin()?;
        Ok(arguments)
    }

    /// The arguments are bound: unless the parser had put something off, the call begins.
    fn begin(&mut self) -> Result<(), CallFault> {
        if let Some(error) = self.deferred.take() {
            return Err(CallFault::Protocol(error));
        }
        if let Some(span) = self.span.take() {
            span.begin(&self.method.name);
        }
        Ok(())
    }

    /// The context of this call. Calls that take streams hold no slot.
    pub(crate) fn enter(&self) -> (Context, Option<Arc<Slot>>) {
        if self.method.streams > 0 {
            return (self.context.clone(), None);
        }
        let (context, slot) = self.context.with_slot();
        (context, Some(slot))
    }

    pub(crate) fn reply(&self) -> Reply {
        Reply::new(self.context.clone(), self.id, self.method.clone())
    }
}

type Bind = fn(Arguments<'_>, &mut OpenedStreams) -> Result<Box<dyn BoundArguments>, BindError>;
type RunPlain = Box<dyn Fn(Call<'_>) -> Result<Option<BoxFuture<()>>, CallFault> + Send + Sync>;
type RunStream = Box<dyn Fn(Call<'_>, StreamSink) -> Result<BoxFuture<()>, CallFault> + Send + Sync>;

pub(crate) enum Run {
    Plain(RunPlain),
    Stream(RunStream),
}

type InvokePlain = Box<dyn Fn(Context, Box<dyn Any + Send>) -> BoxFuture<HubResult<HubValue>> + Send + Sync>;
type InvokeStream = Box<dyn Fn(Context, Box<dyn Any + Send>, StreamSink) -> BoxFuture<()> + Send + Sync>;

/// The method as filters call it: with arguments that are bound already, and without an answer to the client.
pub(crate) enum Invoke {
    Plain(InvokePlain),
    Stream(InvokeStream),
}

pub(crate) struct Method {
    pub(crate) name: Box<str>,
    /// The whole call, for hubs without filters.
    pub(crate) run: Run,
    pub(crate) invoke: Invoke,
    pub(crate) bind: Bind,
    /// How many streams from the client it takes.
    pub(crate) streams: usize,
    /// Binds without calling: binding failures come before everything else (B-7.3).
    pub(crate) check: fn(Arguments<'_>) -> Result<(), BindError>,
    /// All of them must allow a call.
    pub(crate) policies: Vec<PolicyRef>,
}

/// A hub's name, methods and hooks.
pub struct HubDefinition {
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: TypeId,
    pub(crate) connected: Option<Hook<()>>,
    pub(crate) disconnected: Option<Hook<Option<HubError>>>,
    exact: HashMap<Box<str>, Arc<Method>>,
    folded: HashMap<Box<str>, Arc<Method>>,
    duplicate: Option<Box<str>>,
    pub(crate) policies: Vec<PolicyRef>,
    guarded_nothing: Option<Box<str>>,
}

impl HubDefinition {
    /// A hub without methods. `H` identifies it for [`HubContext`](crate::HubContext); `name` is its name on the wire.
    ///
    /// In a fleet with ASP.NET Core servers the name must be the hub class's full name there: namespace, dot, class.
    pub fn new<H: 'static>(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            kind: TypeId::of::<H>(),
            connected: None,
            disconnected: None,
            exact: HashMap::new(),
            folded: HashMap::new(),
            duplicate: None,
            policies: Vec::new(),
            guarded_nothing: None,
        }
    }

    /// The name on the wire.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Identifies the hub's type.
    pub fn kind(&self) -> TypeId {
        self.kind
    }

    /// The wire names of the methods, in no particular order.
    pub fn method_names(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().map(AsRef::as_ref)
    }

    /// A method name that was given twice: names are compared ignoring ASCII case, and there is no overloading. A server
    /// refuses to be built with such a hub.
    pub fn duplicate_method(&self) -> Option<&str> {
        self.duplicate.as_deref()
    }

    /// Adds a policy for the whole hub: it is asked about every request to the hub's endpoints, negotiate included. A
    /// client that it does not allow gets HTTP status 401 when nobody is known, else 403.
    pub fn authorize(&mut self, policy: impl Into<PolicyRef>) {
        self.policies.push(policy.into());
    }

    /// Adds a policy for a method that was added before. A call that it does not allow fails with `Failed to invoke 'X'
    /// because user is unauthorized`; the connection goes on.
    pub fn authorize_method(&mut self, name: &str, policy: impl Into<PolicyRef>) {
        let folded = name.to_ascii_lowercase();
        // The two tables share each method: one gives it up while it is changed.
        let method = self.exact.remove(name).and_then(|shared| {
            drop(self.folded.remove(folded.as_str()));
            Arc::into_inner(shared)
        });
        let Some(mut method) = method else {
            self.guarded_nothing.get_or_insert_with(|| name.into());
            return;
        };
        method.policies.push(policy.into());
        let method = Arc::new(method);
        self.exact.insert(name.into(), method.clone());
        self.folded.insert(folded.into(), method);
    }

    /// A method that was to get a policy and does not exist. A server refuses to be built with such a hub.
    pub fn guarded_nothing(&self) -> Option<&str> {
        self.guarded_nothing.as_deref()
    }

    /// The first policy that hub or methods refer to by a name that these options do not know. A server refuses to be
    /// built with such a hub.
    pub fn unknown_policy(&self, options: &HubOptions) -> Option<&str> {
        let methods = self.exact.values().flat_map(|method| &method.policies);
        self.policies.iter().chain(methods).find_map(|policy| policy.unknown_in(options))
    }

    /// Adds a method that answers at once, without a future of its own.
    pub fn sync_method<A: HubArguments, R: Serialize + Send + 'static>(
        &mut self,
        name: &str,
        method: impl Fn(&Context, A) -> HubResult<R> + Send + Sync + 'static,
    ) {
        let method = Arc::new(method);
        let inner = method.clone();
        let invoke = move |context: Context, arguments: Box<dyn Any + Send>| -> BoxFuture<_> {
            let result = unpack::<A>(arguments).and_then(|arguments| inner(&context, arguments));
            Box::pin(std::future::ready(result.map(HubValue::new)))
        };
        let run = move |mut call: Call<'_>| {
            let arguments = call.bind::<A>()?;
            let result = catch_unwind(AssertUnwindSafe(|| method(call.context, arguments)))
                .unwrap_or_else(|panic| Err(HubError::panicked(&*panic)));
            if call.id.is_some() && !call.context.inner.connection.has_room() {
                let (context, slot) = call.enter();
                let reply = Reply::new(context, call.id, call.method.clone());
                let work: BoxFuture<()> = Box::pin(async move {
                    reply.complete(result).await;
                    if let Some(slot) = slot {
                        slot.release();
                    }
                });
                return Ok(Some(work));
            }
            crate::reply::complete_now(call.context, call.id, &call.method.name, result);
            Ok(None)
        };
        self.add::<A>(name, Run::Plain(Box::new(run)), Invoke::Plain(Box::new(invoke)));
    }

    /// Adds a method.
    pub fn async_method<A, R, F>(
        &mut self,
        name: &str,
        method: impl Fn(Context, A) -> F + Send + Sync + 'static,
    ) where
        A: HubArguments,
        R: Serialize + Send + 'static,
        F: Future<Output = HubResult<R>> + Send + 'static,
    {
        let method = Arc::new(method);
        let inner = method.clone();
        let invoke = move |context: Context, arguments: Box<dyn Any + Send>| -> BoxFuture<_> {
            match unpack::<A>(arguments) {
                Ok(arguments) => Box::pin(inner(context, arguments).map(|result| result.map(HubValue::new))),
                Err(error) => Box::pin(std::future::ready(Err(error))),
            }
        };
        let run = move |mut call: Call<'_>| {
            let arguments = call.bind::<A>()?;
            let (context, slot) = call.enter();
            let reply = Reply::new(context.clone(), call.id, call.method.clone());
            let started = catch_unwind(AssertUnwindSafe(|| method(context, arguments)));
            let future: BoxFuture<()> = Box::pin(async move {
                let result = match started {
                    Ok(future) => AssertUnwindSafe(future).catch_unwind().await,
                    Err(panic) => Err(panic),
                };
                reply.complete(result.unwrap_or_else(|panic| Err(HubError::panicked(&*panic)))).await;
                // Hub code may have kept a copy of the context: the slot is given back here, not when that is dropped.
                if let Some(slot) = slot {
                    slot.release();
                }
            });
            Ok(Some(future))
        };
        self.add::<A>(name, Run::Plain(Box::new(run)), Invoke::Plain(Box::new(invoke)));
    }

    /// Adds a method that answers with a stream: it gives the stream, or its error, to the sink.
    pub fn stream_method<A, F>(
        &mut self,
        name: &str,
        method: impl Fn(Context, A, StreamSink) -> F + Send + Sync + 'static,
    ) where
        A: HubArguments,
        F: Future<Output = ()> + Send + 'static,
    {
        let method = Arc::new(method);
        let inner = method.clone();
        let invoke =
            move |context: Context, arguments: Box<dyn Any + Send>, sink: StreamSink| -> BoxFuture<()> {
                match unpack::<A>(arguments) {
                    Ok(arguments) => Box::pin(inner(context, arguments, sink)),
                    Err(error) => Box::pin(sink.fail(error)),
                }
            };
        let run = move |mut call: Call<'_>, sink: StreamSink| {
            let arguments = call.bind::<A>()?;
            let reply = call.reply();
            let started = catch_unwind(AssertUnwindSafe(|| method(call.context.clone(), arguments, sink)));
            let future: BoxFuture<()> = Box::pin(async move {
                let ended = match started {
                    Ok(future) => AssertUnwindSafe(future).catch_unwind().await,
                    Err(panic) => Err(panic),
                };
                if let Err(panic) = ended {
                    reply.fail_stream(HubError::panicked(&*panic));
                }
            });
            Ok(future)
        };
        self.add::<A>(name, Run::Stream(Box::new(run)), Invoke::Stream(Box::new(invoke)));
    }

    /// Sets the hook that runs when a connection has been added and before its first message. An error closes the
    /// connection; the disconnect hook does not run then.
    pub fn on_connected<F>(&mut self, hook: impl Fn(Context) -> F + Send + Sync + 'static)
    where
        F: Future<Output = HubResult<()>> + Send + 'static,
    {
        self.connected = Some(Arc::new(move |context, ()| Box::pin(hook(context))));
    }

    /// Sets the hook that runs when a connection has ended, with the error that ended it, if one did. The connection is
    /// still in its groups; sends to it are dropped.
    pub fn on_disconnected<F>(
        &mut self,
        hook: impl Fn(Context, Option<HubError>) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = HubResult<()>> + Send + 'static,
    {
        self.disconnected = Some(Arc::new(move |context, error| Box::pin(hook(context, error))));
    }

    /// Finds a method: by its exact name first, then ignoring ASCII case.
    pub(crate) fn method(&self, target: &str) -> Option<&Arc<Method>> {
        self.exact.get(target).or_else(|| self.folded.get(target.to_ascii_lowercase().as_str()))
    }

    fn add<A: HubArguments>(&mut self, name: &str, run: Run, invoke: Invoke) {
        let check = |arguments: Arguments<'_>| A::bind(arguments, &mut OpenedStreams::default()).map(drop);
        let method = Arc::new(Method {
            name: name.into(),
            run,
            invoke,
            bind: bind::<A>,
            streams: A::STREAMS,
            check,
            policies: Vec::new(),
        });
        self.exact.insert(name.into(), method.clone());
        if self.folded.insert(name.to_ascii_lowercase().into(), method).is_some() {
            self.duplicate.get_or_insert_with(|| name.into());
        }
    }
}

/// The arguments that a method takes. They are of other types only when a filter has changed the method.
fn unpack<A: HubArguments>(arguments: Box<dyn Any + Send>) -> HubResult<A> {
    let wrong = || HubError::named("InvalidCastException", "The arguments are not those of the method.");
    arguments.downcast::<A>().map(|arguments| *arguments).map_err(|_| wrong())
}

impl fmt::Debug for HubDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubDefinition").field("name", &self.name).finish_non_exhaustive()
    }
}
