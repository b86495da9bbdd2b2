//! The server's half of RFC 6455 as an incremental decoder that works in place.
//!
//! Owns the rules that span frames: fragments, control frames between them, UTF-8 of text messages, the size limit.
//! Bytes come from the connection's task in a buffer that need not live longer than the call; between two calls only
//! the few bytes of a half-read head, the mask and its phase, and a half-read control payload are kept. Payloads of
//! messages are handed out as ranges of that buffer, unmasked, without a copy.
//!
//! Text and binary are alike to those above: the hub protocol frames its own messages, and a message may be handed out
//! in any number of pieces. Lengths that are not written in the shortest form are accepted, as the reference does.

use super::close::{CloseCode, parse_close};
use super::header::{self, Head, MAX_HEAD, Opcode};
use super::mask::unmask;
use super::utf8::Utf8Check;
use std::ops::Range;

/// What the decoder found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The input is used up; more is needed.
    More,
    /// A piece of a message, possibly empty; `last` when the message ends with it.
    Data { range: Range<usize>, last: bool },
    /// Answer with the same payload.
    Ping(Vec<u8>),
    /// An answer to a ping; nothing to do.
    Pong,
    /// The peer closes; nothing after this counts.
    Close(Option<CloseCode>),
}

/// One step's outcome.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Bytes of the input that were used up.
    pub(crate) used: usize,
    pub(crate) event: Event,
}

/// The decoder of one connection.
#[derive(Debug)]
pub(crate) struct Decoder {
    limit: Option<u64>,
    /// Bytes of the current message so far, when a limit must be kept.
    size: u64,
    head: [u8; MAX_HEAD],
    head_length: u8,
    frame: Option<Frame>,
    /// A message has begun and not ended.
    open: bool,
    text: bool,
    utf8: Utf8Check,
    control: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    last: bool,
    opcode: Opcode,
    left: u64,
    mask: [u8; 4],
    phase: u8,
}

impl Decoder {
    /// `limit` is the largest message in bytes; `None` for no limit.
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self {
            limit,
            size: 0,
            head: [0; MAX_HEAD],
            head_length: 0,
            frame: None,
            open: false,
            text: false,
            utf8: Utf8Check::default(),
            control: Vec::new(),
        }
    }

    /// Takes one step. After an error or a Close nothing more may be asked.
    ///
    /// # Errors
    /// The code with which this side must close.
    pub(crate) fn step(&mut self, input: &mut [u8]) -> Result<Step, CloseCode> {
        let mut used = 0;
        let frame = match self.frame {
            Some(frame) => frame,
            None => match self.read_head(input, &mut used)? {
                Some(frame) => frame,
                None => return Ok(Step { used, event: Event::More }),
            },
        };
        if frame.left > 0 && used == input.len() {
            self.frame = Some(frame);
            return Ok(Step { used, event: Event::More });
        }
        self.read_payload(frame, input, used)
    }

    /// Reads what is there of a head; the frame when it is whole and breaks no rule.
    fn read_head(&mut self, input: &[u8], used: &mut usize) -> Result<Option<Frame>, CloseCode> {
        let have = self.head_length as usize;
        let head = if let ([_, second, ..], 0) = (input, have)
            && let Some(whole) = input.get(..header::head_length(*second))
        {
            *used = whole.len();
            header::parse(whole)?
        } else {
            match self.collect_head(input, used)? {
                Some(head) => head,
                None => return Ok(None),
            }
        };
        self.begin(head).map(Some)
    }

    /// A head that is cut by the end of a read is collected byte by byte.
    fn collect_head(&mut self, input: &[u8], used: &mut usize) -> Result<Option<Head>, CloseCode> {
        for byte in input {
            *used += 1;
            self.head[self.head_length as usize] = *byte;
            self.head_length += 1;
            let have = self.head_length as usize;
            if have == 2 {
                header::check_start(self.head[0], self.head[1])?;
            }
            if have >= 2 && have == header::head_length(self.head[1]) {
                self.head_length = 0;
                return header::parse(&self.head[..have]).map(Some);
            }
        }
        Ok(None)
    }

    /// Checks a head against what came before.
    fn begin(&mut self, head: Head) -> Result<Frame, CloseCode> {
        match head.opcode {
            Opcode::Continuation if !self.open => return Err(CloseCode::PROTOCOL_ERROR),
            Opcode::Text | Opcode::Binary if self.open => return Err(CloseCode::PROTOCOL_ERROR),
            Opcode::Text | Opcode::Binary => {
                self.open = true;
                self.text = head.opcode == Opcode::Text;
                self.size = 0;
            }
            _ => {}
        }
        if !head.opcode.is_control() {
            self.size = self.size.saturating_add(head.length);
            if self.limit.is_some_and(|limit| self.size > limit) {
                return Err(CloseCode::TOO_BIG);
            }
        }
        Ok(Frame { last: head.last, opcode: head.opcode, left: head.length, mask: head.mask, phase: 0 })
    }

    /// Takes what is there of the payload.
    fn read_payload(&mut self, mut frame: Frame, input: &mut [u8], start: usize) -> Result<Step, CloseCode> {
        let room = input.len() - start;
        let length = usize::try_from(frame.left).map_or(room, |left| left.min(room));
        let range = start..start + length;
        let payload = &mut input[range.clone()];
        unmask(payload, frame.mask, frame.phase as usize);
        frame.left -= length as u64;
        frame.phase = (frame.phase as usize + length) as u8 & 3;
        self.frame = (frame.left > 0).then_some(frame);
        let event = if frame.opcode.is_control() {
            self.control.extend_from_slice(payload);
            if frame.left > 0 { Event::More } else { self.end_control(frame.opcode)? }
        } else {
            let last = frame.last && frame.left == 0;
            self.check_text(payload, last)?;
            self.open &= !last;
            Event::Data { range: range.clone(), last }
        };
        Ok(Step { used: range.end, event })
    }

    fn check_text(&mut self, payload: &[u8], last: bool) -> Result<(), CloseCode> {
        let sound = !self.text || (self.utf8.push(payload) && (!last || self.utf8.finish()));
        if sound { Ok(()) } else { Err(CloseCode::INVALID_DATA) }
    }

    fn end_control(&mut self, opcode: Opcode) -> Result<Event, CloseCode> {
        let payload = std::mem::take(&mut self.control);
        Ok(match opcode {
            Opcode::Ping => Event::Ping(payload),
            Opcode::Close => Event::Close(parse_close(&payload)?),
            _ => Event::Pong,
        })
    }
}
