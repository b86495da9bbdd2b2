//! A connection that messages are published on: commands out, replies in, in the same order.
//!
//! Owns what was written and not answered. It is polled by whoever publishes, in the same task, so that a message costs no
//! task switch and no future of its own; questions of others come through an [`Asker`]. The stream comes from `dial`,
//! logged in; what an end means is the publisher's business.

use crate::options::Stream;
use crate::parcel::Parcel;
use crate::resp::{Publish, reply};
use crate::traffic::Traffic;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot};

/// Questions that may wait to be written.
const QUESTIONS: usize = 256;
/// What is read at once.
const CHUNK: usize = 32 << 10;
/// What a buffer keeps for the next time.
const KEPT: usize = 256 << 10;
/// Chunks that are read before others get their turn.
const CHUNKS: usize = 8;

pub(crate) struct Pipe {
    /// `None`: over.
    stream: Option<Box<dyn Stream>>,
    traffic: Arc<Traffic>,
    publish: Publish,
    out: Vec<u8>,
    written: usize,
    received: Vec<u8>,
    owed: VecDeque<Owed>,
    questions: mpsc::Receiver<Question>,
    asker: Asker,
}

/// What the next reply is for.
enum Owed {
    Parcels(std::vec::IntoIter<Parcel>),
    Answer(oneshot::Sender<Value>),
}

struct Question {
    command: Vec<u8>,
    answer: oneshot::Sender<Value>,
}

/// Parcels with what Redis said to each.
pub(crate) type Replies = Vec<(Parcel, Value)>;

/// Asks on a [`Pipe`], as long as somebody polls that.
#[derive(Clone)]
pub(crate) struct Asker(mpsc::Sender<Question>);

impl Pipe {
    pub(crate) fn new(stream: Box<dyn Stream>, traffic: Arc<Traffic>, publish: Publish) -> Self {
        let (asker, questions) = mpsc::channel(QUESTIONS);
        Self {
            stream: Some(stream),
            traffic,
            publish,
            out: Vec::new(),
            written: 0,
            received: Vec::new(),
            owed: VecDeque::new(),
            questions,
            asker: Asker(asker),
        }
    }

    pub(crate) fn asker(&self) -> Asker {
        self.asker.clone()
    }

    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// Whether an answer is due.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Whether the connection has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.stream.is_none()
    }

    /// Queues messages; the next poll writes them.
    pub(crate) fn publish(&mut self, parcels: Vec<Parcel>) {
        for parcel in &parcels {
            self.publish.write(&mut self.out, parcel.channel.as_bytes(), &parcel.bytes);
        }
        if !parcels.is_empty() {
            self.owed.push_back(Owed::Parcels(parcels.into_iter()));
        }
    }

    /// Writes and reads. Ready when there are replies, or the connection has just ended; never again after that.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, replies: &mut Replies) -> Poll<()> {
        if self.is_over() {
            return Poll::Pending;
        }
        let before = replies.len();
        self.take_questions(cx);
        let ended = self.poll_write(cx).is_err() | self.poll_read(cx, replies).is_err();
        if ended {
            self.end();
        }
        if ended || replies.len() > before { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ends the connection; what has arrived by now counts.
    pub(crate) fn cut(&mut self, replies: &mut Replies) {
        if !self.is_over() {
            let _ = self.poll_read(&mut Context::from_waker(Waker::noop()), replies);
            self.end();
        }
    }

    /// What was never answered.
    pub(crate) fn unanswered(&mut self) -> impl Iterator<Item = Parcel> + '_ {
        self.owed.drain(..).flat_map(|owed| match owed {
            Owed::Parcels(parcels) => parcels,
            Owed::Answer(_) => Vec::new().into_iter(),
        })
    }

    fn end(&mut self) {
        self.stream = None;
        self.questions.close();
        self.owed.retain(|owed| matches!(owed, Owed::Parcels(_)));
    }

    fn take_questions(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(Question { command, answer })) = self.questions.poll_recv(cx) {
            self.out.extend_from_slice(&command);
            self.owed.push_back(Owed::Answer(answer));
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        while self.written < self.out.len() {
            match Pin::new(&mut *stream).poll_write(cx, &self.out[self.written..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => self.written += written?,
                Poll::Pending => {
                    // What is written is forgotten as soon as it is worth the move.
                    if self.written > self.out.len() / 2 {
                        self.out.drain(..self.written);
                        self.written = 0;
                    }
                    return Ok(());
                }
            }
        }
        if self.written > 0 {
            self.out.clear();
            self.out.shrink_to(KEPT);
            self.written = 0;
        }
        // TLS keeps bytes of its own.
        match Pin::new(stream).poll_flush(cx) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, replies: &mut Replies) -> io::Result<()> {
        for _ in 0..CHUNKS {
            match self.poll_chunk(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(read) => read?,
            }
            self.take_replies(replies)?;
        }
        // There may be more: others first.
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [const { std::mem::MaybeUninit::uninit() }; CHUNK];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        let Some(stream) = &mut self.stream else { return Poll::Pending };
        ready!(Pin::new(stream).poll_read(cx, &mut chunk))?;
        if chunk.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.received.extend_from_slice(chunk.filled());
        Poll::Ready(Ok(()))
    }

    fn take_replies(&mut self, replies: &mut Replies) -> io::Result<()> {
        let mut at = 0;
        while at < self.received.len() {
            let next = reply(&self.received[at..]).map_err(|_| io::ErrorKind::InvalidData)?;
            let Some((value, length)) = next else { break };
            at += length;
            if let Some(value) = value {
                settle(&mut self.owed, value, replies)?;
            }
        }
        self.received.drain(..at);
        self.received.shrink_to(KEPT);
        Ok(())
    }
}

/// Gives the reply to whom it is for.
fn settle(owed: &mut VecDeque<Owed>, value: Value, replies: &mut Replies) -> io::Result<()> {
    match owed.front_mut() {
        Some(Owed::Parcels(parcels)) => {
            replies.extend(parcels.next().map(|parcel| (parcel, value)));
            if parcels.len() == 0 {
                owed.pop_front();
            }
        }
        Some(Owed::Answer(_)) => {
            if let Some(Owed::Answer(answer)) = owed.pop_front() {
                // Whoever asked may be gone.
                let _ = answer.send(value);
            }
        }
        None => return Err(io::ErrorKind::InvalidData.into()),
    }
    Ok(())
}

impl Asker {
    async fn ask(&self, command: Vec<u8>) -> RedisResult<Value> {
        let (answer, answered) = oneshot::channel();
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.send(Question { command, answer }).await.map_err(|_| closed())?;
        Ok(answered.await.map_err(|_| closed())?)
    }
}

impl ConnectionLike for Asker {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.ask(command.get_packed_command()))
    }

    /// One after the other: nobody asks many.
    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut values = Vec::new();
            for command in commands.cmd_iter() {
                values.push(self.ask(command.get_packed_command()).await?);
            }
            Ok(values.into_iter().skip(offset).take(count).collect())
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}
