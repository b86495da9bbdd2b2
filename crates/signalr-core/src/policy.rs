//! Policies: who may use an endpoint, or call a method.
//!
//! Owns the question and its answer. Asked by transports before every request to an endpoint, and by the hub before a
//! call of a method that has policies. Who somebody is was found out before, by the endpoint's authentication.

use crate::connect_info::{RequestHead, User};
use crate::ids::ConnectionId;

/// Decides who may pass. Implemented for functions and closures `Fn(&Caller<'_>) -> bool`.
///
/// It is asked while a connection's task waits, so it must not block: it decides from what is known, which is the
/// user's claims and the request. What has to be looked up first belongs into the authentication, which may wait and
/// can put what it found into the claims.
///
/// ```
/// use signalr_core::{Caller, Policy};
///
/// fn moderators(caller: &Caller<'_>) -> bool {
///     caller.has_claim("role", "moderator")
/// }
///
/// assert!(!moderators.allows(&Caller::default()));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no policy",
    label = "not a policy",
    note = "a policy is a function `fn name(caller: &Caller<'_>) -> bool`, or implements `Policy`"
)]
pub trait Policy: Send + Sync + 'static {
    /// Whether this caller may pass. Must not log the request's headers or query: they hold secrets.
    fn allows(&self, caller: &Caller<'_>) -> bool;
}

impl<F: Fn(&Caller<'_>) -> bool + Send + Sync + 'static> Policy for F {
    fn allows(&self, caller: &Caller<'_>) -> bool {
        self(caller)
    }
}

/// Who asks, and for what.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Caller<'a> {
    /// The authenticated user; `None` for an anonymous one.
    pub user: Option<&'a User>,
    /// The request at hand; for a method the one that opened the connection.
    pub request: Option<&'a RequestHead>,
    /// The connection, for a method.
    pub connection_id: Option<&'a ConnectionId>,
    /// The method's wire name, for a method.
    pub method: Option<&'a str>,
}

impl<'a> Caller<'a> {
    /// Somebody who makes a request.
    pub fn of_request(user: Option<&'a User>, request: &'a RequestHead) -> Self {
        Self { user, request: Some(request), ..Self::default() }
    }

    /// Whether the user is known.
    pub fn is_authenticated(&self) -> bool {
        self.user.is_some()
    }

    /// Whether the user has a claim of this type with this value; both are compared exactly.
    pub fn has_claim(&self, kind: &str, value: &str) -> bool {
        self.user.is_some_and(|user| user.has_claim(kind, value))
    }
}

/// The policy that lets every known user pass and nobody else: what the reference's plain `[Authorize]` asks for.
pub fn authenticated(caller: &Caller<'_>) -> bool {
    caller.is_authenticated()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_and_closures_are_policies() {
        let mut ada = User::with_id("ada");
        ada.claims.push(("role".to_owned(), "admin".to_owned()));
        let request = RequestHead::default();
        let caller = Caller::of_request(Some(&ada), &request);
        let admins = |caller: &Caller<'_>| caller.has_claim("role", "admin");
        let nobody = |_: &Caller<'_>| false;
        assert!(authenticated.allows(&caller) && admins.allows(&caller) && !nobody.allows(&caller));
        assert!(!caller.has_claim("role", "Admin"));
        let anonymous = Caller::of_request(None, &request);
        assert!(!authenticated.allows(&anonymous) && !admins.allows(&anonymous));
    }
}
