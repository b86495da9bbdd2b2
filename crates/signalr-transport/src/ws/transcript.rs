//! What a stream of frames means, written down: for comparing the decoder with itself and with others.
//!
//! Used by the body of the fuzz target and by tests; a server never builds one.

use super::close::CloseCode;
use super::decoder::{Decoder, Event};

/// One thing that a peer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
}

/// How the stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It did not; more could come.
    Open,
    /// The peer closed.
    Closed(Option<CloseCode>),
    /// The peer broke the rules.
    Failed(CloseCode),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transcript {
    pub(crate) said: Vec<Said>,
    pub(crate) ending: Ending,
}

/// Decodes `stream` as it arrives in reads of `sizes`, over and over; an empty list means one read.
pub(crate) fn decode(stream: &[u8], sizes: &[usize], limit: Option<u64>) -> Transcript {
    let mut decoder = Decoder::new(limit);
    let mut transcript = Transcript { said: Vec::new(), ending: Ending::Open };
    let mut message = Vec::new();
    let mut rest = stream.to_vec();
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let size = sizes.next().map_or(rest.len(), |size| (*size).clamp(1, rest.len()));
        let later = rest.split_off(size);
        let mut read = std::mem::replace(&mut rest, later);
        let mut at = 0;
        while at < read.len() {
            match decoder.step(&mut read[at..]) {
                Err(code) => {
                    transcript.ending = Ending::Failed(code);
                    return transcript;
                }
                Ok(step) => {
                    match step.event {
                        Event::Data { range, last } => {
                            message.extend_from_slice(&read[at + range.start..at + range.end]);
                            if last {
                                transcript.said.push(Said::Message(std::mem::take(&mut message)));
                            }
                        }
                        Event::Ping(payload) => transcript.said.push(Said::Ping(payload)),
                        Event::Pong => transcript.said.push(Said::Pong),
                        Event::Close(code) => {
                            transcript.ending = Ending::Closed(code);
                            return transcript;
                        }
                        Event::More => {}
                    }
                    at += step.used;
                }
            }
        }
    }
    transcript
}
