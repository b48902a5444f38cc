//! The command line of `chancery-agent`.
//!
//! Results go to standard output, progress and errors to standard error. Exit: 0 all good, 1 something failed, 2 usage
//! or configuration, 3 some certificates good and some failed.

mod arguments;
mod report;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use tokio::signal::unix::{SignalKind, signal};

use crate::{Agent, AgentError, RenewalOutcome};

use self::arguments::{Arguments, Command, Common, Verbosity};

const GOOD: u8 = 0;
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const PARTIAL: u8 = 3;

/// Runs one command line; the first argument is the program's own name.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = Arguments::try_parse_from(arguments).and_then(Arguments::into_command);
    let (common, command) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            // A closed terminal is nothing to fail over.
            error.print().ok();
            return ExitCode::from(if asked { GOOD } else { USAGE });
        }
    };
    start_log(common.verbosity());
    match execute(&common, command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tell(&error);
            ExitCode::from(if error.is_usage() { USAGE } else { FAILED })
        }
    }
}

fn execute(common: &Common, command: Command) -> Result<u8, AgentError> {
    let agent = Agent::new(common.config()?);
    if let Command::Status { json } = command {
        return status(&agent, json);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| AgentError::System {
        reason: error.to_string(),
    })?;
    runtime.block_on(async {
        tokio::select! {
            code = work(&agent, common, command) => code,
            // Dropping the work takes down the answers to challenges. The order stays for the next run.
            stopped = stop_signal() => stopped,
        }
    })
}

async fn work(agent: &Agent, common: &Common, command: Command) -> Result<u8, AgentError> {
    match command {
        Command::Obtain(obtain) => {
            let installed = agent.obtain(&obtain.request(common)?).await?;
            say(&report::installed(&installed));
            Ok(GOOD)
        }
        Command::Renew(renew) => {
            let renewals = agent.renew(&renew.request(common)?).await?;
            say(&report::renewals(&renewals));
            let failed = renewals
                .iter()
                .filter(|renewal| matches!(renewal.outcome, RenewalOutcome::Failed(_)))
                .count();
            Ok(match failed {
                0 => GOOD,
                _ if failed == renewals.len() => FAILED,
                _ => PARTIAL,
            })
        }
        Command::Revoke(revoke) => {
            let revoked = agent.revoke(&revoke.request(common)?).await?;
            say(&report::revoked(&revoked));
            Ok(GOOD)
        }
        Command::Status { json } => status(agent, json),
    }
}

fn status(agent: &Agent, json: bool) -> Result<u8, AgentError> {
    let certificates = agent.status()?;
    say(&if json {
        report::status_json(&certificates)
    } else {
        report::status(&certificates)
    });
    let good = certificates
        .iter()
        .filter(|status| status.state.is_good())
        .count();
    Ok(match good {
        _ if good == certificates.len() => GOOD,
        0 => FAILED,
        _ => PARTIAL,
    })
}

async fn stop_signal() -> Result<u8, AgentError> {
    let system = |error: io::Error| AgentError::System {
        reason: error.to_string(),
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(system)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Err(AgentError::Stopped)
}

fn start_log(verbosity: Verbosity) {
    let level = match verbosity {
        Verbosity::Quiet => tracing::Level::ERROR,
        Verbosity::Normal => tracing::Level::INFO,
        Verbosity::Loud => tracing::Level::DEBUG,
    };
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(level)
        .with_target(false)
        .with_ansi(false)
        .without_time()
        .try_init();
    // There is one already where the library's user has one.
    drop(log);
}

/// A reader who went away is nothing to fail over: what was done is done.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .ok();
}

fn tell(error: &AgentError) {
    writeln!(io::stderr().lock(), "error: {error}").ok();
}
