//! The running calls of one connection.
//!
//! Owns their futures, the parallel limit and the streams that can be cancelled. All are polled by the connection's own
//! task and dropped with it.

use super::received::Received;
use super::uploads::{CallStreams, Uploads};
use crate::client_stream::Upload;
use crate::context::Context;
use crate::definition::BoxFuture;
use crate::options::HubOptions;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use signalr_core::Instant;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

pub(super) struct Calls {
    context: Context,
    running: Option<FuturesUnordered<Running>>,
    streams: Option<HashMap<Box<str>, CancellationToken>>,
    pub(super) uploads: Uploads,
    /// What the next message waits for.
    pub(super) wait: Wait,
    pub(super) last_ping: Instant,
    /// When something was heard last; `None` until the client's first ping (B-7.11).
    pub(super) last_heard: Option<Instant>,
    /// There only with stateful reconnect.
    pub(super) received: Option<Box<Received>>,
}

/// Why nothing is read from the client for now.
pub(super) enum Wait {
    Nothing,
    /// The next plain call needs a slot.
    Slot,
    /// The method reads its stream too slowly.
    Room(Arc<dyn Upload>),
}

/// A call that did not finish at once. Its output is what ends with it: its stream, if it is one, and those it takes.
struct Running {
    stream: Option<Box<str>>,
    /// Before the work: when the connection ends they fail before the method is dropped, not because of it.
    uploads: CallStreams,
    work: BoxFuture<()>,
}

impl Future for Running {
    type Output = (Option<Box<str>>, CallStreams);

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.work.as_mut().poll(cx).map(|()| {
            let uploads = std::mem::replace(&mut self.uploads, CallStreams::none());
            (self.stream.take(), uploads)
        })
    }
}

impl Calls {
    pub(super) fn new(context: Context) -> Self {
        let received = context.inner.connection.can_resume().then(|| Box::new(Received::new()));
        Self {
            context,
            running: None,
            streams: None,
            uploads: Uploads::default(),
            wait: Wait::Nothing,
            last_ping: Instant::now(),
            last_heard: None,
            received,
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
        match &self.wait {
            Wait::Nothing => false,
            Wait::Slot => self.is_full(options),
            Wait::Room(upload) => upload.is_full(None),
        }
    }

    /// Runs a call as far as it goes now; what is left is kept.
    pub(super) fn start(
        &mut self,
        work: BoxFuture<()>,
        span: &Span,
        stream: Option<Box<str>>,
        uploads: CallStreams,
        cx: &mut TaskContext<'_>,
    ) {
        // Nobody listens most of the time: then the future stays as it is.
        let mut work = if span.is_disabled() { work } else { Box::pin(work.instrument(span.clone())) };
        if work.as_mut().poll(cx).is_pending() {
            self.uploads.add(&uploads);
            self.running.get_or_insert_default().push(Running { stream, uploads, work });
        } else {
            self.finish(stream.as_deref(), &uploads);
        }
    }

    pub(super) fn poll(&mut self, cx: &mut TaskContext<'_>) {
        let Some(running) = &mut self.running else { return };
        let mut ended = Vec::new();
        while let Poll::Ready(Some((stream, uploads))) = running.poll_next_unpin(cx) {
            if stream.is_some() || !uploads.is_empty() {
                ended.push((stream, uploads));
            }
        }
        if running.is_empty() {
            self.running = None;
        }
        ended.iter().for_each(|(stream, uploads)| self.finish(stream.as_deref(), uploads));
    }

    fn finish(&mut self, stream: Option<&str>, uploads: &CallStreams) {
        if let Some(id) = stream {
            self.forget_stream(id);
        }
        self.uploads.finish(uploads);
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
