//! The form of payload values that serde leaves open: names of struct members, enums, byte strings.
//!
//! Owns the settings and the conversion of names, which are System.Text.Json's for camel case. Applied where payloads
//! are written (`styled`) and read (`json::de`, `msgpack::decode`). Keys of maps are data: they never change.

use crate::protocol::{Compression, Protocol};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// How the members of structs are named on the wire. What serde says (`rename`, `rename_all`) is applied first.
///
/// Members of structs with `#[serde(flatten)]` keep serde's names: serde shows them as keys of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum NamingPolicy {
    /// As serde names them.
    #[default]
    AsSerde,
    /// `user_name` and `UserName` become `userName`; runs of capitals as in System.Text.Json: `URLValue` becomes
    /// `urlValue`, `ID` becomes `id`.
    CamelCase,
    /// `user_name` and `userName` become `UserName`.
    PascalCase,
}

/// How a variant without data is written. Variants with data keep serde's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum EnumStyle {
    /// By its name, as serde names it.
    #[default]
    Name,
    /// By its position in the declaration, from 0: what a .NET enum without explicit values is to System.Text.Json.
    /// Names are still read. As the key of a map a variant has its name.
    Number,
}

/// How the payloads of one protocol look: arguments, results and stream items, in both directions.
///
/// The default is what serde's derives say. [`PayloadStyle::dotnet`] is what an ASP.NET Core server with default settings
/// does, so that one client can talk to both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct PayloadStyle {
    /// Names of struct members. With a policy JSON members are matched by their policy name ignoring ASCII case;
    /// MessagePack members exactly, as in the reference.
    pub names: NamingPolicy,
    /// Variants without data.
    pub enums: EnumStyle,
    /// Whether what serde calls bytes (`serde_bytes`) is a base64 string in JSON. Default false: an array of numbers, as
    /// serde_json writes it. [`values::Binary`](crate::values::Binary) is base64 in any case; a plain `Vec<u8>` is an
    /// array of numbers in any case.
    pub base64_bytes: bool,
}

impl PayloadStyle {
    /// As serde has it.
    pub const SERDE: Self =
        Self { names: NamingPolicy::AsSerde, enums: EnumStyle::Name, base64_bytes: false };

    /// As ASP.NET Core has it by default: JSON in camel case with enums by number and bytes in base64, MessagePack with
    /// names as .NET declares them (Pascal case) and enums by name.
    pub const fn dotnet(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Json => {
                Self { names: NamingPolicy::CamelCase, enums: EnumStyle::Number, base64_bytes: true }
            }
            Protocol::MessagePack => {
                Self { names: NamingPolicy::PascalCase, enums: EnumStyle::Name, base64_bytes: true }
            }
        }
    }

    /// Sets the names of struct members.
    #[must_use]
    pub const fn names(mut self, names: NamingPolicy) -> Self {
        self.names = names;
        self
    }

    /// Sets the form of variants without data.
    #[must_use]
    pub const fn enums(mut self, enums: EnumStyle) -> Self {
        self.enums = enums;
        self
    }

    /// Sets whether bytes are base64 in JSON.
    #[must_use]
    pub const fn base64_bytes(mut self, base64: bool) -> Self {
        self.base64_bytes = base64;
        self
    }
}

/// Everything that decides how payloads are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PayloadForm {
    pub(crate) compression: Compression,
    pub(crate) style: PayloadStyle,
}

impl From<PayloadStyle> for PayloadForm {
    fn from(style: PayloadStyle) -> Self {
        Self { compression: Compression::None, style }
    }
}

impl NamingPolicy {
    /// The name on the wire of a member that serde calls `name`.
    ///
    /// ```
    /// use signalr_protocol::NamingPolicy::{CamelCase, PascalCase};
    ///
    /// assert_eq!(CamelCase.convert("user_name"), "userName");
    /// assert_eq!(CamelCase.convert("URLValue"), "urlValue");
    /// assert_eq!(PascalCase.convert("user_name"), "UserName");
    /// ```
    pub fn convert(self, name: &str) -> Cow<'_, str> {
        match self {
            Self::AsSerde => name.into(),
            Self::PascalCase => pascal(name).into(),
            Self::CamelCase => lower_start(&pascal(name)).into(),
        }
    }

    /// As [`NamingPolicy::convert`], converting each name once. What is kept is bounded by the names in the program's
    /// types.
    pub(crate) fn of_member(self, name: &'static str) -> &'static str {
        thread_local! {
            static SEEN: RefCell<HashMap<(NamingPolicy, &'static str), &'static str>> = RefCell::default();
        }
        if self == Self::AsSerde {
            return name;
        }
        let known = SEEN.with_borrow(|seen| seen.get(&(self, name)).copied());
        known.unwrap_or_else(|| {
            let converted = self.converted(name);
            SEEN.with_borrow_mut(|seen| seen.insert((self, name), converted));
            converted
        })
    }

    fn converted(self, name: &'static str) -> &'static str {
        static ALL: RwLock<Option<Conversions>> = RwLock::new(None);
        // Only insertions of finished entries happen under this lock.
        let mut all = ALL.write().unwrap_or_else(PoisonError::into_inner);
        let all = all.get_or_insert_default();
        all.entry((self, name)).or_insert_with(|| match self.convert(name) {
            same if same == name => name,
            other => String::leak(other.into_owned()),
        })
    }
}

type Conversions = HashMap<(NamingPolicy, &'static str), &'static str>;

/// Joins the words between underscores, each with a capital first letter.
fn pascal(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for word in name.split('_') {
        let mut letters = word.chars();
        out.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        out.push_str(letters.as_str());
    }
    out
}

/// System.Text.Json's camel case: lowers the capitals at the start, except the one that begins the next word.
fn lower_start(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut letters = name.chars().enumerate().peekable();
    while let Some((at, letter)) = letters.next() {
        let ends = match letters.peek() {
            Some((_, next)) => at > 0 && !next.is_uppercase(),
            None => false,
        };
        if (at == 1 && !letter.is_uppercase()) || ends {
            out.push(letter);
            out.extend(letters.map(|(_, letter)| letter));
            return out;
        }
        out.extend(letter.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn camel_case_is_the_references() {
        for (name, expected) in [
            ("URLValue", "urlValue"),
            ("IOStream", "ioStream"),
            ("ID", "id"),
            ("ABc", "aBc"),
            ("A", "a"),
            ("AB", "ab"),
            ("UserName", "userName"),
            ("userName", "userName"),
            ("user_name", "userName"),
            ("user_id_2", "userId2"),
            ("io_stream", "ioStream"),
            ("a_bc", "aBc"),
            ("X1Value", "x1Value"),
            ("Ünder", "ünder"),
            ("_private", "private"),
            ("", ""),
        ] {
            assert_eq!(NamingPolicy::CamelCase.convert(name), expected, "{name}");
        }
    }

    #[test]
    fn pascal_case_joins_words() {
        for (name, expected) in
            [("user_name", "UserName"), ("userName", "UserName"), ("URLValue", "URLValue"), ("id", "Id")]
        {
            assert_eq!(NamingPolicy::PascalCase.convert(name), expected, "{name}");
        }
    }

    #[test]
    fn names_of_members_are_converted_once() {
        let first = NamingPolicy::CamelCase.of_member("some_name");
        assert_eq!(first, "someName");
        assert!(std::ptr::eq(first, NamingPolicy::CamelCase.of_member("some_name")));
        assert_eq!(NamingPolicy::PascalCase.of_member("some_name"), "SomeName");
        assert_eq!(NamingPolicy::AsSerde.of_member("some_name"), "some_name");
    }
}
