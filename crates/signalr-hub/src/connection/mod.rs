//! One client's conversation with a hub, as a state machine: handshake, connect event, messages, good-bye.
//!
//! Owns the phases and their order (B-7.7). Messages are taken apart in `dispatch`, ends in `ending`, time in `timing`;
//! running calls are in `calls`. Bytes come from a [`Session`](signalr_core::Session) and go to the outbox.

mod calls;
mod dispatch;
mod ending;
mod handshake;
mod received;
mod timing;
mod uploads;

use crate::context::Context;
use crate::definition::BoxFuture;
use crate::endpoint::HubEndpoint;
use crate::error::HubError;
use crate::trace;
use calls::Calls;
use ending::Ending;
use futures_util::FutureExt;
use signalr_core::Instant;
use signalr_core::{CloseReason, Connection, ConnectionDriver, InputEnd, WorkEnd};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};
use tracing::Instrument;

pub(crate) struct HubConnection {
    endpoint: Arc<HubEndpoint>,
    connection: Arc<Connection>,
    phase: Phase,
    /// Why the conversation is to end; acted upon at the next poll.
    ending: Option<Ending>,
}

enum Phase {
    Handshake,
    Connecting(Context, BoxFuture<Result<(), ConnectFault>>),
    Open(Box<Calls>),
    Closing(BoxFuture<WorkEnd>),
    Done(WorkEnd),
}

/// Why a connection did not come to be.
enum ConnectFault {
    /// The backplane did not take it: there is no hub event at all.
    Backplane,
    /// The connect hook failed.
    Hook(HubError),
}

impl HubConnection {
    pub(crate) fn new(endpoint: Arc<HubEndpoint>, connection: Arc<Connection>) -> Self {
        connection.set_deadline(Some(Instant::now() + endpoint.options.handshake_timeout));
        Self { endpoint, connection, phase: Phase::Handshake, ending: None }
    }

    fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    /// The handshake is done: the connection is added, then the connect hook runs.
    fn connect(&mut self, context: Context) {
        let endpoint = self.endpoint.clone();
        let hooked = context.clone();
        let connection = self.connection.clone();
        let work = async move {
            endpoint.manager.connect(&connection).await.map_err(|error| {
                tracing::error!(hub = endpoint.manager.name(), %error, "the backplane did not take a connection");
                ConnectFault::Backplane
            })?;
            let (filters, definition) = (&endpoint.options.filters, &endpoint.definition);
            let span = trace::connected(endpoint.manager.name());
            if definition.connected.is_none() && filters.is_empty() {
                return Ok(());
            }
            let work = AssertUnwindSafe(filters.connected(definition, &hooked)).catch_unwind();
            let done = work.instrument(span.clone()).await;
            done.unwrap_or_else(|panic| Err(HubError::panicked(&*panic))).map_err(|error| {
                trace::failed(&span, error.type_name());
                ConnectFault::Hook(error)
            })
        };
        self.phase = Phase::Connecting(context, Box::pin(work));
    }

    fn open(&mut self, context: Context) {
        context.inner.connecting.store(false, Ordering::Release);
        let calls = Calls::new(context);
        self.connection.set_deadline(Some(calls.next_deadline(&self.endpoint.options)));
        self.phase = Phase::Open(Box::new(calls));
    }

    fn refuse_connection(&mut self, context: &Context, fault: ConnectFault) {
        let end = match fault {
            ConnectFault::Backplane => WorkEnd::Failed,
            ConnectFault::Hook(error) => {
                crate::metric::failed_call(self.endpoint.manager.name());
                ending::say_good_bye(context, &Ending::ConnectFailed(error));
                WorkEnd::Normal
            }
        };
        self.connection.mark_ended();
        self.endpoint.manager.disconnect(&self.connection);
        self.phase = Phase::Done(end);
    }

