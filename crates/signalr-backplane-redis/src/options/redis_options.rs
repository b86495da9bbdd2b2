//! [`RedisOptions`]: the settings of a backplane after they were checked, as the dialler reads them.
//!
//! Made by the builder, from a URL or from a connection string; never changes afterwards. What each option costs stands
//! at its setter in `builder.rs`.

use super::builder::RedisOptionsBuilder;
use super::command_map::CommandMap;
use super::connection_string::{ConnectionString, RedisVersion, RespProtocol, SslProtocols};
use super::endpoint::Endpoint;
use super::error::RedisConfigError;
use super::factory::ConnectionFactory;
use super::outage::OutagePolicy;
use super::retry::ReconnectRetryPolicy;
use super::secret::Secret;
use super::tls::TlsCertificates;
use super::topology::Topology;
use super::{url, validate};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How to reach Redis, and what to do while it is away. The defaults are the reference's library's, unless the setter in
/// [`RedisOptionsBuilder`] says otherwise.
///
/// `Debug` and [`to_connection_string`](Self::to_connection_string)`(false)` show no password.
#[derive(Clone)]
pub struct RedisOptions {
    pub(super) library: ConnectionString,
    pub(super) connect_to: Vec<Endpoint>,
    pub(super) ours: Ours,
}

/// The options that connection strings do not have.
#[derive(Debug, Clone)]
pub(crate) struct Ours {
    pub(crate) cluster: bool,
    pub(crate) reconnect_retry_policy: Option<ReconnectRetryPolicy>,
    pub(crate) certificates: TlsCertificates,
    pub(crate) connection_factory: Option<ConnectionFactory>,
    pub(crate) sentinel_user: Option<String>,
    pub(crate) sentinel_password: Option<Secret>,
    pub(crate) pool_size: usize,
    pub(crate) outage: OutagePolicy,
    pub(crate) in_flight_bytes: usize,
    pub(crate) probe_period: Duration,
    pub(crate) probe_timeout: Duration,
    pub(crate) ordered_direct: bool,
}

impl Default for Ours {
    fn default() -> Self {
        Self {
            cluster: false,
            reconnect_retry_policy: None,
            certificates: TlsCertificates::default(),
            connection_factory: None,
            sentinel_user: None,
            sentinel_password: None,
            pool_size: 8,
            outage: OutagePolicy::default(),
            in_flight_bytes: 4 * 1024 * 1024,
            probe_period: Duration::from_secs(1),
            probe_timeout: Duration::from_secs(2),
            ordered_direct: false,
        }
    }
}

impl RedisOptions {
    /// Starts with the defaults and no server.
    pub fn builder() -> RedisOptionsBuilder {
        RedisOptionsBuilder::new()
    }

    /// Reads a URL (anything that begins with `letters://`) or a StackExchange.Redis connection string.
    ///
    /// # Errors
    ///
    /// A [`RedisConfigError`] that names the word and the fix.
    pub fn parse(text: &str) -> Result<Self, RedisConfigError> {
        if url::is_url(text) {
            return Self::from_url(text);
        }
        Self::from_connection_string(ConnectionString::parse(text)?)
    }

    /// Reads a URL of one of the forms that the [module](super) lists.
    ///
    /// # Errors
    ///
    /// A [`RedisConfigError`] that names the word and the fix.
    pub fn from_url(text: &str) -> Result<Self, RedisConfigError> {
        url::parse(text)?.build()
    }

    /// Checks what a connection string says, and takes it.
    ///
    /// # Errors
    ///
    /// Where the library would fail to connect, or would connect to something else than was meant.
    pub fn from_connection_string(text: ConnectionString) -> Result<Self, RedisConfigError> {
        Self::checked(text, Ours::default())
    }

    /// The same options on their way again, for example to set in code what a connection string leaves open.
    ///
    /// ```
    /// # use signalr_backplane_redis::options::RedisOptions;
    /// let options = RedisOptions::parse("redis.example.com,ssl=true")?.to_builder().channel_prefix("myapp").build()?;
    /// assert_eq!(options.channel_prefix(), Some("myapp"));
    /// # Ok::<(), signalr_backplane_redis::options::RedisConfigError>(())
    /// ```
    pub fn to_builder(&self) -> RedisOptionsBuilder {
        RedisOptionsBuilder::from_parts(self.library.clone(), self.ours.clone())
    }

