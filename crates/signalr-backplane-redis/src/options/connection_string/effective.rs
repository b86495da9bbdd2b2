//! What the library makes of a connection string where that is silent: its defaults, and those that it keeps for the
//! hosts of Azure.

use super::ConnectionString;
use super::values::{Proxy, RedisVersion, RespProtocol};
use crate::options::command_map::CommandMap;
use crate::options::endpoint::Endpoint;
use crate::options::error::RedisConfigError;
use crate::options::retry::ReconnectRetryPolicy;
use std::time::Duration;

/// The services whose defaults differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Provider {
    Other,
    AzureCache,
    AzureManaged,
}

const AZURE_CACHE: [&str; 3] =
    [".redis.cache.windows.net", ".redis.cache.chinacloudapi.cn", ".redis.cache.usgovcloudapi.net"];

const AZURE_MANAGED: [&str; 6] = [
    ".redis.azure.net",
    ".redis.chinacloudapi.cn",
    ".redis.usgovcloudapi.net",
    ".redis.sovcloud-api.de",
    ".redis.sovcloud-api.fr",
    ".redisenterprise.cache.azure.net",
];

impl ConnectionString {
    /// Whether starting fails when no server answers. True, but false for Azure.
    pub fn effective_abort_on_connect_fail(&self) -> bool {
        self.abort_on_connect_fail.unwrap_or_else(|| self.provider() == Provider::Other)
    }

    /// The time for a synchronous call, in milliseconds. 5,000.
    pub fn effective_sync_timeout(&self) -> i32 {
        self.sync_timeout.unwrap_or(5_000)
    }

    /// The time for an asynchronous call, in milliseconds. That of synchronous calls.
    pub fn effective_async_timeout(&self) -> i32 {
        self.async_timeout.unwrap_or_else(|| self.effective_sync_timeout())
    }

    /// The time to connect, in milliseconds. 5,000.
    pub fn effective_connect_timeout(&self) -> i32 {
        self.connect_timeout.unwrap_or(5_000)
    }

    /// The policy that follows from the connect time-out; `None` when that is less than -1, where
    /// the library throws.
    pub fn effective_reconnect_retry_policy(&self) -> Option<ReconnectRetryPolicy> {
        let half = u64::try_from(self.effective_connect_timeout() / 2).ok()?;
        Some(ReconnectRetryPolicy::exponential(Duration::from_millis(half)))
    }

    /// Whether connections are encrypted. False, but true for Azure: managed always, and others at port 6380.
    pub fn effective_ssl(&self) -> bool {
        self.ssl.unwrap_or_else(|| match self.provider() {
            Provider::AzureManaged => true,
            Provider::AzureCache => self.endpoints.iter().any(|endpoint| endpoint.port() == Some(6380)),
            Provider::Other => false,
        })
    }

    /// The name that the server's certificate must have: the one name among the endpoints, `None` when there is not
    /// exactly one.
    pub fn effective_ssl_host(&self) -> Option<&str> {
        if let Some(host) = &self.ssl_host {
            return Some(host);
        }
        let mut names = self.endpoints.iter().filter_map(|endpoint| match endpoint {
            Endpoint::Name { host, .. } => Some(host.as_str()),
            _ => None,
        });
        let first = names.next()?;
        names.all(|other| other == first).then_some(first)
    }

    /// The version that is assumed before a server has said its own. 3.0.0, and more for Azure.
    pub fn effective_version(&self) -> RedisVersion {
        self.default_version.unwrap_or_else(|| match self.provider() {
            Provider::Other => RedisVersion::new(3, 0, 0),
            Provider::AzureCache => RedisVersion::new(6, 0, 0),
            Provider::AzureManaged => RedisVersion::new(7, 4, 0),
        })
    }

    /// The protocol to speak; `None` leaves the choice open.
    pub fn effective_protocol(&self) -> Option<RespProtocol> {
        self.protocol.or_else(|| (self.provider() == Provider::AzureManaged).then_some(RespProtocol::Resp3))
    }

    /// The library's channel for changes of its configuration; empty for none. The backplane does not use it.
    pub fn effective_configuration_channel(&self) -> &str {
        match (&self.configuration_channel, self.provider()) {
            (Some(channel), _) => channel,
            (None, Provider::AzureManaged) => "",
            (None, _) => "__Booksleeve_MasterChanged",
        }
    }

    /// The key by which the library breaks ties between primaries. The backplane asks the servers for their role instead.
    pub fn effective_tie_breaker(&self) -> &str {
        self.tie_breaker.as_deref().unwrap_or("__Booksleeve_TieBreak")
    }

    /// The commands that the servers offer: as given, else as the proxy has them.
    pub fn effective_command_map(&self) -> CommandMap {
        match (&self.command_map, self.proxy) {
            (Some(map), _) => map.clone(),
            (None, Some(Proxy::Twemproxy)) => CommandMap::twemproxy(),
            (None, Some(Proxy::Envoyproxy)) => CommandMap::envoyproxy(),
            (None, _) => CommandMap::default(),
        }
    }

    /// The endpoints with the ports that are connected to: 26379 for Sentinels, 6380 with TLS, else 6379.
    ///
    /// # Errors
    ///
    /// Two endpoints that are the same then.
    pub fn connect_to(&self) -> Result<Vec<Endpoint>, RedisConfigError> {
        let sentinel = self.service_name.as_deref().is_some_and(|name| !name.is_empty());
        let port = if sentinel {
            26379
        } else if self.effective_ssl() {
            6380
        } else {
            6379
        };
        let mut all: Vec<Endpoint> = Vec::new();
        for endpoint in &self.endpoints {
            let endpoint = endpoint.clone().with_default_port(port);
            if all.iter().any(|other| other.is_same(&endpoint)) {
                return Err(RedisConfigError::impossible(
                    format!("`{endpoint}` is named twice"),
                    "name each server once; a host without a port has the default port",
                ));
            }
            all.push(endpoint);
        }
        Ok(all)
    }

    fn provider(&self) -> Provider {
        let any = |domains: &[&str]| {
            self.endpoints.iter().any(|endpoint| match endpoint {
                Endpoint::Name { host, .. } => {
                    let host = host.to_lowercase();
                    domains.iter().any(|domain| host.ends_with(domain))
                }
                _ => false,
            })
        };
        if any(&AZURE_CACHE) {
            Provider::AzureCache
        } else if any(&AZURE_MANAGED) {
            Provider::AzureManaged
        } else {
            Provider::Other
        }
    }
}
