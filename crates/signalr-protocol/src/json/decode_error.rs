//! The error of reading a JSON payload.
//!
//! Owns its texts, which go to logs: they name kinds of values and never repeat what was received.

use super::scan::{Malformed, TextFault, Token};
use serde::de::{self, Expected, Unexpected};
use std::borrow::Cow;
use std::fmt;

/// Why a value does not convert.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DecodeError(Cow<'static, str>);

impl DecodeError {
    pub(super) const fn text(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// A value of another kind than asked for.
    pub(super) fn found(token: Token, expected: &dyn Expected) -> Self {
        Self(format!("found {}, expected {expected}", token.name()).into())
    }
}

impl de::Error for DecodeError {
    /// Texts of serde and of the user's types; theirs may say what they like.
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string().into())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("found {}, expected {expected}", kind_of(&unexpected)).into())
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("found another {}, expected {expected}", kind_of(&unexpected)).into())
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("unknown variant, expected one of {expected:?}").into())
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("unknown member, expected one of {expected:?}").into())
    }
}

impl From<Malformed> for DecodeError {
    fn from(_: Malformed) -> Self {
        Self::text("malformed JSON")
    }
}

impl From<TextFault> for DecodeError {
    fn from(fault: TextFault) -> Self {
        Self::text(match fault {
            TextFault::Utf8 => "a string is not UTF-8",
            TextFault::MissingLowSurrogate | TextFault::Surrogate(_) => "a string has a lone surrogate",
        })
    }
}

/// The kind of a received value without the value.
fn kind_of(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "Boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "Number",
        Unexpected::Char(_) | Unexpected::Str(_) | Unexpected::Bytes(_) => "String",
        Unexpected::Unit | Unexpected::Option => "Null",
        Unexpected::Seq => "Array",
        Unexpected::Map => "Object",
        _ => "value",
    }
}
