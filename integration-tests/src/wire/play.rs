//! Plays a scenario against a server and writes its transcript.
//!
//! | step | what it does |
//! | --- | --- |
//! | `on PATH` | sets `{hub}` (at first `/scale`) |
//! | `GET TARGET`, `POST ...`, any method | asks; the answer is written: status, headers, body |
//! | `a: GET TARGET` | asks and leaves the answer for later steps |
//! | `a: answer`, `a: head`, `a: body` | the whole answer; status and headers only; the body only |
//! | `a: events N` | N events as they are |
//! | `a: pending` | nothing comes for a moment (else what came) |
//! | `until STATUS METHOD TARGET` | asks again and again until the status is this one |
//! | `negotiate a QUERY` | sets `{a.id}`, `{a.token}`; writes nothing |
//! | `token a` | sets `{a.jwt}` to a good token for user `a` |
//! | `a: ws TARGET`, `a: ws-pack TARGET` | a WebSocket without a handshake, for JSON or MessagePack; `a: resume TARGET` and `a: resume-pack TARGET` for a connection that goes on |
//! | `connect a TRANSPORT PROTOCOL [stateful] [raw] [QUERY]` | negotiates, opens the transport, shakes hands (not with `raw`) |
//! | `a: send TEXT`, `a: bytes HEX`, `a: pack JSON` | a text or binary message, or a POST; `pack` frames a MessagePack message |
//! | `a: frame HEX` | bytes as they are, on a WebSocket |
//! | `a: receive N [pings] [acks]` | the next N hub messages |
//! | `a: asked q` | the next hub message, a question in JSON; sets `{q}` to its id |
//! | `a: nothing MS` | no hub message comes for a moment, or so many milliseconds |
//! | `a: end` | all messages until the end, and how it ended |
//! | `a: close CODE` | a close frame |
//! | `a: drop` | hangs up |
//!
//! A step that fails ends the transcript with a line that starts with `!`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::{Instant, sleep, timeout};

use super::cutter::{Cutter, Wanted};
use super::exchange::{Exchange, Head};
use super::link::{self, Carrier, Link, Received, Upgraded};
use super::mask::{Variables, show};
use super::script::{Scenario, Step};
use crate::transcript::{Protocol, framed};
use crate::{PATIENCE, http, within};

/// How long nothing must come to count as nothing.
const MOMENT: Duration = Duration::from_millis(200);

/// Differ with every answer, or belong to the HTTP server: whether a body that was refused is sent in chunks is its choice.
const IGNORED: &[&str] = &["date", "server", "connection", "transfer-encoding"];

/// Plays a scenario; gives its transcript.
pub async fn play(port: u16, scenario: &Scenario) -> Vec<String> {
    let mut player = Player {
        port,
        variables: Variables::default(),
        links: BTreeMap::new(),
        lines: Vec::new(),
        asked: Vec::new(),
    };
    player.variables.set("hub", "/scale");
    player.variables.set("t", &scenario.transport);
    for step in &scenario.steps {
        player.lines.push(format!("> {}", step.text()));
        player.lines.extend(step.more.iter().map(|line| format!(">   {line}")));
        if let Err(error) = player.step(step).await {
            player.write(&format!("! {error:#}"));
            break;
        }
    }
    player.lines
}

struct Player {
    port: u16,
    variables: Variables,
    links: BTreeMap<String, Link>,
    lines: Vec<String>,
    /// Ids of questions, with the names that the script gives them.
    asked: Vec<(String, String)>,
}

impl Player {
    async fn step(&mut self, step: &Step) -> Result<()> {
        let rest = self.variables.fill(&step.rest);
        let is_method = step.verb.chars().all(|c| c.is_ascii_uppercase());
        match (&step.link, step.verb.as_str()) {
            (None, "on") => self.variables.set("hub", &rest),
            (None, "negotiate") => self.negotiate(&rest, &self.headers(step)).await?,
            (None, "token") => self.token(&rest).await?,
            (None, "until") => self.until(&rest, step).await?,
            (None, "connect") => self.connect(&rest, &self.headers(step)).await?,
            (None, _) if is_method => {
                let mut exchange = self.ask(&step.verb, &rest, step).await?;
                self.answer("", &mut exchange).await?;
            }
            (Some(name), _) if is_method => {
                let carrier = Carrier::Request(self.ask(&step.verb, &rest, step).await?);
                let link = Link::new(self.port, carrier, Cutter::new(Protocol::Json), &rest, &[]);
                self.links.insert(name.clone(), link);
            }
            (Some(name), "ws" | "ws-pack" | "resume" | "resume-pack") => {
                self.upgrade(name, &step.verb, &rest, step).await?
            }
            (Some(name), "drop") => {
                self.links.remove(name);
            }
            (Some(name), verb) => {
                let mut link = self.links.remove(name).with_context(|| format!("there is no link {name}"))?;
                let done = self.on_link(name, &mut link, verb, &rest).await;
                self.links.insert(name.clone(), link);
                done?;
            }
            (None, verb) => bail!("there is no step `{verb}`"),
        }
        Ok(())
    }

