//! The running calls of one connection.
//!
//! Owns their futures, the parallel limit and the streams that can be cancelled. All are polled by the connection's own
//! task and dropped with it.

use crate::context::Context;
use crate::definition::BoxFuture;
use crate::options::HubOptions;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use signalr_core::Instant;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};
use tokio_util::sync::CancellationToken;

pub(super) struct Calls {
    context: Context,
    running: Option<FuturesUnordered<Running>>,
    streams: Option<HashMap<Box<str>, CancellationToken>>,
    /// The next plain call waits for a slot.
    pub(super) blocked: bool,
    pub(super) last_ping: Instant,
    /// When something was heard last; `None` until the client's first ping (B-7.11).
    pub(super) last_heard: Option<Instant>,
}

/// A call that did not finish at once. Its output is the id of its stream, if it is one.
struct Running {
    stream: Option<Box<str>>,
    work: BoxFuture<()>,
}

impl Future for Running {
    type Output = Option<Box<str>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.work.as_mut().poll(cx).map(|()| self.stream.take())
    }
}

impl Calls {
    pub(super) fn new(context: Context) -> Self {
        Self {
            context,
            running: None,
            streams: None,
            blocked: false,
            last_ping: Instant::now(),
            last_heard: None,
        }
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// Ends every call.
    pub(super) fn into_context(self) -> Context {
        self.context
    }

    pub(super) fn is_full(&self, options: &HubOptions) -> bool {
        self.context.inner.busy.load(Ordering::Acquire) >= options.maximum_parallel_invocations.max(1)
    }

    pub(super) fn is_blocked(&self, options: &HubOptions) -> bool {
        self.blocked && self.is_full(options)
    }

    /// Runs a call as far as it goes now; what is left is kept.
    pub(super) fn start(
        &mut self,
        mut work: BoxFuture<()>,
        stream: Option<Box<str>>,
        cx: &mut TaskContext<'_>,
    ) {
        if work.as_mut().poll(cx).is_pending() {
            self.running.get_or_insert_default().push(Running { stream, work });
        } else if let Some(id) = stream {
            self.forget_stream(&id);
        }
    }

    pub(super) fn poll(&mut self, cx: &mut TaskContext<'_>) {
        let Some(running) = &mut self.running else { return };
        let mut ended = Vec::new();
        while let Poll::Ready(Some(stream)) = running.poll_next_unpin(cx) {
            ended.extend(stream);
        }
        if running.is_empty() {
            self.running = None;
        }
        ended.iter().for_each(|id| self.forget_stream(id));
    }

    /// A new stream's cancellation; `None` when its id is in use.
    pub(super) fn open_stream(&mut self, id: &str) -> Option<CancellationToken> {
        let streams = self.streams.get_or_insert_default();
        if streams.contains_key(id) {
            return None;
        }
        let cancel = CancellationToken::new();
        streams.insert(id.into(), cancel.clone());
        Some(cancel)
    }

    pub(super) fn cancel_stream(&self, id: &str) {
        if let Some(cancel) = self.streams.as_ref().and_then(|streams| streams.get(id)) {
            cancel.cancel();
        }
    }

    pub(super) fn forget_stream(&mut self, id: &str) {
        if let Some(streams) = &mut self.streams {
            streams.remove(id);
            if streams.is_empty() {
                self.streams = None;
            }
        }
    }
}
