//! Receiver, arguments and return type of a method, checked against what can cross the wire.
//!
//! Owns the rules that hub methods and client methods share and those for decoded arguments. Decides by syntax
//! alone; what only types can tell (is it serialisable? is it a `Result` behind an alias?) is left to the
//! generated code.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{
    FnArg, GenericArgument, GenericParam, Pat, PatType, Path, PathArguments, ReturnType, Signature, Type,
    TypeParamBound, TypeReference,
};

use crate::errors::Errors;

/// The most arguments that a method may have, the context not counted.
pub(crate) const MAX_ARGUMENTS: usize = 12;

/// The type of a stream that the client sends.
const CLIENT_STREAM: &str = "ClientStream";

/// One argument that crosses the wire.
pub(crate) struct Argument {
    pub(crate) ty: Type,
}

/// The arguments of a hub method.
pub(crate) struct HubArguments {
    pub(crate) context: bool,
    pub(crate) decoded: Vec<Argument>,
}

/// What a hub method returns, as far as syntax tells.
pub(crate) enum Returns {
    /// A value, a `Result` of one, or nothing.
    Value(TokenStream),
    /// A stream, perhaps inside a `Result`; the item type when it is written and names no lifetime.
    Stream(Option<TokenStream>),
}

/// Refuses everything but a plain `&self`. `home` says where other functions belong.
pub(crate) fn check_receiver(signature: &Signature, home: &str, errors: &mut Errors) {
    let name = &signature.ident;
    let Some(receiver) = signature.receiver() else {
        return errors.at(
            name,
            format!("`{name}` has no `self`, so it cannot be called; write `&self` first, or {home}"),
        );
    };
    if receiver.colon_token.is_some() || receiver.reference.is_none() {
        errors.at(receiver, "one value serves all connections, so the receiver must be `&self`");
    } else if receiver.mutability.is_some() {
        errors.at(
            receiver,
            "one value serves all connections at the same time, so the receiver must be `&self`; keep what \
             changes in a `Mutex` or an atomic, and what belongs to one connection in `cx.items()`",
        );
    }
}

/// Refuses type and const parameters and `unsafe`. `home` says where such functions belong.
pub(crate) fn check_shape(signature: &Signature, home: &str, errors: &mut Errors) {
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            errors.at(
                parameter,
                format!("a method that is called by name over the wire cannot be generic; write the type, or {home}"),
            );
        }
    }
    if let Some(unsafety) = &signature.unsafety {
        errors.at(unsafety, format!("a method that is called over the wire cannot be `unsafe`; {home}"));
    }
}

/// Reads the arguments of a hub method and reports those that cannot be decoded.
pub(crate) fn hub_arguments(signature: &Signature, errors: &mut Errors) -> HubArguments {
    let mut found = HubArguments { context: false, decoded: Vec::new() };
    for (index, argument) in typed_arguments(&signature.inputs).enumerate() {
        match context_like(&argument.ty) {
            Some(ContextForm::Borrowed) if index == 0 => found.context = true,
            Some(ContextForm::Borrowed) => errors.at(argument, "`&Context` must be the first argument after `&self`"),
            Some(ContextForm::Wrong) => errors.at(
                argument,
                "the context is lent to the method; write `cx: &Context` (and `cx.clone()` where it must be owned)",
            ),
            None => {
                check_decoded(argument, errors);
                found.decoded.push(Argument { ty: (*argument.ty).clone() });
            }
        }
    }
    if let Some(surplus) =
        typed_arguments(&signature.inputs).skip(usize::from(found.context)).nth(MAX_ARGUMENTS)
    {
        errors.at(surplus, too_many(&signature.ident));
    }
    found
}

/// The text for a method with more than [`MAX_ARGUMENTS`].
pub(crate) fn too_many(method: &Ident) -> String {
    format!("`{method}` has more than {MAX_ARGUMENTS} arguments; put some of them into one struct")
}

/// The arguments after the receiver.
pub(crate) fn typed_arguments(inputs: &Punctuated<FnArg, syn::Token![,]>) -> impl Iterator<Item = &PatType> {
    inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    })
}

/// The argument's name, or `None` after an error when the pattern is not a name.
pub(crate) fn argument_name(argument: &PatType, errors: &mut Errors) -> Option<Ident> {
    for attribute in &argument.attrs {
        if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
            errors.at(attribute, "an argument cannot be conditional; put `#[cfg(..)]` on the method");
        }
    }
    match &*argument.pat {
        Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => {
            Some(pattern.ident.clone())
        }
        pattern => {
            errors.at(
                pattern,
                "an argument needs a plain name here; write `value: Type` and take it apart in the body",
            );
            None
        }
    }
}

