//! The load generator: what one ACME server does in a second, and what it costs, beside others in the same run.
//!
//! A closed loop of workers, each with one ES256 account and one keep-alive TLS 1.3 connection, takes complete orders
//! through seven signed requests ([`flow`]). The names are new each time and are really validated by http-01, over DNS
//! and HTTP servers of this process ([`site`]). A server is started for each run ([`peers`]), warmed up, measured and
//! stopped ([`run`]); its CPU time, memory and writes are read from `/proc` for all its processes ([`usage`]).
//!
//! A CPU-second of a shared machine is not a fixed amount of work. So [`reference`](mod@reference) times a P-256
//! signature of its own on the same cores while the load runs, and [`text`] gives orders per *reference* CPU-second:
//! of a core that signs P-256 in 20 µs.
//!
//! What this program never does: contact anything but loopback addresses, run without an end (every loop and wait here
//! has a limit), follow Retry-After (the pause between polls is part of the load), or look into a server's store.

mod cli;
mod client;
mod connection;
mod disk;
mod error;
mod figures;
mod flow;
mod histogram;
mod pacing;
mod peers;
mod preload;
mod process;
mod reference;
mod report;
mod run;
mod scratch;
mod series;
mod site;
mod table;
mod tally;
mod text;
mod usage;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::error::BenchError;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&BenchError::Runtime(error)),
    };
    // On this thread: servers end with the thread that started them, should this process be killed.
    match runtime.block_on(until_told(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// The whole series, unless a signal ends it; whatever was started ends with it.
async fn until_told(cli: Cli) -> Result<(), BenchError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(BenchError::Runtime)?;
    tokio::select! {
        outcome = series::run(&cli) => outcome,
        _ = tokio::signal::ctrl_c() => Err(BenchError::Told),
        _ = terminate.recv() => Err(BenchError::Told),
    }
}

fn failed(error: &BenchError) -> ExitCode {
    eprintln!("chancery-bench: {error}");
    ExitCode::FAILURE
}
