//! Why a server cannot be built.
//!
//! Owns the errors of the builder. Each says what to change; none appears while a server runs.

use signalr_core::BackplaneError;
use signalr_hub::HubOptionError;
use signalr_transport::EndpointOptionError;

/// The result of a program's `main`, or of anything else that only reports errors. Every error converts into it.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Why [`ServerBuilder::build`](crate::ServerBuilder::build) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The description of the server is wrong: the program is to be changed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The backplane did not take a hub. Whether trying again can help says [`BackplaneError::is_transient`].
    #[error("hub {hub:?} cannot join the backplane")]
    Backplane {
        /// The hub's wire name.
        hub: String,
        /// What the backplane says.
        source: BackplaneError,
    },
}

/// What is wrong with the description of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A path that no request can have.
    #[error("path {path:?} {problem}; write it like \"/chat\"")]
    Path {
        /// As it was given.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Two endpoints at one path. Case and a slash at the end make no difference.
    #[error("path {path:?} is used twice; give each hub a path of its own")]
    PathTwice {
        /// The second of the two.
        path: String,
    },
    /// Two hub types under one name: on a backplane their messages would mix.
    #[error(
        "two hubs are called {name:?}; set another name with `#[hub(name = \"...\")]` or `HubBuilder::new`"
    )]
    HubNameTwice {
        /// The name.
        name: String,
    },
    /// One hub type under two names: its `HubContext` would have to choose.
    #[error("one hub type is called {first:?} and {second:?}; use one name, or one type for each")]
    HubTypeTwice {
        /// The name at the first path.
        first: String,
        /// The name at another path.
        second: String,
    },
    /// Two methods of a hub whose names differ by ASCII case at most. There is no overloading.
    #[error("hub {hub:?} has two methods called {method:?} when case is ignored; rename one of them")]
    MethodTwice {
        /// The hub's wire name.
        hub: String,
        /// The second of the two.
        method: String,
    },
    /// A setting of a hub that cannot work.
    #[error("the options of hub {hub:?}: {source}")]
    HubOption {
        /// The hub's wire name.
        hub: String,
        /// What is wrong.
        source: HubOptionError,
    },
    /// A policy for a method that the hub does not have.
    #[error(
        "hub {hub:?} has no method {method:?} for a policy to guard; add the method first, spelled the same"
    )]
    PolicyWithoutMethod {
        /// The hub's wire name.
        hub: String,
        /// The method's name.
        method: String,
    },
    /// A policy by a name that means nothing.
    #[error(
        "hub {hub:?} asks for the policy {policy:?}, which its options do not know; add it with `HubOptions::policy`"
    )]
    UnknownPolicy {
        /// The hub's wire name.
        hub: String,
        /// The policy's name.
        policy: String,
    },
    /// A setting of an endpoint that cannot work.
    #[error("the endpoint options of path {path:?}: {source}")]
    EndpointOption {
        /// The path.
        path: String,
        /// What is wrong.
        source: EndpointOptionError,
    },
    /// The disconnect time-out is zero: every connection would be gone before its client can use it.
    #[error("disconnect_timeout is zero; clients need some time between two requests, 15 s by default")]
    NoDisconnectTimeout,
    /// A handle for a hub that the server does not have.
    #[error("a handle is for {hub}, which is not among the hubs; add it with `.hub(path, ..)`")]
    HandleWithoutHub {
        /// The Rust type.
        hub: &'static str,
    },
}
