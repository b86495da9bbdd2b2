//! Arguments without serde.
#![allow(unused)]

use signalr::prelude::*;

struct Opaque;

#[hub_client]
trait ChatClient {
    async fn receive(&self, user: &str, value: Opaque);
    async fn ask(&self) -> Opaque;
}

fn main() {}
