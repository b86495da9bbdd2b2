//! The outcome of a publish, for those who want to know.

use super::error::BackplaneError;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// What became of a published message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Handed to this many subscribers. In a cluster this may count one node's only.
    Receivers(u64),
    /// The backplane is down; the message waits in a bounded buffer and is published when it is back, unless the buffer
    /// overflows first, which is counted.
    Buffered,
    /// The bytes were written and the answer never came: it may or may not have been delivered. Never sent again.
    Unknown,
}

/// A promise to tell the outcome of a publish. A future; dropping it changes nothing about the message.
#[derive(Debug)]
pub struct Ticket(State);

#[derive(Debug)]
enum State {
    Known(Result<Outcome, BackplaneError>),
    Waiting(oneshot::Receiver<Result<Outcome, BackplaneError>>),
}

/// The backplane's end of a [`Ticket`].
#[derive(Debug)]
pub struct TicketSender(oneshot::Sender<Result<Outcome, BackplaneError>>);

impl Ticket {
    /// An outcome that is known already.
    pub fn known(outcome: Result<Outcome, BackplaneError>) -> Self {
        Self(State::Known(outcome))
    }

    /// An outcome that will be known later. A sender that is dropped means [`Outcome::Unknown`].
    pub fn later() -> (TicketSender, Self) {
        let (sender, receiver) = oneshot::channel();
        (TicketSender(sender), Self(State::Waiting(receiver)))
    }
}

impl TicketSender {
    /// Tells the outcome.
    pub fn tell(self, outcome: Result<Outcome, BackplaneError>) {
        // Nobody waits when the ticket was dropped; that is allowed.
        let _ = self.0.send(outcome);
    }
}

impl Future for Ticket {
    type Output = Result<Outcome, BackplaneError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Known(outcome) => Poll::Ready(outcome.clone()),
            State::Waiting(receiver) => {
                Pin::new(receiver).poll(cx).map(|told| told.unwrap_or(Ok(Outcome::Unknown)))
            }
        }
    }
}