/// Refuses `impl Trait`, for which no type can be named.
pub(crate) fn check_nameable(argument: &PatType, errors: &mut Errors) {
    if matches!(&*argument.ty, Type::ImplTrait(_)) {
        errors.at(
            &argument.ty,
            "a method that is called by name over the wire cannot be generic; write the type instead of `impl Trait`",
        );
    }
}

fn check_decoded(argument: &PatType, errors: &mut Errors) {
    let unnamed = matches!(&*argument.pat, Pat::Wild(_));
    let name = if unnamed { None } else { argument_name(argument, errors) };
    let name = name.map_or_else(|| "_".to_owned(), |name| name.to_string());
    check_nameable(argument, errors);
    let Some(borrow) = first_borrow(argument.ty.to_token_stream()) else {
        return check_stream_position(&name, &argument.ty, errors);
    };
    let (culprit, instead) = match &*argument.ty {
        Type::Reference(reference) => {
            (reference.to_token_stream(), format!("write `{name}: {}`", owned_form(reference)))
        }
        _ => (borrow.into(), "write a type that owns its data, such as `String` or `Vec<T>`".to_owned()),
    };
    errors.at(
        culprit,
        format!("argument `{name}` borrows, but a decoded argument belongs to the call; {instead}"),
    );
}

/// Refuses a client's stream inside another type: on the wire a stream is an id beside the arguments.
fn check_stream_position(name: &str, ty: &Type, errors: &mut Errors) {
    let inside = match ty {
        Type::Path(path) => path.path.segments.last().filter(|last| last.ident == CLIENT_STREAM),
        _ => None,
    };
    let searched = inside.map_or_else(|| ty.to_token_stream(), |last| last.arguments.to_token_stream());
    if names_stream(searched) {
        errors.at(
            ty,
            format!(
                "a stream from the client is an argument of its own; write `{name}: ClientStream<T>` (an empty stream \
                 does for an optional one, several arguments for several)"
            ),
        );
    }
}

fn names_stream(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => names_stream(group.stream()),
        TokenTree::Ident(ident) => ident == CLIENT_STREAM,
        _ => false,
    })
}

/// Refuses a plain `fn` that takes a stream from the client and does not answer with one: it could never read it.
pub(crate) fn check_stream_reader(signature: &Signature, returns: &Returns, errors: &mut Errors) {
    if signature.asyncness.is_some() || matches!(returns, Returns::Stream(_)) {
        return;
    }
    for argument in typed_arguments(&signature.inputs) {
        if let Type::Path(path) = &*argument.ty
            && path.path.segments.last().is_some_and(|last| last.ident == CLIENT_STREAM)
        {
            errors.at(
                argument,
                format!(
                    "a stream from the client ends when its method does, so `{}` could never read it; write `async fn`",
                    signature.ident
                ),
            );
        }
    }
}

/// Classifies the return type and reports what cannot be sent.
pub(crate) fn returns(signature: &Signature, declared_stream: bool, errors: &mut Errors) -> Returns {
    let ReturnType::Type(_, ty) = &signature.output else {
        return Returns::Value(quote!(()));
    };
    if declared_stream {
        return Returns::Stream(None);
    }
    if let Some(item) = stream_of(ty) {
        let item = item.map(ToTokens::into_token_stream);
        return Returns::Stream(item.filter(|item| first_borrow(item.clone()).is_none()));
    }
    if let Type::ImplTrait(hidden) = &**ty {
        errors.at(
            hidden,
            "a hub method returns nothing, a serialisable type, a `Result` of one, or `impl Stream<Item = ..>`; \
             name the type (and write `async fn` instead of `impl Future`)",
        );
    } else if first_borrow(ty.to_token_stream()).is_some() {
        errors.at(
            ty,
            "a hub method returns a value that owns its data, because it is sent after the method has ended; \
             return `String` instead of `&str`, a clone instead of a reference (only a stream may borrow)",
        );
    }
    Returns::Value(ty.to_token_stream())
}

/// `Some` when the type is a stream or has one as its first type argument (`Result<impl Stream, E>`): then the
/// item type, if it is written.
fn stream_of(ty: &Type) -> Option<Option<Type>> {
    match ty {
        Type::ImplTrait(hidden) => stream_bound(&hidden.bounds),
        Type::TraitObject(object) => stream_bound(&object.bounds),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let first = first_type_argument(&last.arguments);
            if last.ident == "BoxStream" || last.ident == "LocalBoxStream" {
                return Some(first.cloned());
            }
            if last.ident == CLIENT_STREAM {
                // Its items are results of what is written.
                return Some(None);
            }
            stream_of(first?)
        }
        Type::Paren(inner) => stream_of(&inner.elem),
        Type::Group(inner) => stream_of(&inner.elem),
        _ => None,
    }
}

