//! What a client trait looks like.
#![allow(unused)]

use signalr::prelude::*;

#[hub_client(name = "Chat")]
trait Generic<T>: Send {
    async fn receive(&self, text: &str);
}

#[hub_client]
struct NotATrait;

fn main() {}
