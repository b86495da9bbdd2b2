//! `#[hub]`: reads the `impl` block into methods and life-cycle hooks, then expands them.
//!
//! Owns what may stand in a hub block and the errors about it. `expand` writes the generated code; `signature`
//! judges arguments and return types. The block itself is emitted as written, without the helper attributes.

mod expand;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, ImplItem, ImplItemFn, ItemImpl, LitStr, ReturnType, Type};

use crate::errors::Errors;
use crate::names::WireNames;
use crate::options::{BlockOptions, Guard, MethodOptions, cfg_attributes};
use crate::signature::{self, HubArguments, Returns};

const ELSEWHERE: &str = "move the function into a plain `impl` block";

/// Expands `#[hub(arguments)] item`.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = BlockOptions::of_hub(arguments, &mut errors);
    let mut block: ItemImpl = match syn::parse2(item.clone()) {
        Ok(block) => block,
        Err(error) => {
            errors.add(syn::Error::new(
                error.span(),
                format!("`#[hub]` belongs on an inherent block, `impl Chat {{ .. }}`: {error}"),
            ));
            let errors = errors.into_tokens();
            return quote!(#errors #item);
        }
    };
    check_block(&block, &mut errors);
    let members = members(&mut block, &options, &mut errors);
    let hub =
        Hub { name: hub_name(&block, &options), ty: &block.self_ty, members, policies: &options.policies };
    let generated = match errors.into_tokens() {
        Some(errors) => {
            let placeholder = expand::placeholder(&options.support(), &hub);
            quote!(#errors #placeholder)
        }
        None => expand::implementation(&options.support(), &hub),
    };
    quote!(#block #generated)
}

/// A hub as read from its block.
struct Hub<'a> {
    name: String,
    ty: &'a Type,
    members: Vec<Member>,
    policies: &'a [Guard],
}

/// One function of the block.
struct Member {
    ident: Ident,
    cfg: Vec<Attribute>,
    policies: Vec<Guard>,
    is_async: bool,
    role: Role,
}

enum Role {
    Method { wire_name: String, arguments: HubArguments, returns: Returns },
    Connected { context: bool },
    Disconnected { context: bool, error: bool },
}

fn hub_name(block: &ItemImpl, options: &BlockOptions) -> String {
    if let Some(name) = &options.name {
        return name.value();
    }
    match &*block.self_ty {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}

fn check_block(block: &ItemImpl, errors: &mut Errors) {
    if let Some((_, path, _)) = &block.trait_ {
        errors.at(path, "`#[hub]` belongs on an inherent block, `impl Chat { .. }`, not on a trait's");
    }
    if !block.generics.params.is_empty() {
        errors.at(
            &block.generics,
            "a hub is one concrete type; name the types, e.g. `impl Chat<SqlStore>`, or keep a `Box<dyn Trait>` in it",
        );
    }
    if !matches!(&*block.self_ty, Type::Path(_)) {
        errors.at(&block.self_ty, "a hub is a struct or an enum of your own");
    }
}

fn members(block: &mut ItemImpl, options: &BlockOptions, errors: &mut Errors) -> Vec<Member> {
    let mut names = WireNames::default();
    let functions = block.items.iter_mut().filter_map(|item| match item {
        ImplItem::Fn(function) => Some(function),
        _ => None,
    });
    functions.map(|function| member(function, options, &mut names, errors)).collect()
}

fn member(
    function: &mut ImplItemFn,
    options: &BlockOptions,
    names: &mut WireNames,
    errors: &mut Errors,
) -> Member {
    let method = MethodOptions::take(&mut function.attrs, errors);
    signature::check_receiver(&function.sig, ELSEWHERE, errors);
    signature::check_shape(&function.sig, ELSEWHERE, errors);
    let name = function.sig.ident.to_string();
    let role = match name.as_str() {
        "on_connected" => {
            check_life_cycle(function, &method, errors);
            connected(function, errors)
        }
        "on_disconnected" => {
            check_life_cycle(function, &method, errors);
            disconnected(function, errors)
        }
        _ => callable(function, &method, options, names, errors),
    };
    Member {
        ident: function.sig.ident.clone(),
        cfg: cfg_attributes(&function.attrs).into_iter().cloned().collect(),
        policies: method.policies,
        is_async: function.sig.asyncness.is_some(),
        role,
    }
}

fn callable(
    function: &ImplItemFn,
    method: &MethodOptions,
    options: &BlockOptions,
    names: &mut WireNames,
    errors: &mut Errors,
) -> Role {
    let ident = &function.sig.ident;
    if ident.to_string().starts_with("on_") && method.name.is_none() {
        errors.at(
            ident,
            format!(
                "a hub has no life-cycle method `{ident}`; there are `on_connected` and `on_disconnected`. If \
                 clients are meant to call it, write `#[hub_method(name = \"{}\")]` above it",
                options.rename.apply(ident)
            ),
        );
    }
    let wire_name = method.name.as_ref().map_or_else(|| options.rename.apply(ident), LitStr::value);
    // Two methods under opposite `cfg`s may share a name; where both exist, the hub's definition refuses it.
    if cfg_attributes(&function.attrs).is_empty() {
        names.claim(&wire_name, ident, errors);
    }
    let arguments = signature::hub_arguments(&function.sig, errors);
    let returns = signature::returns(&function.sig, method.stream, errors);
    signature::check_stream_reader(&function.sig, &returns, errors);
    Role::Method { wire_name, arguments, returns }
}

fn check_life_cycle(function: &ImplItemFn, method: &MethodOptions, errors: &mut Errors) {
    let ident = &function.sig.ident;
    if let Some(attribute) = &method.attribute {
        errors.at(attribute, format!("`{ident}` is never called by clients, so it has no wire name"));
    }
    if let ReturnType::Type(_, ty) = &function.sig.output
        && !may_be_unit_result(ty)
    {
        errors.at(ty, format!("`{ident}` returns nothing or `HubResult<()>`"));
    }
}

/// By syntax: `()`, or a path whose first type argument is `()`, or a path without any (an alias).
fn may_be_unit_result(ty: &Type) -> bool {
    let is_unit = |ty: &Type| matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty());
    match ty {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| {
            signature::first_type_argument(&last.arguments)
                .map_or_else(|| last.ident.to_string().ends_with("Result"), is_unit)
        }),
        other => is_unit(other),
    }
}

