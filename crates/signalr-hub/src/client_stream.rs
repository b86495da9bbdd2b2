//! Streams from the client: the queue between the connection that receives items and the method that reads them
//! (B-7.6).
//!
//! Owns one stream's items, its end and the wake-ups in both directions. Which stream an item belongs to is the
//! dispatcher's business.

use crate::error::{HubError, HubResult};
use futures_core::Stream;
use serde::de::DeserializeOwned;
use signalr_protocol::Payload;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};

/// Items that the client sends while the method runs: a hub method takes it as one of its arguments.
///
/// Streams do not count as arguments on the wire: the client announces their ids beside the arguments, and they are
/// matched to the method's `ClientStream`s in order. A method may take several, and may return a stream as well. Calls
/// that take streams do not count towards [`maximum_parallel_invocations`](crate::HubOptions::maximum_parallel_invocations).
///
/// # Items and the end
///
/// Items come in the order in which they were sent, then `None`. An error is the last item: the text that the client
/// ended its stream with, `Failed to bind Stream message.` after an item that is no `T`, or
/// `The underlying connection was closed.`; nothing follows it. Passed on with `?`, the first two are shown to the caller
/// as the reference shows them.
///
/// # Back-pressure
///
/// Up to [`stream_buffer_capacity`](crate::HubOptions::stream_buffer_capacity) items wait for the method. While one more
/// than that waits, nothing else of this client is read, not even a cancellation: read what you take, or drop it. After
/// the stream was dropped its items are ignored (ours; the reference goes on queueing).
///
/// # Life
///
/// When the method has ended, or the stream that it returned, the client's streams end too, so that a task that was given
/// one sees what had arrived and then `None`. Cancel safe: an item is taken when it is returned.
///
/// ```
/// use signalr_hub::{ClientStream, Context, HubBuilder};
///
/// let hub = HubBuilder::new("Numbers").method("Sum", |_: Context, mut numbers: ClientStream<i64>| async move {
///     let mut sum = 0;
///     while let Some(number) = numbers.next().await {
///         sum += number?;
///     }
///     Ok(sum)
/// });
/// ```
pub struct ClientStream<T> {
    shared: Arc<Shared<T>>,
}

impl<T: DeserializeOwned + Send + 'static> ClientStream<T> {
    /// A stream and the end that feeds it.
    pub(crate) fn open(capacity: usize) -> (Self, Arc<dyn Upload>) {
        let state = State { items: VecDeque::new(), end: End::Open, reader: None, loop_task: None };
        let shared = Arc::new(Shared { capacity: capacity.max(1), state: Mutex::new(state) });
        (Self { shared: shared.clone() }, shared)
    }
}

impl<T> ClientStream<T> {
    /// The next item; `None` when the stream is complete. Cancel safe.
    ///
    /// # Errors
    /// The stream failed; see the type's documentation. Nothing follows.
    pub async fn next(&mut self) -> Option<HubResult<T>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    fn poll_item(&self, cx: &mut TaskContext<'_>) -> Poll<Option<HubResult<T>>> {
        let mut state = self.shared.lock();
        if let Some(item) = state.items.pop_front() {
            let waiting =
                if state.items.len() <= self.shared.capacity { state.loop_task.take() } else { None };
            drop(state);
            if let Some(waiting) = waiting {
                waiting.wake();
            }
            return Poll::Ready(Some(Ok(item)));
        }
        match std::mem::replace(&mut state.end, End::Complete) {
            End::Open => {
                state.end = End::Open;
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            End::Complete => Poll::Ready(None),
            End::Failed(error) => Poll::Ready(Some(Err(error))),
        }
    }
}

impl<T> Stream for ClientStream<T> {
    type Item = HubResult<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}

impl<T> Drop for ClientStream<T> {
    /// Nobody will read: what waits is dropped, and the connection goes on.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.end = End::Complete;
        let items = std::mem::take(&mut state.items);
        let waiting = state.loop_task.take();
        drop(state);
        drop(items);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl<T> fmt::Debug for ClientStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStream")
            .field("waiting", &self.shared.lock().items.len())
            .finish_non_exhaustive()
    }
}

/// The feeding end of a [`ClientStream`], whatever its items are.
pub(crate) trait Upload: Send + Sync {
    /// Queues an item. One that is no such item ends the stream. After the end, items are ignored.
    fn receive(&self, item: Payload<'_>, detailed_errors: bool);

    /// Whether more waits than may; if so, the task of `cx` is woken when that changes.
    fn is_full(&self, cx: Option<&TaskContext<'_>>) -> bool;

    /// Ends the stream after what waits. The first end counts.
    fn end(&self, error: Option<HubError>);
}

struct Shared<T> {
    capacity: usize,
    state: Mutex<State<T>>,
}

struct State<T> {
    items: VecDeque<T>,
    end: End,
    reader: Option<Waker>,
    /// The connection's task, while it waits for room.
    loop_task: Option<Waker>,
}

enum End {
    Open,
    Complete,
    Failed(HubError),
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: DeserializeOwned + Send> Upload for Shared<T> {
    fn receive(&self, item: Payload<'_>, detailed_errors: bool) {
        if !matches!(self.lock().end, End::Open) {
            return;
        }
        // User code runs in here: no lock is held.
        let item = match item.decode_item::<T>() {
            Ok(item) => item,
            Err(error) => {
                let error = HubError::named("InvalidDataException", error.text);
                let text = error.detail("Failed to bind Stream message.", detailed_errors);
                return self.end(Some(HubError::new(text)));
            }
        };
        let mut state = self.lock();
        if !matches!(state.end, End::Open) {
            return;
        }
        state.items.push_back(item);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn is_full(&self, cx: Option<&TaskContext<'_>>) -> bool {
        let mut state = self.lock();
        let full = state.items.len() > self.capacity && matches!(state.end, End::Open);
        if let (true, Some(cx)) = (full, cx) {
            state.loop_task = Some(cx.waker().clone());
        }
        full
    }

    fn end(&self, error: Option<HubError>) {
        let mut state = self.lock();
        if !matches!(state.end, End::Open) {
            return;
        }
        state.end = error.map_or(End::Complete, End::Failed);
        let (reader, waiting) = (state.reader.take(), state.loop_task.take());
        drop(state);
        [reader, waiting].into_iter().flatten().for_each(Waker::wake);
    }
}
