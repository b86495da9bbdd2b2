//! An address that leads to several Redis servers in turn, as a name does after a failover.

use std::net::Ipv4Addr;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub struct Relay {
    port: u16,
    task: JoinHandle<()>,
}

impl Relay {
    /// The first connection goes to the first port, the second to the second, and so on, again and again.
    pub async fn in_turn(ports: Vec<u16>) -> Self {
        Self::on(0, ports).await
    }

    /// The same at a chosen port. Dropping it ends its connections, and nobody gets through any more.
    pub async fn on(port: u16, ports: Vec<u16>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            for target in ports.into_iter().cycle() {
                let (mut from, _) = listener.accept().await.expect("a connection");
                open.spawn(async move {
                    if let Ok(mut to) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await {
                        // Either end may go at any time.
                        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                    }
                });
            }
        });
        Self { port, task }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