fn connected(function: &ImplItemFn, errors: &mut Errors) -> Role {
    let arguments = signature::hub_arguments(&function.sig, &mut Errors::default());
    if !arguments.decoded.is_empty() {
        wrong_life_cycle_arguments(function, "(&self, cx: &Context)", errors);
    }
    Role::Connected { context: arguments.context }
}

fn disconnected(function: &ImplItemFn, errors: &mut Errors) -> Role {
    let arguments = signature::hub_arguments(&function.sig, &mut Errors::default());
    let fits = match arguments.decoded.as_slice() {
        [] => true,
        [error] => is_optional_reference(&error.ty),
        _ => false,
    };
    if !fits {
        wrong_life_cycle_arguments(function, "(&self, cx: &Context, error: Option<&HubError>)", errors);
    }
    Role::Disconnected { context: arguments.context, error: !arguments.decoded.is_empty() }
}

fn wrong_life_cycle_arguments(function: &ImplItemFn, allowed: &str, errors: &mut Errors) {
    let ident = &function.sig.ident;
    errors.at(
        &function.sig.inputs,
        format!("the arguments of `{ident}` are `{allowed}`, each after `&self` may be left out"),
    );
}

fn is_optional_reference(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let Some(last) = path.path.segments.last().filter(|last| last.ident == "Option") else { return false };
    match signature::first_type_argument(&last.arguments) {
        Some(Type::Reference(reference)) => reference.mutability.is_none(),
        Some(_) | None => false,
    }
}
