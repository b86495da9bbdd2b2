//! serde's view of a JSON payload, with the reference's rules for reading values (B-4.2, B-4.3, B-16).
//!
//! Why not serde_json's: member names of structs are matched ignoring case, an object is required where a struct is
//! expected, numbers beyond the range of a float become infinite, and nesting is limited to the 64 levels that count
//! the envelope. Own limits: a member that comes twice is an error for structs that serde derives (the reference
//! takes the last). Bytes come from spans that `parse` has checked, but nothing here relies on that.

use super::access::{Items, Members};
use super::decode_error::DecodeError;
use super::keys::EnumKey;
use super::scan::{MAX_DEPTH, Malformed, Scanner, TextFault, Token};
use crate::style::{EnumStyle, PayloadStyle};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, Visitor};
use std::borrow::Cow;

/// Containers around a payload: the envelope.
const OUTER_DEPTH: u32 = 1;

/// The name under which serde_json's `RawValue` asks for the text of a value.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Reads values of one span, one after the other.
pub(crate) struct Deserializer<'de> {
    scanner: Scanner<'de>,
    depth: u32,
    pub(super) style: PayloadStyle,
}

impl<'de> Deserializer<'de> {
    #[inline]
    pub(crate) fn new(span: &'de [u8], style: PayloadStyle) -> Self {
        let mut scanner = Scanner::new(span);
        scanner.skip_white_space();
        Self { scanner, depth: OUTER_DEPTH, style }
    }

    /// Takes the `[` of an argument array.
    #[inline]
    pub(crate) fn open_array(&mut self) -> Result<(), DecodeError> {
        self.depth += 1;
        Ok(self.scanner.expect(b'[')?)
    }

    /// Steps to the next item of an array.
    #[inline]
    pub(crate) fn next_item(&mut self, first: &mut bool) -> Result<bool, DecodeError> {
        Ok(self.scanner.next_item(first)?)
    }

    /// Takes a value unread.
    pub(crate) fn skip_value(&mut self) -> Result<&'de [u8], DecodeError> {
        Ok(self.scanner.skip_value(self.depth)?)
    }

    /// Refuses text behind the value.
    pub(crate) fn finish(&mut self) -> Result<(), DecodeError> {
        self.scanner.skip_white_space();
        if self.scanner.peek().is_none() { Ok(()) } else { Err(Malformed.into()) }
    }

    pub(super) fn scanner(&mut self) -> &mut Scanner<'de> {
        &mut self.scanner
    }

    #[inline]
    pub(super) fn string(&mut self) -> Result<Cow<'de, str>, DecodeError> {
        Ok(self.scanner.string()?.to_str()?)
    }

    #[inline]
    fn number(&mut self) -> Result<Number<'de>, DecodeError> {
        let text = self.scanner.number()?;
        // Digits, signs, points and exponents are ASCII.
        Ok(Number(str::from_utf8(text).unwrap_or_default()))
    }

    fn null(&mut self) -> Result<(), DecodeError> {
        Ok(self.scanner.literal(b"null")?)
    }

    /// The error for a value of another kind than asked for.
    fn unexpected<'v, V: Visitor<'v>>(&self, visitor: &V) -> DecodeError {
        match self.scanner.token() {
            Ok(token) => DecodeError::found(token, visitor),
            Err(malformed) => malformed.into(),
        }
    }

    fn array<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.scanner.peek() != Some(b'[') {
            return Err(self.unexpected(&visitor));
        }
        self.enter()?;
        let mut items = Items::new(self);
        let value = visitor.visit_seq(&mut items)?;
        items.finish()?;
        self.depth -= 1;
        Ok(value)
    }

    fn object<V: Visitor<'de>>(
        &mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if self.scanner.peek() != Some(b'{') {
            return Err(self.unexpected(&visitor));
        }
        self.enter()?;
        let mut members = Members::new(self, fields);
        let value = visitor.visit_map(&mut members)?;
        members.finish()?;
        self.depth -= 1;
        Ok(value)
    }

    /// Takes the opening bracket of a container.
    fn enter(&mut self) -> Result<(), DecodeError> {
        if self.depth >= MAX_DEPTH {
            return Err(DecodeError::text("nested too deeply"));
        }
        self.depth += 1;
        self.scanner.bump();
        Ok(())
    }
}

