//! Wire names made of Rust names.
//!
//! Owns the naming rules and the search for names that collide; knows nothing of syntax trees beyond `Ident`.

use std::collections::HashMap;

use proc_macro2::Ident;
use syn::LitStr;

use crate::errors::Errors;

/// How the name of a Rust method is written on the wire.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) enum RenameRule {
    /// `send_message` becomes `SendMessage`, as C# methods are named.
    #[default]
    Pascal,
    /// `send_message` becomes `sendMessage`.
    Camel,
    /// `send_message` stays as it is.
    Snake,
}

impl RenameRule {
    /// Reads the value of `rename_all`.
    pub(crate) fn parse(literal: &LitStr) -> syn::Result<Self> {
        match literal.value().as_str() {
            "PascalCase" => Ok(Self::Pascal),
            "camelCase" => Ok(Self::Camel),
            "snake_case" => Ok(Self::Snake),
            other => Err(syn::Error::new(
                literal.span(),
                format!(
                    "unknown naming rule `{other}`; write \"PascalCase\" (the default), \"camelCase\" or \
                     \"snake_case\""
                ),
            )),
        }
    }

    /// The wire name of a method.
    pub(crate) fn apply(self, method: &Ident) -> String {
        let name = method.to_string();
        let name = name.strip_prefix("r#").unwrap_or(&name);
        match self {
            Self::Pascal => join_words(name, true),
            Self::Camel => join_words(name, false),
            Self::Snake => name.to_owned(),
        }
    }
}

fn join_words(name: &str, capital_first: bool) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    words
        .enumerate()
        .map(|(index, word)| if index == 0 && !capital_first { lower_first(word) } else { upper_first(word) })
        .collect()
}

fn upper_first(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn lower_first(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// The wire names seen so far in one block.
#[derive(Default)]
pub(crate) struct WireNames(HashMap<String, Ident>);

impl WireNames {
    /// Notes that `method` is called `wire_name`; a name that differs from an earlier one by ASCII case at most
    /// is an error, because the lookup ignores case.
    pub(crate) fn claim(&mut self, wire_name: &str, method: &Ident, errors: &mut Errors) {
        if let Some(first) = self.0.insert(wire_name.to_ascii_lowercase(), method.clone()) {
            errors.at(
                method,
                format!(
                    "`{method}` and `{first}` are both called \"{wire_name}\" on the wire, where upper and lower \
                     case count as equal and overloads do not exist; rename one of them or give it \
                     `#[hub_method(name = \"...\")]`"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::format_ident;

    use super::*;

    fn all(name: &str) -> [String; 3] {
        [RenameRule::Pascal, RenameRule::Camel, RenameRule::Snake]
            .map(|rule| rule.apply(&format_ident!("{name}")))
    }

    #[test]
    fn names_follow_the_rule() {
        assert_eq!(all("send_message"), ["SendMessage", "sendMessage", "send_message"]);
        assert_eq!(all("echo"), ["Echo", "echo", "echo"]);
        assert_eq!(all("get_2fa_code"), ["Get2faCode", "get2faCode", "get_2fa_code"]);
        assert_eq!(all("alreadyCamel"), ["AlreadyCamel", "alreadyCamel", "alreadyCamel"]);
    }

    #[test]
    fn raw_identifiers_lose_their_prefix() {
        let raw = Ident::new_raw("move", proc_macro2::Span::call_site());
        assert_eq!(RenameRule::Pascal.apply(&raw), "Move");
        assert_eq!(RenameRule::Snake.apply(&raw), "move");
    }

    #[test]
    fn names_that_differ_by_case_collide() {
        let (mut names, mut errors) = (WireNames::default(), Errors::default());
        names.claim("SendMessage", &format_ident!("send_message"), &mut errors);
        names.claim("Other", &format_ident!("other"), &mut errors);
        assert!(errors.into_tokens().is_none());

        let mut errors = Errors::default();
        names.claim("sendmessage", &format_ident!("sendmessage"), &mut errors);
        let message = errors.into_tokens().map(|tokens| tokens.to_string()).unwrap_or_default();
        assert!(message.contains("`sendmessage` and `send_message` are both called"), "{message}");
    }
}
