//! A clock that has gone back (design, section 8): nothing is signed that would be older than the journal.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use chancery_testkit::process::run;
use chancery_testkit::require;
use chancery_tests::{Authority, Setup, script};

use super::ended_with;

const DAY: i64 = 24 * 3600;

/// A library that moves the clock of a process by `SHIFT_SECONDS`; any C compiler makes it.
fn shifter(authority: &Authority) -> Option<PathBuf> {
    let cc = require("cc")?;
    let library = authority.scratch("shift_clock.so");
    let mut command = Command::new(cc);
    command
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(script("shift_clock.c"));
    let finished = run(command, Duration::from_secs(60)).expect("the compiler ends");
    assert!(finished.status.success(), "{}", finished.stderr);
    Some(library)
}

fn shifted(setup: Setup, library: &std::path::Path, seconds: i64) -> Setup {
    let library = library.to_str().expect("a plain path");
    setup
        .environment("LD_PRELOAD", library)
        .environment("SHIFT_SECONDS", &seconds.to_string())
}

#[test]
fn a_clock_that_has_gone_back_is_told_and_stops_the_start() {
    let bench = Authority::prepare(Setup::new());
    let Some(library) = shifter(&bench) else {
        return;
    };
    // Two days ahead first, so that today is the past.
    let data = bench.scratch("data");
    let setup = || Setup::new().data(&data);
    let mut ahead = Authority::start_with(shifted(setup(), &library, 2 * DAY));
    ahead.stop();
    let root = ahead.root_pem();
    drop(ahead);
    let now = Authority::prepare(setup());
    ended_with(&now.serve_to_end(), 1, &["clock"]);
    drop(now);
    // Nothing is broken by it: when the time has come, it goes on.
    let mut later = Authority::start_with(shifted(setup(), &library, 2 * DAY + 60));
    assert_eq!(later.root_pem(), root);
    later.check_invariants();
    later.stop();
}
