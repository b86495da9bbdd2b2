//! A chat for the browser: `cargo run -p chat`, then open the printed address in two windows.
//!
//! What it is made of: [`mod@hub`] is all the SignalR code there is, [`mod@page`] serves what the browser loads, this file
//! reads the command line and puts the two on one port. Messages live in the browsers only; the server keeps nothing.

mod fleet;
mod hub;
mod page;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use clap::Parser;
use signalr::prelude::*;
use signalr::redis::RedisBackplane;
use signalr::warp::Serving;
use tracing_subscriber::EnvFilter;

/// A chat that people use in the browser.
#[derive(Parser)]
#[command(name = "chat")]
struct Arguments {
    /// Port on this machine; 0 is any free one
    #[arg(long, default_value_t = 5000)]
    port: u16,

    /// Redis that makes one chat of several servers: redis://HOST:PORT
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match serve(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves the page and the hub until the process is asked to end.
async fn serve(Arguments { port, redis }: Arguments) -> signalr::Result<()> {
    let chat = hub::Chat::default();
    let handle = chat.handle.clone();
    let mut builder = SignalR::builder().hub("/chat", chat).handle(&handle);
    if let Some(redis) = redis {
        builder = builder.backplane(RedisBackplane::connect(&redis).await?);
    }
    let server = builder.build().await?;
    let serving = Serving::bind(server, SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    println!("Chat is ready: http://{}", serving.local_addr());
    serving.with_routes(page::routes()).run().await?;
    Ok(())
}
