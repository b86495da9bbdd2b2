//! `#[hub_client]`: replaces a trait by a marker type and typed senders.
//!
//! Owns what may stand in such a trait, the errors about it, and the generated types. Arguments may borrow,
//! because they are encoded before the generated method's first await ends; what a client answers is owned.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{Attribute, ItemTrait, LitStr, ReturnType, Signature, TraitItem, TraitItemFn, Type};

use crate::errors::Errors;
use crate::names::WireNames;
use crate::options::{BlockOptions, MethodOptions, cfg_attributes};
use crate::signature::{self, MAX_ARGUMENTS};

const ELSEWHERE: &str = "put the function outside of the trait";

/// Expands `#[hub_client(arguments)] item`.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = BlockOptions::of_client(arguments, &mut errors);
    let client: ItemTrait = match syn::parse2(item) {
        Ok(client) => client,
        Err(error) => {
            let message =
                format!("`#[hub_client]` belongs on a trait that lists a client's methods: {error}");
            errors.add(syn::Error::new(error.span(), message));
            return errors.into_tokens().unwrap_or_default();
        }
    };
    check_trait(&client, &mut errors);
    let mut names = WireNames::default();
    let methods: Vec<Method> =
        client.items.iter().filter_map(|item| method(item, &options, &mut names, &mut errors)).collect();
    let types = types(&options.support(), &client, &methods, errors.is_empty());
    let errors = errors.into_tokens();
    quote!(#errors #types)
}

/// One method of the client.
struct Method {
    attributes: Vec<Attribute>,
    signature: Signature,
    arguments: Vec<Ident>,
    wire_name: String,
    result: Option<Type>,
}

fn check_trait(client: &ItemTrait, errors: &mut Errors) {
    if !client.generics.params.is_empty() || client.generics.where_clause.is_some() {
        errors.at(
            &client.generics,
            "a client's methods are called by name over the wire: the trait cannot be generic",
        );
    }
    if !client.supertraits.is_empty() {
        errors.at(
            &client.supertraits,
            "the trait is replaced by typed senders, so it cannot have supertraits; list the methods here",
        );
    }
    if let Some(unsafety) = &client.unsafety {
        errors.at(unsafety, "a client trait cannot be `unsafe`");
    }
}

fn method(
    item: &TraitItem,
    options: &BlockOptions,
    names: &mut WireNames,
    errors: &mut Errors,
) -> Option<Method> {
    let TraitItem::Fn(function) = item else {
        errors.at(
            item,
            "a client trait holds methods only, such as `async fn receive_message(&self, text: &str);`",
        );
        return None;
    };
    let signature = &function.sig;
    check_method(function, errors);
    let mut attributes = function.attrs.clone();
    let method = MethodOptions::take(&mut attributes, errors);
    if let Some(attribute) = method.attribute.as_ref().filter(|_| !method.policies.is_empty()) {
        errors.at(
            attribute,
            "the server calls this, so nobody is asked for permission; `authorize` belongs on hub methods",
        );
    }
    if method.stream {
        errors.at(&method.attribute, "a client has no stream methods");
    }
    let wire_name =
        method.name.as_ref().map_or_else(|| options.rename.apply(&signature.ident), LitStr::value);
    if cfg_attributes(&attributes).is_empty() {
        names.claim(&wire_name, &signature.ident, errors);
    }
    let arguments = arguments(signature, errors);
    let result = result(signature, errors);
    Some(Method { attributes, signature: signature.clone(), arguments, wire_name, result })
}

fn check_method(function: &TraitItemFn, errors: &mut Errors) {
    let signature = &function.sig;
    signature::check_receiver(signature, ELSEWHERE, errors);
    signature::check_shape(signature, ELSEWHERE, errors);
    if signature.asyncness.is_none() {
        errors.at(signature.fn_token, "sending is asynchronous: write `async fn`");
    }
    if let Some(body) = &function.default {
        errors.at(body, "the client has the body; end the method with `;`");
    }
}

fn arguments(signature: &Signature, errors: &mut Errors) -> Vec<Ident> {
    let mut names = Vec::new();
    for argument in signature::typed_arguments(&signature.inputs) {
        signature::check_nameable(argument, errors);
        names.extend(signature::argument_name(argument, errors));
    }
    if let Some(surplus) = signature::typed_arguments(&signature.inputs).nth(MAX_ARGUMENTS) {
        errors.at(surplus, signature::too_many(&signature.ident));
    }
    names
}

