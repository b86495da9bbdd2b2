//! The twin of `dotnet-peer serve`: the same hubs, paths, flags and control requests, on this project's server, so that
//! every driver and load tool can be pointed at either.
//!
//! Owns the command line and the exit codes. The server is put together in `serve`, the hubs are in `hubs`. There is
//! no client here: the reference's own client drives both servers.

#[cfg(feature = "count-allocations")]
mod allocator;
mod control;
mod flags;
mod fleet;
mod hubs;
mod options;
mod plain;
mod serve;
mod suites;
mod tokens;

use std::process::ExitCode;

use flags::UsageError;
use options::ServeOptions;

const USAGE: &str = "peer COMMAND
  serve [flags]                     SignalR server; serve --help lists the flags";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let command = args.first().map_or("", String::as_str);
    match run(command, args.get(1..).unwrap_or_default()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<UsageError>() => {
            let help = if command == "serve" { "peer serve --help lists the flags" } else { USAGE };
            eprintln!("peer: {error}\n{help}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("peer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, rest: &[String]) -> anyhow::Result<()> {
    match command {
        "--help" | "-h" | "help" => println!("{USAGE}"),
        "serve" if rest.iter().any(|arg| arg == "--help" || arg == "-h") => print!("{}", options::help()),
        "serve" => return start(ServeOptions::parse(rest)?),
        "" => return Err(UsageError("no command".to_owned()).into()),
        other => return Err(UsageError(format!("unknown command '{other}'")).into()),
    }
    Ok(())
}

fn start(options: ServeOptions) -> anyhow::Result<()> {
    if let Some(level) = options.log_level {
        // Everything to stderr: stdout carries the "Now listening on" lines only.
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(false).init();
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = options.worker_threads {
        runtime.worker_threads(threads);
    }
    runtime.enable_all().build()?.block_on(serve::run(options))
}
