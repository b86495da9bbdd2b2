//! What the tests of this crate share: an echo application, a running server, and a client that speaks plain HTTP.

use signalr_core::{CloseReason, Connection, ConnectionDriver, ConnectionHandler, InputEnd, WorkEnd};
use signalr_transport::{EndpointOptions, Server};
use signalr_warp::Serving;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tungstenite::WebSocket;

/// Sends back what it gets. `!` ends it normally, `?` with an error.
pub struct Echo;

pub struct EchoDriver {
    connection: Arc<Connection>,
    end: Option<WorkEnd>,
}

impl ConnectionHandler for Echo {
    fn open(&self, connection: &Arc<Connection>) -> Box<dyn ConnectionDriver> {
        Box::new(EchoDriver { connection: connection.clone(), end: None })
    }
}

impl ConnectionDriver for EchoDriver {
    fn on_bytes(&mut self, input: &[u8], _: &mut Context<'_>) -> usize {
        match input {
            b"!" => self.end = Some(WorkEnd::Normal),
            b"?" => self.end = Some(WorkEnd::Failed),
            other => self.connection.send_payload(other),
        }
        input.len()
    }

    fn wants_input(&self) -> bool {
        self.end.is_none()
    }

    fn poll_work(&mut self, _: &mut Context<'_>) -> Poll<WorkEnd> {
        self.end.map_or(Poll::Pending, Poll::Ready)
    }

    fn on_tick(&mut self, _: signalr_core::Instant) {}

    fn on_input_end(&mut self, _: InputEnd, _: usize) {
        self.end = Some(WorkEnd::Normal);
    }

    fn on_close_request(&mut self, _: CloseReason) {
        self.connection.send_payload(b"bye");
        self.end = Some(WorkEnd::Normal);
    }
}

/// A running server on loopback.
pub struct Running {
    pub server: Server,
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

pub async fn start(options: EndpointOptions, change: impl FnOnce(Serving) -> Serving) -> Running {
    let server = Server::builder().endpoint("/echo", Arc::new(Echo), options).build();
    let serving = Serving::bind(server.clone(), ([127, 0, 0, 1], 0)).await.unwrap();
    let address = serving.local_addr();
    let (stop, stopped) = oneshot::channel();
    let serving = change(serving).until(async move {
        let _ = stopped.await;
    });
    let task = tokio::spawn(async move { serving.run().await.unwrap() });
    Running { server, address, stop: Some(stop), task }
}

impl Running {
    /// Opens a WebSocket, on a blocking thread.
    pub async fn connect(&self, path: &str) -> WebSocket<TcpStream> {
        let url = format!("ws://{}{path}", self.address);
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        blocking(move || tungstenite::client(url, stream).unwrap().0).await
    }

    /// One HTTP request on a connection of its own; the whole answer as text.
    pub async fn request(&self, request: String) -> String {
        let address = self.address;
        blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            String::from_utf8(answer).unwrap()
        })
        .await
    }

    /// Stops and waits until serving has ended.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        within("the server stops", self.task).await.unwrap();
    }
}

pub async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    within("a blocking step", tokio::task::spawn_blocking(act)).await.unwrap()
}

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.unwrap_or_else(|_| panic!("too late: {what}"))
}

/// Waits for a condition, with a deadline.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "too late: {what}");
        tokio::task::yield_now().await;
    }
}
