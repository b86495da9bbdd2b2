//! Arrays and objects of a payload as serde walks through them.
//!
//! Owns the walk and the matching of a struct's member names, which ignores case; values are read by `de`, keys of maps
//! by `keys`.

use super::de::Deserializer;
use super::decode_error::DecodeError;
use super::keys::MapKey;
use crate::style::NamingPolicy;
use serde::de::{self, DeserializeSeed};
use std::borrow::Cow;

/// The items of an array whose `[` has been taken.
pub(super) struct Items<'p, 'de> {
    parent: &'p mut Deserializer<'de>,
    first: bool,
    ended: bool,
}

impl<'p, 'de> Items<'p, 'de> {
    pub(super) fn new(parent: &'p mut Deserializer<'de>) -> Self {
        Self { parent, first: true, ended: false }
    }

    /// Takes the `]`, which must come next.
    pub(super) fn finish(mut self) -> Result<(), DecodeError> {
        if self.step()? { Err(DecodeError::text("more items than expected")) } else { Ok(()) }
    }

    #[inline]
    fn step(&mut self) -> Result<bool, DecodeError> {
        let more = !self.ended && self.parent.next_item(&mut self.first)?;
        self.ended = !more;
        Ok(more)
    }
}

impl<'de> de::SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        if self.step()? { seed.deserialize(&mut *self.parent).map(Some) } else { Ok(None) }
    }
}

/// The members of an object whose `{` has been taken.
pub(super) struct Members<'p, 'de> {
    parent: &'p mut Deserializer<'de>,
    first: bool,
    ended: bool,
    fields: &'static [&'static str],
}

impl<'p, 'de> Members<'p, 'de> {
    /// `fields` are the names of a struct's members, empty for a map.
    pub(super) fn new(parent: &'p mut Deserializer<'de>, fields: &'static [&'static str]) -> Self {
        Self { parent, first: true, ended: false, fields }
    }

    /// Checks that the `}` has been taken.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.ended { Ok(()) } else { Err(DecodeError::text("more members than expected")) }
    }
}

impl<'de> de::MapAccess<'de> for &mut Members<'_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        if self.ended {
            return Ok(None);
        }
        let Some(name) = self.parent.scanner().next_member(&mut self.first)? else {
            self.ended = true;
            return Ok(None);
        };
        let names = self.parent.style.names;
        seed.deserialize(MapKey::new(field_name(name.to_str()?, self.fields, names))).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        seed.deserialize(&mut *self.parent)
    }
}

/// The struct's own spelling of a member's name, if it has such a member.
fn field_name<'de>(
    name: Cow<'de, str>,
    fields: &'static [&'static str],
    names: NamingPolicy,
) -> Cow<'de, str> {
    if names != NamingPolicy::AsSerde {
        let field = fields.iter().find(|field| names.of_member(field).eq_ignore_ascii_case(&name));
        return field.map_or(name, |field| Cow::Borrowed(*field));
    }
    if fields.contains(&&*name) {
        return name;
    }
    match fields.iter().find(|field| field.eq_ignore_ascii_case(&name)) {
        Some(field) => Cow::Borrowed(field),
        None => name,
    }
}