    async fn on_link(&mut self, name: &str, link: &mut Link, verb: &str, rest: &str) -> Result<()> {
        match verb {
            "answer" => self.answer(name, link.request()?).await?,
            "body" => {
                let (body, _) = within("the end of an answer", link.request()?.body()).await??;
                self.write_for(name, &format!("| {}", show(&body)));
            }
            "head" => {
                let head = within("the head of an answer", link.request()?.head()).await??;
                self.write_head(name, &head);
            }
            "pending" => match timeout(MOMENT, link.request()?.head()).await {
                Ok(_) => self.answer(name, link.request()?).await?,
                Err(_) => self.write_for(name, "pending"),
            },
            "events" => self.events(name, link, rest.parse()?).await?,
            "send" => self.sent(name, link.send(rest.as_bytes(), false).await?),
            "bytes" => self.sent(name, link.send(&unhex(rest)?, true).await?),
            "pack" => {
                let message: serde_json::Value = serde_json::from_str(rest)?;
                let body = rmp_serde::to_vec(&message)?;
                self.sent(name, link.send(&framed(&body), true).await?);
            }
            "frame" => link.socket()?.raw(&unhex(rest)?).await.or(Ok::<_, anyhow::Error>(()))?,
            "close" => link.socket()?.close(rest.parse()?).await.or(Ok::<_, anyhow::Error>(()))?,
            "asked" => self.asked(name, link, rest).await?,
            "receive" => self.receive(name, link, rest).await?,
            "nothing" => match timeout(moment(rest)?, link.receive(Wanted::default())).await {
                Ok(received) => {
                    self.received(name, received?);
                }
                Err(_) => self.write_for(name, "nothing"),
            },
            "end" => {
                while self.next(name, link, Wanted::default()).await? {}
                let rest = link.rest();
                if !rest.is_empty() {
                    self.write_for(name, &format!("unfinished {}", show(&rest)));
                }
            }
            _ => bail!("a link has no step `{verb}`"),
        }
        Ok(())
    }

    async fn receive(&mut self, name: &str, link: &mut Link, rest: &str) -> Result<()> {
        let mut words = rest.split_whitespace();
        let count: usize = words.next().context("how many?")?.parse()?;
        let mut wanted = Wanted::default();
        for word in words {
            match word {
                "pings" => wanted.pings = true,
                "acks" => wanted.acks = true,
                _ => bail!("`{word}` cannot be received"),
            }
        }
        for _ in 0..count {
            if !self.next(name, link, wanted).await? {
                break;
            }
        }
        Ok(())
    }

    async fn asked(&mut self, name: &str, link: &mut Link, id: &str) -> Result<()> {
        let Received::Message(message) = within("a question", link.receive(Wanted::default())).await?? else {
            bail!("the link ended without a question");
        };
        let question: serde_json::Value =
            serde_json::from_slice(message.strip_suffix(b"\x1e").unwrap_or(&message))?;
        let value = question["invocationId"].as_str().context("a question has an id")?;
        self.variables.set(id, value);
        self.asked.push((value.to_owned(), id.to_owned()));
        self.write_for(name, &show(&message));
        Ok(())
    }

    /// Writes the next message, or the end; false at the end.
    async fn next(&mut self, name: &str, link: &mut Link, wanted: Wanted) -> Result<bool> {
        match timeout(PATIENCE, link.receive(wanted)).await {
            Ok(received) => Ok(self.received(name, received?)),
            Err(_) => {
                self.write_for(name, "silence");
                Ok(false)
            }
        }
    }

    fn received(&mut self, name: &str, received: Received) -> bool {
        match received {
            Received::Message(message) => {
                self.write_for(name, &show(&message));
                true
            }
            Received::End(how) => {
                self.write_for(name, &how);
                false
            }
        }
    }

