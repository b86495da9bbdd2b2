//! What the engine needs to know, out of the options that users write.
//!
//! Owns the choice of what this version can do: a topology or an option that it cannot honour is refused here, never
//! ignored. Parsing and checking of single options is done in `options`.

use crate::options::{
    CommandMap, Endpoint, OutagePolicy, ReconnectRetryPolicy, RedisOptions, RespProtocol, Secret, Topology,
};
use crate::transport::{Transport, place};
use redis::{ProtocolVersion, RedisConnectionInfo};
use signalr_core::{BackplaneError, BackplaneErrorKind};
use std::fmt;
use std::time::Duration;

/// The waits between attempts when none were chosen: a Redis that is back is found within about a second.
const RETRY: ReconnectRetryPolicy =
    ReconnectRetryPolicy::Exponential { delta: Duration::from_millis(50), max: Duration::from_secs(1) };

#[derive(Clone)]
pub(crate) struct Settings {
    /// The server to dial; which of several that is, `route` decides.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) transport: Transport,
    /// Some nodes of the Redis Cluster, if it is one; the first is `host` and `port`.
    pub(crate) cluster: Option<Vec<(String, u16)>>,
    pub(crate) topology: Topology,
    /// All servers of the configuration; for Sentinel these are the Sentinels.
    pub(crate) endpoints: Vec<Address>,
    /// With `HELLO`.
    pub(crate) login: RedisConnectionInfo,
    /// Whether `HELLO` may be sent; else, and to servers that do not know it, [`login_without_hello`](Self::login_without_hello).
    pub(crate) hello: bool,
    sentinel_login: RedisConnectionInfo,
    pub(crate) client_name: Option<String>,
    pub(crate) prefix: String,
    pub(crate) commands: Commands,
    pub(crate) connect_timeout: Duration,
    pub(crate) connect_retry: u32,
    pub(crate) retry: ReconnectRetryPolicy,
    /// How long a publish may wait for room, and a subscription for its confirmation.
    pub(crate) request_timeout: Duration,
    pub(crate) probe_period: Duration,
    pub(crate) probe_timeout: Duration,
    pub(crate) abort_on_connect_fail: bool,
    pub(crate) outage: OutagePolicy,
    pub(crate) ordered_direct: bool,
    pub(crate) in_flight_bytes: usize,
    pub(crate) pool_size: usize,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// What the commands are called on this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commands {
    pub(crate) publish: String,
    /// Whether there is `AUTH`, by this name.
    pub(crate) auth: bool,
    /// `None`: disabled, nobody can be counted.
    pub(crate) pubsub: Option<String>,
    pub(crate) ping: Option<String>,
    pub(crate) unwatch: Option<String>,
    pub(crate) cluster: String,
    /// `None`: disabled, a slot that is on its way cannot be followed.
    pub(crate) asking: Option<String>,
    /// `None`: disabled, nobody can be asked whether it is primary.
    pub(crate) role: Option<String>,
}

impl Settings {
    pub(crate) fn new(options: &RedisOptions) -> Result<Self, BackplaneError> {
        if options.ordered_direct() && matches!(options.topology(), Topology::Cluster) {
            return Err(unordered());
        }
        let map = options.command_map();
        let endpoints = endpoints(options, &map)?;
        let Address { host, port } = endpoints[0].clone();
        let named = options.client_name().filter(|_| map.get("CLIENT") == Some("CLIENT"));
        Ok(Self {
            host,
            port,
            transport: Transport::new(options)?,
            cluster: (options.topology() == Topology::Cluster)
                .then(|| endpoints.iter().map(|address| (address.host.clone(), address.port)).collect()),
            topology: options.topology(),
            endpoints,
            login: login(options, &map)?,
            hello: map.get("HELLO") == Some("HELLO") && options.protocol() != Some(RespProtocol::Resp2),
            sentinel_login: sentinel_login(options),
            client_name: named.map(str::to_owned),
            prefix: options.channel_prefix().unwrap_or_default().to_owned(),
            commands: commands(&map)?,
            connect_timeout: options.connect_timeout(),
            connect_retry: options.connect_retry(),
            retry: options.chosen_retry_policy().unwrap_or(RETRY),
            request_timeout: options.async_timeout(),
            probe_period: options.probe_period(),
            probe_timeout: options.probe_timeout(),
            abort_on_connect_fail: options.abort_on_connect_fail(),
            outage: options.outage(),
            ordered_direct: options.ordered_direct(),
            in_flight_bytes: options.in_flight_bytes(),
            pool_size: options.pool_size(),
        })
    }

