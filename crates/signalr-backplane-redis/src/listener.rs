//! A connection that receives: what is asked on it, and how its messages come in.
//!
//! Owns the difference between the protocols. With RESP3 the `redis` crate reads; without it [`Hearing`] does, because
//! nothing but (un)subscribing may be asked on such a connection and the crate's own reader for it queues without a bound.
//! Either way messages are handed over in the connection's own task, in its turn, before the answer to anything that was
//! asked after them. What the messages mean is the holder's business, as are the connection's end and its silence.

use crate::dial::Push;
use crate::driver::Driver;
use crate::duplex::{CHUNKS, Duplex};
use crate::options::Stream;
use crate::resp::{MESSAGES, Malformed, reply};
use crate::traffic::Traffic;
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, RedisError, RedisResult, Value};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait to be written.
const REQUESTS: usize = 16;

/// A connection that receives. Dropping it closes the socket.
pub(crate) struct Listener {
    ear: Ear,
    traffic: Arc<Traffic>,
    driver: Driver,
}

/// Chooses the channels of a [`Listener`].
#[derive(Clone)]
pub(crate) enum Ear {
    Resp3(MultiplexedConnection),
    Resp2(mpsc::Sender<Request>),
}

/// A command that waits to be written.
pub(crate) struct Request {
    command: Vec<u8>,
    owed: Owed,
}

/// Confirmations that are due: one for each channel, or one refusal of them all.
struct Owed {
    verb: Verb,
    due: usize,
    answer: oneshot::Sender<RedisResult<()>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Subscribe,
    Unsubscribe,
}

impl Listener {
    /// The `redis` crate reads.
    pub(crate) fn resp3(conn: MultiplexedConnection, traffic: Arc<Traffic>, driver: Driver) -> Self {
        Self { ear: Ear::Resp3(conn), traffic, driver }
    }

    /// Reads a connection without RESP3 that is logged in and has nothing to answer.
    pub(crate) fn resp2(stream: Box<dyn Stream>, traffic: Arc<Traffic>, push: Push) -> Self {
        let (ear, requests) = mpsc::channel(REQUESTS);
        let mut hearing = Hearing { wire: Duplex::new(stream), owed: VecDeque::new(), requests, push };
        let driver = Driver::start(std::future::poll_fn(move |cx| hearing.poll(cx)));
        Self { ear: Ear::Resp2(ear), traffic, driver }
    }

    pub(crate) fn ear(&self) -> Ear {
        self.ear.clone()
    }

    /// The connection for other questions. `None` without RESP3: nothing else can be asked on it.
    pub(crate) fn conn(&self) -> Option<MultiplexedConnection> {
        match &self.ear {
            Ear::Resp3(conn) => Some(conn.clone()),
            Ear::Resp2(_) => None,
        }
    }

    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// Ready when the connection is over. Cancel safe.
    pub(crate) async fn ended(&mut self) {
        self.driver.ended().await;
    }

    /// Ends the connection; when it returns nothing more is received.
    pub(crate) async fn cut(&mut self) {
        self.driver.cut().await;
    }
}

impl Ear {
    /// Returns when all are in force. What the server sent before it confirmed them has been handed over.
    pub(crate) async fn subscribe(&mut self, channels: Vec<String>) -> RedisResult<()> {
        match self {
            Self::Resp3(conn) => conn.subscribe(channels).await,
            Self::Resp2(ear) => ask(ear, Verb::Subscribe, &channels).await,
        }
    }

    /// Returns when none of them is in force.
    pub(crate) async fn unsubscribe(&mut self, channels: Vec<String>) -> RedisResult<()> {
        match self {
            Self::Resp3(conn) => conn.unsubscribe(channels).await,
            Self::Resp2(ear) => ask(ear, Verb::Unsubscribe, &channels).await,
        }
    }
}

impl Verb {
    fn command(self) -> &'static str {
        match self {
            Self::Subscribe => "SUBSCRIBE",
            Self::Unsubscribe => "UNSUBSCRIBE",
        }
    }

    fn confirmation(self) -> &'static [u8] {
        match self {
            Self::Subscribe => b"subscribe",
            Self::Unsubscribe => b"unsubscribe",
        }
    }
}

async fn ask(ear: &mpsc::Sender<Request>, verb: Verb, channels: &[String]) -> RedisResult<()> {
    // Without a channel these mean all of them, or nothing that is ever confirmed.
    if channels.is_empty() {
        return Ok(());
    }
    let command = redis::cmd(verb.command()).arg(channels).get_packed_command();
    let (answer, answered) = oneshot::channel();
    let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
    let owed = Owed { verb, due: channels.len(), answer };
    ear.send(Request { command, owed }).await.map_err(|_| closed())?;
    answered.await.map_err(|_| closed())?
}