    fn sent(&mut self, name: &str, refused: Option<u16>) {
        if let Some(status) = refused {
            self.write_for(name, &format!("POST {status}"));
        }
    }

    async fn events(&mut self, name: &str, link: &mut Link, count: usize) -> Result<()> {
        for _ in 0..count {
            match within("an event", link.event()).await?? {
                Ok(event) => self.write_for(name, &show(&event)),
                Err(end) => {
                    let rest = link.rest();
                    self.write_for(name, format!("{end} {}", show(&rest)).trim_end());
                    break;
                }
            }
        }
        Ok(())
    }

    async fn ask(&self, method: &str, target: &str, step: &Step) -> Result<Exchange> {
        let body = self.body(step)?;
        let request = link::request(self.port, method, target, &self.headers(step), &body);
        Exchange::start(self.port, request).await
    }

    async fn answer(&mut self, name: &str, exchange: &mut Exchange) -> Result<()> {
        let head = within("an answer", exchange.head()).await??;
        self.write_head(name, &head);
        let (body, is_whole) = within("the end of an answer", exchange.body()).await??;
        if !body.is_empty() {
            self.write_for(name, &format!("| {}", show(&body)));
        }
        if !is_whole {
            self.write_for(name, "cut");
        }
        Ok(())
    }

    async fn until(&mut self, rest: &str, step: &Step) -> Result<()> {
        let [status, method, target] = rest.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            bail!("until STATUS METHOD TARGET");
        };
        let status: u16 = status.parse()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut exchange = self.ask(method, target, step).await?;
            let head = within("an answer", exchange.head()).await??;
            if head.status == status || Instant::now() > deadline {
                return self.answer("", &mut exchange).await;
            }
            // Between two looks at the condition, until the deadline.
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn token(&mut self, name: &str) -> Result<()> {
        let answer = http::request(self.port, "GET", &format!("/generateJwtToken/{name}"), "").await?;
        ensure!(answer.status == 200, "there are no tokens here");
        self.variables.set(&format!("{name}.jwt"), &String::from_utf8(answer.body)?);
        Ok(())
    }

    async fn negotiate(&mut self, rest: &str, headers: &[String]) -> Result<()> {
        let (name, query) = rest.split_once(' ').unwrap_or((rest, ""));
        let hub = self.variables.get("hub").unwrap_or_default();
        let query = if query.is_empty() { String::new() } else { format!("&{query}") };
        let target = format!("{hub}/negotiate?negotiateVersion=1{query}");
        let request = link::request(self.port, "POST", &target, headers, b"");
        let mut exchange = Exchange::start(self.port, request).await?;
        let (body, _) = within("a negotiate answer", exchange.body()).await??;
        let status = exchange.head().await?.status;
        ensure!(status == 200, "negotiate was answered with {status}");
        let answer: serde_json::Value = serde_json::from_slice(&body)?;
        for (key, field) in [("id", "connectionId"), ("token", "connectionToken")] {
            let value = answer[field].as_str().with_context(|| format!("negotiate gave no {field}"))?;
            self.variables.set(&format!("{name}.{key}"), value);
        }
        Ok(())
    }

    async fn upgrade(&mut self, name: &str, verb: &str, target: &str, step: &Step) -> Result<()> {
        match link::upgrade(self.port, target, &self.headers(step)).await? {
            Upgraded::Refused(mut exchange) => self.answer(name, &mut exchange).await,
            Upgraded::Socket(head, socket) => {
                self.write_head(name, &head);
                let protocol = if verb.ends_with("-pack") { Protocol::MessagePack } else { Protocol::Json };
                let cutter = Cutter::new(protocol);
                let cutter = if verb.starts_with("resume") { cutter.shaken() } else { cutter };
                let link = Link::new(self.port, Carrier::Socket(socket), cutter, target, &[]);
                self.links.insert(name.to_owned(), link);
                Ok(())
            }
        }
    }

