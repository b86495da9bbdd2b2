//! Hubs on top of connections: methods that clients call, the clients that hubs call, and the state machine that
//! speaks the hub protocol.
//!
//! There is no HTTP, no socket and no Redis here. A hub is described by a [`HubDefinition`] (the macro `#[hub]` makes
//! one, [`HubBuilder`] makes one by hand), served by a [`HubEndpoint`], which is a
//! [`ConnectionHandler`](signalr_core::ConnectionHandler) that any transport can drive.
//!
//! # What lives how long
//!
//! * The hub value: one for all connections, for as long as the server.
//! * [`Context`]: one per connection; cheap to clone, `'static`, may be moved into tasks. Its item bag ends with the
//!   connection.
//! * A running call: polled by its connection's task, dropped when the connection ends. Work that must outlive the
//!   connection goes into a task of its own.
//!
//! # Spans
//!
//! Each call (a stream until its end), each connect and each disconnect has a `tracing` span of level INFO with the
//! reference's operation name and attributes: `otel.name`, `otel.kind`, `rpc.method`, `rpc.system`, `rpc.service`, after
//! a failure `otel.status_code` and `error.type`. A call's span is a root, with the client's trace context, if it sent
//! one, in the fields `traceparent` and `tracestate`. Arguments, results and error texts are in none of them.

mod arguments;
mod builder;
mod client_stream;
mod clients;
mod connection;
mod context;
mod definition;
mod endpoint;
mod error;
mod filter;
mod groups;
mod hub_context;
#[doc(hidden)]
pub mod macro_support;
mod metric;
mod options;
mod policy;
mod reply;
mod stream;
mod trace;

pub use arguments::{HubArgument, HubArguments};
pub use builder::{HubBuilder, MethodHandler, StreamHandler};
pub use client_stream::ClientStream;
pub use clients::{
    CallerClients, ClientProxy, HubClients, SingleClient, TypedCallerClients, TypedClient, TypedClients,
};
pub use context::{Context, Items};
pub use definition::{Hub, HubDefinition};
pub use endpoint::HubEndpoint;
pub use error::{HubError, HubResult};
pub use filter::{HubCall, HubFilter, HubValue, Next, NextConnected, NextDisconnected};
pub use groups::{CallerGroups, Groups};
pub use hub_context::{HubContext, HubHandle};
pub use options::{HubOptionError, HubOptions, UserIdProvider};
pub use policy::PolicyRef;
pub use signalr_core::{Caller, Policy, authenticated};
pub use stream::StreamSink;
