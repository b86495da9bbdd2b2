//! A serializer that writes values in a [`PayloadStyle`] by way of another serializer.
//!
//! Owns the renaming of struct members, enums by number and bytes in base64, at every depth. Everything else is passed
//! on. Keys of maps and the types that a format knows by name (raw JSON, MessagePack extensions) are left alone.

use crate::style::{EnumStyle, PayloadStyle};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use std::fmt::Display;

/// A value in a style.
pub(crate) struct Styled<'a, T: ?Sized>(pub(crate) &'a T, pub(crate) PayloadStyle);

impl<T: Serialize + ?Sized> Serialize for Styled<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Stylist { inner: serializer, style: self.1 })
    }
}

/// The serializer, and what writes the parts of a container.
struct Stylist<S> {
    inner: S,
    style: PayloadStyle,
}

/// Types that serde_json and rmp-serde recognise by such names have a form of their own.
fn is_private(name: &str) -> bool {
    name.starts_with("$serde_json::private::")
}

macro_rules! pass_on {
    ($($method:ident: $type:ty;)*) => {$(
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        }
    )*};
}

impl<S: Serializer> Serializer for Stylist<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Stylist<S::SerializeSeq>;
    type SerializeTuple = Stylist<S::SerializeTuple>;
    type SerializeTupleStruct = Stylist<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Stylist<S::SerializeTupleVariant>;
    type SerializeMap = Stylist<S::SerializeMap>;
    type SerializeStruct = Stylist<S::SerializeStruct>;
    type SerializeStructVariant = Stylist<S::SerializeStructVariant>;

    pass_on! {
        serialize_bool: bool; serialize_i8: i8; serialize_i16: i16; serialize_i32: i32; serialize_i64: i64;
        serialize_i128: i128; serialize_u8: u8; serialize_u16: u16; serialize_u32: u32; serialize_u64: u64;
        serialize_u128: u128; serialize_f32: f32; serialize_f64: f64; serialize_char: char; serialize_str: &str;
        serialize_unit_struct: &'static str;
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<S::Ok, S::Error> {
        if self.style.base64_bytes && self.inner.is_human_readable() {
            return self.inner.serialize_str(&STANDARD.encode(bytes));
        }
        self.inner.serialize_bytes(bytes)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_some(&Styled(value, self.style))
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        match self.style.enums {
            EnumStyle::Number => self.inner.serialize_u32(index),
            EnumStyle::Name => self.inner.serialize_unit_variant(name, index, variant),
        }
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        if name == EXTENSION {
            return self.inner.serialize_newtype_struct(name, value);
        }
        self.inner.serialize_newtype_struct(name, &Styled(value, self.style))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_variant(name, index, variant, &Styled(value, self.style))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        Ok(Stylist { inner: self.inner.serialize_seq(length)?, style: self.style })
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        Ok(Stylist { inner: self.inner.serialize_tuple(length)?, style: self.style })
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        Ok(Stylist { inner: self.inner.serialize_tuple_struct(name, length)?, style: self.style })
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let inner = self.inner.serialize_tuple_variant(name, index, variant, length)?;
        Ok(Stylist { inner, style: self.style })
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(Stylist { inner: self.inner.serialize_map(length)?, style: self.style })
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, S::Error> {
        let style = if is_private(name) { PayloadStyle::SERDE } else { self.style };
        Ok(Stylist { inner: self.inner.serialize_struct(name, length)?, style })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let inner = self.inner.serialize_struct_variant(name, index, variant, length)?;
        Ok(Stylist { inner, style: self.style })
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! items {
    ($($trait:ident $method:ident;)*) => {$(
        impl<S: $trait> $trait for Stylist<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                self.inner.$method(&Styled(value, self.style))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        }
    )*};
}

items! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

impl<S: SerializeMap> SerializeMap for Stylist<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.inner.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.inner.serialize_value(&Styled(value, self.style))
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), S::Error> {
        self.inner.serialize_entry(key, &Styled(value, self.style))
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.inner.end()
    }
}

macro_rules! members {
    ($($trait:ident;)*) => {$(
        impl<S: $trait> $trait for Stylist<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                let name = self.style.names.of_member(name);
                self.inner.serialize_field(name, &Styled(value, self.style))
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), S::Error> {
                self.inner.skip_field(self.style.names.of_member(name))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        }
    )*};
}

members! {
    SerializeStruct;
    SerializeStructVariant;
}

/// The name under which rmp-serde knows extensions.
const EXTENSION: &str = "_ExtStruct";
