//! Plays a case over one WebSocket and writes down what comes back.
//!
//! Owns the cutting of received bytes into hub messages and the end of a conversation: a last call whose completion
//! shows that everything before it was answered, then a close frame.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::{Case, Protocol, Step, framed};
use crate::PATIENCE;
use crate::socket::{Incoming, RawSocket};

/// How long the reference is given where it is known never to answer.
const STALL: Duration = Duration::from_secs(2);
const LAST: &str = "the last call";

/// Plays a case against the hub `/scale` of a server; gives the lines of the transcript.
pub async fn play(port: u16, case: &Case) -> Result<Vec<String>> {
    let socket = RawSocket::open(port, "/scale").await?;
    let mut player =
        Player { socket, protocol: case.protocol, lines: Vec::new(), pending: Vec::new(), is_over: false };
    if case.shakes_hands {
        player.send(&Step::Text(handshake(case.protocol).into_bytes())).await?;
        player.wait(1).await?;
    }
    for step in &case.steps {
        player.send(step).await?;
    }
    if case.has_last_call {
        player.send(&last_call(case.protocol)).await?;
        player.until_last(case.stalls).await?;
    }
    player.finish().await
}

struct Player {
    socket: RawSocket,
    protocol: Protocol,
    lines: Vec<String>,
    pending: Vec<u8>,
    is_over: bool,
}

impl Player {
    async fn send(&mut self, step: &Step) -> Result<()> {
        // A server may close while the client is still sending; what it said by then is the answer.
        let sent = match step {
            Step::Text(payload) => self.socket.text(payload).await,
            Step::Binary(payload) => self.socket.binary(payload).await,
            Step::Raw(bytes) => self.socket.raw(bytes).await,
            Step::Await(messages) => return self.wait(*messages).await,
        };
        sent.or(Ok(()))
    }

    async fn wait(&mut self, messages: usize) -> Result<()> {
        let enough = self.lines.len().saturating_add(messages);
        let until = Instant::now() + PATIENCE;
        while !self.is_over && self.lines.len() < enough {
            let Ok(taken) = timeout_at(until, self.take_one()).await else {
                self.lines.push("silence".to_owned());
                return Ok(());
            };
            taken?;
        }
        Ok(())
    }

    async fn until_last(&mut self, stalls: bool) -> Result<()> {
        let marks = [format!("\"{LAST}\""), hex(LAST.as_bytes())];
        let is_last = |line: &String| marks.iter().any(|mark| line.contains(mark));
        // One deadline for all: pings keep coming from a server that does not answer.
        let until = Instant::now() + if stalls { STALL } else { PATIENCE };
        while !self.is_over && !self.lines.iter().any(is_last) {
            let Ok(taken) = timeout_at(until, self.take_one()).await else {
                self.lines.push("silence".to_owned());
                return Ok(());
            };
            taken?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Vec<String>> {
        let until = Instant::now() + PATIENCE;
        if !self.is_over && self.socket.close(1000).await.is_ok() {
            let said = self.lines.len();
            while !self.is_over {
                timeout_at(until, self.take_one()).await.context("a close frame was not answered")??;
            }
            // Whether a good-bye still comes out after the client has closed is a matter of timing.
            let last = self.lines.len() - 1;
            self.lines.drain(said..last);
        }
        Ok(self.lines)
    }

    async fn take_one(&mut self) -> Result<()> {
        match self.socket.next_patiently().await {
            Ok(Incoming::Text(payload)) => self.data("text", &payload),
            Ok(Incoming::Binary(payload)) => self.data("binary", &payload),
            Ok(Incoming::Close(code, reason)) => {
                let code = code.map_or("without a code".to_owned(), |code| code.to_string());
                self.over(format!("close {code} {reason}").trim_end().to_owned());
            }
            Ok(Incoming::End) => self.over("end".to_owned()),
            Err(error) => bail!("{error:#}; so far: {:#?}", self.lines),
        }
        Ok(())
    }

    fn over(&mut self, line: String) {
        if !self.pending.is_empty() {
            self.lines.push(format!("unfinished {}", hex(&self.pending)));
        }
        self.lines.push(line);
        self.is_over = true;
    }

    /// Cuts whole hub messages off what has come so far.
    fn data(&mut self, kind: &str, payload: &[u8]) {
        self.pending.extend_from_slice(payload);
        while let Some(length) = self.whole() {
            let message: Vec<u8> = self.pending.drain(..length).collect();
            let is_ping = message == b"{\"type\":6}\x1e" || message == [2, 0x91, 6];
            if is_ping {
                continue;
            }
            self.lines.push(match (kind, message.split_last()) {
                ("text", Some((0x1e, record))) => format!("text {}", String::from_utf8_lossy(record)),
                _ => format!("{kind} {}", hex(&message)),
            });
        }
    }

    /// The length of the first hub message if it has come whole.
    fn whole(&self) -> Option<usize> {
        let is_handshake = self.lines.is_empty() || self.pending.starts_with(b"{");
        if self.protocol == Protocol::Json || is_handshake {
            return self.pending.iter().position(|byte| *byte == 0x1e).map(|end| end + 1);
        }
        let mut length = 0;
        for (at, byte) in self.pending.iter().take(5).enumerate() {
            length |= usize::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return (self.pending.len() > at + length).then_some(at + 1 + length);
            }
        }
        None
    }
}

fn handshake(protocol: Protocol) -> String {
    let name = if protocol == Protocol::Json { "json" } else { "messagepack" };
    format!("{{\"protocol\":\"{name}\",\"version\":1}}\u{1e}")
}

fn last_call(protocol: Protocol) -> Step {
    match protocol {
        Protocol::Json => {
            let call = json!({ "type": 1, "invocationId": LAST, "target": "GetServerName", "arguments": [] });
            Step::Text(format!("{call}\u{1e}").into_bytes())
        }
        Protocol::MessagePack => {
            let call = json!([1, {}, LAST, "GetServerName", [], []]);
            Step::Binary(framed(&rmp_serde::to_vec(&call).unwrap_or_default()))
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