    /// The same for another server.
    pub(crate) fn at(&self, host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, ..self.clone() }
    }

    /// The settings for Sentinels: other users, and no database.
    pub(crate) fn for_sentinels(&self) -> Self {
        Self { login: self.sentinel_login.clone(), ..self.clone() }
    }

    /// The login of a server that has no `HELLO`.
    ///
    /// # Errors
    /// It would need a command that may not be sent.
    pub(crate) fn login_without_hello(&self) -> Result<RedisConnectionInfo, BackplaneError> {
        if self.login.password().is_some() && !self.commands.auth {
            let text = format!(
                "Redis at {} has no HELLO, and the command map disables or renames AUTH; allow one of them",
                place(&self.host, self.port)
            );
            return Err(BackplaneError::new(BackplaneErrorKind::Config, text));
        }
        Ok(self.login.clone().set_protocol(ProtocolVersion::RESP2))
    }

    /// Whether joins, subscriptions and new connections are accepted while Redis is away.
    pub(crate) fn accepts_pending(&self) -> bool {
        !matches!(self.outage, OutagePolicy::Fail)
    }
}

/// The servers of the configuration; at least one.
fn endpoints(options: &RedisOptions, map: &CommandMap) -> Result<Vec<Address>, BackplaneError> {
    match options.topology() {
        Topology::Standalone | Topology::Sentinel { .. } | Topology::Cluster => {}
        Topology::Endpoints if map.is_available("ROLE") => {}
        Topology::Endpoints => {
            let text = "the command map disables ROLE, without which the primary among several endpoints cannot be \
                        found; allow it, or name the primary alone";
            return Err(BackplaneError::new(BackplaneErrorKind::Config, text));
        }
    }
    let endpoints: Vec<Address> = options.connect_to().iter().map(address).collect();
    if endpoints.is_empty() {
        return Err(not_yet("a configuration without a server", "write redis://HOST:PORT"));
    }
    Ok(endpoints)
}

fn address(endpoint: &Endpoint) -> Address {
    let port = match endpoint {
        Endpoint::Unix(_) => 0,
        Endpoint::Name { .. } | Endpoint::Address { .. } => endpoint.port().unwrap_or(6379),
    };
    Address { host: endpoint.host(), port }
}

fn sentinel_login(options: &RedisOptions) -> RedisConnectionInfo {
    let password = options.sentinel_password().map(Secret::expose);
    with_user(plain_login(), options.sentinel_user(), password)
}

fn plain_login() -> RedisConnectionInfo {
    RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name()
}

fn with_user(
    mut login: RedisConnectionInfo,
    user: Option<&str>,
    password: Option<&str>,
) -> RedisConnectionInfo {
    if let Some(user) = user {
        login = login.set_username(user);
    }
    if let Some(password) = password {
        login = login.set_password(password);
    }
    login
}

fn login(options: &RedisOptions, map: &CommandMap) -> Result<RedisConnectionInfo, BackplaneError> {
    if options.default_database() != 0 && map.get("SELECT") != Some("SELECT") {
        let text = "the command map disables or renames SELECT, without which the default database cannot be chosen; \
                    allow it, or take database 0";
        return Err(BackplaneError::new(BackplaneErrorKind::Config, text));
    }
    let login = plain_login().set_db(options.default_database().into());
    Ok(with_user(login, options.user(), options.password().map(Secret::expose)))
}

