//! Calls and streams that have no end yet.
//!
//! Owns the table by invocation id. What nobody waits for any more is swept out as the table grows.

use crate::stream::Part;
use bytes::Bytes;
use signalr_protocol::Payload;
use std::collections::HashMap;
use tokio::sync::{mpsc, oneshot};

/// Below this many nothing is swept.
const FEW: usize = 64;

/// How a call was answered.
#[derive(Debug)]
pub(crate) enum Answer {
    Result(Bytes),
    Void,
    Error(String),
}

pub(super) enum Open {
    Call(oneshot::Sender<Answer>),
    Stream(mpsc::Sender<Part>),
}

pub(super) struct Calls {
    open: HashMap<String, Open>,
    sweep_at: usize,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self { open: HashMap::new(), sweep_at: FEW }
    }

    pub(super) fn insert(&mut self, id: String, open: Open) {
        if self.open.len() >= self.sweep_at {
            self.open.retain(|_, open| match open {
                Open::Call(answer) => !answer.is_closed(),
                // Kept until its cancellation is sent.
                Open::Stream(_) => true,
            });
            self.sweep_at = self.open.len() * 2 + FEW;
        }
        self.open.insert(id, open);
    }

    /// Where the items of a stream go.
    pub(super) fn stream(&self, id: &str) -> Option<&mpsc::Sender<Part>> {
        match self.open.get(id) {
            Some(Open::Stream(parts)) => Some(parts),
            _ => None,
        }
    }

    /// Forgets one; false when it is not open.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        self.open.remove(id).is_some()
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// Ends one. A call is answered; of a stream, the end and where it goes are returned.
    pub(super) fn complete(
        &mut self,
        id: &str,
        error: Option<String>,
        result: Option<Payload<'_>>,
    ) -> Option<(mpsc::Sender<Part>, Part)> {
        match self.open.remove(id)? {
            Open::Stream(parts) => Some((parts, Part::End(error))),
            Open::Call(answer) => {
                let told = match (error, result) {
                    (Some(error), _) => Answer::Error(error),
                    (None, Some(result)) => Answer::Result(Bytes::copy_from_slice(result.bytes())),
                    (None, None) => Answer::Void,
                };
                // A caller that has gone does not want to know.
                let _ = answer.send(told);
                None
            }
        }
    }
}
