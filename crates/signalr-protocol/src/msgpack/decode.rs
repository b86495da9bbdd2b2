//! Turns MessagePack payloads into Rust values.
//!
//! Owns what the reference accepts for which type (B-5.4): any width of integer, integers and both widths for floats,
//! strings for byte strings, U+FFFD for bad UTF-8; structs only as maps, enums only by name. Does not read envelopes.
//! Spans come from `parse`, types from the hub method. Never allocates for a length that the bytes cannot hold, never
//! nests deeper than the reference does, and keeps received contents out of its error texts.

use super::access::{Extension, Items, Variant};
use super::cursor::{Cursor, Fault, Integer, NIL, lossy};
use super::decode_error::{DecodeError, MAX_DEPTH};
use super::parse::ARGUMENTS_LENGTH;
use crate::error::BindError;
use crate::style::{EnumStyle, PayloadStyle};
use crate::values::dotnet_name;
use serde::de::value::{CowStrDeserializer, SeqDeserializer, U32Deserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use std::borrow::Cow;

/// Reads the argument array value by value; the count is checked before the first.
pub(crate) struct ArgumentReader<'a> {
    cursor: Cursor<'a>,
    style: PayloadStyle,
}

impl<'a> ArgumentReader<'a> {
    pub(crate) fn new(span: &'a [u8], style: PayloadStyle, expected: usize) -> Result<Self, BindError> {
        let mut cursor = Cursor::new(span);
        match cursor.array_len() {
            Ok(provided) if provided == expected => Ok(Self { cursor, style }),
            Ok(provided) => Err(BindError::count(provided, expected)),
            Err(_) => Err(BindError::other(ARGUMENTS_LENGTH)),
        }
    }

    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<T, BindError> {
        decode(&mut self.cursor, self.style).map_err(BindError::conversion)
    }

    /// Nothing is left: the count was checked at the start.
    pub(crate) fn finish(self) -> Result<(), BindError> {
        Ok(())
    }
}

/// Reads one item or result; the error's text is the reference's for a result or, as `what` says, an item (B-5.3).
pub(crate) fn decode_value<T: DeserializeOwned>(
    span: &[u8],
    style: PayloadStyle,
    what: &str,
) -> Result<T, BindError> {
    decode(&mut Cursor::new(span), style).map_err(|error| BindError {
        text: format!("Deserializing object of the `{}` type for '{what}' failed.", dotnet_name::<T>())
            .into(),
        detail: Some(error.to_string().into()),
    })
}

/// Reads one value at the cursor, decompressed if it is an LZ4 value: only here, never inside of values.
fn decode<T: DeserializeOwned>(cursor: &mut Cursor<'_>, style: PayloadStyle) -> Result<T, DecodeError> {
    #[cfg(feature = "lz4")]
    if super::lz4::is_compressed(cursor) {
        let plain =
            super::lz4::expand(cursor.value()?).map_err(|error| DecodeError::text(&error.to_string()))?;
        return T::deserialize(&mut Decoder::new(Cursor::new(&plain), style));
    }
    let mut decoder = Decoder::new(*cursor, style);
    let value = T::deserialize(&mut decoder)?;
    *cursor = decoder.cursor;
    Ok(value)
}

/// serde's view of a span.
pub(super) struct Decoder<'de> {
    pub(super) cursor: Cursor<'de>,
    /// How many more arrays and maps may be opened.
    levels: u16,
    /// How many more wrappers without bytes of their own: options and newtypes.
    wrappers: u16,
    /// How many items may still be announced to visitors, which allocate for them: all together no more than bytes.
    announced: usize,
    pub(super) style: PayloadStyle,
}

impl<'de> Decoder<'de> {
    fn new(cursor: Cursor<'de>, style: PayloadStyle) -> Self {
        Self { cursor, levels: MAX_DEPTH, wrappers: 2 * MAX_DEPTH, announced: cursor.rest().len(), style }
    }

    fn visit_text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DecodeError> {
        match lossy(self.cursor.str_bytes()?) {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn visit_integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.cursor.integer()? {
            Integer::Unsigned(value) => visitor.visit_u64(value),
            Integer::Negative(value) => visitor.visit_i64(value),
        }
    }

    fn visit_float<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.cursor.byte()? == 0xca {
            visitor.visit_f32(f32::from_be_bytes(self.cursor.be()?))
        } else {
            visitor.visit_f64(f64::from_be_bytes(self.cursor.be()?))
        }
    }

    fn visit_ext<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DecodeError> {
        let (kind, data) = self.cursor.ext()?;
        visitor.visit_newtype_struct(Extension { kind: Some(kind), data: Some(data) })
    }

