//! SignalR servers: real-time hubs that every stock SignalR client can talk to.
//!
//! This crate gathers the layers below it under one name; `use signalr::prelude::*;` is all that most programs need.
//!
//! # Hubs
//!
//! A hub is an `impl` block. Clients call its methods, and its methods call clients:
//!
//! ```
//! use signalr::prelude::*;
//!
//! struct Chat;
//!
//! #[hub]
//! impl Chat {
//!     async fn send_message(&self, cx: &Context, user: String, text: String) -> HubResult<()> {
//!         cx.clients().all().send("ReceiveMessage", (user, text)).await
//!     }
//!
//!     async fn on_connected(&self, cx: &Context) -> HubResult<()> {
//!         cx.groups().add("lobby").await
//!     }
//! }
//! ```
//!
//! # Servers
//!
//! ```no_run
//! # use signalr::prelude::*;
//! # struct Chat;
//! # #[hub]
//! # impl Chat {}
//! #[tokio::main]
//! async fn main() -> signalr::Result<()> {
//!     let server = SignalR::builder().hub("/chat", Chat).build().await?;
//!     signalr::warp::serve(server, ([127, 0, 0, 1], 5000)).await
//! }
//! ```
//!
//! [`SignalR::builder`] checks the whole description before anything listens. To serve beside routes of your own use
//! `signalr::warp::Serving::with_routes`, or mount `server.routes()` as a filter. Outside of hub methods send through
//! [`Server::context`], or through a [`HubHandle`] that the hub holds.
//!
//! [`ClientStream`] is a stream that a client sends to a method; a method that returns a stream sends one to its caller.
//!
//! [`HubFilter`]s run around the calls of a hub, or of all: `options.filter(..)`.
//!
//! The page of [`macro@hub`] says what a method may look like, [`macro@hub_client`] gives the client's methods types,
//! and [`HubBuilder`] makes hubs without a macro.
//!
//! # Users
//!
//! An endpoint's `authenticate` hook says who makes a request, and is asked for every one of them; `authorize` on a hub
//! or a method says who may:
//!
//! ```
//! use signalr::prelude::*;
//! use signalr::{Denied, EndpointOptions, RequestHead, User, bearer_token};
//!
//! async fn who(request: RequestHead) -> Result<Option<User>, Denied> {
//!     let Some(token) = bearer_token(&request) else { return Ok(None) };
//!     // Look the token up here: its user, its claims, its end. `Err(Denied::unauthorized())` is status 401.
//!     Ok((token == "secret").then(|| User::with_id("ann")))
//! }
//!
//! fn moderators(caller: &Caller<'_>) -> bool {
//!     caller.has_claim("role", "moderator")
//! }
//!
//! struct Chat;
//!
//! #[hub(authorize)]
//! impl Chat {
//!     #[hub_method(authorize = moderators)]
//!     async fn ban(&self, cx: &Context, user: String) -> HubResult<()> {
//!         cx.clients().user(user).send("Banned", ()).await
//!     }
//! }
//!
//! # fn example() -> signalr::ServerBuilder {
//! let endpoint = EndpointOptions::new().authenticate(who).close_on_authentication_expiration(true);
//! SignalR::builder().endpoint_options(endpoint).hub("/chat", Chat)
//! # }
//! ```
//!
//! # Several servers
//!
//! One line makes one server of many: `.backplane(..)`. With the feature `redis` they meet at a Redis, ours and ASP.NET
//! Core's together; all of a hub's fleet give it the same name, which beside ASP.NET Core is the .NET type's full name:
//!
//! ```no_run
//! # #[cfg(all(feature = "redis", feature = "warp", feature = "macros"))]
//! # mod example {
//! use signalr::prelude::*;
//! use signalr::redis::{RedisBackplane, RedisEvent, RedisOptions, deadpool_redis::redis};
//!
//! struct Chat;
//!
//! #[hub(name = "App.ChatHub")]
//! impl Chat {
//!     async fn say(&self, cx: &Context, text: String) -> HubResult<()> {
//!         cx.clients().all().send("Said", (text,)).await
//!     }
//! }
//!
//! async fn serve() -> signalr::Result<()> {
//!     // A URL, or the connection string of a .NET server. `RedisBackplane::connect(text)` takes it as it is.
//!     let options = RedisOptions::parse("rediss://app:secret@redis.example.com:6380")?
//!         .to_builder()
//!         .certificate_authority(std::fs::read_to_string("our-ca.pem")?)
//!         .channel_prefix("chat:")
//!         .pool_size(4)
//!         .build()?;
//!     let backplane = RedisBackplane::new(options).await?;
//!
//!     let mut events = backplane.events();
//!     tokio::spawn(async move {
//!         while let Some(event) = events.next().await {
//!             match event {
//!                 RedisEvent::Restored { dropped, unknown, .. } => println!("lost {dropped}, perhaps {unknown} more"),
//!                 other => println!("Redis: {other:?}"),
//!             }
//!         }
//!     });
//!
//!     // Connections for keys of your own, as a health check needs one.
//!     let pool = backplane.pool();
//!     let mut connection = pool.get().await?;
//!     let answer: String = redis::cmd("PING").query_async(&mut connection).await?;
//!     println!("Redis says {answer}");
//!     drop(connection);
//!
//!     let server = SignalR::builder().backplane(backplane).hub("/chat", Chat).build().await?;
//!     signalr::warp::serve(server, ([0, 0, 0, 0], 5000)).await
//! }
//! # }
//! ```
//!
//! The start does not wait for Redis, and clients stay connected while it is away: what then happens to messages is
//! `outage`, one of the options; `HubContext::backplane_state` says how it is at the moment, for a readiness check. The
//! page of the crate behind `signalr::redis` has all promises, options, metrics and the rights that a Redis user needs.
//!
//! Clients that negotiate need a load balancer that keeps them on one server (cookies do; `skipNegotiation` needs none).
//! Several servers in one process, for tests, meet at a `signalr::memory::MemoryBus`.
//!
//! # Bytes without hubs
//!
//! [`ServerBuilder::connection`] serves a protocol of your own over the same transports: an async function that reads and
//! sends bytes. [`ServerBuilder::connections`] takes a state machine instead, for those who count allocations.
//!
//! # Payloads
//!
//! Arguments, results and stream items are what serde makes of their types. [`PayloadStyle`] changes the names of struct
//! members, enums and bytes, for each protocol of its own; `options.dotnet_payloads()` has all of it as ASP.NET Core does by
//! default, so that a client sees one spelling from either server. [`values`] has the types whose form .NET fixes.
//!
//! # Options
//!
//! [`ServerBuilder::options`] and [`ServerBuilder::endpoint_options`] set them for all hubs. [`ServerBuilder::hub_with`]
//! changes a copy of both for one hub. What cannot work is refused when the server is built.
//!
//! | [`HubOptions`] | default | the reference's `HubOptions` |
//! | --- | --- | --- |
//! | `handshake_timeout` | 15 s | `HandshakeTimeout` |
//! | `keep_alive_interval` | 15 s | `KeepAliveInterval` |
//! | `client_timeout` | 30 s | `ClientTimeoutInterval` |
//! | `maximum_receive_message_size` | 32 KiB | `MaximumReceiveMessageSize` |
//! | `stream_buffer_capacity` | 10 items | `StreamBufferCapacity` |
//! | `maximum_parallel_invocations` | 1 | `MaximumParallelInvocationsPerClient` |
//! | `detailed_errors` | false | `EnableDetailedErrors` |
//! | `protocols` | all that are built in | `SupportedProtocols` |
//! | `stateful_reconnect_buffer_size` | 100,000 bytes | `StatefulReconnectBufferSize`; here a hub inherits the one of all hubs |
//! | `filter(..)` | none | `AddFilter` |
//! | `policy(..)` | none | `AddPolicy` of the authorization options |
//! | `user_id(..)` | name-identifier claim | the service `IUserIdProvider` |
//! | `json_payloads`, `messagepack_payloads` | as serde | `PayloadSerializerOptions`, `SerializerOptions` of the protocols |
//! | `compression` | none | the compression of MessagePack's `SerializerOptions` |
//! | `order`, `group_timeout`, `client_result_timeout` | ordered, 30 s, 30 s | ours |
//!
//! | [`EndpointOptions`] | default | the reference's `HttpConnectionDispatcherOptions` |
//! | --- | --- | --- |
//! | `transports` | all three | `Transports` |
//! | `transport_max_buffer_size` | 1 MiB | `TransportMaxBufferSize`, 64 KiB there |
//! | `application_max_buffer_size` | 64 KiB | `ApplicationMaxBufferSize` |
//! | `send_timeout` | 10 s | `TransportSendTimeout` |
//! | `close_timeout` | 5 s | `WebSockets.CloseTimeout` |
//! | `sub_protocol` | none | `WebSockets.SubProtocolSelector` |
//! | `poll_timeout` | 90 s | `LongPolling.PollTimeout` |
//! | `minimum_protocol_version` | 0 | `MinimumProtocolVersion` |
//! | `close_on_authentication_expiration` | false | `CloseOnAuthenticationExpiration` |
//! | `allow_stateful_reconnects` | false | `AllowStatefulReconnects` |
//! | `authorize` | none | `AuthorizationData` |
//! | `authenticate` | everybody is anonymous | the authentication middleware |
//! | `refuse_changed_user` | false | ours |
//! | `outbox`, `send_buffer`, `max_websocket_message` | see there | ours |
//!
//! [`ServerBuilder::disconnect_timeout`], 15 s, is the reference's `ConnectionOptions.DisconnectTimeout`.
//! [`ServerBuilder::limits`] bounds pending and open connections, in all and by client; off by default, and ours.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `macros` | yes | `#[hub]` and `#[hub_client]` |
//! | `messagepack` | yes | the MessagePack protocol beside JSON |
//! | `memory` | yes | a backplane for several servers in one process |
//! | `warp` | yes | `signalr::warp`: serving with warp |
//! | `lz4` | no | LZ4 compression of MessagePack payloads |
//! | `redis` | no | the Redis backplane: many servers on one Redis, mixed with ASP.NET Core servers |
//! | `tls` | no | TLS of [`warp::serve`]'s accept loop: `Serving::with_tls`; brings `warp` |
//!
//! A feature adds; none changes what another does.

