//! From hubs, paths and options to a server.
//!
//! Owns the checks of the whole description and the order of building: check, join the backplane, make handles live,
//! open the paths. Nothing listens before [`ServerBuilder::build`] has returned, and nothing here runs after it.

use crate::error::{BuildError, ConfigError};
use crate::server::{Hubs, Server};
use signalr_core::{Backplane, ConnectionHandler, Duplex, WorkEnd};
use signalr_hub::{Hub, HubBuilder, HubDefinition, HubEndpoint, HubHandle, HubOptions};
use signalr_transport::{EndpointOptions, Limits, Server as Endpoints};
use std::any::{TypeId, type_name};
use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// The way in: [`SignalR::builder`].
#[derive(Debug)]
pub struct SignalR;

impl SignalR {
    /// Describes a server, beginning with nothing.
    ///
    /// ```
    /// use signalr::prelude::*;
    ///
    /// struct Chat;
    ///
    /// #[hub]
    /// impl Chat {
    ///     fn echo(&self, text: String) -> String {
    ///         text
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> signalr::Result<()> {
    /// let server = SignalR::builder().hub("/chat", Chat).build().await?;
    /// server.context::<Chat>().ok_or("no such hub")?.clients().all().send("Restarted", ()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }
}

type Adjust = Box<dyn FnOnce(&mut HubOptions, &mut EndpointOptions) + Send>;

struct Handle {
    hub: TypeId,
    hub_name: &'static str,
    connect: Box<dyn FnOnce(&Hubs) + Send>,
}

struct Place {
    path: String,
    what: What,
}

enum What {
    Hub(HubDefinition, Adjust),
    Handler(Arc<dyn ConnectionHandler>, EndpointOptions),
    Talk(Arc<dyn ConnectionHandler>),
}

/// Describes a server. The order of the calls makes no difference, except that the first of two hub values of one type
/// decides on what they share.
#[derive(Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct ServerBuilder {
    places: Vec<Place>,
    hub_options: HubOptions,
    endpoint_options: EndpointOptions,
    backplane: Option<Box<dyn Backplane>>,
    handles: Vec<Handle>,
    disconnect_timeout: Option<Duration>,
    limits: Limits,
}

impl ServerBuilder {
    /// Settings of all hubs. Default: [`HubOptions::default`].
    pub fn options(mut self, options: HubOptions) -> Self {
        self.hub_options = options;
        self
    }

    /// Settings of all hubs' endpoints: transports, limits, authentication. Default: [`EndpointOptions::default`].
    pub fn endpoint_options(mut self, options: EndpointOptions) -> Self {
        self.endpoint_options = options;
        self
    }

    /// Serves a hub at a path. A hub type that is served at several paths has one set of connections, groups and
    /// users, as in the reference; each path calls its own value.
    pub fn hub(self, path: impl Into<String>, hub: impl Hub) -> Self {
        self.hub_with(path, hub, |_, _| {})
    }

    /// As [`ServerBuilder::hub`], with settings of its own: `adjust` gets those of all hubs and changes what is
    /// different here. Of a type at several paths, the fleet-wide ones (protocols, order, time-outs of group changes and
    /// client results) are the first path's.
    ///
    /// ```
    /// # use signalr::prelude::*;
    /// # fn example(hub: HubBuilder) -> signalr::ServerBuilder {
    /// SignalR::builder().hub_with("/chat", hub, |options, endpoint| {
    ///     options.detailed_errors = true;
    ///     *endpoint = std::mem::take(endpoint).minimum_protocol_version(1);
    /// })
    /// # }
    /// ```
    pub fn hub_with(
        mut self,
        path: impl Into<String>,
        hub: impl Hub,
        adjust: impl FnOnce(&mut HubOptions, &mut EndpointOptions) + Send + 'static,
    ) -> Self {
        self.places.push(Place { path: path.into(), what: What::Hub(hub.define(), Box::new(adjust)) });
        self
    }

