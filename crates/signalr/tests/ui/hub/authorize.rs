//! Policies that are none, and `authorize` where nobody calls.
#![allow(unused)]

use signalr::prelude::*;

struct A;
struct B;

fn takes_nothing() -> bool {
    true
}

#[hub(authorize = takes_nothing)]
impl A {
    #[hub_method(authorize = signalr::authenticated)]
    fn x(&self) {}
}

#[hub(authorize = "")]
impl B {
    #[hub_method(authorize = |caller| true)]
    fn x(&self) {}
    #[hub_method(authorize)]
    fn on_connected(&self) {}
}

#[hub_client]
trait Client {
    #[hub_method(authorize)]
    async fn told(&self);
}

fn main() {}
