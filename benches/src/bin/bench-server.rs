//! The hub that load generators drive: `Echo`, `Broadcast`, `JoinGroup`, `SendToGroup` at `/bench`.
//!
//! `bench-server --port N [--threads N] [--redis URL]` serves on 127.0.0.1, alone or as one of a fleet, and prints `Now listening on: http://127.0.0.1:PORT`. Its
//! contract is the one of the reference's bench hub, so that both can be driven alike.

use signalr::prelude::*;
use signalr::warp::Serving;
use signalr_backplane_redis::RedisBackplane;
use std::process::ExitCode;

struct Bench;

#[hub(name = "Peer.BenchHub")]
impl Bench {
    fn echo(&self, text: String) -> String {
        text
    }

    async fn broadcast(&self, cx: &Context, text: String) -> HubResult<()> {
        cx.clients().all().send("ReceiveMessage", (text,)).await
    }

    async fn join_group(&self, cx: &Context, name: String) -> HubResult<()> {
        cx.groups().add(name).await
    }

    async fn send_to_group(&self, cx: &Context, name: String, text: String) -> HubResult<()> {
        cx.clients().group(name).send("ReceiveMessage", (text,)).await
    }
}

fn main() -> ExitCode {
    let (mut port, mut threads, mut redis) = (0u16, None, None);
    let mut arguments = std::env::args().skip(1);
    while let (Some(flag), Some(value)) = (arguments.next(), arguments.next()) {
        match (flag.as_str(), value.parse::<u16>()) {
            ("--redis", _) => redis = Some(value),
            ("--port", Ok(number)) => port = number,
            ("--threads", Ok(number)) => threads = Some(usize::from(number).max(1)),
            _ => {
                eprintln!("usage: bench-server --port N [--threads N] [--redis URL]");
                return ExitCode::from(2);
            }
        }
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        runtime.worker_threads(threads);
    }
    match runtime.enable_all().build().map(|runtime| runtime.block_on(serve(port, redis))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(&*error),
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("bench-server: {error}");
    ExitCode::FAILURE
}

async fn serve(port: u16, redis: Option<String>) -> Result<(), Box<dyn std::error::Error>> {
    let mut options = HubOptions::default();
    options.maximum_receive_message_size = Some(1 << 20);
    let mut builder = SignalR::builder().options(options).hub("/bench", Bench);
    if let Some(redis) = redis {
        builder = builder.backplane(RedisBackplane::connect(&redis).await?);
    }
    let server = builder.build().await?;
    let serving = Serving::bind(server, ([127, 0, 0, 1], port)).await?;
    println!("Now listening on: http://{}", serving.local_addr());
    serving.run().await?;
    Ok(())
}
