//! Builds [`RedisOptions`] option by option; says of each its default, unit, cost and danger.
//!
//! Setters take what they are given; [`build`](RedisOptionsBuilder::build) checks everything, and reports the first
//! wrong word. URLs come through here too.

use super::command_map::CommandMap;
use super::connection_string::{ConnectionString, RedisVersion, RespProtocol, SslProtocols};
use super::endpoint::Endpoint;
use super::error::RedisConfigError;
use super::factory::ConnectionFactory;
use super::outage::OutagePolicy;
use super::redis_options::{Ours, RedisOptions};
use super::retry::ReconnectRetryPolicy;
use super::secret::Secret;
use super::tls::{CertificateValidation, TlsCertificates};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// The options of a Redis backplane on their way. Names are those of StackExchange.Redis' `ConfigurationOptions`, in
/// Rust's spelling; what comes from us is marked *ours*.
#[derive(Debug, Clone)]
#[must_use = "options do nothing until they are built"]
pub struct RedisOptionsBuilder {
    pub(super) library: ConnectionString,
    pub(super) ours: Ours,
    problem: Option<RedisConfigError>,
}

impl RedisOptionsBuilder {
    pub(super) fn new() -> Self {
        // Unlike the library's: a server that starts before Redis must not die of it.
        let library = ConnectionString { abort_on_connect_fail: Some(false), ..ConnectionString::default() };
        Self::from_parts(library, Ours::default())
    }

    pub(super) fn from_parts(library: ConnectionString, ours: Ours) -> Self {
        Self { library, ours, problem: None }
    }

    /// Adds a server: `host`, `host:port`, `[IPv6]:port`, or `!/path/of/a.sock`. No default; at least one is needed, and
    /// the same one twice counts once. Without a port it is 6379, 6380 with TLS, 26379 for Sentinels. Names are looked up
    /// at every attempt to connect.
    pub fn endpoint(mut self, address: &str) -> Self {
        match Endpoint::parse(address) {
            Ok(endpoint) => self.add(endpoint),
            Err(problem) => self.fail(problem),
        }
        self
    }