    /// Says good-bye, ends the running calls and starts the disconnect hook.
    fn close(&mut self, ending: Ending) {
        let phase = std::mem::replace(&mut self.phase, Phase::Done(WorkEnd::Normal));
        let Phase::Open(calls) = phase else { return };
        let context = calls.into_context();
        ending::say_good_bye(&context, &ending);
        self.connection.set_deadline(None);
        self.connection.mark_ended();
        let (endpoint, connection) = (self.endpoint.clone(), self.connection.clone());
        self.phase = Phase::Closing(Box::pin(async move {
            let end = disconnect_hook(&endpoint, context, ending.into_error()).await;
            endpoint.manager.disconnect(&connection);
            end
        }));
    }
}

async fn disconnect_hook(endpoint: &HubEndpoint, context: Context, error: Option<HubError>) -> WorkEnd {
    let (filters, definition) = (&endpoint.options.filters, &endpoint.definition);
    let span = trace::disconnected(endpoint.manager.name());
    if definition.disconnected.is_none() && filters.is_empty() {
        return WorkEnd::Normal;
    }
    let work = AssertUnwindSafe(filters.disconnected(definition, &context, error)).catch_unwind();
    let done = work.instrument(span.clone()).await;
    match done.unwrap_or_else(|panic| Err(HubError::panicked(&*panic))) {
        Ok(()) => WorkEnd::Normal,
        Err(error) => {
            crate::metric::failed_call(endpoint.manager.name());
            trace::failed(&span, error.type_name());
            tracing::error!(
                hub = endpoint.manager.name(),
                error = error.type_name(),
                "the disconnect hook failed"
            );
            WorkEnd::Failed
        }
    }
}

impl ConnectionDriver for HubConnection {
    fn on_bytes(&mut self, input: &[u8], cx: &mut TaskContext<'_>) -> usize {
        match &mut self.phase {
            Phase::Handshake if self.ending.is_none() => self.read_handshake(input),
            Phase::Connecting(..) => 0,
            Phase::Open(calls) if self.ending.is_none() => {
                let (used, ending) = dispatch::read(calls, &self.endpoint, input, cx);
                self.ending = ending;
                used
            }
            _ => input.len(),
        }
    }

    fn wants_input(&self) -> bool {
        match &self.phase {
            Phase::Connecting(..) => false,
            Phase::Open(calls) => !calls.is_blocked(&self.endpoint.options),
            _ => true,
        }
    }

    fn poll_work(&mut self, cx: &mut TaskContext<'_>) -> Poll<WorkEnd> {
        loop {
            match &mut self.phase {
                Phase::Handshake => match self.ending.take() {
                    Some(_) => self.phase = Phase::Done(WorkEnd::Normal),
                    None => return Poll::Pending,
                },
                Phase::Connecting(context, work) => {
                    let context = context.clone();
                    match std::task::ready!(work.as_mut().poll(cx)) {
                        Ok(()) => self.open(context),
                        Err(fault) => self.refuse_connection(&context, fault),
                    }
                }
                Phase::Open(calls) => {
                    calls.poll(cx);
                    match self.ending.take() {
                        Some(ending) => self.close(ending),
                        None => return Poll::Pending,
                    }
                }
                Phase::Closing(work) => {
                    let end = std::task::ready!(work.as_mut().poll(cx));
                    self.phase = Phase::Done(end);
                }
                Phase::Done(end) => return Poll::Ready(*end),
            }
        }
    }

    fn on_tick(&mut self, now: Instant) {
        self.tick(now);
    }

    fn on_resume(&mut self) {
        if let Phase::Open(calls) = &mut self.phase {
            calls.restart_silence();
            self.connection.set_deadline(Some(calls.next_deadline(&self.endpoint.options)));
        }
    }

    fn on_input_end(&mut self, end: InputEnd, unused: usize) {
        self.end(Ending::input(end, unused));
    }

    fn on_close_request(&mut self, reason: CloseReason) {
        let fault = match &self.phase {
            Phase::Open(calls) => calls.context().take_fault(),
            _ => None,
        };
        self.end(Ending::requested(reason, fault));
    }
}

impl Drop for HubConnection {
    /// A connection whose task was dropped in the middle must not stay in the tables. Its disconnect hook cannot run.
    fn drop(&mut self) {
        if !matches!(self.phase, Phase::Handshake | Phase::Done(_)) {
            self.connection.mark_ended();
            self.endpoint.manager.disconnect(&self.connection);
        }
    }
}
