//! Argument lists: what a hub method takes and what a send gives.
//!
//! Owns the traits over tuples of up to 12 values. The formats live in `json` and `msgpack`.

use crate::error::{BindError, EncodeError};
use crate::payload::Arguments;
use crate::protocol::Protocol;
use crate::style::PayloadForm;
use crate::{json, msgpack};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a method takes: implemented for tuples of up to 12 deserialisable values, `()` among them.
pub trait FromArguments: Sized + Send + 'static {
    /// How many arguments the client must send.
    const COUNT: usize;

    /// Reads them.
    ///
    /// # Errors
    /// Number or types do not fit.
    fn from_arguments(arguments: Arguments<'_>) -> Result<Self, BindError>;
}

/// What a send gives: implemented for tuples of up to 12 serialisable values, `()` among them, for references to
/// such tuples and for [`DynamicArguments`].
#[diagnostic::on_unimplemented(
    message = "the arguments of a client method are a tuple of up to 12 serialisable values, not `{Self}`",
    label = "write `(value,)` for one argument and `()` for none",
    note = "a list whose length is known only at run time goes into `DynamicArguments`"
)]
pub trait ArgumentList: Send + Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// Writes each of them, in order, with [`PayloadWriter::value`].
    ///
    /// # Errors
    /// A value cannot be serialised.
    fn write(&self, writer: &mut PayloadWriter<'_>) -> Result<(), EncodeError>;
}

/// Reads an argument list one value at a time: for lists whose types are not one tuple. Made by [`Arguments::read`].
pub struct ArgumentReader<'a>(Format<'a>);

enum Format<'a> {
    Json(json::ArgumentReader<'a>),
    MessagePack(msgpack::ArgumentReader<'a>),
}

impl<'a> ArgumentReader<'a> {
    #[inline]
    pub(crate) fn new(arguments: Arguments<'a>, expected: usize) -> Result<Self, BindError> {
        if let Some(fault) = arguments.fault() {
            return Err(BindError::other(fault));
        }
        let (span, style) = (arguments.bytes(), arguments.style());
        Ok(Self(match arguments.protocol() {
            Protocol::Json => Format::Json(json::ArgumentReader::new(span, style, expected)?),
            Protocol::MessagePack => {
                Format::MessagePack(msgpack::ArgumentReader::new(span, style, expected)?)
            }
        }))
    }

    /// The next value.
    ///
    /// # Errors
    /// There is none, or it does not fit.
    #[inline]
    pub fn value<T: DeserializeOwned>(&mut self) -> Result<T, BindError> {
        match &mut self.0 {
            Format::Json(reader) => reader.next(),
            Format::MessagePack(reader) => reader.next(),
        }
    }

    #[inline]
    pub(crate) fn finish(self) -> Result<(), BindError> {
        match self.0 {
            Format::Json(reader) => reader.finish(),
            Format::MessagePack(reader) => reader.finish(),
        }
    }
}

/// Arguments whose number is known only at run time; all of one type, for example `serde_json::Value`.
#[derive(Debug, Clone, PartialEq)]
pub struct DynamicArguments<T>(pub Vec<T>);

/// Takes the values of an [`ArgumentList`] and writes them in the format of a protocol.
pub struct PayloadWriter<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
    form: PayloadForm,
    written: usize,
}

impl<'a> PayloadWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, protocol: Protocol, form: PayloadForm) -> Self {
        Self { out, protocol, form, written: 0 }
    }

    /// How many values have been written.
    #[cfg(feature = "messagepack")]
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// Appends one argument.
    ///
    /// # Errors
    /// The value cannot be serialised.
    pub fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        let position = self.written;
        self.written += 1;
        match self.protocol {
            Protocol::Json => {
                if position > 0 {
                    self.out.push(b',');
                }
                json::write_value(self.out, self.form.style, value)
            }
            Protocol::MessagePack => msgpack::write_value(self.out, self.form, value),
        }
    }
}

impl<T: Serialize + Send + Sync> ArgumentList for DynamicArguments<T> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn write(&self, writer: &mut PayloadWriter<'_>) -> Result<(), EncodeError> {
        self.0.iter().try_for_each(|value| writer.value(value))
    }
}

impl<T: ArgumentList + ?Sized> ArgumentList for &T {
    fn count(&self) -> usize {
        (**self).count()
    }

    fn write(&self, writer: &mut PayloadWriter<'_>) -> Result<(), EncodeError> {
        (**self).write(writer)
    }
}

macro_rules! tuples {
    ($($count:literal: $($name:ident . $index:tt)*;)*) => {$(
        impl<$($name: DeserializeOwned + Send + 'static),*> FromArguments for ($($name,)*) {
            const COUNT: usize = $count;

            fn from_arguments(arguments: Arguments<'_>) -> Result<Self, BindError> {
                #[allow(unused_mut, reason = "the empty tuple reads nothing")]
                let mut reader = ArgumentReader::new(arguments, Self::COUNT)?;
                let values = ($(reader.value::<$name>()?,)*);
                reader.finish()?;
                Ok(values)
            }
        }

        impl<$($name: Serialize + Send + Sync),*> ArgumentList for ($($name,)*) {
            fn count(&self) -> usize {
                $count
            }

            fn write(&self, writer: &mut PayloadWriter<'_>) -> Result<(), EncodeError> {
                let _ = &writer;
                $(writer.value(&self.$index)?;)*
                Ok(())
            }
        }
    )*};
}

tuples! {
    0: ;
    1: A.0;
    2: A.0 B.1;
    3: A.0 B.1 C.2;
    4: A.0 B.1 C.2 D.3;
    5: A.0 B.1 C.2 D.3 E.4;
    6: A.0 B.1 C.2 D.3 E.4 F.5;
    7: A.0 B.1 C.2 D.3 E.4 F.5 G.6;
    8: A.0 B.1 C.2 D.3 E.4 F.5 G.6 H.7;
    9: A.0 B.1 C.2 D.3 E.4 F.5 G.6 H.7 I.8;
    10: A.0 B.1 C.2 D.3 E.4 F.5 G.6 H.7 I.8 J.9;
    11: A.0 B.1 C.2 D.3 E.4 F.5 G.6 H.7 I.8 J.9 K.10;
    12: A.0 B.1 C.2 D.3 E.4 F.5 G.6 H.7 I.8 J.9 K.10 L.11;
}
