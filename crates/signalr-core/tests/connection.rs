//! Connections, turns and sessions, against a socket in memory.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use signalr_core::Instant;
use signalr_core::{
    CloseReason, ConnectInfo, Connection, ConnectionDriver, ConnectionHandler, ConnectionId,
    ConnectionOptions, DirectWriter, InputEnd, Session, TransportKind, Turn, Unframed, User, WorkEnd,
};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, SystemTime};

#[derive(Default)]
struct Socket {
    written: Mutex<Vec<u8>>,
    calls: AtomicUsize,
    closed: bool,
}

impl DirectWriter for Socket {
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.closed {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut written = self.written.lock().unwrap();
        let before = written.len();
        slices.iter().for_each(|slice| written.extend_from_slice(slice));
        Ok(written.len() - before)
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn connection(socket: &Arc<Socket>) -> (Arc<Connection>, Arc<Wakes>) {
    let info = ConnectInfo::new(TransportKind::InMemory);
    let writer: Arc<dyn DirectWriter> = socket.clone();
    let options = Arc::new(ConnectionOptions::default());
    let connection = Connection::new(ConnectionId::random(), info, &Unframed, options, Some(writer));
    let wakes = Arc::new(Wakes::default());
    connection.set_task(&Waker::from(wakes.clone()));
    (connection, wakes)
}

#[test]
fn a_turn_writes_everything_to_each_connection_in_one_call_and_wakes_nobody() {
    let sockets: Vec<_> = (0..3).map(|_| Arc::new(Socket::default())).collect();
    let connections: Vec<_> = sockets.iter().map(connection).collect();
    {
        let _outer = Turn::enter();
        for _ in 0..10 {
            let _inner = Turn::enter();
            connections.iter().for_each(|(connection, _)| connection.send_payload(b"x"));
        }
        assert!(sockets.iter().all(|socket| socket.calls.load(Ordering::Relaxed) == 0));
    }
    for (socket, (_, wakes)) in sockets.iter().zip(&connections) {
        assert_eq!(socket.calls.load(Ordering::Relaxed), 1);
        assert_eq!(*socket.written.lock().unwrap(), b"xxxxxxxxxx");
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn outside_a_turn_the_task_is_woken_once_until_it_has_written() {
    let socket = Arc::new(Socket::default());
    let (connection, wakes) = connection(&socket);
    (0..5).for_each(|_| connection.send_payload(b"x"));
    assert_eq!((wakes.0.load(Ordering::Relaxed), socket.calls.load(Ordering::Relaxed)), (1, 0));
    connection.flush(1).unwrap();
    assert_eq!(*socket.written.lock().unwrap(), b"xxxxx");
    connection.send_payload(b"y");
    assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
}

#[test]
fn a_socket_that_is_full_is_left_to_the_task() {
    let socket = Arc::new(Socket { closed: true, ..Socket::default() });
    let (connection, wakes) = connection(&socket);
    {
        let _turn = Turn::enter();
        connection.send_payload(b"x");
    }
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert_eq!(connection.queued_bytes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_beat_wakes_when_the_deadline_has_come_and_only_then() {
    let (connection, wakes) = connection(&Arc::new(Socket::default()));
    connection.set_deadline(Some(Instant::now() + Duration::from_secs(5)));
    tokio::time::advance(Duration::from_secs(4)).await;
    connection.beat(Instant::now());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
    tokio::time::advance(Duration::from_secs(1)).await;
    connection.beat(Instant::now());
    connection.beat(Instant::now());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
}

#[test]
fn the_first_reason_to_close_wins_and_the_token_fires_whenever_it_was_asked_for() {
    let (connection, wakes) = connection(&Arc::new(Socket::default()));
    let early = connection.ended_token();
    connection.request_close(CloseReason::ServerShutdown);
    connection.abort();
    assert_eq!(connection.close_requested(), Some(CloseReason::ServerShutdown));
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert!(!early.is_cancelled());
    connection.mark_ended();
    assert!(early.is_cancelled() && connection.ended_token().is_cancelled());
    connection.send_payload(b"too late");
    assert_eq!(connection.queued_bytes(), 0);
}

/// Takes two bytes at a time, and none while it is busy.
#[derive(Default)]
struct Pairs {
    taken: Mutex<Vec<Vec<u8>>>,
    busy: Mutex<bool>,
    end: Mutex<Option<(InputEnd, usize)>>,
}

struct PairsHandler(Arc<Pairs>);

struct PairsDriver(Arc<Pairs>);

impl ConnectionHandler for PairsHandler {
    fn open(&self, _: &Arc<Connection>) -> Box<dyn ConnectionDriver> {
        Box::new(PairsDriver(self.0.clone()))
    }
}

impl ConnectionDriver for PairsDriver {
    fn on_bytes(&mut self, input: &[u8], _: &mut Context<'_>) -> usize {
        let pairs: Vec<_> = input.chunks_exact(2).map(<[u8]>::to_vec).collect();
        let used = pairs.len() * 2;
        self.0.taken.lock().unwrap().extend(pairs);
        used
    }

    fn wants_input(&self) -> bool {
        !*self.0.busy.lock().unwrap()
    }

    fn poll_work(&mut self, _: &mut Context<'_>) -> Poll<WorkEnd> {
        if self.0.end.lock().unwrap().is_some() { Poll::Ready(WorkEnd::Normal) } else { Poll::Pending }
    }

    fn on_tick(&mut self, _: Instant) {}

    fn on_input_end(&mut self, end: InputEnd, unused: usize) {
        *self.0.end.lock().unwrap() = Some((end, unused));
    }

    fn on_close_request(&mut self, _: CloseReason) {}
}

#[tokio::test]
async fn a_session_keeps_what_the_driver_leaves_and_tells_the_end_last() {
    let pairs = Arc::new(Pairs::default());
    let (connection, _) = connection(&Arc::new(Socket::default()));
    let mut session = Session::open(&PairsHandler(pairs.clone()), connection);
    poll_fn(|cx| {
        session.receive(b"abc", cx);
        session.receive(b"d", cx);
        *pairs.busy.lock().unwrap() = true;
        session.receive(b"efg", cx);
        assert!(session.poll(cx).is_pending());
        session.input_end(InputEnd::Closed);
        assert!(session.poll(cx).is_pending(), "a busy driver is not told yet");
        *pairs.busy.lock().unwrap() = false;
        session.poll(cx)
    })
    .await;
    assert_eq!(*pairs.taken.lock().unwrap(), [b"ab", b"cd", b"ef"]);
    assert_eq!(*pairs.end.lock().unwrap(), Some((InputEnd::Closed, 1)));
}

#[tokio::test]
async fn a_busy_driver_lets_64_kib_in_and_no_more() {
    let pairs = Arc::new(Pairs::default());
    *pairs.busy.lock().unwrap() = true;
    let (connection, _) = connection(&Arc::new(Socket::default()));
    let mut session = Session::open(&PairsHandler(pairs.clone()), connection);
    poll_fn(|cx| {
        let mut reads = 0;
        while session.wants_input() {
            session.receive(&[0; 1024], cx);
            reads += 1;
        }
        assert_eq!(reads, 64);
        Poll::Ready(())
    })
    .await;
}

/// A connection whose user's ticket runs out in 10 s.
fn ticketed(close_on_expiry: bool) -> Arc<Connection> {
    let mut info = ConnectInfo::new(TransportKind::InMemory);
    info.user = Some(Arc::new(User::with_id("ada").expiring(SystemTime::now() + Duration::from_secs(10))));
    let mut options = ConnectionOptions::default();
    options.close_on_authentication_expiration = close_on_expiry;
    Connection::new(ConnectionId::random(), info, &Unframed, Arc::new(options), None)
}

#[tokio::test(start_paused = true)]
async fn a_ticket_ends_its_connection_only_when_that_is_asked_for() {
    for (asked_for, reason) in [(true, Some(CloseReason::AuthExpired)), (false, None)] {
        let connection = ticketed(asked_for);
        tokio::time::advance(Duration::from_secs(9)).await;
        connection.beat(Instant::now());
        assert_eq!(connection.close_requested(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        connection.beat(Instant::now());
        assert_eq!(connection.close_requested(), reason);
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_ticket_takes_the_place_of_the_first() {
    let connection = ticketed(true);
    connection.renew_ticket(Some(&User::with_id("ada")));
    tokio::time::advance(Duration::from_secs(3600)).await;
    connection.beat(Instant::now());
    assert_eq!(connection.close_requested(), None, "a ticket without an end lasts for ever");
    let over = User::with_id("ada").expiring(SystemTime::UNIX_EPOCH);
    connection.renew_ticket(Some(&over));
    connection.beat(Instant::now());
    assert_eq!(connection.close_requested(), Some(CloseReason::AuthExpired));
}

#[test]
fn a_user_is_known_by_the_name_identifier() {
    let connection = ticketed(false);
    let mut promoted = User::with_id("ada");
    promoted.claims.push(("role".to_owned(), "admin".to_owned()));
    assert!(connection.is_of_user(Some(&promoted)));
    assert!(!connection.is_of_user(Some(&User::with_id("eve"))));
    assert!(!connection.is_of_user(None));
}
