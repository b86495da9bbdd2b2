//! A hub is a concrete type.
#![allow(unused)]

use signalr::prelude::*;

struct Chat<S>(S);

#[hub]
impl<S: Send + Sync + 'static> Chat<S> {
    fn echo(&self, text: String) -> String {
        text
    }
}

fn main() {}