fn commands(map: &CommandMap) -> Result<Commands, BackplaneError> {
    if ["SUBSCRIBE", "UNSUBSCRIBE"].iter().any(|command| map.get(command) != Some(*command)) {
        return Err(not_yet("a renamed SUBSCRIBE or UNSUBSCRIBE", "leave them out of the command map"));
    }
    let Some(publish) = map.get("PUBLISH") else {
        let text = "the command map disables PUBLISH, without which nothing can be sent; allow it";
        return Err(BackplaneError::new(BackplaneErrorKind::Config, text));
    };
    let allowed = |command| map.get(command).map(str::to_owned);
    Ok(Commands {
        publish: publish.to_owned(),
        auth: map.get("AUTH") == Some("AUTH"),
        pubsub: allowed("PUBSUB"),
        ping: allowed("PING"),
        unwatch: allowed("UNWATCH"),
        cluster: map.get("CLUSTER").unwrap_or("CLUSTER").to_owned(),
        asking: allowed("ASKING"),
        role: allowed("ROLE"),
    })
}

/// Channels of a Cluster are in different places, and nothing orders those.
fn unordered() -> BackplaneError {
    let text = "the option ordered_direct needs one order for all channels, which a Redis Cluster does not have; leave \
                it out or use a single Redis";
    BackplaneError::new(BackplaneErrorKind::Config, text)
}

fn not_yet(what: &str, instead: &str) -> BackplaneError {
    let text = format!("{what} is not supported by this version of the Redis backplane; {instead}");
    BackplaneError::new(BackplaneErrorKind::Config, text)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Settings {
    /// Without the login: of it nothing but the database is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("database", &self.login.db())
            .field("prefix", &self.prefix)
            .field("outage", &self.outage)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, BackplaneError> {
        Settings::new(&RedisOptions::parse(text).unwrap())
    }

    #[test]
    fn what_this_version_cannot_do_is_refused_with_a_way_out() {
        for text in ["localhost,$UNSUBSCRIBE=other", "localhost,$SUBSCRIBE=other"] {
            let error = settings(text).expect_err(text);
            assert_eq!(error.kind(), BackplaneErrorKind::Config, "{text}");
            assert!(error.to_string().contains("is not supported by this version"), "{error}");
        }
    }

    #[test]
    fn a_cluster_cannot_order_direct_sends() {
        let error = settings("redis-cluster://a,b?ordered_direct=true").unwrap_err();
        assert_eq!(error.kind(), BackplaneErrorKind::Config);
        assert!(error.to_string().contains("does not have; leave it out"), "{error}");
        assert!(settings("redis://a?ordered_direct=true").unwrap().ordered_direct);
    }

    #[test]
    fn sentinels_have_a_login_of_their_own() {
        let settings = settings("redis+sentinel://me:secret@a,b:7000/mymaster/3").unwrap();
        let ports: Vec<u16> = settings.endpoints.iter().map(|address| address.port).collect();
        assert_eq!(ports, [26379, 7000]);
        let sentinels = settings.for_sentinels();
        assert_eq!((settings.login.db(), sentinels.login.db()), (3, 0));
        assert_eq!(sentinels.login.username(), Some("me"));
        let map = crate::options::CommandMap::default().disable("ROLE").unwrap();
        let options = RedisOptions::builder().endpoints(["a", "b"]).command_map(map).build().unwrap();
        let error = Settings::new(&options).unwrap_err();
        assert!(error.to_string().contains("ROLE"), "{error}");
    }

    #[test]
    fn options_reach_the_engine() {
        let settings = settings("redis://me:secret@example.org:7000/3?channelPrefix=x&name=me").unwrap();
        assert_eq!((settings.host.as_str(), settings.port), ("example.org", 7000));
        assert_eq!((settings.login.db(), settings.login.username()), (3, Some("me")));
        assert_eq!((settings.prefix.as_str(), settings.client_name.as_deref()), ("x", Some("me")));
        assert_eq!(settings.retry, RETRY);
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
