//! From hyper's upgrade to the raw stream, and from there to the connection's own task.

use crate::patience::Patient;
use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use signalr_transport::UpgradeTicket;
use tokio::net::TcpStream;

/// Waits for the upgrade and starts the connection. When the client gives up before, the ticket is given back.
pub(crate) fn start(ticket: UpgradeTicket, upgrade: OnUpgrade) {
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => run(ticket, upgraded),
            Err(error) => tracing::debug!(%error, "the client gave up before its upgrade"),
        }
    });
}

/// The connection gets a task of its own, so that nothing of the HTTP connection lives as long as it does.
fn run(ticket: UpgradeTicket, upgraded: Upgraded) {
    match raw_tcp(upgraded) {
        Ok((stream, early)) => drop(tokio::spawn(ticket.run_tcp(stream, early))),
        Err(upgraded) => run_layered(ticket, upgraded),
    }
}

#[cfg(feature = "tls")]
fn run_layered(ticket: UpgradeTicket, upgraded: Upgraded) {
    match upgraded.downcast::<TokioIo<Patient<tokio_rustls::server::TlsStream<TcpStream>>>>() {
        Ok(parts) => {
            let stream = parts.io.into_inner().into_inner();
            ticket.tune(stream.get_ref().0);
            drop(tokio::spawn(ticket.run(stream, parts.read_buf)));
        }
        Err(upgraded) => run_any(ticket, upgraded),
    }
}

#[cfg(not(feature = "tls"))]
fn run_layered(ticket: UpgradeTicket, upgraded: Upgraded) {
    run_any(ticket, upgraded);
}

/// Whatever it is, as hyper hands it out: a stream of HTTP/2, or of a web server that is not ours.
fn run_any(ticket: UpgradeTicket, upgraded: Upgraded) {
    drop(tokio::spawn(ticket.run(TokioIo::new(upgraded), Bytes::new())));
}

/// The TCP stream below: of our own accept loop, or of hyper-util's as `warp::serve` has it. Others, for example TLS,
/// stay as they are.
fn raw_tcp(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    let upgraded = match upgraded.downcast::<TokioIo<Patient<TcpStream>>>() {
        Ok(parts) => return Ok((parts.io.into_inner().into_inner(), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    downcast::<TokioIo<TcpStream>>(upgraded).map(|parts| (parts.io.into_inner(), parts.read_buf))
}
