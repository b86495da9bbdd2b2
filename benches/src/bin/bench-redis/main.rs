//! The numbers of the Redis backplane, one command each; every one starts a Redis of its own.
//!
//! `bench-redis publish|far|hop|relay|restore|hung|groups`: see `benches/README.md`. Prints ratios within one run, because the
//! absolute figures of a busy machine say little; whoever reads them judges, nothing fails by being slow.

mod far;
mod groups;
mod hop;
mod outage;
mod publish;
mod redis;
mod relay;
mod stats;

use std::process::ExitCode;

/// What every command may fail with.
type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else { return usage() };
    // One thread for the hop: elsewhere the bare reader would be woken across threads, and what it is compared with not.
    let mut runtime = match command.as_str() {
        "hop" => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let outcome = match command.as_str() {
        "publish" => runtime.block_on(publish::run()),
        "far" => runtime.block_on(far::run()),
        "hop" => runtime.block_on(hop::run()),
        "relay" => runtime.block_on(relay::run(rest)),
        "restore" => runtime.block_on(outage::restore()),
        "hung" => runtime.block_on(outage::hung()),
        "groups" => runtime.block_on(groups::run()),
        _ => return usage(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: bench-redis publish|far|hop|restore|hung|groups|relay [NAME=SERVER COMMAND]...");
    ExitCode::from(2)
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("bench-redis: {error}");
    ExitCode::FAILURE
}
