//! A call through its filters, to the hub method and back.
//!
//! Owns both ends: the future that the dispatcher runs, and the call of the method behind the last filter. A streaming
//! method is one future that makes its stream and sends it; here it pauses in between, until the filters have returned.

use super::{End, HubCall, HubValue, Next, Step};
use crate::context::Slot;
use crate::definition::{BoxFuture, Invoke};
use crate::endpoint::HubEndpoint;
use crate::error::{HubError, HubResult};
use crate::reply::Reply;
use crate::stream::{Pause, StreamSink};
use futures_util::FutureExt;
use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

/// A plain call: filters, method, answer.
pub(crate) async fn plain(endpoint: Arc<HubEndpoint>, call: HubCall, reply: Reply, slot: Option<Arc<Slot>>) {
    let end = PlainEnd(&endpoint);
    let result = guarded(&endpoint, &end, call).await;
    reply.complete_value(result).await;
    if let Some(slot) = slot {
        slot.release();
    }
}

/// A streaming call: filters and method up to the stream, then its items.
pub(crate) async fn streaming(endpoint: Arc<HubEndpoint>, call: HubCall, reply: Reply, sink: StreamSink) {
    let pause = Arc::new(Pause::default());
    let sink = Mutex::new(Some(sink.paused(pause.clone())));
    let end = StreamEnd { endpoint: &endpoint, pause: pause.clone(), sink, method: Mutex::new(None) };
    let result = guarded(&endpoint, &end, call).await;
    let method = take(&end.method);
    match (result, method) {
        (Err(error), _) => reply.fail_start(&error),
        (Ok(value), Some(method)) if value.is_stream() => {
            pause.end();
            if let Err(panic) = method.await {
                reply.fail_stream(HubError::panicked(&*panic));
            }
        }
        _ => reply.fail_no_stream(),
    }
}

async fn guarded(endpoint: &HubEndpoint, end: &dyn End, call: HubCall) -> HubResult<HubValue> {
    let chain = Next::new(&endpoint.options.filters, end).run(call);
    AssertUnwindSafe(chain).catch_unwind().await.unwrap_or_else(|panic| Err(HubError::panicked(&*panic)))
}

type Panic = Box<dyn Any + Send>;
type Streaming = BoxFuture<Result<(), Panic>>;

struct PlainEnd<'a>(&'a HubEndpoint);

impl End for PlainEnd<'_> {
    fn call(&self, call: HubCall) -> Step<'_, HubValue> {
        let (context, name, arguments) = call.into_parts();
        let found = self.0.definition.method(&name).map(|method| &method.invoke);
        let Some(Invoke::Plain(invoke)) = found else { return unknown(&name) };
        match catch_unwind(AssertUnwindSafe(|| invoke(context, arguments.into_any()))) {
            Ok(future) => future,
            Err(panic) => Box::pin(std::future::ready(Err(HubError::panicked(&*panic)))),
        }
    }
}

struct StreamEnd<'a> {
    endpoint: &'a HubEndpoint,
    pause: Arc<Pause>,
    sink: Mutex<Option<StreamSink>>,
    /// The method, paused at its stream.
    method: Mutex<Option<Streaming>>,
}

impl End for StreamEnd<'_> {
    fn call(&self, call: HubCall) -> Step<'_, HubValue> {
        let (context, name, arguments) = call.into_parts();
        let found = self.endpoint.definition.method(&name).map(|method| &method.invoke);
        let (Some(Invoke::Stream(invoke)), Some(sink)) = (found, take(&self.sink)) else {
            return unknown(&name);
        };
        Box::pin(async move {
            let started = catch_unwind(AssertUnwindSafe(|| invoke(context, arguments.into_any(), sink)));
            let started = started.map_err(|panic| HubError::panicked(&*panic))?;
            let mut method: Streaming = Box::pin(AssertUnwindSafe(started).catch_unwind());
            let ended = poll_fn(|cx| match method.as_mut().poll(cx) {
                Poll::Pending if self.pause.is_reached() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
            });
            match ended.await {
                None => {
                    *self.method.lock().unwrap_or_else(PoisonError::into_inner) = Some(method);
                    Ok(HubValue::stream())
                }
                Some(Err(panic)) => Err(HubError::panicked(&*panic)),
                Some(Ok(())) => self.pause.take_error().map_or_else(|| Ok(HubValue::new(())), Err),
            }
        })
    }
}

fn take<T>(place: &Mutex<Option<T>>) -> Option<T> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// What only a filter that has changed the name can see.
fn unknown<'a>(name: &str) -> Step<'a, HubValue> {
    let error = HubError::new(format!("Unknown hub method '{name}'"));
    Box::pin(std::future::ready(Err(error)))
}
