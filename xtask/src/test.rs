//! `cargo xtask test`: tools, one build, all tests, doc-tests, fuzz targets, and one line of totals.
//!
//! What a test gets by environment: `CHANCERY_TOOLS`, the folder of [`tools`]; `CHANCERY_LONG=1` when the
//! hours-long forms are asked for; `CHANCERY_SKIPS`, a file. A test that cannot run because something is
//! missing appends one line `name of the test: reason` to that file and returns: it has passed for the runner,
//! and is counted as skipped here. All programs of the workspace are built before, in the release folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::command::{FUZZ_SECONDS, TestOptions};
use crate::error::Error;
use crate::fuzz;
use crate::process;
use crate::tools;
use crate::totals::{Reader, Runner, Totals};
use crate::workspace::Workspace;

/// With `--long` each fuzz target gets ten minutes.
const FUZZ_SECONDS_LONG: u64 = 600;
/// A line for each of some thousand tests.
const SKIPS_BYTES_MAX: u64 = 1 << 20;

/// Runs everything; `true` if nothing failed and, under `CI=true`, nothing was skipped or missing.
pub(crate) fn run(workspace: &Workspace, options: &TestOptions) -> Result<bool, Error> {
    let strict = tools::nothing_may_be_missing();
    let mut totals = Totals::default();
    for name in tools::install(workspace)? {
        println!("MISSING: {name}");
        totals.failed += usize::from(strict);
    }
    let session = Session {
        workspace,
        options,
        skips: workspace.target().join("skips.txt"),
    };
    if session.step("build", Session::build)? {
        totals += session.step("tests", Session::tests)?;
        totals += session.step("fuzz", Session::fuzz)?;
    } else {
        totals.failed += 1;
    }
    let skips = read_skips(&session.skips)?;
    skips.values().for_each(|skip| println!("SKIPPED: {skip}"));
    totals.count_as_skipped(skips.len());
    if let (Some(filter), true) = (&options.filter, totals == Totals::default()) {
        println!("no test has `{filter}` in its name");
    }
    println!("{totals}");
    Ok(totals.hold(strict))
}

struct Session<'a> {
    workspace: &'a Workspace,
    options: &'a TestOptions,
    skips: PathBuf,
}

impl Session<'_> {
    /// Runs one part and prints its time.
    fn step<T>(&self, name: &str, part: fn(&Self) -> Result<T, Error>) -> Result<T, Error> {
        let started = Instant::now();
        let outcome = part(self)?;
        println!("== {name}: {:.1} s", started.elapsed().as_secs_f64());
        Ok(outcome)
    }

    /// Programs, tests and the fuzz program in one call: apart they would turn on other features of the same
    /// libraries, and build those twice.
    fn build(&self) -> Result<bool, Error> {
        remove(&self.skips)?;
        let arguments = [
            "build",
            "--release",
            "--locked",
            "--workspace",
            "--all-targets",
        ];
        process::succeeds(&mut self.workspace.cargo(arguments))
    }

    fn tests(&self) -> Result<Totals, Error> {
        let common = ["--release", "--locked", "--workspace", "--no-fail-fast"];
        if !process::succeeds_silently(&mut self.workspace.cargo(["nextest", "--version"])) {
            // It runs the doc-tests too.
            return self.run_tests(Runner::Cargo, self.workspace.cargo(["test"]).args(common));
        }
        let mut nextest = self.workspace.cargo(["nextest", "run"]);
        // A filter may name doc-tests or fuzz targets alone.
        nextest.args(common).args(["--no-tests", "pass"]);
        let mut totals = self.run_tests(Runner::Nextest, &mut nextest)?;
        let mut doc = self.workspace.cargo(["test", "--doc"]);
        totals += self.run_tests(Runner::Cargo, doc.args(common))?;
        Ok(totals)
    }

    fn run_tests(&self, runner: Runner, command: &mut Command) -> Result<Totals, Error> {
        command.args(&self.options.filter);
        command.env("CHANCERY_TOOLS", tools::folder(self.workspace));
        command
            .env("CHANCERY_SKIPS", &self.skips)
            .env_remove("CHANCERY_LONG");
        if self.options.long {
            command.env("CHANCERY_LONG", "1");
        }
        let mut reader = Reader::new(runner, self.options.filter.is_some());
        let status = process::stream(command, |line| reader.line(line))?;
        Ok(reader.finish(status.success()))
    }

    fn fuzz(&self) -> Result<Totals, Error> {
        let targets = match fuzz::targets(self.workspace) {
            Ok(targets) => targets,
            Err(error) => {
                println!("fuzz: {error}");
                return Ok(Totals::of_one(false));
            }
        };
        let seconds = if self.options.long {
            FUZZ_SECONDS_LONG
        } else {
            FUZZ_SECONDS
        };
        let chosen = targets
            .into_iter()
            .filter(|name| self.wants(name))
            .collect();
        fuzz::run_targets(self.workspace, chosen, seconds)
    }

    /// To a filter, a fuzz target is a test of the name `fuzz::TARGET`.
    fn wants(&self, target: &str) -> bool {
        let name = format!("fuzz::{target}");
        self.options
            .filter
            .as_ref()
            .is_none_or(|filter| name.contains(filter))
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::File {
            path: path.to_path_buf(),
            source,
        }),
        _ => Ok(()),
    }
}

/// What tests said, a line for each test: one that misses two tools says so twice.
fn read_skips(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let failed = |source| Error::File {
        path: path.to_path_buf(),
        source,
    };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(SKIPS_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    // Names have `::` in them, never a colon and a space.
    let name = |line: &str| {
        line.split_once(": ")
            .map_or(line, |(name, _)| name)
            .to_owned()
    };
    Ok(lines.map(|line| (name(line), line.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_that_was_skipped_counts_once() {
        let path = std::env::temp_dir().join(format!("skips-{}.txt", std::process::id()));
        fs::write(
            &path,
            "m::a: no pebble\nm::b: no pebble\n\nm::a: no caddy\n",
        )
        .expect("a file in /tmp");
        let skips = read_skips(&path);
        remove(&path).expect("our own file");
        assert_eq!(skips.expect("it was written").len(), 2);
    }

    #[test]
    fn no_file_means_no_skip() {
        assert!(
            read_skips(Path::new("/nonexistent/skips.txt")).is_ok_and(|skips| skips.is_empty())
        );
    }
}
