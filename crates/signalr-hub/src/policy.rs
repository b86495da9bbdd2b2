//! What guards a hub or a method: a policy itself, or the name of one that the options hold.
//!
//! Owns the reference and its resolution. A name that nobody knows allows nobody; the facade finds it when the server is
//! built. Policies themselves are core's.

use crate::options::HubOptions;
use signalr_core::{Caller, Policy};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A policy (a function, a closure, a value that implements [`Policy`]), or the name of one.
#[derive(Clone)]
pub struct PolicyRef(Form);

#[derive(Clone)]
enum Form {
    Given(Arc<dyn Policy>),
    Named(Cow<'static, str>),
}

impl<P: Policy> From<P> for PolicyRef {
    fn from(policy: P) -> Self {
        Self(Form::Given(Arc::new(policy)))
    }
}

impl PolicyRef {
    /// The policy that [`HubOptions::policy`] gave this name. A server refuses to be built when there is none.
    pub fn named(name: impl Into<Cow<'static, str>>) -> Self {
        Self(Form::Named(name.into()))
    }

    /// Whether the caller may pass.
    pub(crate) fn allows(&self, options: &HubOptions, caller: &Caller<'_>) -> bool {
        self.find(options).is_some_and(|policy| policy.allows(caller))
    }

    /// The policy; for an unknown name one that allows nobody.
    pub(crate) fn resolve(&self, options: &HubOptions) -> Arc<dyn Policy> {
        self.find(options).cloned().unwrap_or_else(|| Arc::new(|_: &Caller<'_>| false))
    }

    /// The name, if these options do not know it.
    pub(crate) fn unknown_in(&self, options: &HubOptions) -> Option<&str> {
        match &self.0 {
            Form::Named(name) if !options.policies.contains_key(&**name) => Some(name),
            _ => None,
        }
    }

    fn find<'a>(&'a self, options: &'a HubOptions) -> Option<&'a Arc<dyn Policy>> {
        match &self.0 {
            Form::Given(policy) => Some(policy),
            Form::Named(name) => options.policies.get(&**name),
        }
    }
}

impl fmt::Debug for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Given(_) => f.write_str("PolicyRef(..)"),
            Form::Named(name) => f.debug_tuple("PolicyRef").field(name).finish(),
        }
    }
}
