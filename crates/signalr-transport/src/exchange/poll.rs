//! Long polling: one GET after the other, each with what has come up to now (B-2.6).

use super::Exchange;
use super::answers;
use super::output::{NoPlace, Taken};
use crate::answer::Answer;
use signalr_core::Connection;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

/// The GET that opens the connection: answered at once.
pub(crate) fn first_poll(exchange: &Exchange) -> Answer {
    exchange.output.expect();
    answers::data(Vec::new())
}

/// Any later GET: waits for data, the time-out, a newer GET, or the end. Dropping the future means that the client has
/// gone; the connection then waits for another GET.
pub(crate) async fn next_poll(exchange: &Arc<Exchange>, timeout: Duration) -> Answer {
    // A connection is there before anybody can find its exchange by a second GET.
    let Some(connection) = exchange.connection().cloned() else { return answers::conflict() };
    let number = match exchange.output.take_over().await {
        Ok(number) => number,
        Err(NoPlace::Taken) => return answers::conflict(),
        Err(NoPlace::Disposed) => return answers::disposed(),
    };
    let place = Place { exchange, number };
    let taken = tokio::time::timeout(timeout, place.take(&connection)).await;
    drop(place);
    match taken {
        Err(_) => answers::nothing_yet(),
        Ok(Taken::Bytes(bytes)) => answers::data(bytes),
        Ok(Taken::Replaced) => answers::no_content(),
        Ok(Taken::Failed) => answers::failed(),
        Ok(Taken::Finished) => {
            exchange.wake_task();
            // The id is unknown as soon as the client knows about the end.
            exchange.output.wait_over().await;
            answers::no_content()
        }
    }
}

/// The place of a GET, given back however it ends.
struct Place<'a> {
    exchange: &'a Exchange,
    number: u64,
}

impl Place<'_> {
    async fn take(&self, connection: &Connection) -> Taken {
        poll_fn(|cx| self.exchange.output.poll_take(self.number, connection, cx)).await
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.exchange.output.leave(self.number, true);
        self.exchange.wake_task();
    }
}
