//! Writes the implementation of the hub trait.
//!
//! Owns the generated code and its spans: a type error about an argument or a result is shown where the user
//! wrote the type, one about a method where its name stands. Every path goes through the facade's support
//! module; every local name is hygienic, so that nothing of the user's is shadowed.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

use super::{Hub, Member, Role};
use crate::signature::{HubArguments, Returns};

/// The implementation, one statement per member.
pub(super) fn implementation(support: &TokenStream, hub: &Hub<'_>) -> TokenStream {
    let members = hub.members.iter().map(|member| {
        let (cfg, registration) = (&member.cfg, registration(support, member));
        quote!(#(#cfg)* { #registration })
    });
    let (name, names) = (&hub.name, Names::new(Span::mixed_site()));
    let Names { hub: value, definition, .. } = &names;
    let policies = hub.policies.iter().map(|guard| {
        let policy = guard.expression(support);
        quote!(#definition.authorize(#policy);)
    });
    let policies = quote!(#(#policies)*);
    let body = quote! {
        #[allow(unused_imports)]
        use #support::{PlainItems as _, PlainReturn as _};
        #[allow(unused_variables)]
        let #value = #support::Arc::new(self);
        #[allow(unused_mut)]
        let mut #definition = #support::HubDefinition::new::<Self>(#name);
        #(#members)*
        #policies
        #definition
    };
    trait_impl(support, hub, &body)
}

/// An implementation that only keeps "trait not implemented" from being reported after the real errors.
pub(super) fn placeholder(support: &TokenStream, hub: &Hub<'_>) -> TokenStream {
    // It comes with errors that stop the build, so nobody ever calls it.
    trait_impl(support, hub, &quote!(::core::unreachable!()))
}

fn trait_impl(support: &TokenStream, hub: &Hub<'_>, body: &TokenStream) -> TokenStream {
    let ty = hub.ty;
    quote! {
        #[automatically_derived]
        impl #support::Hub for #ty {
            #[allow(clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction)]
            fn define(self) -> #support::HubDefinition {
                #body
            }
        }
    }
}

/// The local names of the generated code, invisible to the user's.
struct Names {
    hub: Ident,
    definition: Ident,
    context: Ident,
    sink: Ident,
    error: Ident,
}

impl Names {
    fn new(span: Span) -> Self {
        let name = |text| Ident::new(text, span);
        Self {
            hub: name("hub"),
            definition: name("definition"),
            context: name("context"),
            sink: name("sink"),
            error: name("error"),
        }
    }
}

/// Generated code about a method: shown at its name, and its names hidden from the user's.
fn site(member: &Member) -> Span {
    Span::mixed_site().located_at(member.ident.span())
}

fn registration(support: &TokenStream, member: &Member) -> TokenStream {
    match &member.role {
        Role::Method { wire_name, arguments, returns } => {
            let checks = checks(support, arguments, returns, &member.ident);
            let call = match returns {
                Returns::Value(_) if member.is_async => async_method(support, member, wire_name, arguments),
                Returns::Value(_) => sync_method(support, member, wire_name, arguments),
                Returns::Stream(_) => stream_method(support, member, wire_name, arguments),
            };
            let definition = Names::new(Span::mixed_site()).definition;
            let policies = member.policies.iter().map(|guard| {
                let policy = guard.expression(support);
                quote!(#definition.authorize_method(#wire_name, #policy);)
            });
            quote!(#checks #call #(#policies)*)
        }
        Role::Connected { context } => connected(support, member, *context),
        Role::Disconnected { context, error } => disconnected(support, member, *context, *error),
    }
}

/// Statements without effect that make type errors appear at the types that the user wrote.
fn checks(support: &TokenStream, arguments: &HubArguments, returns: &Returns, method: &Ident) -> TokenStream {
    let arguments = arguments.decoded.iter().map(|argument| {
        let ty = &argument.ty;
        quote_spanned!(ty.span()=> #support::check_argument::<#ty>();)
    });
    let returned = match returns {
        Returns::Value(ty) => Some(ty.clone()),
        Returns::Stream(item) => item.clone(),
    };
    let returned = returned.map(|ty| {
        let message = format!(
            "`{method}` has a `Result` inside a `Result`: the inner `Err` would be sent as if it were a value; \
             flatten the two, or put the inner one into an enum of your own"
        );
        quote_spanned! {ty.span()=>
            {
                #[allow(unused_imports)]
                use #support::FlatReturn as _;
                const { ::core::assert!(#support::Shape::<#ty>::FLAT, #message) }
            }
        }
    });
    quote!(#(#arguments)* #returned)
}

/// `(a0, a1): (A, B)` and the call `hub.method(&context, a0, a1)`, awaited for an `async fn`.
fn pattern_and_call(
    member: &Member,
    arguments: &HubArguments,
    context: TokenStream,
) -> (TokenStream, TokenStream) {
    let names: Vec<_> = (0..arguments.decoded.len())
        .map(|index| format_ident!("argument_{index}", span = site(member)))
        .collect();
    let types: Vec<_> = arguments.decoded.iter().map(|argument| &argument.ty).collect();
    let context = arguments.context.then(|| quote!(#context,));
    let call = call(member, &quote!(#context #(#names),*));
    (quote!((#(#names,)*): (#(#types,)*)), call)
}

fn call(member: &Member, arguments: &TokenStream) -> TokenStream {
    let (ident, hub) = (&member.ident, Names::new(site(member)).hub);
    let awaited = member.is_async.then(|| quote!(.await));
    quote!(#hub.#ident(#arguments) #awaited)
}

fn sync_method(support: &TokenStream, member: &Member, name: &str, arguments: &HubArguments) -> TokenStream {
    let Names { hub, definition, context, .. } = Names::new(site(member));
    let (pattern, call) = pattern_and_call(member, arguments, quote!(#context));
    let returned = returned(support, member, &call);
    quote_spanned! {site(member)=>
        let #hub = #support::Arc::clone(&#hub);
        #definition.sync_method(#name, move |#context: &#support::Context, #pattern| #returned);
    }
}

fn async_method(support: &TokenStream, member: &Member, name: &str, arguments: &HubArguments) -> TokenStream {
    let Names { hub, definition, context, .. } = Names::new(site(member));
    let (pattern, call) = pattern_and_call(member, arguments, quote!(&#context));
    let returned = returned(support, member, &call);
    quote_spanned! {site(member)=>
        let #hub = #support::Arc::clone(&#hub);
        #definition.async_method(#name, move |#context: #support::Context, #pattern| {
            let #hub = #support::Arc::clone(&#hub);
            async move { #returned }
        });
    }
}

/// The stream is driven inside the future that owns the hub and the context: it may borrow both.
fn stream_method(
    support: &TokenStream,
    member: &Member,
    name: &str,
    arguments: &HubArguments,
) -> TokenStream {
    let Names { hub, definition, context, sink, error } = Names::new(site(member));
    let (pattern, call) = pattern_and_call(member, arguments, quote!(&#context));
    let returned = returned(support, member, &call);
    let stream = Ident::new("stream", site(member));
    let forward = quote_spanned!(site(member)=> #support::items_of(&#stream).forward(#sink, #stream).await);
    quote_spanned! {site(member)=>
        let #hub = #support::Arc::clone(&#hub);
        #definition.stream_method(#name, move |#context: #support::Context, #pattern, #sink: #support::StreamSink| {
            let #hub = #support::Arc::clone(&#hub);
            async move {
                match #returned {
                    ::core::result::Result::Ok(#stream) => #forward,
                    ::core::result::Result::Err(#error) => #sink.fail(#error).await,
                }
            }
        });
    }
}

fn connected(support: &TokenStream, member: &Member, with_context: bool) -> TokenStream {
    let Names { hub, definition, context, .. } = Names::new(site(member));
    let argument = with_context.then(|| quote!(&#context));
    let returned = returned(support, member, &call(member, &quote!(#argument)));
    quote_spanned! {site(member)=>
        let #hub = #support::Arc::clone(&#hub);
        #definition.on_connected(move |#context: #support::Context| {
            let #hub = #support::Arc::clone(&#hub);
            async move { let _ = &#context; #returned }
        });
    }
}

fn disconnected(support: &TokenStream, member: &Member, with_context: bool, with_error: bool) -> TokenStream {
    let Names { hub, definition, context, error, .. } = Names::new(site(member));
    let context_argument = with_context.then(|| quote!(&#context,));
    let error_argument = with_error.then(|| quote!(#error.as_ref()));
    let returned = returned(support, member, &call(member, &quote!(#context_argument #error_argument)));
    quote_spanned! {site(member)=>
        let #hub = #support::Arc::clone(&#hub);
        #definition.on_disconnected(
            move |#context: #support::Context, #error: ::core::option::Option<#support::HubError>| {
                let #hub = #support::Arc::clone(&#hub);
                async move { let _ = (&#context, &#error); #returned }
            },
        );
    }
}

/// What the method returned as a `HubResult`: types decide whether it is a `Result`, so aliases count too.
fn returned(support: &TokenStream, member: &Member, call: &TokenStream) -> TokenStream {
    let streams = matches!(member.role, Role::Method { returns: Returns::Stream(_), .. });
    let conversion = if streams { "into_stream_result" } else { "into_hub_result" };
    let conversion = Ident::new(conversion, site(member));
    quote_spanned!(site(member)=> #support::Returned(#call).#conversion())
}
