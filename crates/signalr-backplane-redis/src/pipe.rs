//! A connection that messages are published on: commands out, replies in, in the same order.
//!
//! Owns what was written and not answered. It is polled by the publisher, in the same task, so that a message costs no
//! task switch and no future of its own; questions of others come through an [`Asker`]. The stream comes from `dial`,
//! logged in; what an end means is the publisher's business.

use crate::duplex::{CHUNKS, Duplex};
use crate::options::Stream;
use crate::parcel::Parcel;
use crate::resp::{Publish, REPLIES, reply};
use crate::traffic::Traffic;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::sync::{mpsc, oneshot};

/// Questions that may wait to be written.
const QUESTIONS: usize = 256;

pub(crate) struct Pipe {
    /// `None`: over.
    wire: Option<Duplex>,
    traffic: Arc<Traffic>,
    publish: Publish,
    owed: VecDeque<Owed>,
    /// What the parcels among them count.
    in_flight: usize,
    unwritten: Vec<Parcel>,
    questions: mpsc::Receiver<Question>,
    asker: Asker,
}

/// What the next reply is for.
enum Owed {
    Parcels(std::vec::IntoIter<Parcel>),
    Answer(Asked),
}

/// Who waits for an answer, and how long the question was.
struct Asked {
    answer: oneshot::Sender<Value>,
    length: usize,
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
            wire: Some(Duplex::new(stream)),
            traffic,
            publish,
            owed: VecDeque::new(),
            in_flight: 0,
            unwritten: Vec::new(),
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

    /// Bytes of messages that were not answered, on the wire.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether it lives and has nothing to write and nothing to wait for.
    pub(crate) fn is_idle(&self) -> bool {
        self.owed.is_empty() && self.has_written()
    }

    fn has_written(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| wire.unwritten() == 0)
    }

    /// Whether the connection has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.wire.is_none()
    }

    /// Queues messages; the next poll writes them.
    pub(crate) fn publish(&mut self, parcels: Vec<Parcel>) {
        self.in_flight += parcels.iter().map(|parcel| parcel.wire_size()).sum::<usize>();
        if let Some(wire) = &mut self.wire {
            for parcel in &parcels {
                self.publish.write(wire.out(), parcel.channel.as_bytes(), &parcel.bytes);
            }
        }
        if !parcels.is_empty() {
            self.owed.push_back(Owed::Parcels(parcels.into_iter()));
        }
    }

    /// Writes what the system takes at once; true when that was all. Otherwise the publisher must [poll](Self::poll), whatever the
    /// reason: it is the one to find out that the connection has ended.
    pub(crate) fn write_at_once(&mut self) -> bool {
        self.poll_write(&mut Context::from_waker(Waker::noop())).is_ok() && self.has_written()
    }

    /// Writes and reads. Ready when there are replies, or the connection has just ended; never again after that.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, replies: &mut Replies) -> Poll<()> {
        if self.is_over() {
            return Poll::Pending;
        }
        let before = replies.len();
        self.take_questions(cx);
        let ended = self.poll_write(cx).is_err() | self.poll_read(cx, replies).is_err();
        self.answered(&replies[before..]);
        if ended {
            self.end();
        }
        if ended || replies.len() > before { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ends the connection; what has arrived by now counts.
    pub(crate) fn cut(&mut self, replies: &mut Replies) {
        if !self.is_over() {
            let before = replies.len();
            let _ = self.poll_read(&mut Context::from_waker(Waker::noop()), replies);
            self.answered(&replies[before..]);
            self.end();
        }
    }

    /// What no byte was written of when the connection ended, in order: Redis has nothing of it.
    pub(crate) fn unwritten(&mut self) -> Vec<Parcel> {
        std::mem::take(&mut self.unwritten)
    }

    /// What was written, or in part, and never answered.
    pub(crate) fn unanswered(&mut self) -> impl Iterator<Item = Parcel> + '_ {
        self.in_flight = 0;
        self.owed.drain(..).flat_map(|owed| match owed {
            Owed::Parcels(parcels) => parcels,
            Owed::Answer(_) => Vec::new().into_iter(),
        })
    }

    fn answered(&mut self, replies: &[(Parcel, Value)]) {
        self.in_flight -= replies.iter().map(|(parcel, _)| parcel.wire_size()).sum::<usize>();
    }

    fn end(&mut self) {
        let left = self.wire.take().map_or(0, |wire| wire.unwritten());
        self.unwritten = take_back(&mut self.owed, &self.publish, left);
        self.in_flight -= self.unwritten.iter().map(|parcel| parcel.wire_size()).sum::<usize>();
        self.questions.close();
        self.owed.retain(|owed| matches!(owed, Owed::Parcels(_)));
    }

    fn take_questions(&mut self, cx: &mut Context<'_>) {
        let Some(wire) = &mut self.wire else { return };
        while let Poll::Ready(Some(Question { command, answer })) = self.questions.poll_recv(cx) {
            wire.out().extend_from_slice(&command);
            self.owed.push_back(Owed::Answer(Asked { answer, length: command.len() }));
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.wire.as_mut().map_or(Ok(()), |wire| wire.poll_write(cx))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, replies: &mut Replies) -> io::Result<()> {
        let Some(wire) = &mut self.wire else { return Ok(()) };
        for _ in 0..CHUNKS {
            match wire.poll_chunk(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(read) => read?,
            }
            take_replies(wire, &mut self.owed, replies)?;
        }
        // There may be more: others first.
        cx.waker().wake_by_ref();
        Ok(())
    }
}

