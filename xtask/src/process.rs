//! Running other programs: shown, captured, or shown while their lines are read.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::Duration;

use crate::error::Error;

/// How a program is called in messages: its name and first words.
const NAMED_ARGUMENTS: usize = 2;
/// A longer line is handed on in pieces, so that a program cannot fill our memory.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Lines read ahead of the terminal.
const QUEUED_LINES_MAX: usize = 1024;
/// How often a silent program is asked whether it has ended.
const POLL: Duration = Duration::from_millis(200);

/// Runs a program with its output on our terminal; `true` if it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool, Error> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|source| start(command, source))?;
    Ok(status.success())
}

/// Runs a program silently; `true` if it could be started and succeeded.
pub(crate) fn succeeds_silently(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a program and gives what it wrote to standard output; a failure carries its standard error.
pub(crate) fn output_of(command: &mut Command) -> Result<String, Error> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| start(command, source))?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr)
            .trim_end()
            .to_owned();
        return Err(Error::Failed {
            program: name(command),
            output,
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program, shows its output as it comes, and hands each line to `on_line`.
///
/// It ends when the program does, even if a process that it left behind still holds its output open.
pub(crate) fn stream(
    command: &mut Command,
    mut on_line: impl FnMut(&str),
) -> Result<ExitStatus, Error> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|source| start(command, source))?;
    let lines = lines_of(&mut child);
    let mut ended = None;
    loop {
        match lines.recv_timeout(POLL) {
            Ok((origin, line)) => {
                show(origin, &line);
                on_line(&String::from_utf8_lossy(&line));
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if ended.is_some() => break,
            Err(RecvTimeoutError::Timeout) => {
                ended = child.try_wait().map_err(|source| start(command, source))?;
            }
        }
    }
    match ended {
        Some(status) => Ok(status),
        None => child.wait().map_err(|source| start(command, source)),
    }
}

/// Waits for a program until `limit`; then it is killed and the answer is `None`.
pub(crate) fn wait_at_most(
    child: &mut Child,
    limit: Duration,
) -> std::io::Result<Option<ExitStatus>> {
    let started = std::time::Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(POLL.min(limit));
    }
}

#[derive(Clone, Copy)]
enum Origin {
    Output,
    Error,
}

fn lines_of(child: &mut Child) -> mpsc::Receiver<(Origin, Vec<u8>)> {
    let (sender, receiver) = mpsc::sync_channel(QUEUED_LINES_MAX);
    if let Some(output) = child.stdout.take() {
        let sender = sender.clone();
        std::thread::spawn(move || read_lines(Origin::Output, output, &sender));
    }
    if let Some(output) = child.stderr.take() {
        std::thread::spawn(move || read_lines(Origin::Error, output, &sender));
    }
    receiver
}

fn read_lines(origin: Origin, output: impl Read, sender: &SyncSender<(Origin, Vec<u8>)>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        match output
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)
        {
            Ok(0) | Err(_) => return,
            // Nobody listens any more: the program has ended.
            Ok(_) if sender.send((origin, line)).is_err() => return,
            Ok(_) => {}
        }
    }
}

fn show(origin: Origin, line: &[u8]) {
    // A closed terminal must not stop the run: the exit code still tells.
    let _ = match origin {
        Origin::Output => std::io::stdout().write_all(line),
        Origin::Error => std::io::stderr().write_all(line),
    };
}

fn start(command: &Command, source: std::io::Error) -> Error {
    Error::Start {
        program: name(command),
        source,
    }
}

fn name(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let words = std::iter::once(program.file_name().unwrap_or(program.as_os_str()))
        .chain(command.get_args().take(NAMED_ARGUMENTS));
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_of_both_streams_are_seen_and_the_status_is_the_programs() {
        let mut seen = Vec::new();
        let status = stream(&mut shell("echo one; echo two >&2; exit 3"), |line| {
            seen.push(line.trim().to_owned());
        });
        seen.sort();
        assert_eq!(seen, ["one", "two"]);
        assert_eq!(status.expect("sh runs").code(), Some(3));
    }

    #[test]
    fn a_process_left_behind_does_not_hold_us_up() {
        let started = Instant::now();
        let status = stream(&mut shell("sleep 20 & echo done"), |_| {});
        assert!(status.expect("sh runs").success());
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "waited for the leftover process"
        );
    }

    #[test]
    fn a_program_that_hangs_is_killed_at_the_limit() {
        let mut child = shell("exec sleep 20").spawn().expect("sh runs");
        let ended = wait_at_most(&mut child, Duration::from_millis(50));
        assert!(matches!(ended, Ok(None)), "{ended:?}");
    }

    #[test]
    fn a_failure_names_the_program_and_carries_its_words() {
        let failed = output_of(&mut shell("echo no such file >&2; exit 1"));
        let Err(Error::Failed { program, output }) = failed else {
            panic!("{failed:?}")
        };
        assert!(program.starts_with("sh -c"), "{program}");
        assert_eq!(output, "no such file");
    }
}
