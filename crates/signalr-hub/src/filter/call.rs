//! What a filter sees of a call: its arguments before, its result after, whatever their types are.
//!
//! Owns the two containers. Arguments are bound before they get here; results are encoded by whoever gets them back.

use crate::arguments::{HubArguments, OpenedStreams};
use crate::context::Context;
use serde::Serialize;
use signalr_protocol::{Arguments, BindError, EncodeError, HubProtocol};
use std::any::Any;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A call on its way through the filters to its hub method.
pub struct HubCall {
    context: Context,
    method: Box<str>,
    /// Never locked: arguments need not be `Sync`, and a call that is borrowed across an `await` must be.
    arguments: Mutex<Box<dyn BoundArguments>>,
}

impl HubCall {
    pub(crate) fn new(context: Context, method: &str, arguments: Box<dyn BoundArguments>) -> Self {
        Self { context, method: method.into(), arguments: Mutex::new(arguments) }
    }

    /// The calling connection.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The method, as the hub spells it.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Lets another method of the hub answer. It must take arguments of the same types and be of the same kind, or the
    /// call fails; with a name that the hub does not know it fails with `Unknown hub method 'X'`.
    pub fn set_method(&mut self, name: &str) {
        self.method = name.into();
    }

    /// How many arguments the method takes, streams of the client included.
    pub fn argument_count(&mut self) -> usize {
        self.arguments_mut().count()
    }

    /// An argument, to be read or changed, if there is one at this place and it is a `T`. A stream of the client is a
    /// [`ClientStream`](crate::ClientStream); what a filter reads from it, the method does not get.
    pub fn argument_mut<T: Any>(&mut self, index: usize) -> Option<&mut T> {
        self.arguments_mut().get(index)?.downcast_mut()
    }

    fn arguments_mut(&mut self) -> &mut dyn BoundArguments {
        &mut **self.arguments.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn into_parts(self) -> (Context, Box<str>, Box<dyn BoundArguments>) {
        (self.context, self.method, self.arguments.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for HubCall {
    /// Without the arguments: they may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubCall")
            .field("method", &self.method)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

/// What a hub method, or a filter in its place, has answered.
pub struct HubValue(Kind);

enum Kind {
    Value(Box<dyn AnyValue>),
    /// The stream that the method has returned.
    Stream,
}

impl HubValue {
    /// A result of a filter's own. A method that returns nothing gives `()`.
    pub fn new<T: Serialize + Send + 'static>(value: T) -> Self {
        Self(Kind::Value(Box::new(value)))
    }

    pub(super) fn stream() -> Self {
        Self(Kind::Stream)
    }

    /// Whether it stands for the stream of a streaming method. Nothing else may be returned for such a method.
    pub fn is_stream(&self) -> bool {
        matches!(self.0, Kind::Stream)
    }

    /// The result, to be read or changed, if it is a `T`: what the method returned, without its `Result`.
    pub fn downcast_mut<T: Any>(&mut self) -> Option<&mut T> {
        match &mut self.0 {
            Kind::Value(value) => value.as_any().downcast_mut(),
            Kind::Stream => None,
        }
    }

    pub(crate) fn write(
        &self,
        protocol: HubProtocol,
        out: &mut Vec<u8>,
        id: &str,
    ) -> Result<(), EncodeError> {
        match &self.0 {
            Kind::Value(value) => value.write(protocol, out, id),
            Kind::Stream => protocol.write_completion_result(out, id, &()),
        }
    }
}

impl fmt::Debug for HubValue {
    /// Without the value: it may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubValue").field("is_stream", &self.is_stream()).finish_non_exhaustive()
    }
}

/// A result of any type.
trait AnyValue: Send {
    fn as_any(&mut self) -> &mut dyn Any;
    fn write(&self, protocol: HubProtocol, out: &mut Vec<u8>, id: &str) -> Result<(), EncodeError>;
}

impl<T: Serialize + Send + 'static> AnyValue for T {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn write(&self, protocol: HubProtocol, out: &mut Vec<u8>, id: &str) -> Result<(), EncodeError> {
        protocol.write_completion_result(out, id, self)
    }
}

/// The arguments of any method.
pub(crate) trait BoundArguments: Send {
    fn count(&self) -> usize;
    fn get(&mut self, index: usize) -> Option<&mut dyn Any>;
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

impl<A: HubArguments> BoundArguments for A {
    fn count(&self) -> usize {
        A::COUNT + A::STREAMS
    }

    fn get(&mut self, index: usize) -> Option<&mut dyn Any> {
        self.argument(index)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// Binds the arguments of a method for its filters.
pub(crate) fn bind<A: HubArguments>(
    arguments: Arguments<'_>,
    streams: &mut OpenedStreams,
) -> Result<Box<dyn BoundArguments>, BindError> {
    Ok(Box::new(A::bind(arguments, streams)?))
}
