//! The hub lifetime manager and everything that a transport or a backplane is written against: connections, groups,
//! users, the outbox of each connection, fan-out, and the traits [`ConnectionHandler`] and [`Backplane`].
//!
//! There are no hubs, no HTTP server, no WebSockets and no Redis in this crate. A transport makes a [`Connection`],
//! asks a [`ConnectionHandler`] for the application's half of it and pumps bytes through a [`Session`]; a backplane
//! implements [`Backplane`] and is driven by a [`HubLifetimeManager`].
//!
//! # Guarantees
//!
//! * Everything pushed to one connection leaves in the order of the pushes. Nothing overtakes.
//! * A send to many connections never waits for one of them. A client that does not read is cut by the slow-client
//!   rule ([`OutboxLimits`]) and counted; it cannot hold others back.
//! * A message is encoded once per protocol and framed once per transport kind, whatever the number of receivers.
//! * An idle connection holds no buffers and no timer: one [`Heartbeat`] per server does all timing.

mod backplane;
mod clock;
mod close_reason;
mod connect_info;
mod connection;
mod duplex;
mod framing;
mod handler;
mod heartbeat;
mod ids;
mod manager;
mod metric;
mod outbox;
mod outgoing;
mod policy;
mod replay;
mod session;
mod turn;

pub use backplane::{
    Backplane, BackplaneError, BackplaneErrorKind, BackplaneHub, BackplaneMessage, BackplaneSink,
    BackplaneState, Events, GroupAction, GroupCommand, HubJoin, InvocationMessage, Outcome, Payloads,
    StateSender, Subscribed, Subscribing, Ticket, TicketSender, Topic,
};
pub use clock::Instant;
pub use close_reason::CloseReason;
pub use connect_info::{ConnectInfo, RequestHead, TransportKind, User};
pub use connection::{Connection, ConnectionOptions};
pub use duplex::Duplex;
pub use framing::{Framing, FramingId, Unframed};
pub use handler::{ConnectionDriver, ConnectionHandler, InputEnd, WorkEnd};
pub use heartbeat::{Heartbeat, Ticks};
pub use ids::{ConnectionId, new_id};
pub use manager::{
    Completed, DeliveryOrder, GroupError, HubLifetimeManager, InvokeError, ManagerOptions, RawResult,
    SendError, Target,
};
pub use outbox::{DirectWriter, Flushed, OutboxLimits, SlowClientPolicy};
pub use outgoing::{OutgoingMessage, ProtocolSet};
pub use policy::{Caller, Policy, authenticated};
pub use session::Session;
pub use turn::Turn;
