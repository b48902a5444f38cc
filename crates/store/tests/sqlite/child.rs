//! Processes of one's own: this test program again, with one test chosen, in a folder that it is told.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the folder; its absence means that a child's test is run by the test runner, and ends at once.
const FOLDER: &str = "CHANCERY_STORE_CHILD";

/// The folder to work in, if this process is a child.
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = env::var_os(FOLDER).map(PathBuf::from)?;
    // The test runner has begun a line of its own.
    say("");
    Some(folder)
}

/// A command that runs the test `name` of this program as a child.
pub(crate) fn of_test(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(env::current_exe().expect("this program has a path"));
    command
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(FOLDER, folder);
    command
}

/// Prints one line at once, so that it is out before whatever comes next.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let written = out
        .write_all(format!("{line}\n").as_bytes())
        .and_then(|()| out.flush());
    // Whoever listened has gone: so has the reason to go on.
    assert!(written.is_ok(), "nobody listens");
}

/// Records that the running test was skipped.
pub(crate) fn skip(why: &str) {
    let strict = env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(
        !strict,
        "{why}; with CI=true a test may not be skipped for that"
    );
    eprintln!("skipped: {why}");
    let Some(path) = env::var_os("CHANCERY_SKIPS") else {
        return;
    };
    let line = format!(
        "{}: {why}\n",
        std::thread::current().name().unwrap_or("a test")
    );
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .expect("the skip is recorded");
}
