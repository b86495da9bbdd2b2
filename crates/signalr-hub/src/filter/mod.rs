//! Hub filters: code of the application around every call, connect and disconnect of a hub (B-7.12).
//!
//! Owns the public trait and the order of filters. What a filter gets to see is in `call`; what is at the end of a chain,
//! the hub's own method, in `chain`. A hub without filters does not come through here.

mod call;
mod chain;

pub(crate) use call::{BoundArguments, bind};
pub use call::{HubCall, HubValue};
pub(crate) use chain::{plain, streaming};

use crate::context::Context;
use crate::definition::HubDefinition;
use crate::error::{HubError, HubResult};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Code around the calls and the life-cycle events of a hub: logging, checks, limits, translation of errors.
///
/// Filters are given to [`HubOptions::filter`](crate::HubOptions::filter): those of all hubs come first, then those of the
/// hub; within each, the first one is the outermost. One value serves all connections. Each method has a default that
/// only goes on to what is inside, so that a filter implements what it needs.
///
/// A filter runs after the checks of the dispatcher: calls that cannot be bound, are not allowed, or are of the wrong kind
/// never reach it. It may answer a call by itself, change arguments and results, and turn errors into results or the other
/// way round. What it fails with is answered as if the method had failed; a panic too. A filter that does not go on in
/// [`HubFilter::on_connected`] accepts the connection without asking the hub.
///
/// ```
/// use signalr_hub::{HubCall, HubError, HubFilter, HubOptions, HubResult, HubValue, Next};
///
/// /// Refuses texts that nobody should read.
/// struct Manners;
///
/// impl HubFilter for Manners {
///     async fn invoke(&self, mut call: HubCall, next: Next<'_>) -> HubResult<HubValue> {
///         if call.method() == "SendMessage"
///             && let Some(text) = call.argument_mut::<String>(1)
///         {
///             if text.contains("!!!") {
///                 return Err(HubError::new("please be quiet"));
///             }
///             *text = text.trim().to_owned();
///         }
///         next.run(call).await
///     }
/// }
///
/// let mut options = HubOptions::default();
/// options.filter(Manners);
/// ```
pub trait HubFilter: Send + Sync + 'static {
    /// Around a call of a hub method. For a streaming method, `next` ends when the method has its stream, not when the
    /// stream ends; items are not seen, and no item is sent before the filters are done.
    ///
    /// Dropped with its connection, like the method.
    fn invoke(&self, call: HubCall, next: Next<'_>) -> impl Future<Output = HubResult<HubValue>> + Send {
        next.run(call)
    }

    /// Around the hub's `on_connected`, also when the hub has none. An error refuses the connection.
    fn on_connected(
        &self,
        context: &Context,
        next: NextConnected<'_>,
    ) -> impl Future<Output = HubResult<()>> + Send {
        let _ = context;
        next.run()
    }

    /// Around the hub's `on_disconnected`, also when the hub has none. `error` is what ended the connection, if anything
    /// did.
    fn on_disconnected(
        &self,
        context: &Context,
        error: Option<HubError>,
        next: NextDisconnected<'_>,
    ) -> impl Future<Output = HubResult<()>> + Send {
        let _ = context;
        next.run(error)
    }
}

/// The way on in a call: the next filter, or the hub method.
pub struct Next<'a> {
    filters: &'a [Arc<dyn AnyFilter>],
    end: &'a dyn End,
}

impl<'a> Next<'a> {
    fn new(filters: &'a Filters, end: &'a dyn End) -> Self {
        Self { filters: &filters.0, end }
    }

    /// Goes on with the call and gives its result.
    ///
    /// # Errors
    /// What the method or an inner filter fails with; a method of that name may not exist, if the filter has changed the
    /// name ([`HubCall::set_method`]).
    pub async fn run(self, call: HubCall) -> HubResult<HubValue> {
        match self.filters.split_first() {
            Some((first, filters)) => first.any_invoke(call, Next { filters, end: self.end }).await,
            None => self.end.call(call).await,
        }
    }
}