fn stream_bound(bounds: &Punctuated<TypeParamBound, syn::Token![+]>) -> Option<Option<Type>> {
    bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            let last = bound.path.segments.last().filter(|last| last.ident == "Stream")?;
            Some(associated_item(&last.arguments))
        }
        _ => None,
    })
}

fn associated_item(arguments: &PathArguments) -> Option<Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(associated) if associated.ident == "Item" => Some(associated.ty.clone()),
        _ => None,
    })
}

/// The first type between the angle brackets.
pub(crate) fn first_type_argument(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The `&` or the lifetime by which a type borrows; `'static` data is no borrow of this kind.
fn first_borrow(tokens: TokenStream) -> Option<TokenTree> {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let next = tokens.peek();
        let borrows = match &token {
            TokenTree::Group(group) => {
                if let Some(found) = first_borrow(group.stream()) {
                    return Some(found);
                }
                false
            }
            TokenTree::Punct(punct) if punct.as_char() == '&' => !is_punct(next, '\''),
            TokenTree::Punct(punct) if punct.as_char() == '\'' => !is_ident(next, "static"),
            _ => false,
        };
        if borrows {
            return Some(token);
        }
    }
    None
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_ident(token: Option<&TokenTree>, wanted: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == wanted)
}

fn owned_form(reference: &TypeReference) -> String {
    let owned = match &*reference.elem {
        Type::Path(path) if path.path.is_ident("str") => quote!(String),
        Type::Slice(slice) => {
            let item = &slice.elem;
            quote!(Vec<#item>)
        }
        other => other.to_token_stream(),
    };
    owned.to_string().replace(" < ", "<").replace(" >", ">")
}

enum ContextForm {
    Borrowed,
    Wrong,
}

fn context_like(ty: &Type) -> Option<ContextForm> {
    match ty {
        Type::Reference(reference) => match (&*reference.elem, &reference.mutability) {
            (Type::Path(path), None) if ends_in_context(&path.path) => Some(ContextForm::Borrowed),
            (Type::Path(path), Some(_)) if ends_in_context(&path.path) => Some(ContextForm::Wrong),
            _ => None,
        },
        Type::Path(path) if path.path.is_ident("Context") => Some(ContextForm::Wrong),
        _ => None,
    }
}

fn ends_in_context(path: &Path) -> bool {
    path.segments.last().is_some_and(|last| last.ident == "Context")
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn stream_item(ty: Type) -> Option<Option<String>> {
        stream_of(&ty).map(|item| item.map(|item| item.to_token_stream().to_string()))
    }

    #[test]
    fn streams_are_recognised_in_every_spelling() {
        let item = Some(Some("u32".to_owned()));
        assert_eq!(stream_item(parse_quote!(impl Stream<Item = u32>)), item);
        assert_eq!(stream_item(parse_quote!(impl futures::Stream<Item = u32> + Send + '_)), item);
        assert_eq!(stream_item(parse_quote!(Result<impl Stream<Item = u32>, AppError>)), item);
        assert_eq!(stream_item(parse_quote!(Pin<Box<dyn Stream<Item = u32> + Send + '_>>)), item);
        assert_eq!(stream_item(parse_quote!(HubResult<BoxStream<'_, u32>>)), item);
        assert_eq!(stream_item(parse_quote!(Vec<u32>)), None);
        assert_eq!(stream_item(parse_quote!(ClientStream<u32>)), Some(None));
        assert_eq!(stream_item(parse_quote!(StreamTicket)), None);
    }

    #[test]
    fn borrows_are_found_at_any_depth() {
        let borrows = |ty: Type| first_borrow(ty.to_token_stream()).is_some();
        assert!(borrows(parse_quote!(&str)));
        assert!(borrows(parse_quote!(Option<Vec<&'a str>>)));
        assert!(borrows(parse_quote!(Cow<'_, str>)));
        assert!(borrows(parse_quote!((u32, &u8))));
        assert!(!borrows(parse_quote!(Cow<'static, str>)));
        assert!(!borrows(parse_quote!(Option<&'static str>)));
        assert!(!borrows(parse_quote!(HashMap<String, Vec<u8>>)));
    }

    #[test]
    fn the_owned_form_of_a_borrow_is_named() {
        assert_eq!(owned_form(&parse_quote!(&str)), "String");
        assert_eq!(owned_form(&parse_quote!(&'a [u8])), "Vec<u8>");
        assert_eq!(owned_form(&parse_quote!(&Order)), "Order");
    }
}
