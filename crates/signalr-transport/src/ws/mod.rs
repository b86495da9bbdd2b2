//! WebSockets (RFC 6455), server side: upgrade request, frames, and the task that carries one connection.

mod close;
mod decoder;
mod doorway;
mod encode;
mod header;
mod io;
mod mask;
#[cfg(test)]
mod oracle;
mod read_buffer;
mod task;
pub(crate) mod transcript;
mod upgrade;
mod utf8;

pub use close::CloseCode;
pub(crate) use doorway::{AnyIo, Doorway, Newcomer};
pub use encode::{WEBSOCKET, WebSocketFraming};
pub(crate) use io::{Io, StreamIo, TcpIo};
pub(crate) use task::WebSocketTask;
pub use upgrade::ExtendedConnect;
pub(crate) use upgrade::{accept_key, is_upgrade, offered_protocols};
