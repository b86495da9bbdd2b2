//! Calls that carry streams of the client.
//!
//! Owns the writing end of such a stream and the answer that is waited for meanwhile. Encoded messages go to the driver
//! through the same queue as all others.

use crate::client::{HubClient, Link, encode, null};
use crate::driver::{Answer, Command};
use crate::error::ClientError;
use crate::stream::ItemStream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use signalr_protocol::{ArgumentList, InvocationParts, Payload};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What the server reads when an [`Upload`] was dropped.
const DROPPED: &str = "The stream was dropped before its end.";

impl HubClient {
    /// Calls a hub method that takes `N` streams of the client, in order of its parameters; send the items, then ask the
    /// call for its result.
    ///
    /// ```no_run
    /// # async fn run(client: signalr_client::HubClient) -> Result<(), signalr_client::ClientError> {
    /// let (call, [numbers]) = client.upload("Sum", ()).await?;
    /// for number in 1..=10 {
    ///     numbers.send(&number).await?;
    /// }
    /// numbers.complete().await?;
    /// assert_eq!(call.result::<i64>().await?, 55);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// An argument cannot be written, or the connection has ended.
    pub async fn upload<const N: usize>(
        &self,
        method: &str,
        arguments: impl ArgumentList,
    ) -> Result<(PendingCall, [Upload; N]), ClientError> {
        let (id, uploads) = (self.link.new_id(), self.new_uploads());
        let bytes = self.announce(InvocationParts::new(Some(&id), method), &arguments, &uploads)?;
        let (answer, answered) = oneshot::channel();
        self.link.command(Command::Call { id, bytes, answer }).await?;
        Ok((PendingCall::new(answered, self.link.clone()), open(uploads)))
    }

    /// As [`HubClient::upload`], for a method that answers with a stream.
    ///
    /// # Errors
    /// As [`HubClient::stream`].
    pub async fn upload_and_stream<T: DeserializeOwned, const N: usize>(
        &self,
        method: &str,
        arguments: impl ArgumentList,
    ) -> Result<(ItemStream<T>, [Upload; N]), ClientError> {
        let (id, uploads) = (self.link.new_id(), self.new_uploads());
        let mut parts = InvocationParts::new(Some(&id), method);
        parts.streaming = true;
        let bytes = self.announce(parts, &arguments, &uploads)?;
        let items = self.open_stream(id, bytes).await?;
        Ok((items, open(uploads)))
    }

    /// As [`HubClient::upload`], for a call that is not to be answered.
    ///
    /// # Errors
    /// An argument cannot be written, or the connection has ended.
    pub async fn send_and_upload<const N: usize>(
        &self,
        method: &str,
        arguments: impl ArgumentList,
    ) -> Result<[Upload; N], ClientError> {
        let uploads = self.new_uploads();
        let bytes = self.announce(InvocationParts::new(None, method), &arguments, &uploads)?;
        self.link.command(Command::Send(bytes)).await?;
        Ok(open(uploads))
    }

    fn new_uploads<const N: usize>(&self) -> [Upload; N] {
        // Not open before the call is on its way: a call that fails has no streams to end.
        std::array::from_fn(|_| Upload { id: self.link.new_id(), link: self.link.clone(), open: false })
    }

    fn announce(
        &self,
        parts: InvocationParts<'_>,
        arguments: &dyn ArgumentList,
        uploads: &[Upload],
    ) -> Result<Vec<u8>, ClientError> {
        let ids: Vec<Cow<'_, str>> = uploads.iter().map(|upload| Cow::Borrowed(upload.id.as_str())).collect();
        let parts = InvocationParts { stream_ids: Some(&ids), ..parts };
        encode(|out| self.link.protocol.write_invocation_with(out, &parts, arguments))
    }
}

fn open<const N: usize>(mut uploads: [Upload; N]) -> [Upload; N] {
    uploads.iter_mut().for_each(|upload| upload.open = true);
    uploads
}

/// A call whose answer has not been waited for yet. Dropping it does not stop the method.
pub struct PendingCall {
    answered: oneshot::Receiver<Answer>,
    link: Arc<Link>,
}

impl PendingCall {
    pub(crate) fn new(answered: oneshot::Receiver<Answer>, link: Arc<Link>) -> Self {
        Self { answered, link }
    }

    /// Waits for the result; `()` for a method that returns nothing.
    ///
    /// # Errors
    /// The hub's error ([`ClientError::Call`]), a result that does not fit, or the end of the connection.
    pub async fn result<R: DeserializeOwned>(self) -> Result<R, ClientError> {
        let protocol = self.link.protocol.kind();
        match self.answered.await {
            Ok(Answer::Error(error)) => Err(ClientError::Call(error)),
            Ok(Answer::Result(bytes)) => Ok(Payload::new(protocol, &bytes).decode()?),
            Ok(Answer::Void) => Ok(Payload::new(protocol, null(protocol)).decode()?),
            Err(_) => Err(self.link.closed_now().into()),
        }
    }
}

/// The writing end of one stream of the client. What is sent after the method has ended is ignored by the server.
///
/// Dropped before its end, it tells the server so as an error of the stream; when the queue is full at that moment, the
/// server sees no end before that of the connection.
pub struct Upload {
    id: String,
    link: Arc<Link>,
    open: bool,
}

impl Upload {
    /// Sends an item. Waits while the network is slow, as it is when the method reads slowly.
    ///
    /// Cancel safe: the item is queued as a whole or not at all.
    ///
    /// # Errors
    /// The item cannot be written, or the connection has ended.
    pub async fn send<T: Serialize + ?Sized>(&self, item: &T) -> Result<(), ClientError> {
        let bytes = encode(|out| self.link.protocol.write_stream_item(out, &self.id, item))?;
        self.link.command(Command::Send(bytes)).await
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// The connection has ended.
    pub async fn complete(self) -> Result<(), ClientError> {
        self.end(None).await
    }

    /// Ends the stream with an error, which the method reads.
    ///
    /// # Errors
    /// The connection has ended.
    pub async fn fail(self, error: &str) -> Result<(), ClientError> {
        self.end(Some(error)).await
    }

    async fn end(mut self, error: Option<&str>) -> Result<(), ClientError> {
        let ended = self.link.command(self.ending(error)).await;
        self.open = false;
        ended
    }

    fn ending(&self, error: Option<&str>) -> Command {
        let mut out = Vec::new();
        match error {
            Some(error) => self.link.protocol.write_completion_error(&mut out, &self.id, error),
            None => self.link.protocol.write_completion_void(&mut out, &self.id),
        }
        Command::Send(out)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.open {
            // Without room nobody is told; see the type's documentation.
            let _ = self.link.commands.try_send(self.ending(Some(DROPPED)));
        }
    }
}
