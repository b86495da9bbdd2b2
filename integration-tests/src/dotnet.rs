//! The reference: where its program is, and its .NET client as a process driven by JSON lines.
//!
//! Owns the pairing of requests with replies and the waiting for events. What the lines mean is described in
//! `dotnet-peer/README.md`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::within;

/// The reference's program: `SIGNALR_DOTNET_PEER`, else built with an installed .NET SDK. Without either this prints
/// why `suite` was not run and gives none.
pub fn find(suite: &str) -> Result<Option<PathBuf>> {
    if let Some(program) = std::env::var_os("SIGNALR_DOTNET_PEER") {
        let program = PathBuf::from(program);
        ensure!(program.is_file(), "SIGNALR_DOTNET_PEER names {}, which is no file", program.display());
        return Ok(Some(program));
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("dotnet-peer");
    let output = source.join("bin/test");
    let built = std::process::Command::new("dotnet")
        .args(["publish", "--nologo", "-c", "Release", "-o"])
        .arg(&output)
        .arg(&source)
        .output();
    match built {
        Ok(built) if built.status.success() => Ok(Some(output.join("dotnet-peer"))),
        Ok(built) => bail!("dotnet-peer does not build: {}", String::from_utf8_lossy(&built.stdout)),
        Err(_) => {
            println!(
                "NOT RUN: {suite}: because there is neither SIGNALR_DOTNET_PEER nor a .NET SDK, to run it: \
                 install the .NET SDK 10 or set SIGNALR_DOTNET_PEER to the program dotnet-peer"
            );
            Ok(None)
        }
    }
}

/// The .NET client. Dropping it kills the process.
#[derive(Debug)]
pub struct DotnetClient {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    next_id: u64,
    /// What has come and was not asked for yet: events and replies to other requests.
    waiting: Vec<Value>,
}

impl DotnetClient {
    /// Starts the program's client.
    pub fn start(program: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .arg("client")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the .NET client does not start")?;
        let stdin = child.stdin.take().context("stdin is piped")?;
        let lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        Ok(Self { child, stdin, lines, next_id: 0, waiting: Vec::new() })
    }

    /// Starts a request and gives its id; fields other than `op` and `id` come from `fields`.
    pub async fn begin(&mut self, op: &str, mut fields: Value) -> Result<u64> {
        self.next_id += 1;
        fields["op"] = json!(op);
        fields["id"] = json!(self.next_id);
        self.stdin.write_all(format!("{fields}\n").as_bytes()).await?;
        Ok(self.next_id)
    }

    /// Waits for the reply to a request; an error reply is an error with its type and text.
    pub async fn reply(&mut self, id: u64) -> Result<Value> {
        let reply = self.wait(&format!("the reply to {id}"), |line| line["id"] == id).await?;
        match reply["ok"].as_bool() {
            Some(true) => Ok(reply["result"].clone()),
            _ => bail!("{}: {}", text(&reply["error"]["type"]), text(&reply["error"]["message"])),
        }
    }

    /// A request and its reply.
    pub async fn ask(&mut self, op: &str, fields: Value) -> Result<Value> {
        let id = self.begin(op, fields).await?;
        self.reply(id).await
    }

    /// Opens a connection that listens to these client methods of one argument; gives the connection id.
    pub async fn connect(&mut self, conn: &str, url: &str, protocol: &str, more: Value) -> Result<String> {
        let mut fields = json!({ "conn": conn, "url": url, "transport": "ws", "protocol": protocol });
        for (name, value) in more.as_object().into_iter().flatten() {
            fields[name] = value.clone();
        }
        let result = self.ask("connect", fields).await?;
        Ok(text(&result["connectionId"]))
    }

    /// Invokes a hub method and gives its result.
    pub async fn invoke(&mut self, conn: &str, method: &str, args: Value) -> Result<Value> {
        self.ask("invoke", json!({ "conn": conn, "method": method, "args": args })).await
    }

    /// Invokes a hub method that must fail; gives the text of the error.
    pub async fn refused(&mut self, conn: &str, method: &str, args: Value) -> Result<String> {
        match self.invoke(conn, method, args).await {
            Ok(result) => bail!("{method} should have failed and gave {result}"),
            Err(error) => Ok(error.to_string()),
        }
    }

    /// The next event of a kind on a connection.
    pub async fn event(&mut self, kind: &str, conn: &str) -> Result<Value> {
        self.wait(&format!("{kind} on {conn}"), |line| line["event"] == kind && line["conn"] == conn).await
    }

    /// The next message that a connection got: its arguments.
    pub async fn message(&mut self, conn: &str, method: &str) -> Result<Value> {
        let is_it =
            |line: &Value| line["event"] == "message" && line["conn"] == conn && line["method"] == method;
        Ok(self.wait(&format!("{method} on {conn}"), is_it).await?["args"].clone())
    }

    /// How many messages have come to a connection that nobody took with [`message`](Self::message).
    pub fn untaken(&self, conn: &str) -> usize {
        self.waiting.iter().filter(|line| line["event"] == "message" && line["conn"] == conn).count()
    }

    /// Starts a stream and gives what it yielded and how it ended (`complete` or the error's text).
    pub async fn stream(&mut self, conn: &str, method: &str, args: Value) -> Result<(Vec<Value>, String)> {
        let id = self.begin("stream", json!({ "conn": conn, "method": method, "args": args })).await?;
        self.reply(id).await?;
        let mut items = Vec::new();
        loop {
            let event = self.stream_event(id).await?;
            match event["event"].as_str() {
                Some("item") => items.push(event["value"].clone()),
                Some("complete") => return Ok((items, "complete".to_owned())),
                _ => return Ok((items, text(&event["error"]["message"]))),
            }
        }
    }

    /// The next event of a stream: item, complete or error.
    pub async fn stream_event(&mut self, stream: u64) -> Result<Value> {
        self.wait(&format!("stream {stream}"), |line| line["stream"] == stream).await
    }

    /// Ends the program in an orderly way: all connections closed, everything answered.
    pub async fn end(self) -> Result<()> {
        let Self { mut child, stdin, .. } = self;
        drop(stdin);
        let status = within("the .NET client to end", child.wait()).await??;
        ensure!(status.success(), "the .NET client ended with {status}");
        Ok(())
    }

    async fn wait(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
        if let Some(at) = self.waiting.iter().position(&is_it) {
            return Ok(self.waiting.remove(at));
        }
        within(what, async {
            loop {
                let line = self.lines.next_line().await?.context("the .NET client ended")?;
                let line: Value = serde_json::from_str(&line)?;
                if is_it(&line) {
                    return Ok(line);
                }
                self.waiting.push(line);
            }
        })
        .await?
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
