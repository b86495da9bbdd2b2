//! The serializer of a whole payload value: text by itself, everything else by way of serde_json.
//!
//! Owns nothing but the short cut: most arguments and results are text, and serde_json looks at each byte of it.

use super::escape::write_string;
use super::format::{Output, PayloadFormat};
use serde::ser::{Serialize, Serializer};

/// Appends one value to `out`. The slot is where serde_json's serializer lives, if it is needed.
pub(super) struct Whole<'s, 'o> {
    pub(super) out: &'o mut Vec<u8>,
    pub(super) slot: &'s mut Option<Json<'o>>,
}

pub(super) type Json<'o> = serde_json::Serializer<Output<'o>, PayloadFormat>;

type Inner<'s, 'o> = &'s mut Json<'o>;
type Outcome<T> = Result<T, serde_json::Error>;

impl<'s, 'o> Whole<'s, 'o> {
    fn json(self) -> Inner<'s, 'o> {
        self.slot.insert(serde_json::Serializer::with_formatter(Output(self.out), PayloadFormat))
    }
}

macro_rules! by_json {
    ($($method:ident($($name:ident: $type:ty),*) -> $result:ty;)*) => {$(
        #[inline]
        fn $method(self $(, $name: $type)*) -> Outcome<$result> {
            self.json().$method($($name),*)
        }
    )*};
}

impl<'s, 'o> Serializer for Whole<'s, 'o> {
    type Ok = ();
    type Error = serde_json::Error;
    type SerializeSeq = <Inner<'s, 'o> as Serializer>::SerializeSeq;
    type SerializeTuple = <Inner<'s, 'o> as Serializer>::SerializeTuple;
    type SerializeTupleStruct = <Inner<'s, 'o> as Serializer>::SerializeTupleStruct;
    type SerializeTupleVariant = <Inner<'s, 'o> as Serializer>::SerializeTupleVariant;
    type SerializeMap = <Inner<'s, 'o> as Serializer>::SerializeMap;
    type SerializeStruct = <Inner<'s, 'o> as Serializer>::SerializeStruct;
    type SerializeStructVariant = <Inner<'s, 'o> as Serializer>::SerializeStructVariant;

    #[inline]
    fn serialize_str(self, text: &str) -> Outcome<()> {
        write_string(self.out, text);
        Ok(())
    }

    by_json! {
        serialize_bool(value: bool) -> ();
        serialize_i8(value: i8) -> ();
        serialize_i16(value: i16) -> ();
        serialize_i32(value: i32) -> ();
        serialize_i64(value: i64) -> ();
        serialize_i128(value: i128) -> ();
        serialize_u8(value: u8) -> ();
        serialize_u16(value: u16) -> ();
        serialize_u32(value: u32) -> ();
        serialize_u64(value: u64) -> ();
        serialize_u128(value: u128) -> ();
        serialize_f32(value: f32) -> ();
        serialize_f64(value: f64) -> ();
        serialize_char(value: char) -> ();
        serialize_bytes(value: &[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> ();
        serialize_seq(length: Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(length: usize) -> Self::SerializeTuple;
        serialize_tuple_struct(name: &'static str, length: usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(
            name: &'static str, index: u32, variant: &'static str, length: usize
        ) -> Self::SerializeTupleVariant;
        serialize_map(length: Option<usize>) -> Self::SerializeMap;
        serialize_struct(name: &'static str, length: usize) -> Self::SerializeStruct;
        serialize_struct_variant(
            name: &'static str, index: u32, variant: &'static str, length: usize
        ) -> Self::SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Outcome<()> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Outcome<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Outcome<()> {
        self.json().serialize_newtype_variant(name, index, variant, value)
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Outcome<()> {
        self.json().collect_str(value)
    }
}

#[cfg(test)]
mod tests {
    use crate::json::write_value;
    use crate::style::PayloadStyle;
    use serde::Serialize;

    fn written<T: Serialize + ?Sized>(value: &T) -> String {
        let mut out = Vec::new();
        write_value(&mut out, PayloadStyle::SERDE, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[derive(Serialize)]
    struct Wrapped<'a>(Option<&'a str>);

    #[test]
    fn text_is_written_as_serde_json_writes_it_inside_a_container() {
        for length in 0..70 {
            for special in ["", "x", "\"", "\\", "\n", "\u{1f}", " ", "~", "\u{7f}", "é", "\u{2028}", "😀"]
            {
                for at in [0, length / 2, length] {
                    let mut text = "a".repeat(length);
                    text.insert_str(at, special);
                    let inside = written(&[&text]);
                    assert_eq!(format!("[{}]", written(&text)), inside);
                    assert_eq!(format!("[{}]", written(&Wrapped(Some(&text)))), inside);
                }
            }
        }
    }

    #[test]
    fn everything_else_is_written_by_serde_json() {
        assert_eq!(written(&Wrapped(None)), "null");
        assert_eq!(written(&(1u8, -2i64, 2.5f32, 'c', true, ())), r#"[1,-2,2.5,"c",true,null]"#);
        assert_eq!(written(&'\n'), r#""\n""#);
        assert_eq!(written(&Ok::<u8, ()>(3)), r#"{"Ok":3}"#);
        assert_eq!(written(&std::net::Ipv4Addr::LOCALHOST), r#""127.0.0.1""#);
        assert_eq!(written(&serde_json::value::RawValue::from_string("[ 1 ]".into()).unwrap()), "[ 1 ]");
    }
}
