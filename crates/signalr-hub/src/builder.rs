//! Hubs without the macro: methods as closures.
//!
//! Owns the traits over closures of up to 12 arguments; what they are called with is in `definition`.

use crate::arguments::{HubArgument, HubArguments};
use crate::context::Context;
use crate::definition::{Hub, HubDefinition};
use crate::error::{HubError, HubResult};
use crate::policy::PolicyRef;
use futures_core::Stream;
use serde::Serialize;
use std::borrow::Cow;
use std::future::Future;

/// Builds a hub from closures. Every closure gets the [`Context`] first, then the client's arguments, streams of
/// the client ([`ClientStream`](crate::ClientStream)) among them, and returns a future of [`HubResult`].
#[derive(Debug)]
pub struct HubBuilder {
    definition: HubDefinition,
}

impl HubBuilder {
    /// A hub of this wire name.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { definition: HubDefinition::new::<HubBuilder>(name) }
    }

    /// A hub of this wire name that [`HubContext<H>`](crate::HubContext) refers to.
    pub fn of<H: 'static>(name: impl Into<Cow<'static, str>>) -> Self {
        Self { definition: HubDefinition::new::<H>(name) }
    }

    /// Adds a method: `|cx: Context, a: A, b: B| async move { Ok(result) }`.
    #[must_use]
    pub fn method<A: HubArguments, F: MethodHandler<A>>(mut self, name: &str, method: F) -> Self {
        self.definition.async_method(name, move |context, arguments| method.call(context, arguments));
        self
    }

    /// Adds a streaming method: `|cx: Context, a: A| async move { Ok(stream) }`, where the stream's items are
    /// [`HubResult`]s.
    #[must_use]
    pub fn stream<A: HubArguments, F: StreamHandler<A>>(mut self, name: &str, method: F) -> Self {
        self.definition.stream_method(name, move |context, arguments, sink| {
            let stream = method.call(context, arguments);
            async move {
                match stream.await {
                    Ok(stream) => sink.results(stream).await,
                    Err(error) => sink.fail(error).await,
                }
            }
        });
        self
    }

    /// Adds a policy for the whole hub; see [`HubDefinition::authorize`].
    #[must_use]
    pub fn authorize(mut self, policy: impl Into<PolicyRef>) -> Self {
        self.definition.authorize(policy);
        self
    }

    /// Adds a policy for a method that was added before; see [`HubDefinition::authorize_method`].
    ///
    /// ```
    /// # use signalr_hub::{Caller, Context, HubBuilder};
    /// fn moderators(caller: &Caller<'_>) -> bool {
    ///     caller.has_claim("role", "moderator")
    /// }
    ///
    /// let hub = HubBuilder::new("Chat")
    ///     .method("Ban", |_: Context, user: String| async move { Ok(user) })
    ///     .authorize_method("Ban", moderators);
    /// ```
    #[must_use]
    pub fn authorize_method(mut self, name: &str, policy: impl Into<PolicyRef>) -> Self {
        self.definition.authorize_method(name, policy);
        self
    }

    /// Sets the connect hook; see [`HubDefinition::on_connected`].
    #[must_use]
    pub fn on_connected<F>(mut self, hook: impl Fn(Context) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = HubResult<()>> + Send + 'static,
    {
        self.definition.on_connected(hook);
        self
    }

    /// Sets the disconnect hook; see [`HubDefinition::on_disconnected`].
    #[must_use]
    pub fn on_disconnected<F>(
        mut self,
        hook: impl Fn(Context, Option<HubError>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = HubResult<()>> + Send + 'static,
    {
        self.definition.on_disconnected(hook);
        self
    }
}

impl Hub for HubBuilder {
    fn define(self) -> HubDefinition {
        self.definition
    }
}

/// A closure that serves a plain method. Implemented for closures of a [`Context`] and up to 12 arguments.
#[diagnostic::on_unimplemented(
    message = "this closure cannot be a hub method",
    label = "expected `|cx: Context, a: A, ...| async move {{ Ok(result) }}`",
    note = "up to 12 arguments that can be deserialised or are `ClientStream`s, and a future of `HubResult<T>` where `T` can be serialised"
)]
pub trait MethodHandler<A>: Send + Sync + 'static {
    /// What the method answers with.
    type Result: Serialize + Send + 'static;
    /// The running call.
    type Future: Future<Output = HubResult<Self::Result>> + Send + 'static;

    /// Calls the closure.
    fn call(&self, context: Context, arguments: A) -> Self::Future;
}

/// A closure that serves a streaming method. Implemented for closures of a [`Context`] and up to 12 arguments.
#[diagnostic::on_unimplemented(
    message = "this closure cannot be a streaming hub method",
    label = "expected `|cx: Context, a: A, ...| async move {{ Ok(stream) }}`",
    note = "the stream's items are `HubResult<T>` where `T` can be serialised"
)]
pub trait StreamHandler<A>: Send + Sync + 'static {
    /// The stream's items.
    type Item: Serialize + Send + 'static;
    /// The stream.
    type Stream: Stream<Item = HubResult<Self::Item>> + Send + 'static;
    /// The running call.
    type Future: Future<Output = HubResult<Self::Stream>> + Send + 'static;

    /// Calls the closure.
    fn call(&self, context: Context, arguments: A) -> Self::Future;
}

macro_rules! closures {
    ($($($name:ident)*;)*) => {$(
        impl<Fun, Fut, Res, $($name),*> MethodHandler<($($name,)*)> for Fun
        where
            Fun: Fn(Context, $($name),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = HubResult<Res>> + Send + 'static,
            Res: Serialize + Send + 'static,
            $($name: HubArgument,)*
        {
            type Result = Res;
            type Future = Fut;

            #[allow(non_snake_case, reason = "the type parameters' names serve as variables")]
            fn call(&self, context: Context, ($($name,)*): ($($name,)*)) -> Fut {
                self(context, $($name),*)
            }
        }

        impl<Fun, Fut, Str, Res, $($name),*> StreamHandler<($($name,)*)> for Fun
        where
            Fun: Fn(Context, $($name),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = HubResult<Str>> + Send + 'static,
            Str: Stream<Item = HubResult<Res>> + Send + 'static,
            Res: Serialize + Send + 'static,
            $($name: HubArgument,)*
        {
            type Item = Res;
            type Stream = Str;
            type Future = Fut;

            #[allow(non_snake_case, reason = "the type parameters' names serve as variables")]
            fn call(&self, context: Context, ($($name,)*): ($($name,)*)) -> Fut {
                self(context, $($name),*)
            }
        }
    )*};
}

closures! {
    ;
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E G;
    A B C D E G H;
    A B C D E G H I;
    A B C D E G H I J;
    A B C D E G H I J K;
    A B C D E G H I J K L;
    A B C D E G H I J K L M;
}
