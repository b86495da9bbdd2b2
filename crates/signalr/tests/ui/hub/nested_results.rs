//! A `Result` inside a `Result` would send an `Err` as a value; an alias does not hide it.
#![allow(unused)]

use signalr::prelude::*;

struct Chat;

type Outcome<T> = Result<T, String>;

#[hub]
impl Chat {
    fn nested(&self) -> HubResult<Outcome<u32>> {
        Ok(Err("lost".to_owned()))
    }

    fn stream(&self) -> impl Stream<Item = HubResult<Outcome<u32>>> {
        futures_util::stream::iter([Ok(Err("lost".to_owned()))])
    }
}

fn main() {}