    /// Serves an async function of bytes at a path, over every transport and without the hub protocol. With the options
    /// of all endpoints.
    ///
    /// ```
    /// # use signalr::prelude::*;
    /// # fn example() -> signalr::ServerBuilder {
    /// SignalR::builder().connection("/echo", |mut peer: Duplex| async move {
    ///     while let Some(bytes) = peer.receive().await {
    ///         peer.send(&bytes).await;
    ///     }
    /// })
    /// # }
    /// ```
    pub fn connection<F, R>(mut self, path: impl Into<String>, talk: F) -> Self
    where
        F: Fn(Duplex) -> R + Send + Sync + 'static,
        R: Future<Output: Into<WorkEnd>> + Send + 'static,
    {
        self.places.push(Place { path: path.into(), what: What::Talk(Duplex::handler(talk)) });
        self
    }

    /// How long a client may be away: between negotiate and its first request, and between two long polls. Default 15 s.
    pub fn disconnect_timeout(mut self, timeout: Duration) -> Self {
        self.disconnect_timeout = Some(timeout);
        self
    }

    /// How many connections the server takes, in all and of one client. Default: no limit.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves a handler of bytes at a path, without the hub protocol: the lower layer. `options` are its own; those of
    /// the hubs' endpoints do not count.
    pub fn connections(
        mut self,
        path: impl Into<String>,
        handler: Arc<dyn ConnectionHandler>,
        options: EndpointOptions,
    ) -> Self {
        self.places.push(Place { path: path.into(), what: What::Handler(handler, options) });
        self
    }

    /// Makes this handle live when the server is built. The hub may hold a clone of it.
    pub fn handle<H: 'static>(mut self, handle: &HubHandle<H>) -> Self {
        let handle = handle.clone();
        let connect = Box::new(move |hubs: &Hubs| {
            if let Some(context) = hubs.context::<H>() {
                handle.connect(context);
            }
        });
        self.handles.push(Handle { hub: TypeId::of::<H>(), hub_name: type_name::<H>(), connect });
        self
    }

    /// Connects this server with others. Default: none, which costs nothing.
    pub fn backplane(mut self, backplane: impl Backplane + 'static) -> Self {
        self.backplane = Some(Box::new(backplane));
        self
    }

    /// Builds the server. It serves nobody until a web framework hands requests to it.
    ///
    /// Not cancel safe with a backplane: hubs that have joined already stay joined.
    ///
    /// # Errors
    /// The description is wrong, or the backplane does not take a hub.
    pub async fn build(self) -> Result<Server, BuildError> {
        check_paths(&self.places)?;
        let mut hubs = Hubs::default();
        let mut endpoints = Endpoints::builder().limits(self.limits);
        if let Some(timeout) = self.disconnect_timeout {
            if timeout.is_zero() {
                return Err(ConfigError::NoDisconnectTimeout.into());
            }
            endpoints = endpoints.disconnect_timeout(timeout);
        }
        for Place { path, what } in self.places {
            let (handler, options) = match what {
                What::Handler(handler, options) => (handler, options),
                What::Talk(handler) => (handler, self.endpoint_options.clone()),
                What::Hub(definition, adjust) => {
                    let (mut options, mut endpoint) =
                        (self.hub_options.clone(), self.endpoint_options.clone());
                    adjust(&mut options, &mut endpoint);
                    (add_hub(&mut hubs, definition, options)?.handler(), endpoint)
                }
            };
            if let Err(source) = options.check() {
                return Err(ConfigError::EndpointOption { path, source }.into());
            }
            endpoints = endpoints.endpoint(path, handler, options);
        }
        check_handles(&self.handles, &hubs)?;
        // All that can be wrong with the description has been found: from here on there are effects outside.
        if let Some(backplane) = &self.backplane {
            join(&hubs, &**backplane).await?;
        }
        for handle in self.handles {
            (handle.connect)(&hubs);
        }
        for hub in hubs.iter() {
            let manager = hub.manager().clone();
            let leaving = manager.clone();
            endpoints = endpoints.on_stopping(move || async move { leaving.caught_up().await });
            endpoints = endpoints.on_stop(move || async move { manager.leave().await });
        }
        Ok(Server::new(endpoints.build(), hubs))
    }
}