/// A number's text.
#[derive(Clone, Copy)]
pub(super) struct Number<'a>(pub(super) &'a str);

impl Number<'_> {
    fn visit_any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.0 != "-0" {
            if let Ok(value) = self.0.parse::<u64>() {
                return visitor.visit_u64(value);
            }
            if let Ok(value) = self.0.parse::<i64>() {
                return visitor.visit_i64(value);
            }
        }
        self.parse::<f64, _>(&visitor).and_then(|value| visitor.visit_f64(value))
    }

    /// The value in a type, when it has no more than the type can hold.
    pub(super) fn parse<'de, T: std::str::FromStr, V: Visitor<'de>>(
        self,
        visitor: &V,
    ) -> Result<T, DecodeError> {
        self.0.parse().map_err(|_| DecodeError::found(Token::Number, visitor))
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            if self.scanner.token()? != Token::Number {
                return Err(self.unexpected(&visitor));
            }
            let value = self.number()?.parse(&visitor)?;
            visitor.$visit(value)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = DecodeError;

    numbers! {
        deserialize_i8 visit_i8; deserialize_i16 visit_i16; deserialize_i32 visit_i32; deserialize_i64 visit_i64;
        deserialize_u8 visit_u8; deserialize_u16 visit_u16; deserialize_u32 visit_u32;
        deserialize_i128 visit_i128; deserialize_u128 visit_u128;
        deserialize_f32 visit_f32; deserialize_f64 visit_f64;
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.scanner.token()? != Token::Number {
            return Err(self.unexpected(&visitor));
        }
        match self.number()? {
            Number("-0") => visitor.visit_u64(0),
            number => number.parse(&visitor).and_then(|value| visitor.visit_u64(value)),
        }
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.scanner.token()? {
            Token::Object => self.object(&[], visitor),
            Token::Array => self.array(visitor),
            Token::String => self.deserialize_str(visitor),
            Token::Number => self.number()?.visit_any(visitor),
            Token::True | Token::False => self.deserialize_bool(visitor),
            Token::Null => self.deserialize_unit(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.scanner.token()? {
            Token::True => {
                self.scanner.literal(b"true")?;
                visitor.visit_bool(true)
            }
            Token::False => {
                self.scanner.literal(b"false")?;
                visitor.visit_bool(false)
            }
            _ => Err(self.unexpected(&visitor)),
        }
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.scanner.peek() != Some(b'"') {
            return Err(self.unexpected(&visitor));
        }
        match self.string()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.scanner.peek() == Some(b'[') {
            return self.array(visitor);
        }
        if self.style.base64_bytes && self.scanner.peek() == Some(b'"') {
            let bytes = STANDARD.decode(self.string()?.as_bytes());
            return visitor.visit_byte_buf(bytes.map_err(|_| DecodeError::text("not base64 with padding"))?);
        }
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.scanner.peek() == Some(b'n') {
            self.null()?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.scanner.peek() != Some(b'n') {
            return Err(self.unexpected(&visitor));
        }
        self.null()?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name == RAW_VALUE {
            let text = str::from_utf8(self.skip_value()?).map_err(|_| TextFault::Utf8)?;
            let members = std::iter::once((RAW_VALUE, text));
            return visitor.visit_map(de::value::MapDeserializer::new(members));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.array(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.object(&[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.object(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.scanner.token()? {
            Token::String => visitor.visit_enum(de::value::CowStrDeserializer::new(self.string()?)),
            Token::Number if self.style.enums == EnumStyle::Number => {
                let index = self.number()?.parse(&visitor)?;
                visitor.visit_enum(de::value::U32Deserializer::new(index))
            }
            Token::Object => {
                self.enter()?;
                let value = visitor.visit_enum(EnumKey::new(self))?;
                self.scanner.skip_white_space();
                self.scanner.expect(b'}')?;
                self.depth -= 1;
                Ok(value)
            }
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.skip_value()?;
        visitor.visit_unit()
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.array(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.array(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }
}

#[cfg(test)]
mod tests {
    use crate::json::decode_value;
    use crate::style::PayloadStyle;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Point {
        x_value: i32,
        #[serde(default)]
        label: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Shape {
        Empty,
        Circle(f64),
        Line(i32, i32),
        Box { width: u8 },
    }

    fn read<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
        decode_value(text.as_bytes(), PayloadStyle::SERDE).ok()
    }

    #[test]
    fn struct_members_are_matched_ignoring_case() {
        let point = Point { x_value: 1, label: Some("a".into()) };
        assert_eq!(read(r#"{"XValue":1,"LABEL":"a","other":[{}]}"#), Some(point));
        assert_eq!(read::<Point>("[1,null]"), None);
    }

    #[test]
    fn enums_have_serde_shapes() {
        assert_eq!(read(r#""Empty""#), Some(Shape::Empty));
        assert_eq!(read(r#"{"Circle":1}"#), Some(Shape::Circle(1.0)));
        assert_eq!(read(r#"{ "Line" : [1,2] }"#), Some(Shape::Line(1, 2)));
        assert_eq!(read(r#"{"Box":{"width":3}}"#), Some(Shape::Box { width: 3 }));
        assert_eq!(read::<Shape>(r#"{"Circle":1,"Line":[1,2]}"#), None);
        assert_eq!(read::<Shape>("1"), None);
    }

    #[test]
    fn tuples_need_their_exact_length() {
        assert_eq!(read("[1,\"a\"]"), Some((1, "a".to_string())));
        assert_eq!(read::<(i32, i32)>("[1]"), None);
        assert_eq!(read::<(i32, i32)>("[1,2,3]"), None);
        assert_eq!(read::<Vec<i32>>("[ ]"), Some(vec![]));
    }

    #[test]
    fn map_keys_become_numbers_and_bools() {
        assert_eq!(read(r#"{"1":true,"-2":false}"#), Some(BTreeMap::from([(1, true), (-2, false)])));
        assert_eq!(read(r#"{"true":1}"#), Some(BTreeMap::from([(true, 1)])));
        assert_eq!(read::<BTreeMap<u8, i32>>(r#"{"x":1}"#), None);
    }

    #[test]
    fn raw_values_keep_their_text() {
        let raw: Box<serde_json::value::RawValue> = read(r#"{"a": [1.50e2, "\u0041"]}"#).unwrap();
        assert_eq!(raw.get(), r#"{"a": [1.50e2, "\u0041"]}"#);
        let many: Vec<Box<serde_json::value::RawValue>> = read("[1, [2] ]").unwrap();
        assert_eq!(many[1].get(), "[2]");
    }

    #[test]
    fn any_value_is_read_as_serde_json_reads_it() {
        for text in [
            "null",
            "true",
            "-1",
            "18446744073709551615",
            "1.5",
            "-0",
            "\"\\u00e9\"",
            "[1,[2,{}]]",
            r#"{"a":{"b":[null,"c"]},"d":1e3}"#,
        ] {
            assert_eq!(read::<serde_json::Value>(text), serde_json::from_str(text).ok(), "{text}");
        }
    }

    #[test]
    fn numbers_beyond_a_float_are_infinite() {
        assert_eq!(read("1e400"), Some(f64::INFINITY));
        assert_eq!(read("1e39"), Some(f32::INFINITY));
        assert_eq!(read::<i32>("1.0"), None);
        assert_eq!(read::<u64>("-0"), Some(0));
        assert_eq!(read::<char>("\"é\""), Some('é'));
    }
}
