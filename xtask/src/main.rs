//! The developer's commands: `cargo xtask check | test | fuzz | bench | conform | help`.
//!
//! [`command`] reads the arguments; one file per command carries it out: [`check`] (format, layers, sources,
//! supply, clippy), [`test`] (tools, build, runner, fuzz targets, one line of totals), [`fuzz`], [`bench`],
//! [`conform`].
//! The rules that `check` holds the house to are data at the head of their files: the floors in [`layers`],
//! what source text may not contain in [`sources`], licences and banned crates in [`licences`] and [`supply`].
//!
//! It depends on nothing but the standard library, so that `cargo xtask` costs a second on a fresh machine.
//!
//! What it never does: download an advisory list, change a file that is not under the target folder, or
//! install a system package when it is not root.

mod bench;
mod check;
mod command;
mod conform;
mod error;
mod fuzz;
mod graph;
mod json;
mod layers;
mod licences;
mod metadata;
mod process;
mod rust_text;
mod sources;
mod supply;
mod test;
mod tools;
mod totals;
mod workspace;

use std::process::ExitCode;

use command::Command;
use error::Error;
use workspace::Workspace;

/// Exit code for a command line that is not understood.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = match command::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(reason) => {
            eprintln!("xtask: {reason}\n\n{}", command::USAGE);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match run(command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Carries the command out; `false` means that it ran and something did not hold.
fn run(command: Command) -> Result<bool, Error> {
    if command == Command::Help {
        println!("{}", command::USAGE);
        return Ok(true);
    }
    let workspace = Workspace::find()?;
    match command {
        Command::Help => Ok(true),
        Command::Check { only } => check::run(&workspace, &only),
        Command::Test(options) => test::run(&workspace, &options),
        Command::Fuzz(options) => fuzz::run(&workspace, &options),
        Command::Bench { arguments } => bench::run(&workspace, &arguments),
        Command::Conform { arguments } => conform::run(&workspace, &arguments),
    }
}