async fn join(hubs: &Hubs, backplane: &dyn Backplane) -> Result<(), BuildError> {
    for (position, hub) in hubs.iter().enumerate() {
        if let Err(source) = hub.join(backplane).await {
            for joined in hubs.iter().take(position) {
                joined.manager().leave().await;
            }
            return Err(BuildError::Backplane { hub: hub.definition().name().to_owned(), source });
        }
    }
    Ok(())
}

/// Makes the hub's endpoint; it shares the manager of an endpoint of the same type.
fn add_hub(
    hubs: &mut Hubs,
    definition: HubDefinition,
    options: HubOptions,
) -> Result<Arc<HubEndpoint>, ConfigError> {
    let name = definition.name().to_owned();
    if let Some(method) = definition.duplicate_method() {
        return Err(ConfigError::MethodTwice { hub: name, method: method.to_owned() });
    }
    if let Err(source) = options.check() {
        return Err(ConfigError::HubOption { hub: name, source });
    }
    if let Some(method) = definition.guarded_nothing() {
        return Err(ConfigError::PolicyWithoutMethod { hub: name, method: method.to_owned() });
    }
    if let Some(policy) = definition.unknown_policy(&options) {
        return Err(ConfigError::UnknownPolicy { hub: name, policy: policy.to_owned() });
    }
    // Closures have no type of their own to tell hubs apart by: their name does.
    let typed = definition.kind() != TypeId::of::<HubBuilder>();
    let same_type = hubs.iter().find(|other| typed && other.definition().kind() == definition.kind());
    if let Some(first) = same_type {
        let first_name = first.definition().name();
        if first_name != name {
            return Err(ConfigError::HubTypeTwice { first: first_name.to_owned(), second: name });
        }
        return Ok(HubEndpoint::sharing(first, definition, options));
    }
    if hubs.iter().any(|other| other.definition().name() == name) {
        return Err(ConfigError::HubNameTwice { name });
    }
    let endpoint = HubEndpoint::of(definition, options);
    hubs.add(endpoint.clone());
    Ok(endpoint)
}

fn check_paths(places: &[Place]) -> Result<(), ConfigError> {
    let mut seen = HashSet::new();
    for Place { path, .. } in places {
        if let Some(problem) = path_problem(path) {
            return Err(ConfigError::Path { path: path.clone(), problem });
        }
        if !seen.insert(path.trim_end_matches('/').to_ascii_lowercase()) {
            return Err(ConfigError::PathTwice { path: path.clone() });
        }
    }
    Ok(())
}

fn check_handles(handles: &[Handle], hubs: &Hubs) -> Result<(), ConfigError> {
    match handles.iter().find(|handle| hubs.iter().all(|hub| hub.definition().kind() != handle.hub)) {
        Some(orphan) => Err(ConfigError::HandleWithoutHub { hub: orphan.hub_name }),
        None => Ok(()),
    }
}

fn path_problem(path: &str) -> Option<&'static str> {
    let is_path_character = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte);
    if !path.starts_with('/') {
        Some("does not begin with a slash")
    } else if !path.bytes().all(is_path_character) {
        Some("has a character that a path cannot have; percent-encode it")
    } else if path.contains("//") {
        Some("has an empty part")
    } else if path.trim_end_matches('/').to_ascii_lowercase().ends_with("/negotiate") {
        Some("ends with /negotiate, which belongs to the protocol")
    } else {
        None
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("paths", &self.places.iter().map(|place| &place.path).collect::<Vec<_>>())
            .field("hub_options", &self.hub_options)
            .field("endpoint_options", &self.endpoint_options)
            .field("backplane", &self.backplane.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_checked() {
        for good in ["/", "/chat", "/Chat/", "/a/b-c.d_e~f", "/caf%C3%A9", "/negotiator"] {
            assert_eq!(path_problem(good), None, "{good}");
        }
        for bad in
            ["", "chat", "/chat?x=1", "/chat#x", "/a b", "/caf\u{e9}", "//chat", "/a//b", "/chat/Negotiate/"]
        {
            assert!(path_problem(bad).is_some(), "{bad}");
        }
    }
}
