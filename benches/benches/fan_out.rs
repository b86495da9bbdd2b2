//! A send to many: what encoding, framing, queueing and handing to the socket cost per receiver, without system calls.
//!
//! The sockets are in memory and take everything at once. The bench ends with all outboxes empty, which is checked.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use signalr_core::{
    ConnectInfo, Connection, ConnectionId, ConnectionOptions, DirectWriter, HubLifetimeManager,
    ManagerOptions, Target, TransportKind, Turn,
};
use signalr_protocol::Protocol;
use signalr_transport::WEBSOCKET;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
struct Socket(AtomicU64);

impl DirectWriter for Socket {
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes = slices.iter().map(|slice| slice.len()).sum::<usize>();
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

struct Crowd {
    manager: Arc<HubLifetimeManager>,
    connections: Vec<Arc<Connection>>,
    socket: Arc<Socket>,
}

async fn crowd(size: usize) -> Crowd {
    let manager = HubLifetimeManager::new("Bench", ManagerOptions::default());
    let socket = Arc::new(Socket::default());
    let options = Arc::new(ConnectionOptions::default());
    let mut connections = Vec::with_capacity(size);
    for _ in 0..size {
        let info = ConnectInfo::new(TransportKind::InMemory);
        let writer: Arc<dyn DirectWriter> = socket.clone();
        let connection =
            Connection::new(ConnectionId::random(), info, &WEBSOCKET, options.clone(), Some(writer));
        connection.set_protocol(Protocol::Json);
        assert!(manager.connect(&connection).await.is_ok());
        connections.push(connection);
    }
    Crowd { manager, connections, socket }
}

impl Crowd {
    async fn broadcast(&self, messages: usize) {
        let _turn = Turn::enter();
        for _ in 0..messages {
            let sent = self.manager.send(&Target::All, "ReceiveMessage", &("x".repeat(100),)).await;
            assert!(sent.is_ok());
        }
    }
}

fn fan_out(c: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        panic!("a runtime can be built");
    };
    let mut group = c.benchmark_group("fan-out to 1,000");
    let crowd = runtime.block_on(crowd(1_000));
    for messages in [1usize, 16] {
        group.throughput(Throughput::Elements(messages as u64 * 1_000));
        group.bench_with_input(BenchmarkId::new("messages per turn", messages), &messages, |b, &messages| {
            b.iter(|| runtime.block_on(crowd.broadcast(messages)));
        });
    }
    group.finish();
    assert!(crowd.socket.0.load(Ordering::Relaxed) > 0);
    assert!(crowd.connections.iter().all(|connection| connection.queued_bytes() == 0));
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
