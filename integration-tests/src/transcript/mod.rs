//! Transcripts: a table of inputs, what a server answered to each, byte for byte, and the comparison of two servers.
//!
//! A [`Case`] is played over one WebSocket of its own. What comes back is written as lines: `text RECORD` and
//! `binary HEX` for each hub message (how messages are grouped into WebSocket messages is a matter of timing and left
//! out), `close CODE REASON`, `end` when the connection ended without a close frame, `silence` when an answer was due and none came. Pings are
//! left out. The reference's lines are kept in `data/transcripts.json`; [`golden`] reads and writes that file.

mod cases_handshake;
mod cases_json;
mod cases_messagepack;
mod cases_waiting;
pub mod golden;
mod play;

pub(crate) use play::hex;
pub use play::play;

/// The hub protocol of a case, which decides how messages are cut out of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Records that end with 0x1E.
    Json,
    /// Bodies with a length in front.
    MessagePack,
}

/// One thing that the client does.
#[derive(Debug, Clone)]
pub enum Step {
    /// Send a text message.
    Text(Vec<u8>),
    /// Send a binary message.
    Binary(Vec<u8>),
    /// Send bytes that are no message: damaged frames.
    Raw(Vec<u8>),
    /// Wait until so many more hub messages have come.
    Await(usize),
}

/// Where this project answers otherwise than the reference, on purpose.
#[derive(Debug, Clone)]
pub struct Deviation {
    /// Our reason.
    pub why: &'static str,
    /// Our answer.
    pub ours: Ours,
}

/// Our answer, where it is another.
#[derive(Debug, Clone)]
pub enum Ours {
    /// These lines, without and with detailed errors.
    Lines([Vec<String>; 2]),
    /// The reference's lines with each first text replaced by the second.
    Replaced(&'static [(&'static str, &'static str)]),
}

impl Ours {
    /// Our lines, made of the reference's.
    pub fn lines(&self, theirs: [Vec<String>; 2]) -> [Vec<String>; 2] {
        match self {
            Self::Lines(lines) => lines.clone(),
            Self::Replaced(pairs) => theirs.map(|lines| {
                let replaced =
                    |line: String| pairs.iter().fold(line, |line, (from, to)| line.replace(from, to));
                lines.into_iter().map(replaced).collect()
            }),
        }
    }
}

/// One conversation.
#[derive(Debug, Clone)]
pub struct Case {
    /// The name, by which the reference's answer is found.
    pub name: &'static str,
    /// The hub protocol.
    pub protocol: Protocol,
    /// Whether the handshake is done before the steps.
    pub shakes_hands: bool,
    /// What the client does.
    pub steps: Vec<Step>,
    /// Whether a last call shows that the connection still works; it is closed after that.
    pub has_last_call: bool,
    /// Whether the reference is known never to answer.
    pub stalls: bool,
    /// Whether the case waits for the server's patience to end; such cases have servers with short time-outs.
    pub waits: bool,
    /// Whether the reference's answer depends on timing, so that a second recording may differ.
    pub races: bool,
    /// How our answer differs.
    pub deviation: Option<Deviation>,
}

impl Case {
    /// A conversation in JSON after a good handshake.
    pub(crate) fn json(name: &'static str) -> Self {
        Self {
            name,
            protocol: Protocol::Json,
            shakes_hands: true,
            steps: Vec::new(),
            has_last_call: true,
            stalls: false,
            waits: false,
            races: false,
            deviation: None,
        }
    }

    /// A conversation in MessagePack after a good handshake.
    pub(crate) fn pack(name: &'static str) -> Self {
        Self { protocol: Protocol::MessagePack, ..Self::json(name) }
    }

    /// A conversation that begins with the handshake itself.
    pub(crate) fn handshake(name: &'static str, request: &str) -> Self {
        Self { shakes_hands: false, ..Self::json(name) }.text(&format!("{request}\u{1e}"))
    }

    /// Sends a JSON record, or several; the end marks are added here.
    pub(crate) fn send(self, record: &str) -> Self {
        self.text(&format!("{record}\u{1e}"))
    }

    /// Sends a text message as it is.
    pub(crate) fn text(self, text: &str) -> Self {
        self.step(Step::Text(text.as_bytes().to_vec()))
    }

    /// Sends a MessagePack body; its length is put in front.
    pub(crate) fn body(self, body: &[u8]) -> Self {
        let framed = framed(body);
        self.step(Step::Binary(framed))
    }

    /// Sends a MessagePack message that is written here as JSON.
    pub(crate) fn message(self, message: serde_json::Value) -> Self {
        let body = rmp_serde::to_vec(&message).unwrap_or_default();
        self.body(&body)
    }

    pub(crate) fn wait(self, messages: usize) -> Self {
        self.step(Step::Await(messages))
    }

    pub(crate) fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The reference never answers the last call.
    pub(crate) fn stalls(self) -> Self {
        Self { stalls: true, ..self }
    }

    /// We answer the same with and without detailed errors, and otherwise than the reference.
    pub(crate) fn differs(self, why: &'static str, ours: &[&str]) -> Self {
        self.differs_in_detail(why, ours, ours)
    }

    /// We answer as the reference with these texts replaced.
    pub(crate) fn replaces(self, why: &'static str, pairs: &'static [(&'static str, &'static str)]) -> Self {
        Self { deviation: Some(Deviation { why, ours: Ours::Replaced(pairs) }), ..self }
    }

    /// Ends when the server has lost its patience.
    pub(crate) fn until_closed(self) -> Self {
        Self { waits: true, has_last_call: false, ..self }.wait(usize::MAX)
    }

    /// The reference's answer depends on timing.
    pub(crate) fn races(self) -> Self {
        Self { races: true, ..self }
    }

    /// We answer otherwise than the reference: without and with detailed errors.
    pub(crate) fn differs_in_detail(self, why: &'static str, plain: &[&str], detailed: &[&str]) -> Self {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        Self {
            deviation: Some(Deviation { why, ours: Ours::Lines([lines(plain), lines(detailed)]) }),
            ..self
        }
    }
}

/// Every case there is. Names are unique.
pub fn cases() -> Vec<Case> {
    let mut all = cases_handshake::cases();
    all.extend(cases_json::cases());
    all.extend(cases_messagepack::cases());
    all.extend(cases_waiting::cases());
    all
}

/// A MessagePack body with its length in front.
pub fn framed(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 5);
    let mut rest = body.len();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out.extend_from_slice(body);
    out
}
