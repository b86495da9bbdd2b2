//! A client without a network: sends bytes and messages to a [`ConnectionHandler`] and reads what comes back.
//!
//! Owns bytes, freezing and the end. Messages are `messages`', the connection's task is `pump`.

mod messages;

use crate::builder::TestClientBuilder;
use crate::error::TestError;
use crate::pipe::Pipe;
use crate::received::Received;
use bytes::{Bytes, BytesMut};
use signalr_core::{Connection, ConnectionHandler, ConnectionId, InputEnd, WorkEnd};
use signalr_protocol::{HubProtocol, Protocol};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// A client that lives in memory. See the crate's example.
///
/// Dropping it is a client that vanishes: the server sees the end of input and cannot write any more.
pub struct TestClient {
    connection: Arc<Connection>,
    pipe: Arc<Pipe>,
    task: JoinHandle<WorkEnd>,
    end: Option<Result<WorkEnd, TestError>>,
    unread: BytesMut,
    kept: VecDeque<Received>,
    protocol: HubProtocol,
    last_id: u64,
    patience: Duration,
    keep_alive: bool,
}

impl TestClient {
    pub(crate) fn new(
        connection: Arc<Connection>,
        pipe: Arc<Pipe>,
        task: JoinHandle<WorkEnd>,
        patience: Duration,
        keep_alive: bool,
    ) -> Self {
        Self {
            connection,
            pipe,
            task,
            end: None,
            unread: BytesMut::new(),
            kept: VecDeque::new(),
            protocol: HubProtocol::new(Protocol::Json),
            last_id: 0,
            patience,
            keep_alive,
        }
    }

    /// Settings to change before connecting.
    pub fn builder() -> TestClientBuilder {
        TestClientBuilder::default()
    }

    /// Connects with default settings. Nothing is sent.
    pub fn connect(handler: Arc<dyn ConnectionHandler>) -> Self {
        Self::builder().connect(handler)
    }

    /// The server's view of this client.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The connection's id.
    pub fn id(&self) -> &ConnectionId {
        self.connection.id()
    }

    // Bytes

    /// Sends bytes as one read.
    pub fn send_bytes(&self, bytes: impl Into<Bytes>) {
        self.pipe.send(bytes.into());
    }

    /// Sends text as one read, without anything added.
    pub fn send_text(&self, text: &str) {
        self.send_bytes(text.to_owned());
    }

    /// Sends a JSON record: the text and its separator.
    pub fn send_record(&self, json: &str) {
        self.send_bytes(format!("{json}\x1e"));
    }

    /// Waits for `length` bytes, whatever they mean.
    ///
    /// # Errors
    /// The connection ended, or patience ran out.
    pub async fn read(&mut self, length: usize) -> Result<Vec<u8>, TestError> {
        while self.unread.len() < length {
            self.more("bytes").await?;
        }
        Ok(self.unread.split_to(length).to_vec())
    }

    /// Everything that has arrived and was not read yet, whatever it means.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        self.pipe.read_now(&mut self.unread);
        std::mem::take(&mut self.unread).to_vec()
    }

    // The connection's life

    /// Stops reading: what the server sends stays in its outbox until [`TestClient::thaw`].
    pub fn freeze(&self) {
        self.pipe.set_frozen(true);
    }

    /// Reads again.
    pub fn thaw(&self) {
        self.pipe.set_frozen(false);
    }

    /// Ends the transport in an orderly way. What the server still sends can be read.
    pub fn close(&self) {
        self.pipe.end_input(InputEnd::Closed);
    }

    /// Ends the transport with a failure, as a peer does that breaks the transport's own rules.
    pub fn fail(&self) {
        self.pipe.end_input(InputEnd::Failed);
    }

    /// Waits for the end of the connection and says how the application finished. May be asked again.
    ///
    /// # Errors
    /// It did not end within the client's patience, or its task panicked.
    pub async fn ended(&mut self) -> Result<WorkEnd, TestError> {
        if let Some(end) = &self.end {
            return end.clone();
        }
        let end = patiently(self.patience, &mut self.task).await.ok_or_else(|| self.silence("end"))?;
        let end = end.map_err(|_| TestError::Panicked);
        self.end = Some(end.clone());
        end
    }

    async fn more(&mut self, wanted: &'static str) -> Result<(), TestError> {
        let (pipe, unread) = (&self.pipe, &mut self.unread);
        match patiently(self.patience, poll_fn(|cx| pipe.poll_read(unread, cx))).await {
            Some(true) => Ok(()),
            Some(false) => Err(TestError::Ended { wanted, unread: self.unread.len() }),
            None => Err(self.silence(wanted)),
        }
    }

    fn silence(&self, wanted: &'static str) -> TestError {
        TestError::Silence { wanted, patience: self.patience, unread: self.unread.len() }
    }
}

