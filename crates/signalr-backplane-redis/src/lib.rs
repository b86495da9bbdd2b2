//! The Redis backplane of SignalR, wire-compatible with ASP.NET Core's.
//!
//! **What exists today:** the wire format, as pure functions ([`wire`]): names of channels, and the bytes of every
//! message in both directions, checked against the reference's own vectors. Together with any Redis client it is enough
//! to send to a fleet from outside, and to read what a fleet says. And the configuration ([`options`]): URLs,
//! StackExchange.Redis connection strings and a builder.
//!
//! **What does not exist yet:** connections to Redis, subscriptions, the rules for outages, and with them an
//! implementation of [`Backplane`](signalr_core::Backplane). A server cannot be scaled out with this version.

pub mod options;
pub mod wire;