    async fn connect(&mut self, rest: &str, headers: &[String]) -> Result<()> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [name, transport, protocol, ref more @ ..] = words[..] else {
            bail!("connect NAME TRANSPORT PROTOCOL");
        };
        let (is_stateful, is_raw) = (more.contains(&"stateful"), more.contains(&"raw"));
        let query: Vec<&str> = more
            .iter()
            .filter(|word| word.contains('='))
            .copied()
            .chain(is_stateful.then_some("useStatefulReconnect=true"))
            .collect();
        let query = query.join("&");
        self.negotiate(&format!("{name} {query}"), headers).await?;
        let (hub, token) = (self.known("hub")?, self.known(&format!("{name}.token"))?);
        let query = if query.is_empty() { query } else { format!("&{query}") };
        let target = format!("{hub}?id={token}{query}");
        let cutter = Cutter::new(match protocol {
            "json" => Protocol::Json,
            _ => Protocol::MessagePack,
        });
        let carrier = open(self.port, transport, &target, headers).await?;
        let mut link = Link::new(self.port, carrier, cutter, &target, headers);
        if transport == "sse" {
            within("the first bytes of the events", link.greeting()).await??;
        }
        if !is_raw {
            let version = if is_stateful { 2 } else { 1 };
            let hello = format!("{{\"protocol\":\"{protocol}\",\"version\":{version}}}\u{1e}");
            let refused = link.send(hello.as_bytes(), false).await?;
            self.sent(name, refused);
            match within("the reply to a handshake", link.receive(Wanted::default())).await?? {
                Received::Message(reply) if reply == b"{}\x1e" => {}
                other => {
                    self.received(name, other);
                }
            }
        }
        self.links.insert(name.to_owned(), link);
        Ok(())
    }

    fn known(&self, name: &str) -> Result<String> {
        Ok(self.variables.get(name).with_context(|| format!("{name} is not known"))?.to_owned())
    }

    fn headers(&self, step: &Step) -> Vec<String> {
        let headers = step.more.iter().filter(|line| !line.starts_with("| ") && !line.starts_with("hex "));
        headers.map(|header| self.variables.fill(header)).collect()
    }

    fn body(&self, step: &Step) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        for line in &step.more {
            if let Some(text) = line.strip_prefix("| ") {
                body.extend_from_slice(self.variables.fill(text).as_bytes());
            } else if let Some(hex) = line.strip_prefix("hex ") {
                body.extend(unhex(hex)?);
            }
        }
        Ok(body)
    }

    fn write_head(&mut self, name: &str, head: &Head) {
        self.write_for(name, &head.status.to_string());
        let is_shown = |key: &str| !IGNORED.contains(&key) && (key != "content-length" || head.status < 300);
        let mut headers: Vec<_> = head.headers.iter().filter(|(key, _)| is_shown(key)).cloned().collect();
        headers.sort();
        for (key, value) in headers {
            self.write_for(name, &format!("{key}: {value}"));
        }
    }

    fn write_for(&mut self, name: &str, text: &str) {
        self.write(&format!("{name}< {text}"));
    }

    fn write(&mut self, line: &str) {
        let mut line = self.variables.mask(line);
        for (value, id) in &self.asked {
            let quoted = |quote: char, text: &str| format!("{quote}{text}{quote}");
            for quote in ['"', '\''] {
                line = line.replace(&quoted(quote, value), &quoted(quote, &format!("<{id}>")));
            }
        }
        self.lines.push(line);
    }
}

/// Opens a transport for a negotiated connection.
async fn open(port: u16, transport: &str, target: &str, headers: &[String]) -> Result<Carrier> {
    match transport {
        "ws" => match link::upgrade(port, target, headers).await? {
            Upgraded::Socket(_, socket) => Ok(Carrier::Socket(socket)),
            Upgraded::Refused(mut exchange) => {
                bail!("the upgrade was answered with {}", exchange.head().await?.status)
            }
        },
        "sse" => {
            let headers = [headers, &["Accept: text/event-stream".to_owned()]].concat();
            let mut exchange =
                Exchange::start(port, link::request(port, "GET", target, &headers, b"")).await?;
            let status = within("an answer with events", exchange.head()).await??.status;
            ensure!(status == 200, "the events were answered with {status}");
            Ok(Carrier::Request(exchange))
        }
        "lp" => {
            let mut exchange =
                Exchange::start(port, link::request(port, "GET", target, headers, b"")).await?;
            let status = within("an answer to the first poll", exchange.head()).await??.status;
            ensure!(status == 200, "the first poll was answered with {status}");
            Ok(Carrier::Polls(None))
        }
        _ => bail!("there is no transport `{transport}`"),
    }
}

fn moment(milliseconds: &str) -> Result<Duration> {
    if milliseconds.is_empty() {
        return Ok(MOMENT);
    }
    Ok(Duration::from_millis(milliseconds.parse()?))
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| Ok(u8::from_str_radix(&digits[at..at + 2], 16)?)).collect()
}
