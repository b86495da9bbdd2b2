//! Collects the problems found in one macro call.
//!
//! Owns the list only; wording and spans are the callers'. The list ends as `compile_error!` tokens.

use proc_macro2::TokenStream;
use quote::ToTokens;

/// Every problem found so far.
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    /// Adds a problem that is underlined at `culprit`.
    pub(crate) fn at(&mut self, culprit: impl ToTokens, message: impl std::fmt::Display) {
        self.add(syn::Error::new_spanned(culprit, message));
    }

    /// Adds an error that syn made.
    pub(crate) fn add(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// Keeps the value of `result`, or adds its error.
    pub(crate) fn take<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The `compile_error!` calls, or `None` when nothing is wrong.
    pub(crate) fn into_tokens(self) -> Option<TokenStream> {
        self.0.map(|error| error.to_compile_error())
    }
}
