//! What a hub method takes: decoded values and streams from the client, side by side.
//!
//! Owns the traits over both and the binding of a whole list (B-7.1, 7.6). Values are decoded by the protocol crate; the
//! streams that a call opens are handed to the dispatcher, which feeds them.

use crate::client_stream::{ClientStream, Upload};
use serde::de::DeserializeOwned;
use signalr_protocol::{ArgumentReader, Arguments, BindError};
use std::any::Any;
use std::sync::Arc;

/// One argument of a hub method: a value that can be deserialised, or a [`ClientStream`] of such values.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a hub method",
    label = "clients cannot send this",
    note = "an argument owns its data and can be decoded: derive `serde::Deserialize` for it; it must also be `Send`",
    note = "a stream from the client is an argument of its own, `ClientStream<T>`, never inside another type"
)]
pub trait HubArgument: Sized + Send + 'static {
    /// Whether it is a stream, for which the client sends an id instead of an argument.
    #[doc(hidden)]
    const STREAM: bool;

    #[doc(hidden)]
    fn take(reader: &mut ArgumentReader<'_>, streams: &mut OpenedStreams) -> Result<Self, BindError>;
}

impl<T: DeserializeOwned + Send + 'static> HubArgument for T {
    const STREAM: bool = false;

    #[inline]
    fn take(reader: &mut ArgumentReader<'_>, _: &mut OpenedStreams) -> Result<Self, BindError> {
        reader.value()
    }
}

impl<T: DeserializeOwned + Send + 'static> HubArgument for ClientStream<T> {
    const STREAM: bool = true;

    fn take(_: &mut ArgumentReader<'_>, streams: &mut OpenedStreams) -> Result<Self, BindError> {
        let (stream, upload) = ClientStream::open(streams.capacity);
        streams.opened.push(upload);
        Ok(stream)
    }
}

/// All arguments of a hub method: implemented for tuples of up to 12 [`HubArgument`]s, `()` among them.
pub trait HubArguments: Sized + Send + 'static {
    /// How many values the client must send; streams do not count.
    const COUNT: usize;
    /// How many streams the client must announce.
    const STREAMS: usize;

    #[doc(hidden)]
    fn bind(arguments: Arguments<'_>, streams: &mut OpenedStreams) -> Result<Self, BindError>;

    /// The argument at this place.
    #[doc(hidden)]
    fn argument(&mut self, index: usize) -> Option<&mut dyn Any>;
}

/// The streams that one call takes, in the order of its parameters.
#[doc(hidden)]
#[derive(Default)]
pub struct OpenedStreams {
    capacity: usize,
    opened: Vec<Arc<dyn Upload>>,
}

impl OpenedStreams {
    /// Streams that will queue up to `capacity` items each.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, opened: Vec::new() }
    }

    pub(crate) fn into_uploads(self) -> Vec<Arc<dyn Upload>> {
        self.opened
    }
}

macro_rules! tuples {
    ($($($name:ident)*;)*) => {$(
        impl<$($name: HubArgument),*> HubArguments for ($($name,)*) {
            const COUNT: usize = 0 $(+ if $name::STREAM { 0 } else { 1 })*;
            const STREAMS: usize = 0 $(+ if $name::STREAM { 1 } else { 0 })*;

            #[inline]
            fn bind(arguments: Arguments<'_>, streams: &mut OpenedStreams) -> Result<Self, BindError> {
                arguments.read(Self::COUNT, |reader| {
                    let _ = (&reader, streams.opened.clear());
                    Ok(($($name::take(reader, streams)?,)*))
                })
            }

            #[allow(non_snake_case, reason = "the type parameters' names serve as variables")]
            fn argument(&mut self, index: usize) -> Option<&mut dyn Any> {
                let ($($name,)*) = self;
                let mut places = 0..;
                $(if places.next() == Some(index) { return Some($name); })*
                let _ = (&mut places, index);
                None
            }
        }
    )*};
}

tuples! {
    ;
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
    A B C D E F G H I;
    A B C D E F G H I J;
    A B C D E F G H I J K;
    A B C D E F G H I J K L;
}
