//! The attribute belongs on an inherent block.
#![allow(unused)]

use signalr::prelude::*;

struct Chat;

trait Speak {
    fn speak(&self);
}

#[hub]
impl Speak for Chat {
    fn speak(&self) {}
}

#[hub]
struct Other;

fn main() {}
