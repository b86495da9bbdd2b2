//! Streams from the client: each an argument of its own, read while the method runs.
#![allow(unused)]

use signalr::prelude::*;

struct Numbers;

#[hub]
impl Numbers {
    async fn maybe(&self, numbers: Option<ClientStream<i64>>) {}
    async fn many(&self, numbers: Vec<ClientStream<i64>>) {}
    async fn streams(&self, numbers: ClientStream<ClientStream<i64>>) {}
    async fn lent(&self, numbers: &mut ClientStream<i64>) {}
    async fn words(&self, words: ClientStream<&str>) {}
    fn never(&self, cx: &Context, numbers: ClientStream<i64>) -> i64 {
        0
    }
    async fn on_connected(&self, numbers: ClientStream<i64>) {}
}

fn main() {}
