//! Unknown arguments of the attributes.
#![allow(unused)]

use signalr::prelude::*;

struct A;
struct B;
struct C;

#[hub(nam = "Chat")]
impl A {}

#[hub(rename_all = "kebab-case")]
impl B {}

#[hub(name = "")]
impl C {
    #[hub_method(rename = "x")]
    fn x(&self) {}
    #[cfg_attr(unix, hub_method(name = "Y"))]
    fn y(&self) {}
}

fn main() {}
