//! The handle of a connection: calls, sends, streams, and the end.
//!
//! Owns encoding and the ids of invocations. The connection itself is the driver's; commands go to it over a bounded
//! queue, so that a caller waits while the network is slow.

use crate::builder::ClientBuilder;
use crate::driver::Command;
use crate::error::{ClientError, CloseCause, Closed};
use crate::handlers::{Handlers, Messages};
use crate::stream::ItemStream;
use crate::upload::PendingCall;
use serde::Serialize;
use serde::de::DeserializeOwned;
use signalr_protocol::{ArgumentList, EncodeError, FromArguments, HubProtocol, Protocol};
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot, watch};

/// Items of one stream that wait for their reader before the client stops reading from the network.
const STREAM_QUEUE: usize = 64;

/// A connected client. Cheap to clone; the connection ends when the last clone is dropped or any is stopped.
#[derive(Clone)]
pub struct HubClient {
    pub(crate) link: Arc<Link>,
}

/// What handles and streams share with the driver.
pub(crate) struct Link {
    pub(crate) protocol: HubProtocol,
    pub(crate) connection_id: Option<String>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) closed: watch::Receiver<Option<Closed>>,
    pub(crate) handlers: Arc<Handlers>,
    pub(crate) last_id: AtomicU64,
}

impl Link {
    /// How the connection ended; to be asked when its driver is known to be gone.
    pub(crate) fn closed_now(&self) -> Closed {
        let closed = self.closed.borrow().clone();
        // Without a word the driver can only have been dropped: a handler panicked, or the runtime stops.
        closed.unwrap_or_else(|| Closed::new(CloseCause::Io(io::ErrorKind::Other)))
    }

    pub(crate) fn new_id(&self) -> String {
        (self.last_id.fetch_add(1, Ordering::Relaxed) + 1).to_string()
    }

    pub(crate) async fn command(&self, command: Command) -> Result<(), ClientError> {
        self.commands.send(command).await.map_err(|_| self.closed_now().into())
    }
}

