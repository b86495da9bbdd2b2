//! A client's half of a WebSocket (RFC 6455): `upgrade` opens it, `frame` writes and reads frames.
//!
//! No extension is offered. Data frames are handed on as a stream of bytes: the hub protocols frame their messages
//! themselves, so where one WebSocket message ends means nothing here.

mod frame;
mod upgrade;

pub(crate) use frame::{Event, FrameReader, Mask, Opcode};
#[cfg(test)]
pub(crate) use upgrade::accept;
pub(crate) use upgrade::upgrade;
