//! Results own their data and have a name.
#![allow(unused)]

use signalr::prelude::*;

struct Chat(String);

#[hub]
impl Chat {
    fn borrowed(&self) -> &str {
        &self.0
    }
    fn inside(&self) -> HubResult<Vec<&str>> {
        Ok(vec![&self.0])
    }
    fn hidden(&self) -> impl serde::Serialize {
        1
    }
    fn future(&self) -> impl Future<Output = u32> {
        async { 1 }
    }
}

fn main() {}