impl HubClient {
    /// Starts with an address: `http://host:port/path`.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    /// Connects with default settings and JSON. Client methods that the server calls before [`HubClient::on`] are
    /// missed; register them with the builder instead.
    ///
    /// # Errors
    /// See [`ClientBuilder::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, ClientError> {
        Self::builder(url).connect().await
    }

    pub(crate) fn new(link: Link) -> Self {
        Self { link: Arc::new(link) }
    }

    /// The connection's public id; unknown when negotiation was skipped.
    pub fn connection_id(&self) -> Option<&str> {
        self.link.connection_id.as_deref()
    }

    /// The hub protocol.
    pub fn protocol(&self) -> Protocol {
        self.link.protocol.kind()
    }

    /// Calls a hub method and waits for its result; `()` for a method that returns nothing.
    ///
    /// Dropping the future does not stop the method: the answer is ignored.
    ///
    /// # Errors
    /// The hub's error ([`ClientError::Call`]), a result that does not fit, or the end of the connection.
    pub async fn invoke<R: DeserializeOwned>(
        &self,
        method: &str,
        arguments: impl ArgumentList,
    ) -> Result<R, ClientError> {
        let id = self.link.new_id();
        let bytes = encode(|out| self.link.protocol.write_invocation(out, Some(&id), method, &arguments))?;
        let (answer, answered) = oneshot::channel();
        self.link.command(Command::Call { id, bytes, answer }).await?;
        PendingCall::new(answered, self.link.clone()).result().await
    }

    /// Calls a hub method without waiting for anything but room in the queue. Calls arrive in order.
    ///
    /// Cancel safe: the call is queued as a whole or not at all.
    ///
    /// # Errors
    /// An argument cannot be written, or the connection has ended.
    pub async fn send(&self, method: &str, arguments: impl ArgumentList) -> Result<(), ClientError> {
        let bytes = encode(|out| self.link.protocol.write_invocation(out, None, method, &arguments))?;
        self.link.command(Command::Send(bytes)).await
    }

    /// Calls a streaming hub method.
    ///
    /// # Errors
    /// An argument cannot be written, or the connection has ended. The hub's own errors come as the stream's item.
    pub async fn stream<T: DeserializeOwned>(
        &self,
        method: &str,
        arguments: impl ArgumentList,
    ) -> Result<ItemStream<T>, ClientError> {
        let id = self.link.new_id();
        let bytes = encode(|out| self.link.protocol.write_stream_invocation(out, &id, method, &arguments))?;
        self.open_stream(id, bytes).await
    }

    pub(crate) async fn open_stream<T>(
        &self,
        id: String,
        bytes: Vec<u8>,
    ) -> Result<ItemStream<T>, ClientError> {
        let (sender, parts) = mpsc::channel(STREAM_QUEUE);
        self.link.command(Command::Stream { id: id.clone(), bytes, parts: sender }).await?;
        let (protocol, link) = (self.protocol(), self.link.clone());
        Ok(ItemStream { id, protocol, parts, link, finished: false, kind: PhantomData })
    }

    /// Calls `handler` for each call of a client method, on the connection's task, in order. It must not block; a panic
    /// in it ends the connection.
    pub fn on<A: FromArguments>(&self, method: &str, handler: impl Fn(A) + Send + Sync + 'static) {
        self.link.handlers.on(method, handler);
    }

    /// As [`HubClient::on`], for a method whose result the server wants. An `Err` is told to the server. A second one
    /// for the same method replaces the first.
    pub fn on_request<A: FromArguments, R: Serialize>(
        &self,
        method: &str,
        handler: impl Fn(A) -> Result<R, String> + Send + Sync + 'static,
    ) {
        self.link.handlers.on_request(method, handler);
    }

    /// The calls of a client method from now on, in order. When 256 wait, the client stops reading.
    pub fn messages<A: FromArguments>(&self, method: &str) -> Messages<A> {
        self.link.handlers.messages(method)
    }

    /// Removes everything that was registered for a client method.
    pub fn off(&self, method: &str) {
        self.link.handlers.remove(method);
    }

    /// Says good-bye and waits until the connection has ended.
    pub async fn stop(&self) -> Closed {
        // A connection that has ended already needs no stop.
        let _ = self.link.commands.send(Command::Stop).await;
        self.closed().await
    }

    /// Waits for the end of the connection. Cancel safe.
    pub async fn closed(&self) -> Closed {
        let mut closed = self.link.closed.clone();
        // An error means that the driver is gone, which `closed_now` knows.
        let _ = closed.wait_for(Option::is_some).await;
        self.link.closed_now()
    }
}

impl std::fmt::Debug for HubClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubClient")
            .field("connection_id", &self.link.connection_id)
            .field("protocol", &self.protocol())
            .finish_non_exhaustive()
    }
}

