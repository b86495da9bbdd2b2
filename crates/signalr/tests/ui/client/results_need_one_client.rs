//! Many clients cannot be asked for one result.
#![allow(unused)]

use signalr::prelude::*;

#[hub_client]
trait ChatClient {
    async fn ask(&self, question: &str) -> i32;
}

async fn ask(cx: &Context) -> HubResult<()> {
    let clients = cx.clients().typed::<ChatClient>();
    clients.caller().ask("one").await?;
    clients.all().ask("many").await?;
    Ok(())
}

fn main() {}
