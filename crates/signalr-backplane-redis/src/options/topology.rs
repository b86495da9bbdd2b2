//! How the servers of a configuration belong together.

/// What the endpoints of a configuration are. Chosen by the scheme of a URL, by a service name, or by the number of
/// endpoints; never guessed from names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Topology {
    /// One server, or one address that leads to whichever server is primary.
    Standalone,
    /// Several servers without Sentinel: the one that says it is primary is used.
    Endpoints,
    /// The endpoints are Sentinels; they know where the primary of the service is.
    Sentinel {
        /// The name under which the Sentinels watch the primary.
        service_name: String,
    },
    /// The endpoints are some nodes of a Redis Cluster.
    Cluster,
}