    pub(super) fn checked(library: ConnectionString, ours: Ours) -> Result<Self, RedisConfigError> {
        validate::check(&library, &ours)?;
        let connect_to = library.connect_to()?;
        Ok(Self { library, connect_to, ours })
    }

    /// The servers as they were given.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.library.endpoints
    }

    /// The servers with the ports to connect to; never empty. For Sentinel these are the Sentinels, for Cluster the nodes
    /// to ask first.
    pub fn connect_to(&self) -> &[Endpoint] {
        &self.connect_to
    }

    /// How the servers belong together.
    pub fn topology(&self) -> Topology {
        match self.service_name() {
            _ if self.ours.cluster => Topology::Cluster,
            Some(name) => Topology::Sentinel { service_name: name.to_owned() },
            None if self.connect_to.len() > 1 => Topology::Endpoints,
            None => Topology::Standalone,
        }
    }

    /// The time for one attempt to connect, TLS and authentication included.
    pub fn connect_timeout(&self) -> Duration {
        milliseconds(self.library.effective_connect_timeout())
    }

    /// The reference's time for blocking calls; only the default of [`async_timeout`](Self::async_timeout) here.
    pub fn sync_timeout(&self) -> Duration {
        milliseconds(self.library.effective_sync_timeout())
    }

    /// The time for one command, and for a publish to find room.
    pub fn async_timeout(&self) -> Duration {
        milliseconds(self.library.effective_async_timeout())
    }

    /// How often the start tries before it fails, if [`abort_on_connect_fail`](Self::abort_on_connect_fail).
    pub fn connect_retry(&self) -> u32 {
        u32::try_from(self.library.connect_retry.unwrap_or(3)).unwrap_or(0)
    }

    /// The waits between attempts.
    pub fn reconnect_retry_policy(&self) -> ReconnectRetryPolicy {
        self.ours.reconnect_retry_policy.unwrap_or_default()
    }

    /// The waits between attempts, when they were chosen.
    pub(crate) fn chosen_retry_policy(&self) -> Option<ReconnectRetryPolicy> {
        self.ours.reconnect_retry_policy
    }

    /// How long a connection may be idle before it is used for a sign of life.
    pub fn keep_alive(&self) -> Duration {
        let seconds = self.library.keep_alive.and_then(|seconds| u64::try_from(seconds).ok());
        Duration::from_secs(seconds.filter(|seconds| *seconds > 0).unwrap_or(60))
    }

    /// The database to select, 0 if none was given. Publish and subscribe do not care.
    pub fn default_database(&self) -> u32 {
        self.library.default_database.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
    }

    /// The name shown by `CLIENT LIST`.
    pub fn client_name(&self) -> Option<&str> {
        self.library.client_name.as_deref().filter(|name| !name.is_empty())
    }

    /// What stands before the name of every channel.
    pub fn channel_prefix(&self) -> Option<&str> {
        self.library.channel_prefix.as_deref().filter(|prefix| !prefix.is_empty())
    }

    /// Whether the start fails when Redis cannot be reached.
    pub fn abort_on_connect_fail(&self) -> bool {
        self.library.effective_abort_on_connect_fail()
    }

    /// The name under which Sentinels watch the primary.
    pub fn service_name(&self) -> Option<&str> {
        self.library.service_name.as_deref().map(str::trim).filter(|name| !name.is_empty())
    }

    /// The reference's key to break ties between primaries; never read or written here.
    pub fn tie_breaker(&self) -> &str {
        self.library.effective_tie_breaker()
    }

    /// The commands of the data servers. With a service name, a map equal to [`CommandMap::sentinel`] describes the
    /// Sentinels and not the servers, which then have all commands.
    pub fn command_map(&self) -> CommandMap {
        let map = self.library.effective_command_map();
        if self.service_name().is_some() && map == CommandMap::sentinel() {
            CommandMap::default()
        } else {
            map
        }
    }

    /// The version to assume before a server has said its own.
    pub fn default_version(&self) -> RedisVersion {
        self.library.effective_version()
    }

    /// The protocol that was asked for; `None` leaves the choice to the backplane.
    pub fn protocol(&self) -> Option<RespProtocol> {
        self.library.effective_protocol()
    }

    /// Whether connections are encrypted.
    pub fn ssl(&self) -> bool {
        self.library.effective_ssl()
    }

    /// The name that certificates must have; `None`: that of the server connected to. Inferred as the library does when
    /// there is one name among the endpoints, but never from a Sentinel's, which is not the server.
    pub fn ssl_host(&self) -> Option<&str> {
        let host = match self.service_name() {
            Some(_) => self.library.ssl_host.as_deref(),
            None => self.library.effective_ssl_host(),
        };
        host.filter(|host| !host.is_empty())
    }

    /// The TLS versions to offer: 1.2, 1.3 or both.
    pub fn ssl_protocols(&self) -> SslProtocols {
        let both = SslProtocols::TLS12.and(SslProtocols::TLS13);
        let asked = self.library.ssl_protocols.unwrap_or(SslProtocols::NONE);
        if asked == SslProtocols::NONE { both } else { SslProtocols(asked.0 & both.0) }
    }

    /// The certificates of encrypted connections.
    pub fn certificates(&self) -> &TlsCertificates {
        &self.ours.certificates
    }

    /// The application's own way to make connections; `None`: TCP, or a Unix socket.
    pub fn connection_factory(&self) -> Option<&ConnectionFactory> {
        self.ours.connection_factory.as_ref()
    }

    /// The user of the data servers; `None` is Redis' `default`.
    pub fn user(&self) -> Option<&str> {
        self.library.user.as_deref().filter(|user| !user.is_empty())
    }

    /// The password of the data servers; `None`: no authentication.
    pub fn password(&self) -> Option<&Secret> {
        self.library.password.as_ref().filter(|password| !password.is_empty())
    }

    /// The user of the Sentinels: as given, else that of the servers, as the reference's library has it.
    pub fn sentinel_user(&self) -> Option<&str> {
        match &self.ours.sentinel_password {
            Some(_) => self.ours.sentinel_user.as_deref().filter(|user| !user.is_empty()),
            None => self.user(),
        }
    }

    /// The password of the Sentinels: as given, else that of the servers, as the reference's library has it. An empty one
    /// was given to mean none.
    pub fn sentinel_password(&self) -> Option<&Secret> {
        match &self.ours.sentinel_password {
            Some(password) => Some(password).filter(|password| !password.is_empty()),
            None => self.password(),
        }
    }

    /// The most connections of [`RedisBackplane::pool`](crate), which publishing does not use.
    pub fn pool_size(&self) -> usize {
        self.ours.pool_size
    }

    /// What a send does while Redis is away.
    pub fn outage(&self) -> OutagePolicy {
        self.ours.outage
    }

    /// How many bytes may be under way to Redis without an answer.
    pub fn in_flight_bytes(&self) -> usize {
        self.ours.in_flight_bytes
    }

    /// How often the subscriber proves that messages arrive.
    pub fn probe_period(&self) -> Duration {
        self.ours.probe_period
    }

    /// How long the proof may take before the connection is given up.
    pub fn probe_timeout(&self) -> Duration {
        self.ours.probe_timeout
    }

    /// Whether sends to one connection of this server also go through Redis, in one order with all others.
    pub fn ordered_direct(&self) -> bool {
        self.ours.ordered_direct
    }

    /// The connection string that StackExchange.Redis would write for the options that it has; what it lacks (Cluster,
    /// certificates, the outage options and so on) is left out. Without the password `*****` stands in its place.
    ///
    /// # Errors
    ///
    /// [`RedisConfigError::NotWritable`] when a value contains what separates options.
    pub fn to_connection_string(&self, include_password: bool) -> Result<String, RedisConfigError> {
        validate::check_writable(&self.library, include_password)?;
        Ok(self.library.to_text(include_password))
    }
}

impl FromStr for RedisOptions {
    type Err = RedisConfigError;

    fn from_str(text: &str) -> Result<Self, RedisConfigError> {
        Self::parse(text)
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { library, connect_to: _, ours } = self;
        f.debug_struct("RedisOptions").field("library", library).field("ours", ours).finish()
    }
}

fn milliseconds(number: i32) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}
