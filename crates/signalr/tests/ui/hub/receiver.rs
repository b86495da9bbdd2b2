//! Only `&self` methods can be called over the wire.
#![allow(unused)]

use signalr::prelude::*;

struct Chat;

#[hub]
impl Chat {
    fn exclusive(&mut self) {}
    fn consuming(self) {}
    fn shared(self: std::sync::Arc<Self>) {}
    fn helper(text: String) -> String {
        text
    }
}

fn main() {}
