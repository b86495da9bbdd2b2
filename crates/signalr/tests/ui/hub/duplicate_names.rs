//! Names on the wire ignore case, and there is no overloading.
#![allow(unused)]

use signalr::prelude::*;

struct Chat;

#[hub]
impl Chat {
    fn send_message(&self) {}
    fn sendmessage(&self) {}
    fn other(&self) {}
    #[hub_method(name = "OTHER")]
    fn renamed(&self) {}
}

fn main() {}
