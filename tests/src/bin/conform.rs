//! Asks an ACME server every statement that RFC 8555 makes about servers (`cargo xtask conform`).

use std::path::Path;
use std::process::ExitCode;

use chancery_tests::conform::{Column, Options, Report, UsageError, examine};

const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(UsageError::Help) => {
            println!("{}", UsageError::Help);
            return ExitCode::SUCCESS;
        }
        Err(error) => return unusable(&format!("{error}; --help tells more")),
    };
    let examined = examine(&options, |server, check, _| {
        eprint!("\r{server}: {:>3} of 124", check.number);
    });
    eprintln!();
    let report = match examined {
        Ok(report) => report,
        Err(error) => return unusable(&error),
    };
    print!("{}", report.to_text());
    if let Err(error) = written(&options, &report) {
        return unusable(&error);
    }
    if report.columns.iter().all(Column::is_conforming) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn written(options: &Options, report: &Report) -> Result<(), String> {
    let write = |path: &Path, text: String| {
        let written = std::fs::write(path, text);
        written.map_err(|error| format!("{}: {error}", path.display()))
    };
    if let Some(path) = &options.json {
        write(path, format!("{:#}\n", report.to_json()))?;
    }
    if let Some(path) = &options.markdown {
        write(path, report.to_markdown())?;
    }
    Ok(())
}

fn unusable(reason: &str) -> ExitCode {
    eprintln!("conform: {reason}");
    ExitCode::from(EXIT_USAGE)
}
