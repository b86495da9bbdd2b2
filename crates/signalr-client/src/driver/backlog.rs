//! What has been received and waits for its reader.
//!
//! Owns the order of hand-overs. While anything waits here, the driver reads nothing from the network: that is how a slow
//! consumer slows the server down.

use crate::stream::Part;
use signalr_protocol::OwnedArguments;
use std::collections::VecDeque;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Things for queues, in order of arrival.
#[derive(Default)]
pub(super) struct Backlog(VecDeque<Waiting>);

enum Waiting {
    Message(mpsc::Sender<OwnedArguments>, OwnedArguments),
    Part(mpsc::Sender<Part>, Part),
}

impl Backlog {
    pub(super) fn message(&mut self, queue: mpsc::Sender<OwnedArguments>, message: OwnedArguments) {
        self.0.push_back(Waiting::Message(queue, message));
    }

    pub(super) fn part(&mut self, queue: mpsc::Sender<Part>, part: Part) {
        self.0.push_back(Waiting::Part(queue, part));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Hands over until a queue is full; what nobody wants any more is dropped.
    pub(super) fn hand_over(&mut self) {
        while let Some(front) = self.0.pop_front() {
            let full = match front {
                Waiting::Message(queue, message) => match queue.try_send(message) {
                    Err(TrySendError::Full(message)) => Some(Waiting::Message(queue, message)),
                    _ => None,
                },
                Waiting::Part(queue, part) => match queue.try_send(part) {
                    Err(TrySendError::Full(part)) => Some(Waiting::Part(queue, part)),
                    _ => None,
                },
            };
            if let Some(full) = full {
                self.0.push_front(full);
                return;
            }
        }
    }

    /// Ready when the first queue has room, or nobody reads it any more: the next hand-over finds out which.
    pub(super) async fn room(&self) {
        match self.0.front() {
            Some(Waiting::Message(queue, _)) => drop(queue.reserve().await),
            Some(Waiting::Part(queue, _)) => drop(queue.reserve().await),
            None => {}
        }
    }
}
