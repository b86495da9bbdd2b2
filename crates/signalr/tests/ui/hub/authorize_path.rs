//! A policy that does not exist.
#![allow(unused)]

use signalr::prelude::*;

struct A;

#[hub]
impl A {
    #[hub_method(authorize = missing)]
    fn x(&self) {}
}

fn main() {}
