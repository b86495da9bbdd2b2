//! How serde's visitors walk through arrays, maps, enum variants and extensions.
//!
//! Owns the position inside a container and nothing else; `decode` opens and closes containers and reads the values.

use super::cursor::{Fault, NIL, lossy};
use super::decode::Decoder;
use super::decode_error::DecodeError;
use crate::style::NamingPolicy;
use serde::de::value::{BorrowedBytesDeserializer, CowStrDeserializer, I8Deserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use std::borrow::Cow;

/// The items of an array or the pairs of a map.
pub(super) struct Items<'a, 'de> {
    pub(super) decoder: &'a mut Decoder<'de>,
    /// How many have not been read.
    pub(super) left: usize,
    /// How many the visitor may make room for.
    pub(super) announced: usize,
    /// The names that serde has for a struct's members; none for anything else.
    pub(super) fields: &'static [&'static str],
}

impl<'de> Items<'_, 'de> {
    /// The next member's name as serde has it: policy names are compared exactly, as in the reference.
    fn field_name(&mut self, names: NamingPolicy) -> Result<Cow<'de, str>, DecodeError> {
        let name = lossy(self.decoder.cursor.str_bytes()?);
        let field = self.fields.iter().find(|field| names.of_member(field) == name);
        Ok(field.map_or(name, |field| Cow::Borrowed(*field)))
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.announced))
    }
}

impl<'de> MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let names = self.decoder.style.names;
        if names != NamingPolicy::AsSerde && !self.fields.is_empty() {
            return seed.deserialize(CowStrDeserializer::new(self.field_name(names)?)).map(Some);
        }
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        seed.deserialize(&mut *self.decoder)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.announced))
    }
}

/// An enum variant that carries a value: `{name: value}`.
pub(super) struct Variant<'a, 'de> {
    pub(super) decoder: &'a mut Decoder<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        let name = seed.deserialize(&mut *self.decoder)?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        match self.decoder.cursor.byte()? {
            NIL => Ok(()),
            other => Err(Fault::Code(other).into()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DecodeError> {
        seed.deserialize(self.decoder)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.decoder.visit_array(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.decoder.visit_pairs(fields, visitor)
    }
}

/// An extension as rmp-serde shows it: a newtype around (type, data).
pub(super) struct Extension<'de> {
    pub(super) kind: Option<i8>,
    pub(super) data: Option<&'de [u8]>,
}

impl<'de> Deserializer<'de> for Extension<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_seq(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> SeqAccess<'de> for Extension<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        if let Some(kind) = self.kind.take() {
            return seed.deserialize(I8Deserializer::new(kind)).map(Some);
        }
        self.data.take().map(|data| seed.deserialize(BorrowedBytesDeserializer::new(data))).transpose()
    }
}
