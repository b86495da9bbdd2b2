//! What the code that `#[hub]` and `#[hub_client]` generate stands on. Not for use by hand.
//!
//! Owns the questions that syntax cannot answer and types can: is what a method returned a `Result`, also behind
//! an alias? Are a stream's items? Can an argument be decoded? The answers come from inherent methods on a wrapper,
//! which win over a trait's methods of the same name, so no value is looked at and nothing is decided at run time.

use crate::error::{HubError, HubResult};
use crate::stream::StreamSink;
use futures_core::Stream;
use futures_util::StreamExt;
use serde::Serialize;
use signalr_core::Policy;
use std::future::Future;
use std::marker::PhantomData;

pub use crate::arguments::HubArgument;
pub use crate::{
    ClientProxy, Context, Hub, HubDefinition, PolicyRef, SingleClient, TypedClient, authenticated,
};
pub use std::sync::Arc;

/// The policy that `authorize = path` names.
pub fn policy<P: Policy>(policy: P) -> PolicyRef {
    policy.into()
}

/// What a method returned.
pub struct Returned<T>(pub T);

impl<T, E> Returned<Result<T, E>> {
    /// The outcome of a method that can fail.
    ///
    /// # Errors
    /// The method's own.
    pub fn into_hub_result(self) -> HubResult<T>
    where
        T: HubReturn,
        E: HubFailure,
    {
        self.into_stream_result()
    }

    /// The outcome of a method that can fail before it has a stream.
    ///
    /// # Errors
    /// The method's own.
    pub fn into_stream_result(self) -> HubResult<T>
    where
        E: HubFailure,
    {
        self.0.map_err(Into::into)
    }
}

/// Everything that is not a `Result`.
pub trait PlainReturn<T> {
    /// The outcome of a method that cannot fail: always `Ok`.
    ///
    /// # Errors
    /// None.
    fn into_hub_result(self) -> HubResult<T>
    where
        T: HubReturn;

    /// The stream of a method that cannot fail: always `Ok`.
    ///
    /// # Errors
    /// None.
    fn into_stream_result(self) -> HubResult<T>;
}

impl<T> PlainReturn<T> for Returned<T> {
    fn into_hub_result(self) -> HubResult<T>
    where
        T: HubReturn,
    {
        Ok(self.0)
    }

    fn into_stream_result(self) -> HubResult<T> {
        Ok(self.0)
    }
}

/// Stands for a stream's items.
pub struct Items<T>(PhantomData<fn() -> T>);

/// The items of `stream`.
pub fn items_of<S: Stream>(_: &S) -> Items<S::Item> {
    Items(PhantomData)
}

impl<T, E> Items<Result<T, E>> {
    /// Sends the items of a stream that can fail.
    pub async fn forward<S>(self, sink: StreamSink, stream: S)
    where
        T: HubReturn,
        E: HubFailure,
        S: Stream<Item = Result<T, E>> + Send,
    {
        sink.results(stream.map(|item| item.map_err(Into::into))).await;
    }
}

/// Everything that is not a `Result`.
pub trait PlainItems<T> {
    /// Sends the items of a stream that cannot fail.
    fn forward<S>(self, sink: StreamSink, stream: S) -> impl Future<Output = ()> + Send
    where
        T: HubReturn,
        S: Stream<Item = T> + Send;
}

impl<T> PlainItems<T> for Items<T> {
    async fn forward<S>(self, sink: StreamSink, stream: S)
    where
        T: HubReturn,
        S: Stream<Item = T> + Send,
    {
        sink.items(stream).await;
    }
}

/// Stands for a return type.
pub struct Shape<T>(PhantomData<fn() -> T>);

impl<T, E, F> Shape<Result<Result<T, E>, F>> {
    /// An inner `Err` would be serialised as if it were a value.
    pub const FLAT: bool = false;
}

/// Every type but a `Result` inside a `Result`.
pub trait FlatReturn {
    /// No `Err` can be taken for a value.
    const FLAT: bool = true;
}

impl<T> FlatReturn for Shape<T> {}

/// Compiles when `T` can be an argument.
pub fn check_argument<T: HubArgument>() {}

/// What a hub method can return, or a stream can yield.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a hub method",
    label = "clients cannot receive this",
    note = "a result can be encoded: derive `serde::Serialize` for it; it must also be `Send`"
)]
pub trait HubReturn: Serialize + Send {}

impl<T: Serialize + Send> HubReturn for T {}

/// The error of a method or of a stream.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a hub method",
    label = "does not convert into `HubError`",
    note = "implement `std::error::Error` for it (it must be `Send + Sync + 'static`), or return `HubResult`"
)]
pub trait HubFailure: Into<HubError> {}

impl<E: Into<HubError>> HubFailure for E {}

/// What can be sent to a client.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a client method",
    label = "cannot be sent to clients",
    note = "an argument can be encoded: derive `serde::Serialize` for it; it must also be `Send` and `Sync`"
)]
pub trait ClientArgument: Send + Sync {}

impl<T: Serialize + Send + Sync + ?Sized> ClientArgument for T {}

/// Compiles when the argument can be sent.
pub fn check_sent<T: ClientArgument + ?Sized>(_: &T) {}
