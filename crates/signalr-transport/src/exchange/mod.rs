//! Connections that are carried by many requests: Server-Sent Events and long polling (B-2.3, 2.5 to 2.7).
//!
//! Owns what the requests of one connection and its task share. Bytes of POSTs go through [`Input`] to the task; the
//! task's output is taken from the connection's outbox by whichever GET is there ([`Output`]). The table knows an
//! exchange by its token; the application's half is a [`Session`](signalr_core::Session) that belongs to the task.
//!
//! An idle connection holds no buffer: input is handed over as a whole, output waits in the outbox.

mod answers;
mod events;
mod input;
mod output;
mod poll;
mod task;
mod upload;

pub(crate) use answers::events;
pub(crate) use events::EVENTS;
pub use events::EventStream;
use input::Input;
use output::Output;
pub(crate) use poll::{first_poll, next_poll};
pub(crate) use task::ExchangeTask;
pub use upload::UploadTicket;

use signalr_core::{Connection, Instant};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The shared half. Made by the first POST or by the GET that chooses the transport.
pub(crate) struct Exchange {
    input: Input,
    output: Output,
    connection: OnceLock<Arc<Connection>>,
}

impl Exchange {
    /// `room` is the application buffer in bytes; 0 for no limit.
    pub(crate) fn new(room: usize) -> Arc<Self> {
        Arc::new(Self { input: Input::new(room), output: Output::new(), connection: OnceLock::new() })
    }

    /// The connection exists now; called once, before the task runs.
    pub(crate) fn start(&self, connection: &Arc<Connection>) {
        // Only the request that claimed the table's entry comes here.
        let _ = self.connection.set(connection.clone());
    }

    /// Its connection, once a transport was chosen.
    pub(crate) fn connection(&self) -> Option<&Arc<Connection>> {
        self.connection.get()
    }

    pub(crate) fn wake_task(&self) {
        if let Some(connection) = self.connection() {
            connection.wake();
        }
    }

    /// One beat: true when the client has been away for longer than `patience`; the task then ends the connection.
    pub(crate) fn beat(&self, now: Instant, patience: Duration) -> bool {
        let expired = self.output.expire(now, patience);
        if expired {
            self.wake_task();
        }
        expired
    }

    /// The client wants no more of this connection.
    pub(crate) fn terminate(&self) {
        self.output.terminate();
        self.wake_task();
    }

    /// Another kind of transport has taken over: what was posted before belongs to it, and nothing more is taken.
    pub(crate) fn hand_over(&self) -> Vec<u8> {
        self.dispose();
        self.input.take().unwrap_or_default()
    }

    /// Nobody reads and nobody writes any more: requests that wait are answered.
    pub(crate) fn dispose(&self) {
        self.input.close();
        self.output.over();
    }
}
