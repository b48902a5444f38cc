//! The fuzz targets: plain functions driven by a seeded mutator, all in one program of `chancery-testkit`.
//!
//! The program takes `--list`, which prints a name a line, or `TARGET SECONDS`; it exits with 0 when it found
//! nothing, and says with which seed a finding comes again.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::command::FuzzOptions;
use crate::error::Error;
use crate::process;
use crate::totals::Totals;
use crate::workspace::Workspace;

/// The reference machine has two cores.
const TARGETS_AT_ONCE: usize = 2;
/// A target that is this late hangs on one input, which is a finding too.
const LATE: Duration = Duration::from_secs(60);
/// How much of a failed target's output is shown.
const SHOWN_BYTES: u64 = 8 << 10;

/// Builds the fuzz program and runs one target or all; `true` if nothing was found.
pub(crate) fn run(workspace: &Workspace, options: &FuzzOptions) -> Result<bool, Error> {
    let program = ["--package", "chancery-testkit", "--bin", "fuzz"];
    let build = ["build", "--release", "--locked"]
        .into_iter()
        .chain(program);
    if !process::succeeds(&mut workspace.cargo(build))? {
        return Ok(false);
    }
    let known = targets(workspace)?;
    let chosen = match &options.target {
        None => known,
        Some(wanted) if known.contains(wanted) => vec![wanted.clone()],
        Some(wanted) => {
            return Err(Error::UnknownTarget {
                wanted: wanted.clone(),
                known,
            });
        }
    };
    let totals = run_targets(workspace, chosen, options.seconds)?;
    println!("{totals}");
    Ok(totals.hold(true))
}

/// The names that the fuzz program, already built, knows.
pub(crate) fn targets(workspace: &Workspace) -> Result<Vec<String>, Error> {
    let listed = process::output_of(workspace.program(fuzz_program(workspace)).arg("--list"))?;
    names_of(&listed)
}

fn names_of(listed: &str) -> Result<Vec<String>, Error> {
    let names: Vec<String> = listed.lines().map(|line| line.trim().to_owned()).collect();
    let is_name = |name: &String| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if names.is_empty() || !names.iter().all(is_name) {
        return Err(Error::Malformed {
            what: "the list of fuzz targets",
            reason: listed.to_owned(),
        });
    }
    Ok(names)
}

/// Runs each target for `seconds`, two at a time, and prints how each ended.
pub(crate) fn run_targets(
    workspace: &Workspace,
    targets: Vec<String>,
    seconds: u64,
) -> Result<Totals, Error> {
    let logs = workspace.target().join("fuzz-logs");
    fs::create_dir_all(&logs).map_err(|source| Error::File {
        path: logs.clone(),
        source,
    })?;
    let open = Mutex::new(VecDeque::from(targets));
    let next = || open.lock().ok().and_then(|mut open| open.pop_front());
    let work = || {
        let mut totals = Totals::default();
        while let Some(target) = next() {
            totals += Totals::of_one(run_target(workspace, &logs, &target, seconds));
        }
        totals
    };
    let mut totals = Totals::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..TARGETS_AT_ONCE).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            totals += worker.join().unwrap_or_else(|_| Totals::of_one(false));
        }
    });
    Ok(totals)
}

fn run_target(workspace: &Workspace, logs: &Path, target: &str, seconds: u64) -> bool {
    let started = Instant::now();
    let path = logs.join(format!("{target}.log"));
    let outcome = run_logged(workspace, &path, target, seconds);
    let took = started.elapsed().as_secs_f64();
    let (word, passed) = match outcome {
        Ok(Some(true)) => ("ok".to_owned(), true),
        Ok(Some(false)) => ("FOUND SOMETHING".to_owned(), false),
        Ok(None) => ("HANGS on an input".to_owned(), false),
        Err(error) => (format!("could not run: {error}"), false),
    };
    println!("fuzz::{target:<16} {took:>6.1} s  {word}");
    if !passed {
        println!("{}", end_of(&path));
    }
    passed
}

/// `None` when the target had to be stopped. Output goes to a file: nobody reads a pipe while we wait.
fn run_logged(
    workspace: &Workspace,
    path: &Path,
    target: &str,
    seconds: u64,
) -> std::io::Result<Option<bool>> {
    let log = File::create(path)?;
    let mut command = workspace.program(fuzz_program(workspace));
    command.args([target, &seconds.to_string()]);
    command
        .stdin(std::process::Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let limit = Duration::from_secs(seconds) + LATE;
    let status = process::wait_at_most(&mut command.spawn()?, limit)?;
    Ok(status.map(|status| status.success()))
}

fn end_of(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(SHOWN_BYTES)))?;
        let mut end = Vec::new();
        file.take(SHOWN_BYTES).read_to_end(&mut end)?;
        Ok(String::from_utf8_lossy(&end).trim_end().to_owned())
    };
    read().unwrap_or_else(|error| format!("{}: {error}", path.display()))
}

fn fuzz_program(workspace: &Workspace) -> std::path::PathBuf {
    workspace.release_program("fuzz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_targets_is_one_name_a_line() {
        assert_eq!(
            names_of("jws\ndns-answer\n").expect("these are names"),
            ["jws", "dns-answer"]
        );
    }

    #[test]
    fn a_list_that_could_name_a_path_or_nothing_is_refused() {
        for listed in ["", "a/b\n", "usage: fuzz TARGET\n", "jws\n\ncsr\n"] {
            assert!(names_of(listed).is_err(), "{listed:?}");
        }
    }
}
