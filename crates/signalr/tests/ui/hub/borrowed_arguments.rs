//! Arguments are decoded, so they own their data.
#![allow(unused)]

use signalr::prelude::*;
use std::borrow::Cow;

struct Chat;

#[hub]
impl Chat {
    fn text(&self, text: &str) {}
    fn slice(&self, cx: &Context, bytes: &[u8], count: u32) {}
    fn nested(&self, words: Vec<&str>) {}
    fn maybe(&self, text: Cow<'_, str>) {}
}

fn main() {}
