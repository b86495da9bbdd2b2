//! A TCP relay between a server and its Redis that a test can make misbehave: freeze, cut, bar, slow down, refuse.
//!
//! Owns its sockets and their rules. Bytes pass unchanged and unread, but for one question: is this the connection that
//! subscribes or the one that publishes? Rules may apply to one of them alone. Nothing here is timed: tests change the
//! rules and wait for what follows.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A connection by its use. Before its first command says more it is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// The one that has subscribed.
    Subscriber,
    /// The one that has published.
    Publisher,
}

/// A direction, as seen from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// What the server writes.
    ToRedis,
    /// What Redis answers and sends.
    FromRedis,
}

/// Both lines.
pub const BOTH: [Line; 2] = [Line::Subscriber, Line::Publisher];

/// A listening port whose connections lead to another port. Dropping it cuts them all.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    target: SocketAddr,
    rules: watch::Sender<Rules>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Clone, Default)]
struct Rules {
    /// Bytes stay where they are; nobody is told. Both directions of a line frozen is what a dead network looks like.
    frozen: BTreeSet<(Line, Way)>,
    /// Frozen connections of no known use as well, new ones too.
    all_frozen: bool,
    barred: BTreeSet<Line>,
    delay: Duration,
    /// How often each line was cut; a connection ends when its own grows.
    cuts: [u64; 2],
    all_cuts: u64,
    is_over: bool,
}

impl Relay {
    /// Listens on a free port of this machine.
    pub async fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let relay = Self {
            address,
            target: (Ipv4Addr::LOCALHOST, target).into(),
            rules: watch::channel(Rules::default()).0,
            accepting: Mutex::default(),
        };
        relay.accept_from(listener);
        Ok(relay)
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on these bytes stay where they are: no end, no reset, no error.
    pub fn freeze(&self, lines: &[Line], ways: &[Way]) {
        let pairs = lines.iter().flat_map(|line| ways.iter().map(|way| (*line, *way)));
        self.rules.send_modify(|rules| rules.frozen.extend(pairs.clone()));
    }

    /// Freezes everything both ways, connections that are only being made among it.
    pub fn freeze_all(&self) {
        self.rules.send_modify(|rules| rules.all_frozen = true);
    }

    /// Lets flow what was frozen, late as it is.
    pub fn thaw(&self) {
        self.rules.send_modify(|rules| {
            rules.all_frozen = false;
            rules.frozen.clear();
        });
    }

    /// Everything flows again and everybody may come; what was frozen arrives, late as it is.
    pub fn heal(&self) {
        self.thaw();
        self.rules.send_modify(|rules| rules.barred.clear());
    }

    /// Resets the connections of this line that there are; new ones pass.
    pub fn cut(&self, line: Line) {
        self.rules.send_modify(|rules| rules.cuts[line as usize] += 1);
    }

    /// Resets every connection.
    pub fn cut_all(&self) {
        self.rules.send_modify(|rules| rules.all_cuts += 1);
    }

    /// Resets connections of this line, and each new one as soon as it shows itself.
    pub fn bar(&self, line: Line) {
        self.rules.send_modify(|rules| {
            rules.barred.insert(line);
        });
    }

    /// Ends what [`bar`](Self::bar) began.
    pub fn admit(&self, line: Line) {
        self.rules.send_modify(|rules| {
            rules.barred.remove(&line);
        });
    }

    /// Every piece waits so long before it goes on.
    pub fn delay(&self, delay: Duration) {
        self.rules.send_modify(|rules| rules.delay = delay);
    }

    /// Resets every connection and refuses new ones, as a machine without Redis does.
    pub async fn refuse(&self) {
        let accepting = self.accepting().take();
        if let Some(accepting) = accepting {
            accepting.abort();
            // The port is closed when the task is gone.
            accepting.await.ok();
        }
        self.cut_all();
    }

    /// Listens again after [`refuse`](Self::refuse).
    pub async fn accept(&self) -> Result<()> {
        let is_refusing = self.accepting().is_none();
        if is_refusing {
            self.accept_from(TcpListener::bind(self.address).await?);
        }
        Ok(())
    }

    fn accept_from(&self, listener: TcpListener) {
        let (rules, target) = (self.rules.subscribe(), self.target);
        *self.accepting() = Some(tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(serve(near, target, rules.clone()));
            }
        }));
    }

    fn accepting(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.accepting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(accepting) = &*self.accepting() {
            accepting.abort();
        }
        self.rules.send_modify(|rules| rules.is_over = true);
    }
}

impl Rules {
    fn stops(&self, line: Option<Line>, way: Way) -> bool {
        self.all_frozen || line.is_some_and(|line| self.frozen.contains(&(line, way)))
    }

    fn ends(&self, line: Option<Line>, at_start: &Self) -> bool {
        let cut = |line: Line| {
            self.barred.contains(&line) || self.cuts[line as usize] > at_start.cuts[line as usize]
        };
        self.is_over || self.all_cuts > at_start.all_cuts || line.is_some_and(cut)
    }
}

