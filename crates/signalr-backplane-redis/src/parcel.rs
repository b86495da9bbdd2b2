//! A message on its way to Redis.
//!
//! Owns what must be known about it until its outcome is: the bytes, who waits, and what may be done with it when it
//! turns out that it cannot be sent.

use crate::member::{Member, Publishing};
use signalr_core::{
    BackplaneError, BackplaneErrorKind, BackplaneMessage, Outcome, Ticket, TicketSender, Topic,
};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use tokio::time::Instant;

/// Small, because it is handed from queue to queue.
pub(crate) struct Parcel(Box<Content>);

pub(crate) struct Content {
    pub(crate) channel: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) since: Instant,
    pub(crate) kind: Kind,
    ticket: Option<TicketSender>,
    publishing: Publishing,
}

impl Deref for Parcel {
    type Target = Content;

    fn deref(&self) -> &Content {
        &self.0
    }
}

impl DerefMut for Parcel {
    fn deref_mut(&mut self) -> &mut Content {
        &mut self.0
    }
}

/// What may be done with a parcel that was not sent.
pub(crate) enum Kind {
    /// Nothing: whoever sent it is told.
    Once,
    /// A send whose local members wait for it to come back from Redis.
    Send(Topic, BackplaneMessage),
    /// A send whose local members have it already; it carries the origin tag.
    Served,
    /// The same, out of the buffer: nobody waits for the outcome.
    Replayed,
}

impl Parcel {
    pub(crate) fn new(member: &Arc<Member>, channel: String, bytes: Vec<u8>, kind: Kind) -> (Self, Ticket) {
        let (sender, ticket) = Ticket::later();
        let parcel = Content {
            channel,
            bytes,
            since: Instant::now(),
            kind,
            ticket: Some(sender),
            publishing: member.publishing(),
        };
        (Self(Box::new(parcel)), ticket)
    }

    pub(crate) fn member(&self) -> &Arc<Member> {
        self.publishing.member()
    }

    /// What it counts against bounds.
    pub(crate) fn size(&self) -> usize {
        let kept = match &self.kind {
            Kind::Send(_, message) => message.weight(),
            _ => 0,
        };
        self.channel.len() + self.bytes.len() + kept + 128
    }

    /// What it takes on the wire, command and all, within a few bytes.
    pub(crate) fn wire_size(&self) -> usize {
        self.channel.len() + self.bytes.len() + 32
    }

    pub(crate) fn tell(&mut self, outcome: Result<Outcome, BackplaneError>) {
        if let Some(ticket) = self.ticket.take() {
            ticket.tell(outcome);
        }
    }

    /// Makes it a parcel that carries the origin tag, for the buffer or for Redis.
    pub(crate) fn served(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
        self.kind = Kind::Served;
    }
}

pub(crate) fn unavailable() -> BackplaneError {
    let text = "there is no connection to Redis now; it is being re-established, try again";
    BackplaneError::new(BackplaneErrorKind::Unavailable, text)
}

pub(crate) fn timed_out() -> BackplaneError {
    let text = "Redis does not take messages as fast as they are sent; this one was not sent";
    BackplaneError::new(BackplaneErrorKind::TimedOut, text)
}

pub(crate) fn invalid(error: crate::wire::WireError) -> BackplaneError {
    BackplaneError::new(BackplaneErrorKind::Invalid, error.to_string())
}

pub(crate) fn left() -> BackplaneError {
    BackplaneError::new(BackplaneErrorKind::Left, "the hub has left the fleet; join again")
}