fn take_replies(wire: &mut Duplex, owed: &mut VecDeque<Owed>, replies: &mut Replies) -> io::Result<()> {
    let (received, mut at) = (wire.received(), 0);
    while at < received.len() {
        let next = reply(&received[at..], REPLIES).map_err(|_| io::ErrorKind::InvalidData)?;
        let Some((value, length)) = next else { break };
        at += length;
        if let Some(value) = value {
            settle(owed, value, replies)?;
        }
    }
    wire.consume(at);
    Ok(())
}

/// Takes out the messages that lie within the last `left` bytes, which were not written, as a whole.
fn take_back(owed: &mut VecDeque<Owed>, publish: &Publish, mut left: usize) -> Vec<Parcel> {
    let mut back = Vec::new();
    while let Some(last) = owed.pop_back() {
        match last {
            Owed::Answer(Asked { length, .. }) if length <= left => left -= length,
            Owed::Answer(asked) => {
                owed.push_back(Owed::Answer(asked));
                break;
            }
            Owed::Parcels(parcels) => {
                let mut parcels: Vec<_> = parcels.collect();
                while let Some(parcel) =
                    parcels.pop_if(|last| publish.length(last.channel.as_bytes(), &last.bytes) <= left)
                {
                    left -= publish.length(parcel.channel.as_bytes(), &parcel.bytes);
                    back.push(parcel);
                }
                if !parcels.is_empty() {
                    owed.push_back(Owed::Parcels(parcels.into_iter()));
                    break;
                }
            }
        }
    }
    back.reverse();
    back
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
            if let Some(Owed::Answer(asked)) = owed.pop_front() {
                // Whoever asked may be gone.
                let _ = asked.answer.send(value);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::Member;
    use crate::parcel::Kind;
    use crate::wire::{Channels, Codec};
    use signalr_core::{BackplaneMessage, BackplaneSink, Topic};
    use tokio::io::AsyncReadExt;

    struct Deaf;

    impl BackplaneSink for Deaf {
        fn deliver(&self, _: &Topic, _: BackplaneMessage) {}
    }

    /// Messages whose commands are of 31 bytes each, told apart by one of them.
    fn parcels(names: &[u8]) -> Vec<Parcel> {
        let member = Member::new("n".into(), Codec::new(Channels::new("", "H")), Arc::new(Deaf)).unwrap();
        let parcel = |name: &u8| Parcel::new(&member, "c".to_owned(), vec![*name; 1], Kind::Once).0;
        names.iter().map(parcel).collect()
    }

    fn names(parcels: impl IntoIterator<Item = Parcel>) -> Vec<u8> {
        parcels.into_iter().map(|parcel| parcel.bytes[0]).collect()
    }

    fn poll(pipe: &mut Pipe, replies: &mut Replies) -> bool {
        pipe.poll(&mut Context::from_waker(Waker::noop()), replies).is_ready()
    }

    #[tokio::test]
    async fn what_no_byte_was_written_of_is_told_from_what_was_never_answered() {
        // There is room for two messages and a part of a third.
        let (near, mut far) = tokio::io::duplex(85);
        let mut pipe = Pipe::new(Box::new(near), Arc::default(), Publish::new("PUBLISH"));
        let mut replies = Replies::new();
        pipe.publish(parcels(b"ab"));
        pipe.publish(parcels(b"cd"));
        let question = tokio::spawn({
            let asker = pipe.asker();
            async move { asker.ask(b"*1\r\n$4\r\nROLE\r\n".to_vec()).await }
        });
        while pipe.questions.is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(!poll(&mut pipe, &mut replies));
        pipe.publish(parcels(b"e"));
        assert!(!poll(&mut pipe, &mut replies));
        tokio::io::AsyncWriteExt::write_all(&mut far, b":1\r\n").await.unwrap();
        pipe.cut(&mut replies);
        assert_eq!(names(replies.into_iter().map(|(parcel, _)| parcel)), b"a");
        assert_eq!(names(pipe.unwritten()), b"de");
        assert_eq!(names(pipe.unanswered()), b"bc");
        assert!(question.await.unwrap().is_err());
        let mut written = Vec::new();
        far.read_to_end(&mut written).await.unwrap();
        assert_eq!(written.len(), 85);
    }

    #[tokio::test]
    async fn what_was_written_as_a_whole_is_never_taken_back() {
        let (near, far) = tokio::io::duplex(1000);
        let mut pipe = Pipe::new(Box::new(near), Arc::default(), Publish::new("PUBLISH"));
        pipe.publish(parcels(b"abc"));
        assert!((93..=102).contains(&pipe.in_flight()), "three times 31 bytes, not {}", pipe.in_flight());
        let mut replies = Replies::new();
        assert!(!poll(&mut pipe, &mut replies));
        drop(far);
        pipe.publish(parcels(b"d"));
        assert!(poll(&mut pipe, &mut replies) && pipe.is_over());
        assert_eq!((names(pipe.unwritten()), names(pipe.unanswered())), (b"d".to_vec(), b"abc".to_vec()));
    }
}