/// One connection, from its acceptance to its end.
async fn serve(near: TcpStream, target: SocketAddr, mut rules: watch::Receiver<Rules>) {
    // A frozen network also delays the dial itself.
    if rules.wait_for(|rules| !rules.all_frozen || rules.is_over).await.is_err() {
        return;
    }
    let Ok(far) = TcpStream::connect(target).await else {
        near.set_zero_linger().ok();
        return;
    };
    for stream in [&near, &far] {
        stream.set_nodelay(true).ok();
    }
    let at_start = rules.borrow().clone();
    let line = watch::Sender::new(None);
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    let is_cut = tokio::select! {
        // The orderly end of one side; the other side's last bytes are of no interest.
        () = pump(&mut near_in, &mut far_out, Way::ToRedis, &line, rules.clone()) => false,
        () = pump(&mut far_in, &mut near_out, Way::FromRedis, &line, rules.clone()) => false,
        () = ended(&line, &mut rules, &at_start) => true,
    };
    if is_cut {
        for half in [near_out, far_out] {
            half.as_ref().set_zero_linger().ok();
            // Dropped it would say goodbye first.
            half.forget();
        }
    }
}

/// Ready when the rules end this connection.
async fn ended(line: &watch::Sender<Option<Line>>, rules: &mut watch::Receiver<Rules>, at_start: &Rules) {
    let mut known = line.subscribe();
    loop {
        if rules.borrow_and_update().ends(*known.borrow_and_update(), at_start) {
            return;
        }
        tokio::select! {
            changed = rules.changed() => if changed.is_err() { return },
            _ = known.changed() => {}
        }
    }
}

/// Carries bytes one way until that end closes.
async fn pump(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    way: Way,
    line: &watch::Sender<Option<Line>>,
    mut rules: watch::Receiver<Rules>,
) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let bytes = &piece[..length];
        if way == Way::ToRedis && line.borrow().is_none() {
            line.send_replace(line_of(bytes));
        }
        let barred = |rules: &Rules| line.borrow().is_some_and(|line| rules.barred.contains(&line));
        let flows = |rules: &Rules| !rules.stops(*line.borrow(), way) && !barred(rules);
        let delay = rules.borrow().delay;
        if !delay.is_zero() {
            // The deadline of a slow network: until it, the bytes are on their way.
            tokio::time::sleep(delay).await;
        }
        if rules.wait_for(flows).await.is_err() || to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// What a command says about its connection.
fn line_of(bytes: &[u8]) -> Option<Line> {
    let says = |command: &[u8]| bytes.windows(command.len()).any(|window| window == command);
    if says(b"SUBSCRIBE\r\n") {
        Some(Line::Subscriber)
    } else {
        says(b"PUBLISH\r\n").then_some(Line::Publisher)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::within;

    const SUBSCRIBE: &[u8] = b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n";
    const PUBLISH: &[u8] = b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\nm\r\n";

    /// A relay to a server that gives back what it gets.
    async fn relay() -> Relay {
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = echo.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        });
        Relay::start(port).await.unwrap()
    }

    async fn dial(relay: &Relay, first: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(relay.address).await.unwrap();
        stream.write_all(first).await.unwrap();
        stream
    }

    async fn echoes(stream: &mut TcpStream, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        within("the echo", stream.read_exact(&mut got)).await.unwrap().unwrap();
        assert_eq!(got, bytes);
    }

    async fn is_reset(stream: &mut TcpStream) -> bool {
        let end = within("the end", stream.read_u8()).await.unwrap().unwrap_err();
        end.kind() == std::io::ErrorKind::ConnectionReset
    }

    #[tokio::test]
    async fn one_line_is_cut_and_the_other_is_not() {
        let relay = relay().await;
        let (mut s, mut p) = (dial(&relay, SUBSCRIBE).await, dial(&relay, PUBLISH).await);
        echoes(&mut s, SUBSCRIBE).await;
        echoes(&mut p, PUBLISH).await;
        relay.cut(Line::Subscriber);
        assert!(is_reset(&mut s).await);
        p.write_all(b"still").await.unwrap();
        echoes(&mut p, b"still").await;
        echoes(&mut dial(&relay, SUBSCRIBE).await, SUBSCRIBE).await;
    }

    #[tokio::test]
    async fn a_barred_line_ends_as_soon_as_it_shows_itself() {
        let relay = relay().await;
        relay.bar(Line::Publisher);
        echoes(&mut dial(&relay, SUBSCRIBE).await, SUBSCRIBE).await;
        assert!(is_reset(&mut dial(&relay, PUBLISH).await).await);
        relay.admit(Line::Publisher);
        echoes(&mut dial(&relay, PUBLISH).await, PUBLISH).await;
    }

    #[tokio::test]
    async fn frozen_bytes_arrive_when_it_thaws() {
        let relay = relay().await;
        let (mut s, mut p) = (dial(&relay, SUBSCRIBE).await, dial(&relay, PUBLISH).await);
        echoes(&mut s, SUBSCRIBE).await;
        echoes(&mut p, PUBLISH).await;
        relay.freeze(&[Line::Publisher], &[Way::FromRedis]);
        p.write_all(b"late").await.unwrap();
        // The other line goes on; once its bytes went both ways, the frozen ones had their time too.
        s.write_all(b"now").await.unwrap();
        echoes(&mut s, b"now").await;
        assert_eq!(p.try_read(&mut [0; 8]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        relay.thaw();
        echoes(&mut p, b"late").await;
    }

    #[tokio::test]
    async fn a_refusing_relay_lets_nobody_in_until_it_accepts_again() {
        let relay = relay().await;
        let mut open = dial(&relay, PUBLISH).await;
        echoes(&mut open, PUBLISH).await;
        relay.refuse().await;
        assert!(is_reset(&mut open).await);
        assert!(TcpStream::connect(relay.address).await.is_err());
        relay.accept().await.unwrap();
        echoes(&mut dial(&relay, PUBLISH).await, PUBLISH).await;
    }
}