/// The way on when a client connects: the next filter, or the hub.
pub struct NextConnected<'a> {
    filters: &'a [Arc<dyn AnyFilter>],
    definition: &'a HubDefinition,
    context: &'a Context,
}

impl NextConnected<'_> {
    /// Goes on.
    ///
    /// # Errors
    /// What the hub or an inner filter fails with.
    pub async fn run(self) -> HubResult<()> {
        let Self { filters, definition, context } = self;
        match (filters.split_first(), &definition.connected) {
            (Some((first, filters)), _) => {
                first.any_connected(context, NextConnected { filters, definition, context }).await
            }
            (None, Some(hook)) => hook(context.clone(), ()).await,
            (None, None) => Ok(()),
        }
    }
}

/// The way on when a client has gone: the next filter, or the hub.
pub struct NextDisconnected<'a> {
    filters: &'a [Arc<dyn AnyFilter>],
    definition: &'a HubDefinition,
    context: &'a Context,
}

impl NextDisconnected<'_> {
    /// Goes on, with the error that the inner filters and the hub are to see.
    ///
    /// # Errors
    /// What the hub or an inner filter fails with.
    pub async fn run(self, error: Option<HubError>) -> HubResult<()> {
        let Self { filters, definition, context } = self;
        match (filters.split_first(), &definition.disconnected) {
            (Some((first, filters)), _) => {
                let next = NextDisconnected { filters, definition, context };
                first.any_disconnected(context, error, next).await
            }
            (None, Some(hook)) => hook(context.clone(), error).await,
            (None, None) => Ok(()),
        }
    }
}

/// The filters of a hub, outermost first.
#[derive(Clone, Default)]
pub(crate) struct Filters(Vec<Arc<dyn AnyFilter>>);

impl Filters {
    pub(crate) fn add(&mut self, filter: impl HubFilter) {
        self.0.push(Arc::new(filter));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A client has connected.
    pub(crate) async fn connected(&self, definition: &HubDefinition, context: &Context) -> HubResult<()> {
        NextConnected { filters: &self.0, definition, context }.run().await
    }

    /// A client has gone.
    pub(crate) async fn disconnected(
        &self,
        definition: &HubDefinition,
        context: &Context,
        error: Option<HubError>,
    ) -> HubResult<()> {
        NextDisconnected { filters: &self.0, definition, context }.run(error).await
    }
}

type Step<'a, T> = Pin<Box<dyn Future<Output = HubResult<T>> + Send + 'a>>;

/// What is at the end of a chain of filters.
trait End: Send + Sync {
    fn call(&self, call: HubCall) -> Step<'_, HubValue>;
}

/// A [`HubFilter`] of any type.
trait AnyFilter: Send + Sync {
    fn any_invoke<'a>(&'a self, call: HubCall, next: Next<'a>) -> Step<'a, HubValue>;
    fn any_connected<'a>(&'a self, context: &'a Context, next: NextConnected<'a>) -> Step<'a, ()>;
    fn any_disconnected<'a>(
        &'a self,
        context: &'a Context,
        error: Option<HubError>,
        next: NextDisconnected<'a>,
    ) -> Step<'a, ()>;
}

impl<F: HubFilter> AnyFilter for F {
    fn any_invoke<'a>(&'a self, call: HubCall, next: Next<'a>) -> Step<'a, HubValue> {
        Box::pin(self.invoke(call, next))
    }

    fn any_connected<'a>(&'a self, context: &'a Context, next: NextConnected<'a>) -> Step<'a, ()> {
        Box::pin(self.on_connected(context, next))
    }

    fn any_disconnected<'a>(
        &'a self,
        context: &'a Context,
        error: Option<HubError>,
        next: NextDisconnected<'a>,
    ) -> Step<'a, ()> {
        Box::pin(self.on_disconnected(context, error, next))
    }
}