    pub(super) fn visit_array<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DecodeError> {
        let left = self.cursor.array_len()?;
        self.nested(left, &[], |items| visitor.visit_seq(items))
    }

    /// A map; of a struct's members `fields` are the names that serde has for them.
    pub(super) fn visit_pairs<V: Visitor<'de>>(
        &mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let left = self.cursor.map_len()?;
        self.nested(left, fields, |items| visitor.visit_map(items))
    }

    /// Opens an array or a map of so many entries, all of which must be read.
    fn nested<T>(
        &mut self,
        left: usize,
        fields: &'static [&'static str],
        read: impl FnOnce(&mut Items<'_, 'de>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.levels = self.levels.checked_sub(1).ok_or_else(DecodeError::depth)?;
        let announced = left.min(self.announced);
        self.announced -= announced;
        let mut items = Items { decoder: self, left, announced, fields };
        let value = read(&mut items)?;
        if items.left > 0 {
            return Err(DecodeError::text("more items than the type takes"));
        }
        self.levels += 1;
        Ok(value)
    }

    /// Passes through a wrapper that has no bytes of its own, so that recursive types cannot recurse for ever.
    fn wrapped<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.wrappers = self.wrappers.checked_sub(1).ok_or_else(DecodeError::depth)?;
        let value = read(self)?;
        self.wrappers += 1;
        Ok(value)
    }
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.cursor.peek()? {
            0x00..=0x7f | 0xe0..=0xff | 0xcc..=0xd3 => self.visit_integer(visitor),
            0xa0..=0xbf | 0xd9..=0xdb => self.visit_text(visitor),
            0x90..=0x9f | 0xdc | 0xdd => self.visit_array(visitor),
            0x80..=0x8f | 0xde | 0xdf => self.visit_pairs(&[], visitor),
            0xca | 0xcb => self.visit_float(visitor),
            0xc4..=0xc6 => visitor.visit_borrowed_bytes(self.cursor.bin()?),
            0xc7..=0xc9 | 0xd4..=0xd8 => self.visit_ext(visitor),
            code => {
                self.cursor.byte()?;
                match code {
                    NIL => visitor.visit_unit(),
                    0xc2 => visitor.visit_bool(false),
                    0xc3 => visitor.visit_bool(true),
                    other => Err(Fault::Code(other).into()),
                }
            }
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.visit_text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.visit_text(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.cursor.peek()? {
            0xc4..=0xc6 => visitor.visit_borrowed_bytes(self.cursor.bin()?),
            0x90..=0x9f | 0xdc | 0xdd => self.visit_array(visitor),
            _ => visitor.visit_borrowed_bytes(self.cursor.str_bytes()?),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.cursor.peek()? == NIL {
            self.cursor.byte()?;
            return visitor.visit_none();
        }
        self.wrapped(|decoder| visitor.visit_some(decoder))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.cursor.byte()? {
            NIL | EMPTY_ARRAY => visitor.visit_unit(),
            other => Err(Fault::Code(other).into()),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name == rmp_serde::MSGPACK_EXT_STRUCT_NAME {
            return self.visit_ext(visitor);
        }
        self.wrapped(|decoder| visitor.visit_newtype_struct(decoder))
    }

    /// A bin is taken as a sequence of numbers too: `Vec<u8>` reads both forms.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if matches!(self.cursor.peek()?, 0xc4..=0xc6) {
            let bytes = self.cursor.bin()?;
            return visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied()));
        }
        self.visit_array(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.visit_pairs(&[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.visit_pairs(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let code = self.cursor.peek()?;
        if self.style.enums == EnumStyle::Number && matches!(code, 0x00..=0x7f | 0xcc..=0xd3) {
            let index = self.cursor.integer()?.to_i64().and_then(|index| u32::try_from(index).ok());
            let index = index.ok_or_else(|| DecodeError::text("no variant has this number"))?;
            return visitor.visit_enum(U32Deserializer::new(index));
        }
        if !matches!(code, 0x80..=0x8f | 0xde | 0xdf) {
            let name: CowStrDeserializer<'_, DecodeError> =
                lossy(self.cursor.str_bytes()?).into_deserializer();
            return visitor.visit_enum(name);
        }
        if self.cursor.map_len()? != 1 {
            return Err(DecodeError::text("a variant with a value is a map of one entry"));
        }
        self.levels = self.levels.checked_sub(1).ok_or_else(DecodeError::depth)?;
        let value = visitor.visit_enum(Variant { decoder: &mut *self })?;
        self.levels += 1;
        Ok(value)
    }

    /// Names of fields and variants are strings: numbers are not taken for positions.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.visit_text(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.cursor.skip(1)?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    serde::forward_to_deserialize_any! { bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char unit }
}

const EMPTY_ARRAY: u8 = 0x90;
