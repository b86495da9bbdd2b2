//! Who the user of a request is, and whether that user may make it.
//!
//! Owns the order (the authentication hook first, then the policies of handler and endpoint) and the forms of a refusal;
//! what a token means is the application's business. Asked before negotiate and before every transport request, as
//! authorization is in the reference.

use crate::options::EndpointOptions;
use signalr_core::{Caller, Connection, ConnectionHandler, RequestHead, User};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// The answer of [`Authenticate`], in time.
pub type Authentication<'a> = Pin<Box<dyn Future<Output = Result<Option<User>, Denied>> + Send + 'a>>;

/// Decides about each request to an endpoint: negotiate, connect and everything else.
///
/// Implemented for closures `Fn(RequestHead) -> impl Future<Output = Result<Option<User>, Denied>>`.
pub trait Authenticate: Send + Sync + 'static {
    /// `Ok(Some(user))` for a known user, `Ok(None)` for an anonymous one that may connect, `Err` to refuse. May wait;
    /// is dropped when the client gives up. Must not log the request's headers or query: they hold secrets.
    fn authenticate<'a>(&'a self, request: &'a RequestHead) -> Authentication<'a>;
}

impl<F, R> Authenticate for F
where
    F: Fn(RequestHead) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Option<User>, Denied>> + Send + 'static,
{
    fn authenticate<'a>(&'a self, request: &'a RequestHead) -> Authentication<'a> {
        Box::pin(self(request.clone()))
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// Status 401: nobody is known by these credentials, or there are none. `challenge` is the value of
    /// `WWW-Authenticate`.
    #[error("not authenticated")]
    Unauthorized {
        /// How to authenticate, for example `Bearer`.
        challenge: String,
    },
    /// Status 403: known, and not allowed.
    #[error("not allowed")]
    Forbidden,
}

impl Denied {
    /// Status 401 that asks for a bearer token.
    pub fn unauthorized() -> Self {
        Self::Unauthorized { challenge: "Bearer".to_owned() }
    }
}

impl EndpointOptions {
    /// The user of a request, if it may be made.
    pub(crate) async fn admit(
        &self,
        handler: &dyn ConnectionHandler,
        head: &RequestHead,
    ) -> Result<Option<Arc<User>>, Denied> {
        let user = match &self.authenticate {
            Some(hook) => hook.authenticate(head).await?.map(Arc::new),
            None => None,
        };
        let caller = Caller::of_request(user.as_deref(), head);
        let mut policies = handler.policies().iter().chain(&self.policies);
        match (policies.all(|policy| policy.allows(&caller)), &user) {
            (true, _) => Ok(user),
            (false, None) => Err(Denied::unauthorized()),
            (false, Some(_)) => Err(Denied::Forbidden),
        }
    }

    /// Whether there is anything to ask.
    pub(crate) fn is_guarded(&self, handler: &dyn ConnectionHandler) -> bool {
        self.authenticate.is_some() || !self.policies.is_empty() || !handler.policies().is_empty()
    }

    /// Judges a request for a connection that exists already. The ticket of a poll, or of a new socket, replaces the
    /// connection's.
    pub(crate) fn admit_again(
        &self,
        connection: &Connection,
        user: Option<&User>,
        renews: bool,
    ) -> Result<(), Denied> {
        if !connection.is_of_user(user) && self.refuse_changed_user {
            return Err(Denied::Forbidden);
        }
        if renews {
            connection.renew_ticket(user);
        }
        Ok(())
    }
}

/// The bearer token of a request: from the header `Authorization`, else from the query parameter `access_token`, where
/// browsers put it for WebSockets and Server-Sent Events (B-2.10).
pub fn bearer_token(request: &RequestHead) -> Option<String> {
    let header = request.header("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    header.or_else(|| request.query_value("access_token")).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method, Version};

    fn head(target: &str, authorization: Option<&str>) -> RequestHead {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert("authorization", value.parse().unwrap());
        }
        RequestHead::new(&Method::GET, &target.parse().unwrap(), Version::HTTP_11, &headers)
    }

    #[test]
    fn a_token_is_found_in_header_and_query() {
        assert_eq!(bearer_token(&head("/x?access_token=q", Some("bearer h"))).as_deref(), Some("h"));
        assert_eq!(bearer_token(&head("/x?access_token=q%20r", Some("Basic h"))).as_deref(), Some("q r"));
        assert_eq!(bearer_token(&head("/x?access_token=", None)), None);
        assert_eq!(bearer_token(&head("/x", None)), None);
    }
}
