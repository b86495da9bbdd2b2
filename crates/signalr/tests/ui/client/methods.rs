//! What a client method looks like.
#![allow(unused)]

use signalr::prelude::*;

#[hub_client]
trait ChatClient {
    fn not_async(&self);
    async fn no_receiver(text: &str);
    async fn exclusive(&mut self);
    async fn body(&self) {}
    async fn generic<T>(&self, value: T);
    async fn hidden(&self, value: impl Into<String>);
    async fn pattern(&self, (a, b): (u8, u8));
    async fn result(&self) -> HubResult<u32>;
    async fn reference(&self) -> &str;
    #[hub_method(stream)]
    async fn stream(&self);
    const LIMIT: u32;
    async fn Body(&self);
}

fn main() {}
