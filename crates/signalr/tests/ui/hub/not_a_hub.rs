//! A type without `#[hub]` cannot be served.
#![allow(unused)]

use signalr::prelude::*;

struct Chat;

fn serve(_: impl Hub) {}

fn main() {
    serve(Chat);
}