pub(crate) fn encode(
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<Vec<u8>, ClientError> {
    let mut out = Vec::new();
    write(&mut out)?;
    Ok(out)
}

/// What a completion without a result reads as.
pub(crate) fn null(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::MessagePack => &[0xc0],
        _ => b"null",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Script, connect, connected};
    use signalr_protocol::Message;
    use std::time::Duration;
    use tokio::time::Instant;

    fn builder() -> ClientBuilder {
        HubClient::builder("http://test/hub").access_token("t")
    }

    async fn json() -> (HubClient, Script) {
        connected(builder(), Protocol::Json).await
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_answered_in_either_protocol() {
        for protocol in Protocol::ALL {
            let (client, mut script) = connected(builder(), protocol).await;
            let server = async {
                let body = script.next().await.unwrap();
                let Ok(Message::Invocation(call)) = script.protocol.parse(&body) else { panic!("no call") };
                assert_eq!(call.target, "Add");
                let (a, b): (i32, i32) = call.arguments.decode().unwrap();
                let id = call.invocation_id.as_deref().unwrap();
                script.write(|p, out| p.write_completion_result(out, id, &(a + b)).unwrap()).await;
            };
            let (sum, ()) = tokio::join!(client.invoke::<i32>("Add", (2, 3)), server);
            assert_eq!(sum.unwrap(), 5);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn errors_and_empty_results_are_told_apart() {
        let (client, mut script) = json().await;
        let server = async {
            assert_eq!(
                script.next_text().await,
                r#"{"type":1,"invocationId":"1","target":"A","arguments":[]}"#
            );
            script.send(b"{\"type\":3,\"invocationId\":\"1\",\"error\":\"no\"}\x1e").await;
            script.next().await.unwrap();
            script.send(b"{\"type\":3,\"invocationId\":\"2\"}\x1e").await;
            script.next().await.unwrap();
            script.send(b"{\"type\":3,\"invocationId\":\"3\",\"result\":\"x\"}\x1e").await;
        };
        let calls = async {
            let error = client.invoke::<i32>("A", ()).await.unwrap_err();
            assert!(matches!(error, ClientError::Call(text) if text == "no"));
            client.invoke::<()>("B", ()).await.unwrap();
            assert!(matches!(client.invoke::<i32>("C", ()).await, Err(ClientError::Decode(_))));
        };
        tokio::join!(calls, server);
    }

    #[tokio::test(start_paused = true)]
    async fn client_methods_are_called_in_order_and_questions_answered() {
        let mut builder = builder()
            .on_request("Ask", |(a,): (i32,)| if a > 0 { Ok(a * 2) } else { Err("negative".into()) });
        let mut messages = builder.messages::<(i32,)>("tick");
        let (client, mut script) = connected(builder, Protocol::Json).await;
        for n in 0..3 {
            script.write(|p, out| p.write_invocation(out, None, "Tick", &(n,)).unwrap()).await;
        }
        script.write(|p, out| p.write_invocation(out, None, "tick", &("no number",)).unwrap()).await;
        for n in 0..3 {
            assert_eq!(messages.next().await.unwrap().unwrap(), (n,));
        }
        assert!(messages.next().await.unwrap().is_err());

        for (asked, wanted) in [
            (21, r#"{"type":3,"invocationId":"q","result":42}"#),
            (-1, r#"{"type":3,"invocationId":"q","error":"negative"}"#),
        ] {
            script.write(|p, out| p.write_invocation(out, Some("q"), "Ask", &(asked,)).unwrap()).await;
            assert_eq!(script.next_text().await, wanted);
        }
        client.off("ask");
        script.write(|p, out| p.write_invocation(out, Some("q"), "Ask", &(1,)).unwrap()).await;
        assert_eq!(
            script.next_text().await,
            r#"{"type":3,"invocationId":"q","error":"Client didn't provide a result."}"#
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_stops_the_reading_and_loses_nothing() {
        let mut builder = builder();
        let mut messages = builder.messages::<(usize, String)>("M");
        let (client, mut script) = connected(builder, Protocol::MessagePack).await;
        let text = "x".repeat(100);
        let server = async {
            for n in 0..2000usize {
                script.write(|p, out| p.write_invocation(out, None, "M", &(n, &text)).unwrap()).await;
            }
            script.send_frame(0x88, &1001u16.to_be_bytes()).await;
            script
        };
        let reader = async {
            // Longer than the server time-out: who does not listen must not blame the server.
            tokio::time::timeout(Duration::from_secs(100), client.closed()).await.unwrap_err();
            for n in 0..2000usize {
                assert_eq!(messages.next().await.unwrap().unwrap().0, n);
            }
            assert!(messages.next().await.is_none());
        };
        let (_script, ()) = tokio::join!(server, reader);
        assert_eq!(client.closed().await.cause, CloseCause::Transport { code: Some(1001) });
    }

    #[tokio::test(start_paused = true)]
    async fn streams_complete_fail_and_are_cancelled() {
        let (client, mut script) = json().await;
        let mut stream = client.stream::<i32>("Count", (2,)).await.unwrap();
        assert_eq!(
            script.next_text().await,
            r#"{"type":4,"invocationId":"1","target":"Count","arguments":[2]}"#
        );
        script.send(b"{\"type\":2,\"invocationId\":\"1\",\"item\":1}\x1e{\"type\":2,\"invocationId\":\"1\",\"item\":2}\x1e{\"type\":3,\"invocationId\":\"1\"}\x1e").await;
        assert_eq!(stream.next().await.unwrap().unwrap(), 1);
        assert_eq!(stream.next().await.unwrap().unwrap(), 2);
        assert!(stream.next().await.is_none());

        let mut stream = client.stream::<i32>("Fail", ()).await.unwrap();
        script.next().await.unwrap();
        script.send(b"{\"type\":3,\"invocationId\":\"2\",\"error\":\"bad\"}\x1e").await;
        assert!(matches!(stream.next().await, Some(Err(ClientError::Call(text))) if text == "bad"));
        assert!(stream.next().await.is_none());

        let stream = client.stream::<i32>("Endless", ()).await.unwrap();
        script.next().await.unwrap();
        drop(stream);
        assert_eq!(script.next_text().await, r#"{"type":5,"invocationId":"3"}"#);
    }

    #[tokio::test(start_paused = true)]
    async fn pings_go_out_and_a_silent_server_is_noticed() {
        let (client, mut script) = json().await;
        let start = Instant::now();
        assert_eq!(script.next_text().await, r#"{"type":6}"#);
        assert_eq!(start.elapsed().as_secs(), 15);
        script.send_frame(0x89, b"hi").await;
        assert_eq!(script.next_frame().await.unwrap(), (0x8a, b"hi".to_vec()));
        let closed = client.closed().await;
        assert_eq!(closed.cause, CloseCause::ServerTimeout(Duration::from_secs(30)));
        assert_eq!(start.elapsed().as_secs(), 45);
    }

    #[tokio::test(start_paused = true)]
    async fn every_end_is_told_to_everybody() {
        // The server says why.
        let (client, mut script) = json().await;
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { client.invoke::<i32>("Never", ()).await }
        });
        script.next().await.unwrap();
        script.send(b"{\"type\":7,\"error\":\"full\",\"allowReconnect\":true}\x1e").await;
        let closed = client.closed().await;
        assert_eq!(closed.cause, CloseCause::Server { error: Some("full".into()) });
        assert!(closed.allow_reconnect);
        assert!(matches!(waiting.await.unwrap(), Err(ClientError::Closed(end)) if end == closed));
        assert!(matches!(client.send("X", ()).await, Err(ClientError::Closed(end)) if end == closed));
        assert!(client.messages::<()>("late").next().await.is_none());

        // The transport just ends.
        let (client, script) = json().await;
        drop(script);
        assert_eq!(client.closed().await.cause, CloseCause::Transport { code: None });

        // The client stops: a Close message, then a close frame.
        let (client, mut script) = json().await;
        let server = async {
            assert_eq!(script.next_text().await, r#"{"type":7}"#);
            assert_eq!(script.next_frame().await, Some((0x88, vec![0x03, 0xe8])));
            script.send_frame(0x88, &1000u16.to_be_bytes()).await;
        };
        let (closed, ()) = tokio::join!(client.stop(), server);
        assert_eq!(closed.cause, CloseCause::Stopped);

        // Nonsense.
        let (client, mut script) = json().await;
        script.send(b"{\"type\":}\x1e").await;
        assert!(matches!(client.closed().await.cause, CloseCause::Protocol(_)));

        // A handler panics.
        let (client, mut script) = json().await;
        let mut messages = client.messages::<()>("Boom");
        client.on("Boom", |(): ()| panic!("the test says so"));
        script.write(|p, out| p.write_invocation(out, None, "Boom", &()).unwrap()).await;
        assert_eq!(client.closed().await.cause, CloseCause::Io(io::ErrorKind::Other));
        assert!(messages.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn too_large_a_message_ends_the_connection() {
        let (client, mut script) = connected(builder().max_message(1000), Protocol::Json).await;
        script.send(&[b' '; 1001]).await;
        assert!(matches!(client.closed().await.cause, CloseCause::Protocol(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_handshake_is_an_error() {
        let (client, _) = connect(builder(), Protocol::Json, "{\"error\":\"no json\"}\u{1e}").await;
        assert!(matches!(client, Err(ClientError::Refused(text)) if text == "no json"));
        let (client, _) = connect(builder(), Protocol::Json, "{\"type\":6}\u{1e}").await;
        assert!(matches!(client, Err(ClientError::BadAnswer { .. })));
        let (near, _far) = tokio::io::duplex(1024);
        let client = builder().connect_over(near).await;
        assert!(matches!(client, Err(ClientError::TimedOut { .. })));
    }
}
