//! The arguments of `#[hub(..)]`, `#[hub_client(..)]` and `#[hub_method(..)]`.
//!
//! Owns their grammar and defaults. Helper attributes are taken off the item here, so that the emitted code
//! does not carry them.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Attribute, LitStr, Path};

use crate::errors::Errors;
use crate::names::RenameRule;

/// What `#[hub(..)]` or `#[hub_client(..)]` said.
#[derive(Default)]
pub(crate) struct BlockOptions {
    pub(crate) name: Option<LitStr>,
    pub(crate) rename: RenameRule,
    /// Who may connect.
    pub(crate) policies: Vec<Guard>,
    facade: Option<Path>,
}

impl BlockOptions {
    /// Reads the arguments of `#[hub(..)]`.
    pub(crate) fn of_hub(arguments: TokenStream, errors: &mut Errors) -> Self {
        Self::parse(arguments, true, errors)
    }

    /// Reads the arguments of `#[hub_client(..)]`, which has no name of its own.
    pub(crate) fn of_client(arguments: TokenStream, errors: &mut Errors) -> Self {
        Self::parse(arguments, false, errors)
    }

    fn parse(arguments: TokenStream, with_name: bool, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| options.argument(&meta, with_name));
        errors.take(parser.parse2(arguments));
        options
    }

    fn argument(&mut self, meta: &ParseNestedMeta<'_>, with_name: bool) -> syn::Result<()> {
        if with_name && meta.path.is_ident("name") {
            self.name = Some(wire_name(meta)?);
        } else if meta.path.is_ident("rename_all") {
            self.rename = RenameRule::parse(&meta.value()?.parse()?)?;
        } else if with_name && meta.path.is_ident("authorize") {
            self.policies.push(Guard::parse(meta)?);
        } else if meta.path.is_ident("crate") {
            self.facade = Some(meta.value()?.parse::<LitStr>()?.parse()?);
        } else {
            let allowed = if with_name { "`name = \"...\"`, `authorize`, " } else { "" };
            return Err(meta.error(format!(
                "unknown argument; allowed are {allowed}`rename_all = \"...\"` and `crate = \"...\"`"
            )));
        }
        Ok(())
    }

    /// The path of the facade's support module for generated code.
    pub(crate) fn support(&self) -> TokenStream {
        match &self.facade {
            Some(path) => quote!(#path::__private),
            None => quote!(::signalr::__private),
        }
    }
}

/// One `authorize` of a hub or a method.
pub(crate) enum Guard {
    /// `authorize`: every known user.
    Known(Span),
    /// `authorize = path`: a policy.
    Policy(Path),
    /// `authorize = "name"`: a policy that the options hold.
    Named(LitStr),
}

impl Guard {
    fn parse(meta: &ParseNestedMeta<'_>) -> syn::Result<Self> {
        if !meta.input.peek(syn::Token![=]) {
            return Ok(Self::Known(meta.path.span()));
        }
        let value = meta.value()?;
        if !value.peek(LitStr) {
            return value.parse().map(Self::Policy).map_err(|error| {
                let text = "a policy is the path of a function, `authorize = moderators`, or a name, `authorize = \"moderators\"`";
                syn::Error::new(error.span(), text)
            });
        }
        let name: LitStr = value.parse()?;
        if name.value().is_empty() {
            return Err(syn::Error::new(name.span(), "a policy's name cannot be empty"));
        }
        Ok(Self::Named(name))
    }

    /// The policy as an expression; a type error in it is shown where the user wrote it.
    pub(crate) fn expression(&self, support: &TokenStream) -> TokenStream {
        match self {
            Self::Known(span) => quote_spanned!(*span=> #support::policy(#support::authenticated)),
            Self::Policy(path) => quote_spanned!(path.span()=> #support::policy(#path)),
            Self::Named(name) => quote_spanned!(name.span()=> #support::PolicyRef::named(#name)),
        }
    }
}

/// What `#[hub_method(..)]` said.
#[derive(Default)]
pub(crate) struct MethodOptions {
    /// Who may call it.
    pub(crate) policies: Vec<Guard>,
    pub(crate) name: Option<LitStr>,
    /// The return type is a stream although its name does not show it.
    pub(crate) stream: bool,
    /// The attribute, when there was one: for errors about it.
    pub(crate) attribute: Option<Attribute>,
}

impl MethodOptions {
    /// Takes `#[hub_method(..)]` off `attributes` and reads it.
    pub(crate) fn take(attributes: &mut Vec<Attribute>, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        attributes.retain(|attribute| {
            reject_hidden_helper(attribute, errors);
            if !attribute.path().is_ident("hub_method") {
                return true;
            }
            errors.take(attribute.parse_nested_meta(|meta| options.argument(&meta)));
            options.attribute = Some(attribute.clone());
            false
        });
        options
    }

    fn argument(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("name") {
            self.name = Some(wire_name(meta)?);
        } else if meta.path.is_ident("stream") {
            self.stream = true;
        } else if meta.path.is_ident("authorize") {
            self.policies.push(Guard::parse(meta)?);
        } else {
            return Err(
                meta.error("unknown argument; allowed are `name = \"...\"`, `authorize` and `stream`")
            );
        }
        Ok(())
    }
}

/// The attributes that decide whether an item exists; generated code repeats them.
pub(crate) fn cfg_attributes(attributes: &[Attribute]) -> Vec<&Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect()
}

fn wire_name(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    let name: LitStr = meta.value()?.parse()?;
    if name.value().is_empty() {
        return Err(syn::Error::new(name.span(), "a wire name cannot be empty"));
    }
    Ok(name)
}

/// Attribute macros see `cfg_attr` before the compiler decides it, so its contents would be missed in silence.
fn reject_hidden_helper(attribute: &Attribute, errors: &mut Errors) {
    let hidden = attribute.path().is_ident("cfg_attr")
        && attribute.meta.to_token_stream().to_string().contains("hub_method");
    if hidden {
        errors.at(
            attribute,
            "`hub_method` cannot depend on `cfg_attr`; write the method twice, each with its own `#[cfg(..)]`",
        );
    }
}
