//! A Redis for one measurement.
//!
//! Owns the process: it ends with the value. Without persistence, on a port that was free a moment ago.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to accept connections.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    pub(crate) fn start() -> io::Result<Self> {
        let port = free_port()?;
        Ok(Self { process: launch(port)?, port })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}{}", self.port, options())
    }

    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }

    /// Returns when it accepts connections.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        self.process = launch(self.port)?;
        Ok(())
    }

    /// Stops without closing anything.
    pub(crate) fn freeze(&self) -> io::Result<()> {
        let sent = Command::new("kill").args(["-STOP", &self.process.id().to_string()]).status()?;
        if sent.success() { Ok(()) } else { Err(io::Error::other("kill -STOP failed")) }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.kill();
    }
}

/// What our servers are told of Redis beside its address: `BENCH_REDIS_OPTIONS`, as `protocol=resp2`.
pub(crate) fn options() -> String {
    std::env::var("BENCH_REDIS_OPTIONS").map(|options| format!("?{options}")).unwrap_or_default()
}

pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Waits until somebody accepts connections.
pub(crate) fn accepts(port: u16) -> io::Result<()> {
    let since = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if since.elapsed() > PATIENCE {
            return Err(io::Error::other(format!("nothing listens on port {port}")));
        }
        std::thread::yield_now();
    }
    Ok(())
}

fn launch(port: u16) -> io::Result<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let why = |error| io::Error::other(format!("redis-server cannot be started ({error}); install it"));
    let child = child.map_err(why)?;
    accepts(port)?;
    Ok(child)
}
