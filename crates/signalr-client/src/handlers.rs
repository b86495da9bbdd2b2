//! Client methods: what happens when the server calls one.
//!
//! Owns the table from method names to callbacks, answers and queues. The driver asks it for every invocation; it never
//! blocks: what finds its queue full is handed back to the driver, which waits for room.

use crate::error::ClientError;
use serde::Serialize;
use signalr_protocol::{FromArguments, HubProtocol, Invocation, OwnedArguments};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Messages of one method that wait for their reader before the client stops reading from the network.
const QUEUE: usize = 256;

type Callback = Arc<dyn Fn(&Invocation<'_>) + Send + Sync>;
type Answer = Arc<dyn Fn(&Invocation<'_>, &str, HubProtocol, &mut Vec<u8>) + Send + Sync>;

/// All client methods of one client. Names are compared without regard to ASCII case, as the official clients do.
#[derive(Default)]
pub(crate) struct Handlers(Mutex<Table>);

#[derive(Default)]
struct Table {
    methods: HashMap<String, Method>,
    ended: bool,
}

#[derive(Default, Clone)]
struct Method {
    callbacks: Vec<Callback>,
    answer: Option<Answer>,
    queues: Vec<mpsc::Sender<OwnedArguments>>,
}

impl Handlers {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // Only insertions and look-ups happen under this lock; callbacks run outside.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, method: &str, change: impl FnOnce(&mut Method)) {
        change(self.lock().methods.entry(method.to_ascii_lowercase()).or_default());
    }

    pub(crate) fn on<A: FromArguments>(&self, method: &str, handler: impl Fn(A) + Send + Sync + 'static) {
        let callback = move |call: &Invocation<'_>| match call.arguments.decode::<A>() {
            Ok(arguments) => handler(arguments),
            Err(error) => {
                tracing::warn!(target = %call.target, %error, "a call of the server does not fit its handler");
            }
        };
        self.change(method, |method| method.callbacks.push(Arc::new(callback)));
    }

    pub(crate) fn on_request<A: FromArguments, R: Serialize>(
        &self,
        method: &str,
        handler: impl Fn(A) -> Result<R, String> + Send + Sync + 'static,
    ) {
        let answer = move |call: &Invocation<'_>, id: &str, protocol: HubProtocol, out: &mut Vec<u8>| {
            let result = call.arguments.decode::<A>().map_err(|error| error.to_string()).and_then(&handler);
            let written = match result {
                Ok(value) => {
                    protocol.write_completion_result(out, id, &value).map_err(|error| error.to_string())
                }
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                protocol.write_completion_error(out, id, &error);
            }
        };
        self.change(method, |method| method.answer = Some(Arc::new(answer)));
    }

    pub(crate) fn messages<A: FromArguments>(&self, method: &str) -> Messages<A> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mut table = self.lock();
        if !table.ended {
            let method = table.methods.entry(method.to_ascii_lowercase()).or_default();
            method.queues.retain(|queue| !queue.is_closed());
            method.queues.push(sender);
        }
        Messages { receiver, kind: PhantomData }
    }

    pub(crate) fn remove(&self, method: &str) {
        self.lock().methods.remove(&method.to_ascii_lowercase());
    }

    /// The connection has ended: so do the queues, those to come too.
    pub(crate) fn end(&self) {
        let mut table = self.lock();
        table.ended = true;
        table.methods.values_mut().for_each(|method| method.queues.clear());
    }

    /// Does what a call asks for: callbacks at once, an answer appended to `out`. Returns the queues that want the
    /// arguments.
    pub(crate) fn dispatch(
        &self,
        call: &Invocation<'_>,
        protocol: HubProtocol,
        out: &mut Vec<u8>,
    ) -> Vec<mpsc::Sender<OwnedArguments>> {
        let method = self.lock().methods.get(&call.target.to_ascii_lowercase()).cloned().unwrap_or_default();
        method.callbacks.iter().for_each(|callback| callback(call));
        if let Some(id) = &call.invocation_id {
            match &method.answer {
                Some(answer) => answer(call, id, protocol, out),
                None => protocol.write_completion_error(out, id, "Client didn't provide a result."),
            }
        } else if let Some(answer) = &method.answer {
            // Nobody wants the result; the handler runs all the same, as in the official clients.
            answer(call, "", protocol, &mut Vec::new());
        }
        method.queues.into_iter().filter(|queue| !queue.is_closed()).collect()
    }
}

/// The calls of one client method, in order. Ends when the connection ends and everything before that was taken.
#[derive(Debug)]
pub struct Messages<A> {
    receiver: mpsc::Receiver<OwnedArguments>,
    kind: PhantomData<fn() -> A>,
}

impl<A: FromArguments> Messages<A> {
    /// The next call's arguments; `None` at the end of the connection. Cancel safe.
    ///
    /// # Errors
    /// The arguments do not fit; later calls can still be taken.
    pub async fn next(&mut self) -> Option<Result<A, ClientError>> {
        let arguments = self.receiver.recv().await?;
        Some(arguments.as_arguments().decode().map_err(ClientError::Decode))
    }

    /// A call that has arrived already, without waiting.
    ///
    /// # Errors
    /// The arguments do not fit; later calls can still be taken.
    pub fn try_next(&mut self) -> Option<Result<A, ClientError>> {
        let arguments = self.receiver.try_recv().ok()?;
        Some(arguments.as_arguments().decode().map_err(ClientError::Decode))
    }
}
