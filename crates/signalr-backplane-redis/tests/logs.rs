//! What is logged, and what never is. Alone in its process, because a log is taken from all of it.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod support;

use signalr_backplane_redis::{RedisBackplane, RedisOptions};
use signalr_core::BackplaneState;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::secure::restrict;
use support::sink::Node;
use support::{RedisServer, comes_true};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_password_is_logged() {
    let written = Written::default();
    let writer = written.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let server = RedisServer::start();
    restrict(&server, "app", "open-sesame", "fleet:");
    let connect = async |password: &str| {
        let url = format!("redis://app:{password}@127.0.0.1:{}?channelPrefix=fleet:", server.port());
        RedisBackplane::new(RedisOptions::parse(&url).unwrap()).await.unwrap()
    };
    let _wrong = connect("hocus-pocus").await;
    assert!(comes_true(Duration::from_secs(20), || written.text().contains("WRONGPASS")).await);
    Node::join(connect("open-sesame").await).await.reaches(BackplaneState::Up).await;
    let text = written.text();
    assert!(text.contains("connected to Redis"), "{text}");
    assert!(!text.contains("hocus") && !text.contains("sesame"), "{text}");
}
