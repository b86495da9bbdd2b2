//! The context is borrowed and comes first.
#![allow(unused)]

use signalr::prelude::*;

struct Chat;

#[hub]
impl Chat {
    fn late(&self, text: String, cx: &Context) {}
    fn owned(&self, cx: Context) {}
    fn exclusive(&self, cx: &mut Context) {}
    fn twice(&self, cx: &Context, again: &Context) {}
}

fn main() {}