impl Drop for TestClient {
    fn drop(&mut self) {
        self.pipe.vanish();
    }
}

async fn patiently<F: Future>(patience: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(patience, future).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use signalr_core::{CloseReason, ConnectionDriver, ConnectionOptions};
    use signalr_protocol::{Message, handshake};
    use std::sync::Mutex;
    use std::task::{Context, Poll};
    use tokio::time::Instant;

    /// Answers the handshake; then `b` is a burst, `p` a panic, `e` an end with an error, `t` a tick in 30 s; anything
    /// else comes back.
    #[derive(Default)]
    struct Scripted(Arc<Mutex<Vec<String>>>);

    struct Driver {
        connection: Arc<Connection>,
        log: Arc<Mutex<Vec<String>>>,
        started: bool,
        end: Option<WorkEnd>,
    }

    impl ConnectionHandler for Scripted {
        fn open(&self, connection: &Arc<Connection>) -> Box<dyn ConnectionDriver> {
            let (connection, log) = (connection.clone(), self.0.clone());
            Box::new(Driver { connection, log, started: false, end: None })
        }
    }

    impl ConnectionDriver for Driver {
        fn on_bytes(&mut self, input: &[u8], _: &mut Context<'_>) -> usize {
            if !self.started {
                let Ok(Some((body, used))) = handshake::split(input, None) else { return 0 };
                let request = handshake::HandshakeRequest::parse(body).unwrap();
                let mut out = Vec::new();
                match request.choose(&Protocol::ALL, true) {
                    Ok(protocol) => {
                        handshake::write_success(&mut out);
                        self.connection.send_payload(&out);
                        self.connection.set_protocol(protocol);
                        self.started = true;
                    }
                    Err(refusal) => {
                        handshake::write_refusal(&mut out, &refusal);
                        self.connection.send_payload(&out);
                        self.end = Some(WorkEnd::Normal);
                    }
                }
                return used;
            }
            match input {
                b"b" => (0..100).for_each(|_| self.connection.send_payload(&[b'x'; 1024])),
                b"p" => panic!("the script says so"),
                b"e" => self.end = Some(WorkEnd::Failed),
                b"t" => {
                    self.connection.set_deadline(Some(signalr_core::Instant::now() + Duration::from_secs(30)))
                }
                other => self.connection.send_payload(other),
            }
            input.len()
        }

        fn wants_input(&self) -> bool {
            true
        }

        fn poll_work(&mut self, _: &mut Context<'_>) -> Poll<WorkEnd> {
            self.end.map_or(Poll::Pending, Poll::Ready)
        }

        fn on_tick(&mut self, _: signalr_core::Instant) {
            self.connection.send_payload(b"tick");
        }

        fn on_input_end(&mut self, end: InputEnd, unused: usize) {
            self.log.lock().unwrap().push(format!("{end:?} {unused}"));
            self.end = Some(WorkEnd::Normal);
        }

        fn on_close_request(&mut self, reason: CloseReason) {
            self.log.lock().unwrap().push(reason.label().to_owned());
            self.end = Some(WorkEnd::Normal);
        }
    }

    async fn started(handler: Scripted) -> TestClient {
        TestClient::builder().start(Arc::new(handler), Protocol::MessagePack).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_handshake_fixes_the_protocol_and_a_refusal_is_told() {
        let client = started(Scripted::default()).await;
        assert_eq!(client.connection().protocol(), Some(Protocol::MessagePack));

        let mut client = TestClient::connect(Arc::new(Scripted::default()));
        client.send_record(r#"{"protocol":"xml","version":1}"#);
        let answer = client.next_message().await.unwrap();
        assert_eq!(answer.text(), r#"{"error":"The protocol 'xml' is not supported."}"#);
        assert_eq!(client.ended().await, Ok(WorkEnd::Normal));
        assert_eq!(client.ended().await, Ok(WorkEnd::Normal));
    }

    #[tokio::test(start_paused = true)]
    async fn messages_come_back_whole_and_in_order() {
        let mut client = started(Scripted::default()).await;
        client.send("First", (1, "one")).unwrap();
        client.ping();
        client.send("Second", ()).unwrap();
        assert_eq!(client.expect::<(i32, String)>("First").await.unwrap(), (1, "one".to_owned()));
        assert_eq!(client.next_invocation().await.unwrap().target, "Second");
        assert_eq!(client.try_next_message(), Ok(None));
        let id = client.call("Third", ()).unwrap();
        client.answer(&id, &7).unwrap();
        assert!(matches!(client.completion(&id).await.unwrap().message(), Ok(Message::Completion { .. })));
        assert_eq!(client.next_invocation().await.unwrap().invocation_id, Some(id));
        client.stays_silent(Duration::from_secs(3600)).await.unwrap();
        client.send("Fourth", ()).unwrap();
        let noise = client.stays_silent(Duration::from_secs(1)).await.unwrap_err();
        assert!(noise.to_string().contains("Fourth"), "{noise}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_frozen_client_gets_everything_after_the_thaw() {
        let mut client = started(Scripted::default()).await;
        client.freeze();
        client.send_text("b");
        client.stays_silent(Duration::from_secs(1)).await.unwrap();
        assert_eq!(client.connection().queued_bytes(), 100 * 1024);
        client.thaw();
        assert_eq!(client.read(100 * 1024).await.unwrap(), vec![b'x'; 100 * 1024]);
        assert_eq!(client.connection().queued_bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stays_frozen_is_cut_by_the_slow_client_rule() {
        let handler = Scripted::default();
        let log = handler.0.clone();
        let mut options = ConnectionOptions::default();
        options.outbox.soft = 64 * 1024;
        let mut client =
            TestClient::builder().options(options).start(Arc::new(handler), Protocol::Json).await.unwrap();
        client.freeze();
        client.send_text("b");
        assert_eq!(client.ended().await, Ok(WorkEnd::Normal));
        assert_eq!(*log.lock().unwrap(), ["slow_client"]);
        assert!(client.connection().is_ended());
    }

    #[tokio::test(start_paused = true)]
    async fn time_passes_in_beats() {
        let mut client = started(Scripted::default()).await;
        let before = Instant::now();
        client.send_text("t");
        assert_eq!(client.read(4).await.unwrap(), b"tick");
        let passed = before.elapsed();
        assert!((30..=31).contains(&passed.as_secs()), "{passed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn every_kind_of_end_is_seen() {
        let handler = Scripted::default();
        let log = handler.0.clone();
        let mut client = started(handler).await;
        client.close();
        assert_eq!(client.ended().await, Ok(WorkEnd::Normal));
        assert_eq!(*log.lock().unwrap(), ["Closed 0"]);
        assert!(matches!(client.read(1).await, Err(TestError::Ended { .. })));

        let mut client = started(Scripted::default()).await;
        client.send_text("e");
        assert_eq!(client.ended().await, Ok(WorkEnd::Failed));

        let mut client = started(Scripted::default()).await;
        client.send_text("p");
        assert_eq!(client.ended().await, Err(TestError::Panicked));

        let handler = Scripted::default();
        let log = handler.0.clone();
        let client = started(handler).await;
        let connection = client.connection().clone();
        drop(client);
        connection.ended_token().cancelled().await;
        assert_eq!(*log.lock().unwrap(), ["Closed 0"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_keeps_alive_pings() {
        let mut client = TestClient::builder()
            .keep_alive()
            .start(Arc::new(Scripted::default()), Protocol::Json)
            .await
            .unwrap();
        assert_eq!(client.next_or_ping().await.unwrap().message(), Ok(Message::Ping));
        client.stays_silent(Duration::from_secs(30)).await.unwrap();
    }
}
