//! The error of reading a payload.
//!
//! Owns its texts, which go to logs: they name types and never repeat what was received.

use super::cursor::Fault;
use serde::de::{Expected, Unexpected};
use std::fmt;

/// Why a value does not fit. Says which types met, never what was received.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct DecodeError(Box<str>);

impl DecodeError {
    pub(super) fn text(text: &str) -> Self {
        Self(text.into())
    }

    pub(super) fn depth() -> Self {
        Self(format!("nested deeper than {MAX_DEPTH} levels").into())
    }
}

impl From<Fault> for DecodeError {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string().into())
    }
}

impl serde::de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string().into())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("invalid type: {}, expected {expected}", kind_of(unexpected)).into())
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("invalid value: {}, expected {expected}", kind_of(unexpected)).into())
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("unknown variant, expected one of {expected:?}").into())
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("unknown field, expected one of {expected:?}").into())
    }
}

/// The type of a received value without the value.
fn kind_of(unexpected: Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "integer",
        Unexpected::Float(_) => "float",
        Unexpected::Char(_) | Unexpected::Str(_) => "string",
        Unexpected::Bytes(_) => "bytes",
        Unexpected::Unit | Unexpected::Option => "nil",
        Unexpected::NewtypeStruct => "extension",
        Unexpected::Seq => "array",
        Unexpected::Map => "map",
        _ => "another value",
    }
}

/// As deep as the reference's reader goes.
pub(super) const MAX_DEPTH: u16 = 500;
