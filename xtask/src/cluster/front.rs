//! One address before several servers: haproxy, which leads a client to the server that its cookie names.
//!
//! Owns haproxy's configuration. SignalR needs this kind of stickiness, because a connection lives on one server while its
//! negotiation is a request of its own.

use std::fmt::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::member::{Member, Starter};
use super::{free_port, met};
use crate::setup::Need;
use crate::workspace::Workspace;

/// Starts it before these servers.
pub(crate) fn start(workspace: &Workspace, start: &Starter, servers: &[Member]) -> Result<Member> {
    met(Need::Haproxy, workspace)?;
    let port = free_port()?;
    let file = start.folder.join("haproxy.cfg");
    let addresses = servers.iter().map(|server| (server.name.as_str(), server.address.as_str()));
    std::fs::write(&file, configuration(port, addresses))
        .with_context(|| format!("cannot write {}", file.display()))?;
    let mut command = Command::new("sh");
    // haproxy has no line of its own for this; `-db` keeps it in the foreground.
    command.args(["-c", "haproxy -c -q -f \"$0\" && echo checked && exec haproxy -db -f \"$0\""]).arg(&file);
    let checked = move |line: &str| (line == "checked").then(|| format!("http://127.0.0.1:{port}"));
    let front = start.member("front", command, checked)?;
    listens(port)?;
    Ok(front)
}

/// Waits until somebody listens.
fn listens(port: u16) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let (_never, waiting) = sync_channel::<()>(1);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        ensure!(Instant::now() < deadline, "haproxy does not listen on port {port}");
        waiting.recv_timeout(Duration::from_millis(20)).ok();
    }
    Ok(())
}

fn configuration<'a>(port: u16, servers: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = format!(
        "defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  # A WebSocket is silent between two pings.
  timeout tunnel 1h
frontend front
  bind 127.0.0.1:{port}
  default_backend servers
backend servers
  balance roundrobin
  cookie SERVER insert indirect nocache
"
    );
    for (name, address) in servers {
        let address = address.trim_start_matches("http://");
        // Writing into a string cannot fail.
        writeln!(text, "  server {name} {address} check cookie {name}").ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_has_its_cookie() {
        let text = configuration(
            80,
            [("node1", "http://127.0.0.1:1"), ("dotnet1", "http://127.0.0.1:2")].into_iter(),
        );
        assert!(text.contains("bind 127.0.0.1:80\n"));
        assert!(text.contains("  server node1 127.0.0.1:1 check cookie node1\n"));
        assert!(text.ends_with("  server dotnet1 127.0.0.1:2 check cookie dotnet1\n"));
    }
}
