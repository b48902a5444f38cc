//! The command line: arguments in, one [`Command`] or a reason out.

use std::fmt;

use crate::check;

/// What `cargo xtask help` prints.
pub(crate) const USAGE: &str = "\
usage: cargo xtask COMMAND

  check [--only STEP]...      format, layers, sources, supply (licences, bans, duplicates), deny, clippy
  test [--long] [FILTER]      install what the tests need, build, run all tests, doc-tests and the short
                              form of every fuzz target; ends with `N passed, N failed, N skipped`.
                              FILTER: part of a test's name (a fuzz target is called fuzz::NAME).
                              --long: the hours-long forms too. CI=true: what is missing is a failure
  fuzz [TARGET] [SECONDS]     one fuzz target, or all of them, for SECONDS each (30)
  bench [ARGUMENT]...         the load generator; `cargo xtask bench --help` lists its arguments
  conform [ARGUMENT]...       asks an ACME server what RFC 8555 says about servers;
                              `cargo xtask conform --help` lists its arguments
  help                        this text";

/// How long a fuzz target runs when nothing is said: the short form that the test command uses too.
pub(crate) const FUZZ_SECONDS: u64 = 30;

/// One thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    /// Step names; empty means all.
    Check {
        only: Vec<String>,
    },
    Test(TestOptions),
    Fuzz(FuzzOptions),
    /// Passed on to the load generator as they are.
    Bench {
        arguments: Vec<String>,
    },
    /// Passed on to the conformance suite as they are.
    Conform {
        arguments: Vec<String>,
    },
}

/// What `test` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TestOptions {
    pub(crate) long: bool,
    pub(crate) filter: Option<String>,
}

/// What `fuzz` was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FuzzOptions {
    /// `None` means every target.
    pub(crate) target: Option<String>,
    pub(crate) seconds: u64,
}

/// Why a command line is not understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UsageError {
    NoCommand,
    UnknownCommand(String),
    Unexpected {
        command: &'static str,
        argument: String,
    },
    MissingStep,
    UnknownStep(String),
    Seconds(String),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommand => write!(f, "a command is needed"),
            Self::UnknownCommand(name) => write!(f, "unknown command `{name}`"),
            Self::Unexpected { command, argument } => {
                write!(f, "`{command}` does not take `{argument}`")
            }
            Self::MissingStep => write!(f, "--only needs a step: {}", check::step_names()),
            Self::UnknownStep(name) => {
                write!(
                    f,
                    "unknown step `{name}`; the steps are {}",
                    check::step_names()
                )
            }
            Self::Seconds(text) => {
                write!(
                    f,
                    "`{text}` is not a number of seconds from 1 to {FUZZ_SECONDS_MAX}"
                )
            }
        }
    }
}

/// A day: longer runs are better split, so that a finding is seen.
const FUZZ_SECONDS_MAX: u64 = 86_400;

/// Reads the arguments after `cargo xtask`.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, UsageError> {
    let mut arguments = arguments.into_iter();
    let Some(name) = arguments.next() else {
        return Err(UsageError::NoCommand);
    };
    let rest: Vec<String> = arguments.collect();
    match name.as_str() {
        "help" | "--help" | "-h" => Ok(Command::Help),
        "check" => parse_check(rest),
        "test" => parse_test(rest),
        "fuzz" => parse_fuzz(rest),
        "bench" => Ok(Command::Bench { arguments: rest }),
        "conform" => Ok(Command::Conform { arguments: rest }),
        _ => Err(UsageError::UnknownCommand(name)),
    }
}

fn parse_check(arguments: Vec<String>) -> Result<Command, UsageError> {
    let mut only = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument != "--only" {
            return Err(UsageError::Unexpected {
                command: "check",
                argument,
            });
        }
        let step = arguments.next().ok_or(UsageError::MissingStep)?;
        if !check::is_step(&step) {
            return Err(UsageError::UnknownStep(step));
        }
        only.push(step);
    }
    Ok(Command::Check { only })
}

