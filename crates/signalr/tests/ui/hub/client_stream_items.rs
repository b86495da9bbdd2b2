//! Items that no client can send.
#![allow(unused)]

use signalr::prelude::*;

struct Opaque;

struct Numbers;

#[hub]
impl Numbers {
    async fn take(&self, items: ClientStream<Opaque>) {}
}

fn main() {}
