//! There are two life-cycle methods, with fixed arguments.
#![allow(unused)]

use signalr::prelude::*;

struct Chat;

#[hub]
impl Chat {
    async fn on_reconnected(&self, cx: &Context) {}
    #[hub_method(name = "Hello")]
    async fn on_connected(&self, cx: &Context, name: String) -> HubResult<u32> {
        Ok(1)
    }
    async fn on_disconnected(&self, cx: &Context, error: HubError) {}
}

fn main() {}