/// The reader of a connection without RESP3.
struct Hearing {
    wire: Duplex,
    owed: VecDeque<Owed>,
    requests: mpsc::Receiver<Request>,
    push: Push,
}

impl Hearing {
    /// Writes and reads. Ready when the connection has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Some(Request { command, owed })) = self.requests.poll_recv(cx) {
            self.wire.out().extend_from_slice(&command);
            self.owed.push_back(owed);
        }
        // What has arrived counts, although nothing can be written any more.
        match self.wire.poll_write(cx).and(self.poll_read(cx)) {
            Ok(()) => Poll::Pending,
            Err(error) => {
                tracing::debug!(%error, "a connection that receives has ended");
                Poll::Ready(())
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        for _ in 0..CHUNKS {
            match self.wire.poll_chunk(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(read) => read?,
            }
            let taken = take(self.wire.received(), &mut self.owed, &*self.push);
            self.wire.consume(taken.map_err(|_| io::ErrorKind::InvalidData)?);
        }
        // There may be more: others first.
        cx.waker().wake_by_ref();
        Ok(())
    }
}

/// Takes all that is there as a whole: messages go to `push`, confirmations to whom they are owed. Gives the length of it.
fn take(received: &[u8], owed: &mut VecDeque<Owed>, push: &dyn Fn(PushInfo)) -> Result<usize, Malformed> {
    let mut at = 0;
    while at < received.len() {
        let Some((value, length)) = reply(&received[at..], MESSAGES)? else { break };
        at += length;
        match value {
            Some(Value::Array(items)) => heed(items, owed, push)?,
            // One for the whole command, none of whose channels is in force then.
            Some(Value::ServerError(error)) => {
                let refused = owed.pop_front().ok_or(Malformed)?;
                // Whoever asked may be gone.
                let _ = refused.answer.send(Err(RedisError::from(error)));
            }
            _ => return Err(Malformed),
        }
    }
    Ok(at)
}

fn heed(items: Vec<Value>, owed: &mut VecDeque<Owed>, push: &dyn Fn(PushInfo)) -> Result<(), Malformed> {
    let mut items = items.into_iter();
    let Some(Value::BulkString(kind)) = items.next() else { return Err(Malformed) };
    if kind == b"message" {
        let data: Vec<_> = items.collect();
        if !matches!(data[..], [Value::BulkString(_), Value::BulkString(_)]) {
            return Err(Malformed);
        }
        push(PushInfo { kind: PushKind::Message, data });
        return Ok(());
    }
    // Nothing is confirmed that was not asked for; whatever else this is, it is out of step.
    let next = owed.front_mut().filter(|next| next.verb.confirmation() == kind).ok_or(Malformed)?;
    next.due -= 1;
    if next.due == 0
        && let Some(done) = owed.pop_front()
    {
        let _ = done.answer.send(Ok(()));
    }
    Ok(())
}