fn parse_test(arguments: Vec<String>) -> Result<Command, UsageError> {
    let mut options = TestOptions::default();
    for argument in arguments {
        if argument == "--long" {
            options.long = true;
        } else if argument.starts_with('-') || options.filter.is_some() {
            return Err(UsageError::Unexpected {
                command: "test",
                argument,
            });
        } else {
            options.filter = Some(argument);
        }
    }
    Ok(Command::Test(options))
}

fn parse_fuzz(arguments: Vec<String>) -> Result<Command, UsageError> {
    let mut options = FuzzOptions {
        target: None,
        seconds: FUZZ_SECONDS,
    };
    let mut arguments = arguments.into_iter().peekable();
    if let Some(target) = arguments.next_if(|argument| !is_number(argument)) {
        if target.starts_with('-') {
            return Err(UsageError::Unexpected {
                command: "fuzz",
                argument: target,
            });
        }
        options.target = Some(target);
    }
    if let Some(text) = arguments.next() {
        options.seconds = match text.parse() {
            Ok(seconds @ 1..=FUZZ_SECONDS_MAX) => seconds,
            _ => return Err(UsageError::Seconds(text)),
        };
    }
    match arguments.next() {
        Some(argument) => Err(UsageError::Unexpected {
            command: "fuzz",
            argument,
        }),
        None => Ok(Command::Fuzz(options)),
    }
}

fn is_number(argument: &str) -> bool {
    !argument.is_empty() && argument.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, UsageError> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn every_command_is_understood() {
        assert_eq!(parsed("help"), Ok(Command::Help));
        assert_eq!(parsed("check"), Ok(Command::Check { only: vec![] }));
        assert_eq!(
            parsed("check --only layers --only fmt"),
            Ok(Command::Check {
                only: vec!["layers".into(), "fmt".into()]
            })
        );
        assert_eq!(
            parsed("test --long c2_"),
            Ok(Command::Test(TestOptions {
                long: true,
                filter: Some("c2_".into())
            }))
        );
        assert_eq!(
            parsed("bench --preload 10"),
            Ok(Command::Bench {
                arguments: vec!["--preload".into(), "10".into()]
            })
        );
        assert_eq!(
            parsed("conform --server pebble"),
            Ok(Command::Conform {
                arguments: vec!["--server".into(), "pebble".into()]
            })
        );
    }

    #[test]
    fn fuzz_takes_a_target_seconds_both_or_nothing() {
        let fuzz = |target: Option<&str>, seconds| {
            Ok(Command::Fuzz(FuzzOptions {
                target: target.map(str::to_owned),
                seconds,
            }))
        };
        assert_eq!(parsed("fuzz"), fuzz(None, FUZZ_SECONDS));
        assert_eq!(parsed("fuzz jws"), fuzz(Some("jws"), FUZZ_SECONDS));
        assert_eq!(parsed("fuzz 5"), fuzz(None, 5));
        assert_eq!(parsed("fuzz jws 600"), fuzz(Some("jws"), 600));
        assert_eq!(parsed("fuzz jws 0"), Err(UsageError::Seconds("0".into())));
        assert_eq!(
            parsed("fuzz jws soon"),
            Err(UsageError::Seconds("soon".into()))
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(parsed(""), Err(UsageError::NoCommand));
        assert_eq!(
            parsed("chek"),
            Err(UsageError::UnknownCommand("chek".into()))
        );
        assert_eq!(parsed("check --only"), Err(UsageError::MissingStep));
        assert_eq!(
            parsed("check --only lint"),
            Err(UsageError::UnknownStep("lint".into()))
        );
        for line in [
            "check fmt",
            "test --fast",
            "test a b",
            "fuzz --list",
            "fuzz jws 1 2",
        ] {
            assert!(
                matches!(parsed(line), Err(UsageError::Unexpected { .. })),
                "{line}"
            );
        }
    }
}