/// The type of the client's answer; `None` when the client is not asked for one.
fn result(signature: &Signature, errors: &mut Errors) -> Option<Type> {
    let ReturnType::Type(_, ty) = &signature.output else { return None };
    match &**ty {
        Type::Tuple(tuple) if tuple.elems.is_empty() => None,
        Type::Path(path)
            if path.path.segments.last().is_some_and(|last| last.ident.to_string().ends_with("Result")) =>
        {
            errors.at(
                ty,
                "write the answer's type alone: the generated method returns `HubResult` of it by itself",
            );
            None
        }
        Type::ImplTrait(_) => {
            errors.at(ty, "name the answer's type: it is decoded from the client's message");
            None
        }
        Type::Reference(_) => {
            errors.at(
                ty,
                "the answer is decoded from the client's message and must own its data, e.g. `String`",
            );
            None
        }
        answer => Some(answer.clone()),
    }
}

fn types(support: &TokenStream, client: &ItemTrait, methods: &[Method], complete: bool) -> TokenStream {
    let (marker, visibility) = (&client.ident, &client.vis);
    let (proxy, single) = (format_ident!("{marker}Proxy"), format_ident!("{marker}Single"));
    let attributes = &client.attrs;
    let cfg = cfg_attributes(attributes);
    let proxy_doc = format!("Sends to the clients that a selector of [`{marker}`] names.");
    let single_doc = format!("Sends to one client of [`{marker}`], which can also be asked for a result.");
    let implementation = implementation(support, client, &proxy, &single);
    let usable = if complete { methods } else { &[] };
    let to_many = usable.iter().filter(|method| method.result.is_none()).map(|method| send(support, method));
    let to_one = usable.iter().map(|method| match &method.result {
        None => send(support, method),
        Some(answer) => invoke(support, method, answer),
    });
    quote! {
        #(#attributes)*
        #visibility enum #marker {}

        #(#cfg)*
        #[doc = #proxy_doc]
        #[derive(Clone)]
        #visibility struct #proxy(#support::ClientProxy);

        #(#cfg)*
        #[doc = #single_doc]
        #[derive(Clone)]
        #visibility struct #single(#support::SingleClient);

        #implementation

        #(#cfg)*
        #[allow(dead_code)]
        impl #proxy { #(#to_many)* }

        #(#cfg)*
        #[allow(dead_code)]
        impl #single { #(#to_one)* }
    }
}

fn implementation(support: &TokenStream, client: &ItemTrait, proxy: &Ident, single: &Ident) -> TokenStream {
    let marker = &client.ident;
    let cfg = cfg_attributes(&client.attrs);
    quote! {
        #(#cfg)*
        #[automatically_derived]
        impl #support::TypedClient for #marker {
            type Proxy = #proxy;
            type Single = #single;
            fn proxy(proxy: #support::ClientProxy) -> #proxy {
                #proxy(proxy)
            }
            fn single(single: #support::SingleClient) -> #single {
                #single(single)
            }
        }
    }
}

fn send(support: &TokenStream, method: &Method) -> TokenStream {
    let Method { arguments, wire_name, .. } = method;
    let body = quote!(self.0.send(#wire_name, (#(#arguments,)*)).await);
    sender(support, method, &quote!(()), &body)
}

fn invoke(support: &TokenStream, method: &Method, answer: &Type) -> TokenStream {
    let Method { arguments, wire_name, .. } = method;
    let body = quote!(self.0.invoke::<#answer>(#wire_name, (#(#arguments,)*)).await);
    sender(support, method, &quote!(#answer), &body)
}

fn sender(support: &TokenStream, method: &Method, value: &TokenStream, body: &TokenStream) -> TokenStream {
    let Method { attributes, signature, wire_name, .. } = method;
    let (ident, inputs) = (&signature.ident, &signature.inputs);
    let (generics, _, bounds) = signature.generics.split_for_impl();
    let fallback = (!attributes.iter().any(|attribute| attribute.path().is_ident("doc"))).then(|| {
        let text = format!("Calls the client method `{wire_name}`.");
        quote!(#[doc = #text])
    });
    let checks = signature::typed_arguments(inputs).map(|argument| {
        let ty = &argument.ty;
        let name = &argument.pat;
        quote::quote_spanned!(ty.span()=> #support::check_sent(&#name);)
    });
    let checks = quote!(#(#checks)*);
    quote! {
        #fallback
        #(#attributes)*
        pub async fn #ident #generics(#inputs) -> #support::HubResult<#value> #bounds {
            #checks
            #body
        }
    }
}
