//! Names in payload objects as serde sees them: keys of maps and variants of enums.
//!
//! Owns the conversion of a member's name into a key that is no string; values are read by `de`.

use super::de::{Deserializer, Number};
use super::decode_error::DecodeError;
use serde::de::{self, DeserializeSeed, Visitor};
use std::borrow::Cow;

/// A member's name as a map key.
pub(super) struct MapKey<'de> {
    name: Cow<'de, str>,
}

impl<'de> MapKey<'de> {
    pub(super) fn new(name: Cow<'de, str>) -> Self {
        Self { name }
    }
}

macro_rules! numeric_keys {
    ($($method:ident $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            let value = Number(&self.name).parse(&visitor)?;
            visitor.$visit(value)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for MapKey<'de> {
    type Error = DecodeError;

    numeric_keys! {
        deserialize_i8 visit_i8; deserialize_i16 visit_i16; deserialize_i32 visit_i32; deserialize_i64 visit_i64;
        deserialize_u8 visit_u8; deserialize_u16 visit_u16; deserialize_u32 visit_u32; deserialize_u64 visit_u64;
        deserialize_i128 visit_i128; deserialize_u128 visit_u128;
        deserialize_f32 visit_f32; deserialize_f64 visit_f64; deserialize_bool visit_bool;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.name {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_enum(de::value::CowStrDeserializer::new(self.name))
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'de>>
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// An enum variant with data: the only member of an object whose `{` has been taken.
pub(super) struct EnumKey<'p, 'de> {
    parent: &'p mut Deserializer<'de>,
}

impl<'p, 'de> EnumKey<'p, 'de> {
    pub(super) fn new(parent: &'p mut Deserializer<'de>) -> Self {
        Self { parent }
    }
}

impl<'de> de::EnumAccess<'de> for EnumKey<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        let name = self.parent.scanner().next_member(&mut true)?;
        let name = name.ok_or(DecodeError::text("an empty object for an enum"))?;
        Ok((seed.deserialize(MapKey::new(name.to_str()?))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for EnumKey<'_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        de::Deserialize::deserialize(self.parent)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DecodeError> {
        seed.deserialize(self.parent)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, DecodeError> {
        de::Deserializer::deserialize_seq(self.parent, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        de::Deserializer::deserialize_struct(self.parent, "", fields, visitor)
    }
}
