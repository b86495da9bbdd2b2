//! The configuration of the Redis backplane: one [`RedisOptions`], from a URL, from a StackExchange.Redis connection
//! string, or from a builder.
//!
//! ```
//! use signalr_backplane_redis::options::RedisOptions;
//! use std::time::Duration;
//!
//! let url = RedisOptions::parse("rediss://app:secret@redis.example.com/0?connectTimeout=2000")?;
//! let reference = RedisOptions::parse("redis.example.com,ssl=true,user=app,password=secret,connectTimeout=2000")?;
//! let built = RedisOptions::builder()
//!     .endpoint("redis.example.com")
//!     .ssl(true)
//!     .user("app")
//!     .password("secret")
//!     .connect_timeout(Duration::from_secs(2))
//!     .build()?;
//! assert_eq!(url.connect_to(), reference.connect_to());
//! assert_eq!(url.connect_to(), built.connect_to());
//! // The one difference: the reference's library gives up at the start when Redis is not there.
//! assert!(reference.abort_on_connect_fail() && !url.abort_on_connect_fail());
//! # Ok::<(), signalr_backplane_redis::options::RedisConfigError>(())
//! ```
//!
//! # URLs
//!
//! | form | what it means |
//! |---|---|
//! | `redis://[[user]:password@]host[:port][,host...][/database]` | one server, or several of which one is primary |
//! | `redis+sentinel://[user:password@]host[:port],.../service[/database]` | Sentinels that watch `service` |
//! | `redis-cluster://[user:password@]host[:port],...` | nodes of a Redis Cluster |
//! | `redis+unix:///path/of/redis.sock` | a Unix socket |
//!
//! `rediss` in place of `redis` encrypts. Ports are 6379, 6380 with TLS, 26379 for Sentinels, if none is given; other
//! tools take 6379 with TLS too, so write the port when in doubt. User, password and service are percent-decoded. Behind
//! `?` stand options, joined by `&`: every key of connection strings, and the names of [`RedisOptionsBuilder`]'s methods
//! in any spelling (`connect_timeout`, `connectTimeout`); times are numbers of milliseconds, or carry a unit (`500ms`,
//! `5s`, `2m`).
//!
//! # From `ConfigurationOptions`
//!
//! | StackExchange.Redis | here |
//! |---|---|
//! | `EndPoints = { "a:6380", "b:6380" }` | `.endpoints(["a:6380", "b:6380"])` |
//! | `Password`, `User` | `.password("...")`, `.user("...")` |
//! | `Ssl`, `SslHost`, `SslProtocols` | `.ssl(true)`, `.ssl_host("...")`, `.ssl_protocols(SslProtocols::TLS12)` |
//! | `CertificateSelection`, `CertificateValidation` | `.client_certificate(chain, key)`, `.certificate_validation(hook)` |
//! | `ConnectTimeout`, `SyncTimeout`, `AsyncTimeout` | the same names in snake case, as `Duration` |
//! | `ConnectRetry`, `AbortOnConnectFail`, `KeepAlive` | the same names in snake case |
//! | `new ExponentialRetry(5000, 30000)` | `ReconnectRetryPolicy::Exponential { delta, max }` |
//! | `new LinearRetry(5000)` | `ReconnectRetryPolicy::linear(delta)` |
//! | `ChannelPrefix = RedisChannel.Literal("myapp")` | `.channel_prefix("myapp")` |
//! | `DefaultDatabase`, `ClientName`, `TieBreaker`, `DefaultVersion` | the same names in snake case |
//! | `ConnectionFactory` | `.connection_factory(function)` |
//! | `ServiceName`, `CommandMap.Sentinel` | `.service_name("mymaster")`, `.command_map(CommandMap::sentinel())` |
//! | `CommandMap.Create(set, available: false)` | `CommandMap::create(set, false)?` |
//! | `new SocketManager(name, workerCount: 8)` | `.pool_size(8)` |
//! | `ConfigurationOptions.Parse(text)` and changes | `RedisOptions::parse(text)?.to_builder()` and changes |
//! | `ConnectionFailed`, `ConnectionRestored` of the multiplexer | [`RedisBackplane::events`](crate::RedisBackplane::events) |
//! | `IConnectionMultiplexer` for one's own keys | [`RedisBackplane::pool`](crate::RedisBackplane::pool) |
//! | a circuit breaker around it (3 failures, 30 s) | built in; its changes are events |
//! | `ToString(includePassword)` | `.to_connection_string(include_password)?` |
//!
//! `AllowAdmin`, `ConfigCheckSeconds`, `ConfigurationChannel`, `HighIntegrity`, `ResolveDns`, `SetClientLibrary` and
//! `TcpKeepAlive` are read from connection strings and written back, and change nothing here. `CheckCertificateRevocation`
//! is one of these, so certificates that were revoked are not found out. A proxy or a tunnel is refused.
//!
//! # What is refused
//!
//! An unknown option, a value of the wrong kind, an address that cannot exist, and settings that exclude each other: each
//! is a [`RedisConfigError`] that names the word and the fix. Connection strings are read by
//! [`ConnectionString::parse`] exactly as the library's `ConfigurationOptions.Parse` does, which drops or takes for a host
//! what it cannot read (`ssl:true`); [`RedisOptions::parse`] refuses those too, because the library would connect
//! elsewhere, or unencrypted, without a word.
//!
//! Passwords are in no error and in no `Debug` text.

mod builder;
mod command_map;
mod commands;
mod connection_string;
mod endpoint;
mod error;
mod factory;
mod outage;
mod redis_options;
mod retry;
mod secret;
mod suggest;
mod tls;
mod topology;
mod url;
mod validate;

pub use builder::RedisOptionsBuilder;
pub use command_map::CommandMap;
pub use connection_string::{ConnectionString, Proxy, RedisVersion, RespProtocol, SslProtocols};
pub use endpoint::Endpoint;
pub use error::RedisConfigError;
pub use factory::ConnectionFactory;
pub(crate) use factory::Stream;
pub use outage::OutagePolicy;
pub use redis_options::RedisOptions;
pub use retry::ReconnectRetryPolicy;
pub use secret::Secret;
pub use tls::{CertificateValidation, ServerCertificate, TlsCertificates};
pub use topology::Topology;
