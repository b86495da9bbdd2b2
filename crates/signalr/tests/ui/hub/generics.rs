//! Methods are called by name, so nothing can choose a type parameter.
#![allow(unused)]

use signalr::prelude::*;

struct Chat;

#[hub]
impl Chat {
    fn generic<T: serde::Serialize>(&self, value: u32) {}
    fn constant<const N: usize>(&self) {}
    fn hidden(&self, value: impl Into<String>) {}
    unsafe fn dangerous(&self) {}
}

fn main() {}