    /// Adds several servers.
    pub fn endpoints<'a>(self, addresses: impl IntoIterator<Item = &'a str>) -> Self {
        addresses.into_iter().fold(self, Self::endpoint)
    }

    /// Says that the endpoints are nodes of a Redis Cluster. *Ours*: the library finds out by itself. Default: they are
    /// not. In a Cluster each channel is published on the owner of its slot; excludes a service name and a database.
    pub fn cluster(mut self) -> Self {
        self.ours.cluster = true;
        self
    }

    /// Says that the endpoints are Sentinels which watch this service. Default: none. Excludes [`cluster`](Self::cluster).
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.library.service_name = Some(name.into());
        self
    }

    /// The time for one attempt to connect, TLS and authentication included. Default 5 s; at least 1 ms, rounded down to
    /// milliseconds. A short time makes a slow network look dead; a long one delays the notice of a dead server.
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.library.connect_timeout = self.milliseconds("connect_timeout", time);
        self
    }

    /// The library's time for blocking calls. Nothing blocks here: it only gives
    /// [`async_timeout`](Self::async_timeout) its default. Default 5 s; at least 1 ms.
    pub fn sync_timeout(mut self, time: Duration) -> Self {
        self.library.sync_timeout = self.milliseconds("sync_timeout", time);
        self
    }

    /// The time for one command to be answered, and for a publish to find room among those under way. Default: the sync
    /// time-out, 5 s; at least 1 ms. A publish whose time is over has an unknown outcome and is never sent again.
    pub fn async_timeout(mut self, time: Duration) -> Self {
        self.library.async_timeout = self.milliseconds("async_timeout", time);
        self
    }

    /// How often the start tries to connect before it fails, if it may fail at all
    /// ([`abort_on_connect_fail`](Self::abort_on_connect_fail)). Default 3. Later attempts have no limit.
    pub fn connect_retry(mut self, attempts: u32) -> Self {
        self.library.connect_retry = self.whole("connect_retry", attempts.into());
        self
    }

    /// The waits between attempts to come back. Default: exponential from 50 ms up to 1 s, *ours*: the library's is from
    /// half the connect time-out (2.5 s) up to 10 s. Short waits of many servers load a Redis that is just starting; long
    /// ones prolong the outage.
    pub fn reconnect_retry_policy(mut self, policy: ReconnectRetryPolicy) -> Self {
        self.ours.reconnect_retry_policy = Some(policy);
        self
    }

    /// How long a connection may be idle before a sign of life is sent over it, in whole seconds, at least 1 s. Default
    /// 60 s. Firewalls and hosted services cut connections that are idle for long (Azure: 10 minutes).
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.library.keep_alive = self.whole("keep_alive", time.as_secs().max(1));
        self
    }

    /// The database to select. Default 0. Channels are not part of any database: two fleets on one Redis need different
    /// [`channel_prefix`](Self::channel_prefix)es, not databases. Not for a Cluster.
    pub fn default_database(mut self, number: u32) -> Self {
        self.library.default_database = self.whole("default_database", number.into());
        self
    }

    /// The name shown by `CLIENT LIST`. Default: none is set. Not sent when the command map disables CLIENT.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.library.client_name = Some(name.into());
        self
    }

    /// What stands before the name of every channel, as it is, without a separator. Default: nothing. All servers of a
    /// fleet need the same one, and fleets that share a Redis need different ones: else they hear each other.
    pub fn channel_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.library.channel_prefix = Some(prefix.into());
        self
    }

    /// Whether the start fails when Redis cannot be reached. Default `false`, unlike the library (`true` but for Azure,
    /// which stays so for connection strings): the server starts, serves its own clients, and joins the fleet when Redis
    /// answers. A wrong configuration fails in any case.
    pub fn abort_on_connect_fail(mut self, abort: bool) -> Self {
        self.library.abort_on_connect_fail = Some(abort);
        self
    }

    /// The key by which the library breaks ties between primaries. Taken and written back for .NET's sake; the backplane
    /// asks servers for their `ROLE`, and never reads or writes it. Default `__Booksleeve_TieBreak`.
    pub fn tie_breaker(mut self, key: impl Into<String>) -> Self {
        self.library.tie_breaker = Some(key.into());
        self
    }

    /// Which commands the servers offer. Default: all. What is disabled is never sent; PUBLISH, SUBSCRIBE and UNSUBSCRIBE
    /// cannot be missed.
    pub fn command_map(mut self, map: CommandMap) -> Self {
        self.library.command_map = Some(map);
        self
    }

    /// The version of Redis that the library assumes before the server has said its own. Default 3.0.0 as in the library,
    /// 6.0.0 and 7.4.0 for the hosts of Azure. Taken and written back for .NET's sake: here the server is asked for what it
    /// can do, and no version is assumed.
    pub fn default_version(mut self, version: RedisVersion) -> Self {
        self.library.default_version = Some(version);
        self
    }

    /// The protocol to speak. Default: RESP3. A server that has no `HELLO`, by which RESP3 is chosen, is spoken to in RESP2
    /// whatever this says; with `Resp2`, or a command map that disables `HELLO`, that command is never sent.
    pub fn protocol(mut self, protocol: RespProtocol) -> Self {
        self.library.protocol = Some(protocol);
        self
    }

    /// Whether connections are encrypted. Default false, but true for Azure's managed Redis and for Azure's cache at port
    /// 6380. Without it everyone on the way reads the password and every message.
    pub fn ssl(mut self, encrypted: bool) -> Self {
        self.library.ssl = Some(encrypted);
        self
    }

    /// The name that the server's certificate must have. Default: the name connected to. Needed for servers that are
    /// addressed by number.
    pub fn ssl_host(mut self, host: impl Into<String>) -> Self {
        self.library.ssl_host = Some(host.into());
        self
    }

    /// The TLS versions to offer. Default: 1.2 and 1.3; there are no others.
    pub fn ssl_protocols(mut self, versions: SslProtocols) -> Self {
        self.library.ssl_protocols = Some(versions);
        self
    }

    /// The client's certificate chain and its key, both as PEM texts, for servers that ask for them (mutual TLS): the
    /// guide's `CertificateSelection`. Default: none. Needs TLS.
    pub fn client_certificate(mut self, chain: impl Into<String>, key: impl Into<Secret>) -> Self {
        self.ours.certificates.client_certificate = Some(chain.into());
        self.ours.certificates.client_key = Some(key.into());
        self
    }

    /// The roots to trust, as a PEM text, instead of the system's. Default: the system's. Needs TLS.
    pub fn certificate_authority(mut self, roots: impl Into<String>) -> Self {
        self.ours.certificates.certificate_authority = Some(roots.into());
        self
    }

    /// Judges the server's certificate after the usual check: the guide's `CertificateValidation`. Default: the usual
    /// check decides. See [`CertificateValidation`] for the danger. Needs TLS.
    pub fn certificate_validation(mut self, validation: impl CertificateValidation + 'static) -> Self {
        self.ours.certificates.validation = Some(Arc::new(validation));
        self
    }

    /// All certificates at once.
    pub fn certificates(mut self, certificates: TlsCertificates) -> Self {
        self.ours.certificates = certificates;
        self
    }

    /// Makes connections by a function of the application, in place of TCP: the guide's `ConnectionFactory`. *Ours* in
    /// its form: it returns a stream, called with the server to reach for every connection, again and again. Login, and
    /// TLS if [`ssl`](Self::ssl) is set, go over that stream; keep-alive and other options of TCP are the function's
    /// affair. Default: none.
    ///
    /// ```
    /// # use signalr_backplane_redis::options::RedisOptions;
    /// let options = RedisOptions::builder()
    ///     .endpoint("redis.example.com")
    ///     .connection_factory(|server| async move { tokio::net::TcpStream::connect(server.to_string()).await })
    ///     .build()?;
    /// # Ok::<(), signalr_backplane_redis::options::RedisConfigError>(())
    /// ```
    pub fn connection_factory<F, Fut, S>(mut self, make: F) -> Self
    where
        F: Fn(Endpoint) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.ours.connection_factory = Some(ConnectionFactory::new(make));
        self
    }

    /// The user (ACL, Redis 6) of the data servers. Default: Redis' `default`. It needs the rights to publish and
    /// subscribe on the hub's channels.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.library.user = Some(user.into());
        self
    }

    /// The password of the data servers. Default: no authentication.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.library.password = Some(password.into());
        self
    }

    /// User and password of the Sentinels, where they differ from the servers'; an empty password means none. *Ours*: the
    /// library has one pair for both, which is the default here too.
    pub fn sentinel_credentials(mut self, user: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.ours.sentinel_user = Some(user.into());
        self.ours.sentinel_password = Some(password.into());
        self
    }

    /// The most connections of the pool for occasional work; the guide's `SocketManager` with `workerCount`. Default 8.
    /// They are opened when they are needed. Publishing and subscribing have their own two.
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.ours.pool_size = connections;
        self
    }

    /// What a send does while Redis is away. *Ours*. Default: a buffer of 1 MiB and 10 s.
    pub fn outage(mut self, policy: OutagePolicy) -> Self {
        self.ours.outage = policy;
        self
    }

    /// How many bytes, as they are written, may be under way to Redis without an answer; more publishes wait. *Ours*. Default 4 MiB, which
    /// carries 100,000 small messages per second over a round trip of 80 ms. All of it has an unknown outcome when the
    /// connection breaks.
    pub fn in_flight_bytes(mut self, bytes: usize) -> Self {
        self.ours.in_flight_bytes = bytes;
        self
    }

    /// How often the subscriber publishes to itself to prove that messages arrive. *Ours*. Default 1 s; costs one tiny
    /// message per server process each time.
    pub fn probe_period(mut self, period: Duration) -> Self {
        self.ours.probe_period = period;
        self
    }

    /// How long such a proof may take before the connection is given up. *Ours*. Default 2 s, so that a hung Redis is
    /// noticed within 3.5 s. Shorter times cut connections that are only slow.
    pub fn probe_timeout(mut self, time: Duration) -> Self {
        self.ours.probe_timeout = time;
        self
    }

    /// Whether a send to one connection goes through Redis although the connection is on this server, so that it stays in
    /// order with sends to groups. *Ours*. Default `false`: it is delivered at once and may overtake them. Costs a
    /// round trip to Redis for each, and while Redis is away the [`OutagePolicy`] counts for these sends too. Without
    /// effect on questions to clients, and with [`DeliveryOrder::LocalFirst`](signalr_core::DeliveryOrder::LocalFirst).
    /// Not for a Cluster, where nothing orders different channels: connecting fails.
    pub fn ordered_direct(mut self, ordered: bool) -> Self {
        self.ours.ordered_direct = ordered;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    ///
    /// The first wrong word, or settings that exclude each other.
    pub fn build(self) -> Result<RedisOptions, RedisConfigError> {
        match self.problem {
            Some(problem) => Err(problem),
            None => RedisOptions::checked(self.library, self.ours),
        }
    }

    pub(super) fn add(&mut self, endpoint: Endpoint) {
        if !self.library.endpoints.iter().any(|other| other.is_same(&endpoint)) {
            self.library.endpoints.push(endpoint);
        }
    }

    fn fail(&mut self, problem: RedisConfigError) {
        self.problem.get_or_insert(problem);
    }

    fn milliseconds(&mut self, option: &str, time: Duration) -> Option<i32> {
        self.whole(option, u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    fn whole(&mut self, option: &str, number: u64) -> Option<i32> {
        let whole = i32::try_from(number);
        if whole.is_err() {
            self.fail(RedisConfigError::value(option, &number.to_string(), "at most 2147483647"));
        }
        whole.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::topology::Topology;
    use super::*;

    #[test]
    fn the_guides_sentinel_configuration() {
        let options = RedisOptions::builder()
            .endpoints(["sentinel1.company.com:26379", "sentinel2.company.com", "sentinel3.company.com"])
            .command_map(CommandMap::sentinel())
            .service_name("mymaster")
            .tie_breaker("")
            .password("sentinel-password")
            .ssl(true)
            .build()
            .unwrap();
        assert_eq!(options.topology(), Topology::Sentinel { service_name: "mymaster".to_owned() });
        assert!(options.connect_to().iter().all(|endpoint| endpoint.port() == Some(26379)));
        assert!(options.command_map().is_available("PUBLISH"));
        assert_eq!(options.sentinel_password(), options.password());
        assert!(!format!("{options:?}").contains("sentinel-password"));
    }

    #[test]
    fn the_first_wrong_word_is_reported() {
        let error = RedisOptions::builder().endpoint("a b").endpoint("localhost:port").build().unwrap_err();
        assert!(error.to_string().contains("`a b`"), "{error}");
        let error = RedisOptions::builder().endpoint("a").connect_timeout(Duration::MAX).build().unwrap_err();
        assert!(error.to_string().contains("connect_timeout"), "{error}");
        assert_eq!(RedisOptions::builder().build().unwrap_err(), RedisConfigError::NoEndpoint);
    }

    #[test]
    fn sentinels_may_have_their_own_password() {
        let build = |password: &str| {
            let builder =
                RedisOptions::builder().endpoint("s1").service_name("m").user("app").password("one");
            builder.sentinel_credentials("", password).build().unwrap()
        };
        assert_eq!(build("two").sentinel_password().unwrap().expose(), "two");
        assert_eq!(build("two").sentinel_user(), None);
        assert_eq!(build("").sentinel_password(), None);
        assert_eq!(build("two").password().unwrap().expose(), "one");
    }
}
