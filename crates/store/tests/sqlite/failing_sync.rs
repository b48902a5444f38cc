//! A disk whose syncs fail (failures G3): what is on it then is unknown, so the process ends and finds out by reading.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chancery_authority::world::World;
use chancery_authority::{AccountId, Outcome, Store};
use chancery_store::sqlite::{SqliteOptions, SqliteStore};
use chancery_testkit::process::run;
use chancery_testkit::{TempDir, require};
use rusqlite::Connection;

use crate::trail::{blocks, records};
use crate::{assert_sound, child};

/// Accounts that the child makes, one after the other.
const CHANGES: usize = 200;

/// Syncs before the first change; fewer than this.
const SETUP: usize = 16;

/// How the process ends when a commit fails.
const EXIT_FATAL: i32 = 70;

/// Counts the syncs of the process, tells each in a file, and lets one of them fail.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_long count;

static int called(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *fail_at = getenv("FAIL_SYNC_AT"), *told = getenv("TELL_SYNCS");
    long number = atomic_fetch_add(&count, 1) + 1;
    if (told) {
        int file = open(told, O_WRONLY | O_APPEND | O_CREAT, 0600);
        if (write(file, "x", 1) != 1) abort();
        close(file);
    }
    if (fail_at && number == atol(fail_at)) { errno = EIO; return -1; }
    return real(fd);
}

int fsync(int fd) { return called("fsync", fd); }
int fdatasync(int fd) { return called("fdatasync", fd); }
"#;

/// The shim, built; `None` where there is no C compiler.
fn shim(folder: &Path) -> Option<PathBuf> {
    let compiler = require("cc")?;
    let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
    std::fs::write(&source, SHIM).expect("written");
    let mut command = Command::new(compiler);
    command
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl");
    let built = run(command, Duration::from_secs(60)).expect("it ends");
    assert!(built.status.success(), "{}", built.stderr);
    Some(library)
}

/// Makes accounts one after the other and says each.
#[tokio::test]
async fn child_makes_accounts() {
    let Some(folder) = child::folder() else {
        return;
    };
    let store = SqliteStore::open(SqliteOptions::new(folder.join("chancery.db"))).expect("opens");
    let syncs = || std::fs::metadata(folder.join("syncs")).map_or(0, |told| told.len());
    let mut world = World::new(1);
    for _ in 0..CHANGES {
        let (change, account) = world.account();
        let before = syncs();
        assert_eq!(store.apply(change).await, Ok(Outcome::Applied));
        child::say(&format!("made {} {}", account.id, syncs() - before));
    }
}

#[tokio::test]
async fn g3_a_failed_sync_ends_the_process_and_nothing_that_was_answered_is_lost() {
    let shims = TempDir::new("store-shim").expect("a folder");
    let Some(shim) = shim(shims.path()) else {
        return;
    };
    let long = std::env::var_os("CHANCERY_LONG").is_some();
    let step = if long { 1 } else { 17 };
    let mut ended = 0;
    for fail_at in (1..CHANGES).step_by(step) {
        let folder = TempDir::new("store-sync").expect("a folder");
        let mut command = child::of_test("failing_sync::child_makes_accounts", folder.path());
        command
            .env("LD_PRELOAD", &shim)
            .env("FAIL_SYNC_AT", fail_at.to_string());
        let finished = run(command, Duration::from_secs(60)).expect("it ends");
        // SQLite does not look at the sync of a folder, of which there is one while the file is made.
        let code = finished.status.code();
        assert!(
            code != Some(0) || fail_at < SETUP,
            "sync {fail_at} failed and nobody noticed"
        );
        ended += usize::from(code == Some(EXIT_FATAL));
        let made = made(&finished.stdout);
        let store = SqliteStore::open(SqliteOptions::new(folder.join("chancery.db")));
        let store = store.expect("what is on the disk can be read");
        for (id, _) in &made {
            let found = store.account(AccountId(*id)).await;
            assert!(
                matches!(found, Ok(Some(_))),
                "sync {fail_at}: account {id} was answered"
            );
        }
        // What was not answered may be there, whole, or not at all; nothing else is.
        let audited = records(&blocks(&store).await).len();
        let possible = made.len()..=made.len() + 1;
        assert!(
            possible.contains(&audited),
            "sync {fail_at}: {audited} of {}",
            made.len()
        );
        drop(store);
        assert_sound(&Connection::open(folder.join("chancery.db")).expect("opens"));
    }
    assert!(ended > 5, "most fail in a commit: {ended}");
}

/// Law 8: a promise is made after the sync.
#[test]
fn law8_between_two_answers_there_is_a_sync() {
    let folder = TempDir::new("store-synced").expect("a folder");
    let Some(shim) = shim(folder.path()) else {
        return;
    };
    let mut command = child::of_test("failing_sync::child_makes_accounts", folder.path());
    command
        .env("LD_PRELOAD", &shim)
        .env("TELL_SYNCS", folder.join("syncs"));
    let finished = run(command, Duration::from_secs(60)).expect("it ends");
    assert!(finished.status.success(), "{}", finished.stderr);
    let made = made(&finished.stdout);
    assert_eq!(made.len(), CHANGES);
    assert!(made.iter().all(|(_, syncs)| *syncs >= 1), "{made:?}");
}

/// Accounts that the child said it had made, with the syncs that each took.
fn made(output: &str) -> Vec<(i64, u64)> {
    let numbers = |line: &str| {
        let (id, syncs) = line.strip_prefix("made ")?.split_once(' ')?;
        Some((id.parse().ok()?, syncs.parse().ok()?))
    };
    output.lines().filter_map(numbers).collect()
}