mod builder;
mod error;
pub mod prelude;
mod server;
#[cfg(feature = "warp")]
pub mod warp;

pub use builder::{ServerBuilder, SignalR};
pub use error::{BuildError, ConfigError, Result};
pub use server::Server;

#[cfg(feature = "macros")]
pub use signalr_macros::{hub, hub_client};

pub use signalr_core::{
    Caller, CloseReason, ConnectInfo, ConnectionId, DeliveryOrder, Duplex, OutboxLimits, Policy, RequestHead,
    SlowClientPolicy, TransportKind, User, authenticated,
};
pub use signalr_hub::{
    CallerClients, CallerGroups, ClientProxy, ClientStream, Context, Groups, Hub, HubBuilder, HubCall,
    HubClients, HubContext, HubDefinition, HubError, HubFilter, HubHandle, HubOptionError, HubOptions,
    HubResult, HubValue, Items, Next, NextConnected, NextDisconnected, PolicyRef, SingleClient, StreamSink,
    TypedCallerClients, TypedClient, TypedClients,
};
pub use signalr_protocol::{
    ArgumentList, Compression, DynamicArguments, EnumStyle, NamingPolicy, PayloadStyle, Protocol, values,
};
pub use signalr_transport::{
    Authenticate, Authentication, Denied, EndpointOptionError, EndpointOptions, Limits, bearer_token,
    forwarded_address, peer_address,
};

/// Several servers in one process: `SignalR::builder().backplane(bus.backplane())` on each of them.
#[cfg(feature = "memory")]
pub use signalr_backplane_memory as memory;

/// The Redis backplane: [`RedisBackplane`](redis::RedisBackplane) joins servers into one fleet.
#[cfg(feature = "redis")]
pub use signalr_backplane_redis as redis;

/// What authors of backplanes and of raw connection handlers are written against.
pub use signalr_core as core;

#[cfg(all(doctest, feature = "warp", feature = "macros"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The names that generated code uses. No stability is promised.
#[doc(hidden)]
pub mod __private {
    pub use signalr_hub::macro_support::*;
    pub use signalr_hub::{HubError, HubResult, StreamSink};
}