/// What is read of bytes that come in these pieces: how many messages, and how many requests are answered.
pub(crate) fn read_all(pieces: &[&[u8]]) -> (usize, usize) {
    let requests = [Verb::Subscribe, Verb::Unsubscribe, Verb::Subscribe].map(|verb| {
        let (answer, answered) = oneshot::channel();
        (Owed { verb, due: 2, answer }, answered)
    });
    let (owed, answers): (VecDeque<_>, Vec<_>) = requests.into_iter().unzip();
    let (mut owed, messages) = (owed, std::cell::Cell::new(0));
    let (mut received, mut at) = (Vec::new(), 0);
    for piece in pieces {
        received.extend_from_slice(piece);
        match take(&received[at..], &mut owed, &|_| messages.set(messages.get() + 1)) {
            Ok(length) => at += length,
            Err(Malformed) => break,
        }
    }
    let answered = answers.into_iter().filter_map(|mut answer| answer.try_recv().ok()).count();
    (messages.get(), answered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::Watched;
    use std::sync::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    type Heard = Arc<Mutex<Vec<String>>>;

    /// Everything that comes in, as texts.
    fn ear() -> (Heard, Push) {
        let heard = Heard::default();
        let push = heard.clone();
        (heard, Arc::new(move |info: PushInfo| push.lock().unwrap().push(format!("{:?}", info.data))))
    }

    fn owed(verb: Verb, due: usize) -> (Owed, oneshot::Receiver<RedisResult<()>>) {
        let (answer, answered) = oneshot::channel();
        (Owed { verb, due, answer }, answered)
    }

    fn connected() -> (DuplexStream, Listener, Heard) {
        let (there, here) = tokio::io::duplex(1 << 16);
        let (here, traffic) = Watched::new(Box::new(here) as Box<dyn Stream>);
        let (heard, push) = ear();
        (there, Listener::resp2(Box::new(here), traffic, push), heard)
    }

    const CONFIRMED: &[u8] =
        b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n";

    #[test]
    fn a_request_is_answered_when_each_channel_is() {
        for cut in 0..CONFIRMED.len() {
            let (request, mut answered) = owed(Verb::Subscribe, 2);
            let (_, push) = ear();
            let mut owed = VecDeque::from([request]);
            let taken = take(&CONFIRMED[..cut], &mut owed, &*push).unwrap();
            assert!(answered.try_recv().is_err(), "answered after {cut} bytes");
            let rest = take(&CONFIRMED[taken..], &mut owed, &*push).unwrap();
            assert_eq!(taken + rest, CONFIRMED.len());
            assert!(answered.try_recv().unwrap().is_ok() && owed.is_empty());
        }
    }

    #[test]
    fn one_refusal_is_for_all_channels_of_a_request() {
        let (first, mut refused) = owed(Verb::Subscribe, 3);
        let (second, mut confirmed) = owed(Verb::Unsubscribe, 1);
        let mut owed = VecDeque::from([first, second]);
        let text = b"-NOPERM no\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n";
        assert_eq!(take(text, &mut owed, &*ear().1), Ok(text.len()));
        assert_eq!(refused.try_recv().unwrap().unwrap_err().code(), Some("NOPERM"));
        assert!(confirmed.try_recv().unwrap().is_ok());
    }

    #[test]
    fn what_is_out_of_step_or_no_message_is_an_error() {
        for text in [
            "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n",
            "*2\r\n$4\r\npong\r\n$0\r\n\r\n",
            "*2\r\n$7\r\nmessage\r\n$1\r\na\r\n",
            "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n:1\r\n",
            "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n*-1\r\n",
            "*4\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
            ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n",
            "*0\r\n",
            "*-1\r\n",
            ":1\r\n",
            "+OK\r\n",
            "*1000000000\r\n",
            "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$99999999999\r\n",
            "x\r\n",
        ] {
            let (heard, push) = ear();
            let mut owed = VecDeque::from([owed(Verb::Subscribe, 1).0]);
            assert_eq!(take(text.as_bytes(), &mut owed, &*push), Err(Malformed), "{text:?}");
            assert!(heard.lock().unwrap().is_empty(), "{text:?}");
        }
        let nobody = take(b"-ERR no\r\n", &mut VecDeque::new(), &*ear().1);
        assert_eq!(nobody, Err(Malformed), "nobody was refused anything");
    }

    #[tokio::test]
    async fn messages_come_before_the_answer_that_follows_them() {
        let (mut there, listener, heard) = connected();
        let mut ear = listener.ear();
        let asked = tokio::spawn(async move { ear.subscribe(vec!["a".to_owned(), "b".to_owned()]).await });
        let expected = b"*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\nb\r\n";
        let mut command = vec![0; expected.len()];
        there.read_exact(&mut command).await.unwrap();
        assert_eq!(command, expected);
        let message = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\n\r\n\r\n";
        there.write_all(message).await.unwrap();
        there.write_all(CONFIRMED).await.unwrap();
        asked.await.unwrap().unwrap();
        assert_eq!(*heard.lock().unwrap(), ["[bulk-string('\"a\"'), bulk-string('\"\\r\\n\"')]"]);
        assert_eq!(listener.traffic().received(), (CONFIRMED.len() + message.len()) as u64);
        listener.ear().subscribe(Vec::new()).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_malformed_ends_the_connection_and_whoever_waits() {
        let (mut there, mut listener, _) = connected();
        let mut ear = listener.ear();
        let asked = tokio::spawn(async move { ear.subscribe(vec!["a".to_owned()]).await });
        there.write_all(b"*17\r\n").await.unwrap();
        listener.ended().await;
        assert!(asked.await.unwrap().unwrap_err().is_io_error());
        let late = listener.ear().unsubscribe(vec!["a".to_owned()]).await;
        assert!(late.unwrap_err().is_io_error());
    }
}
