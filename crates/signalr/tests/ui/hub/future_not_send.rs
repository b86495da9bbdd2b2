//! A method's future moves between threads.
#![allow(unused)]

use signalr::prelude::*;
use std::rc::Rc;

struct Chat;

#[hub]
impl Chat {
    async fn wait(&self, cx: &Context) -> HubResult<()> {
        let local = Rc::new(1);
        cx.clients().all().send("A", ()).await?;
        drop(local);
        Ok(())
    }
}

fn main() {}
