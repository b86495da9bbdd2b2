//! What only types can tell: arguments and results without serde, errors that are no errors.
#![allow(unused)]

use signalr::prelude::*;

struct Chat;

struct Opaque;

#[hub]
impl Chat {
    fn take(&self, good: u32, value: Opaque) {}

    fn give(&self) -> Opaque {
        Opaque
    }

    async fn refuse(&self) -> Result<u32, Opaque> {
        Err(Opaque)
    }

    fn stream(&self) -> impl Stream<Item = Opaque> {
        futures_util::stream::iter([Opaque])
    }
}

fn main() {}
