//! The task that drives one connection.
//!
//! Owns its end: when it is cut, or dropped, nothing more happens on the connection. What it drives is `dial`'s and
//! `listener`'s.

use signalr_core::Turn;
use std::future::Future;
use tokio::task::JoinHandle;

pub(crate) struct Driver {
    task: JoinHandle<()>,
    ended: bool,
}

impl Driver {
    /// Drives until the connection has ended. Each poll is one turn: what arrived in one read leaves in one write per
    /// client.
    pub(crate) fn start(connection: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { task: tokio::spawn(in_turns(connection)), ended: false }
    }

    /// Ready when the connection is over. Cancel safe.
    pub(crate) async fn ended(&mut self) {
        if !self.ended {
            // A driver that panicked is as dead as one that returned.
            let _ = (&mut self.task).await;
            self.ended = true;
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended || self.task.is_finished()
    }

    /// Ends the connection; when it returns nothing more is received.
    pub(crate) async fn cut(&mut self) {
        self.task.abort();
        self.ended().await;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn in_turns(connection: impl Future<Output = ()>) {
    let mut connection = std::pin::pin!(connection);
    std::future::poll_fn(|cx| {
        let _turn = Turn::enter();
        connection.as_mut().poll(cx)
    })
    .await;
}
