//! Arguments have names, and exist always.
#![allow(unused)]

use signalr::prelude::*;

struct Chat;

#[hub]
impl Chat {
    fn pair(&self, (x, y): (i32, i32)) {}
    fn conditional(&self, #[cfg(unix)] x: i32) {}
}

fn main() {}
