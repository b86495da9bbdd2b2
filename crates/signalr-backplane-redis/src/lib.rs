//! The Redis backplane of SignalR, wire-compatible with ASP.NET Core's.
//!
//! [`RedisBackplane`] joins servers, Rust and ASP.NET Core together, into one fleet through one Redis; [`options`] is its
//! configuration: URLs, StackExchange.Redis connection strings and a builder. [`wire`] is the format alone, as pure
//! functions: enough to send to a fleet from outside with any Redis client.
//!
//! **What does not exist yet:** Sentinel, Cluster, several endpoints, TLS and Unix sockets. Such options are refused.

mod backoff;
mod backplane;
mod breaker;
mod buffer;
mod dial;
mod engine;
mod health;
mod hub;
mod inbox;
mod lane;
mod member;
pub mod options;
mod outage;
mod parcel;
mod publisher;
mod pulse;
mod registry;
mod settings;
mod stats;
mod subscriber;
mod traffic;
pub mod wire;

pub use backplane::RedisBackplane;
pub use health::{RedisEvent, RedisEvents, Role};
pub use options::{OutagePolicy, RedisOptions};
pub use stats::RedisCounters;
