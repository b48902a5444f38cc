//! A disk that is really full (failures G1): a small one in memory, mounted where only the child sees it.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chancery_authority::account::Account;
use chancery_authority::world::World;
use chancery_authority::{Outcome, Store, StoreError};
use chancery_store::sqlite::{SqliteOptions, SqliteStore};
use chancery_testkit::process::run;
use chancery_testkit::{TempDir, require};
use rusqlite::Connection;
use rustix::process::geteuid;

use crate::trail::{blocks, records};
use crate::{applied, assert_sound, child};

/// Times that the disk is filled. Each leaves room for a few commits, so that it fills up at every place: in the log, in
/// the log's index, in the file.
const FILLINGS: u64 = 400;

/// More than fit into the room that is left.
const CHANGES_PER_FILLING: u64 = 50;

const PAGE: u64 = 4096;

/// Enough for a log that is written back once or twice.
const DISK_SIZE: &str = "size=40m,mode=0700";

#[test]
fn g1_a_full_disk_refuses_and_damages_nothing_and_recovers() {
    let (Some(unshare), Some(_)) = (require("unshare"), require("mount")) else {
        return;
    };
    let folder = TempDir::new("store-full").expect("a folder");
    let test = child::of_test("full_disk::child_fills_the_disk", folder.path());
    let mut command = Command::new(unshare);
    command.arg("--mount");
    if !geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let mount = "mount -t tmpfs -o \"$1\" chancery-test \"$2\" || exit 42; shift 2; exec \"$@\"";
    command
        .args(["sh", "-c", mount, "sh", DISK_SIZE])
        .arg(folder.path());
    command.arg(test.get_program()).args(test.get_args());
    command.envs(
        test.get_envs()
            .filter_map(|(name, value)| value.map(|value| (name, value))),
    );
    let finished = run(command, Duration::from_secs(300)).expect("it ends");
    let refused = finished.status.code() == Some(42) || finished.stderr.contains("unshare failed");
    if refused {
        child::skip("a small disk cannot be mounted (it takes root or user namespaces)");
        return;
    }
    assert!(
        finished.status.success(),
        "{}\n{}",
        finished.stdout,
        finished.stderr
    );
    assert!(
        finished.stdout.contains("refused and recovered"),
        "{}",
        finished.stdout
    );
}

#[tokio::test]
async fn child_fills_the_disk() {
    let Some(folder) = child::folder() else {
        return;
    };
    let path = folder.join("chancery.db");
    // The watermark stays out of the way: what is looked at here lies below it.
    let options = SqliteOptions {
        disk_free_percent_min: 0,
        ..SqliteOptions::new(&path)
    };
    let store = SqliteStore::open(options).expect("opens");
    let mut world = World::new(1);
    let (change, mut account) = world.account();
    applied(&store, change).await;
    let mut filler = Filler::new(&folder);
    let (mut done, mut refused) = (1, 0);
    let mut index_full = 0;
    for filling in 0..FILLINGS {
        // The log's index grows by eight pages at once: here there is room for the log and not for its index.
        for _ in 0..CHANGES_PER_FILLING {
            if frames_to_next_index(&path) > 80 {
                break;
            }
            filler.leave(6 * PAGE);
            match update(&store, &world, &mut account).await {
                Ok(()) => done += 1,
                Err(error) => {
                    assert_eq!(error, StoreError::DiskLow { percent: 0 });
                    index_full += 1;
                    recovers(&store, &world, &mut account, &mut filler).await;
                    done += 1;
                }
            }
        }
        filler.leave(filling % 24 * PAGE);
        if let Some(full) = fill_up(&store, &world, &mut account, &mut done).await {
            assert_eq!(full, StoreError::DiskLow { percent: 0 });
            refused += 1;
        }
        assert_eq!(
            store.account(account.id).await,
            Ok(Some(account.clone())),
            "{filling}"
        );
        recovers(&store, &world, &mut account, &mut filler).await;
        done += 1;
    }
    assert_eq!(
        records(&blocks(&store).await).len(),
        done,
        "one record for each answered change"
    );
    assert!(refused > FILLINGS / 2, "it was full {refused} times");
    assert!(index_full > 0, "the index met a full disk");
    filler.leave(1024 * PAGE);
    drop(store);
    assert_sound(&Connection::open(&path).expect("opens"));
    let store = SqliteStore::open(SqliteOptions::new(&path)).expect("opens");
    assert_eq!(store.account(account.id).await, Ok(Some(account)));
    assert_eq!(records(&blocks(&store).await).len(), done);
    child::say(&format!(
        "refused and recovered {refused} times after {done} changes"
    ));
}

/// Makes room until a change finds some: the log may be on its way back into the file, and takes the first of it.
async fn recovers(store: &SqliteStore, world: &World, account: &mut Account, filler: &mut Filler) {
    for _ in 0..100 {
        filler.leave(64 * PAGE);
        match update(store, world, account).await {
            Ok(()) => return,
            Err(error) => assert_eq!(error, StoreError::DiskLow { percent: 0 }),
        }
    }
    panic!("there is room again");
}

/// Pages that the log may grow by before its index needs another part: 4062 pages are in the first, 4096 in the others.
fn frames_to_next_index(path: &Path) -> u64 {
    let log = std::fs::metadata(format!("{}-wal", path.display())).map_or(0, |log| log.len());
    let frames = log.saturating_sub(32) / (2048 + 24);
    4095 - (frames + 34) % 4096
}

/// Changes until the disk is full; gives back what the store says then. A log that begins anew needs no room for long.
async fn fill_up(
    store: &SqliteStore,
    world: &World,
    account: &mut Account,
    done: &mut usize,
) -> Option<StoreError> {
    for _ in 0..CHANGES_PER_FILLING {
        match update(store, world, account).await {
            Ok(()) => *done += 1,
            Err(error) => return Some(error),
        }
    }
    None
}

/// One write of about a page.
async fn update(
    store: &SqliteStore,
    world: &World,
    account: &mut Account,
) -> Result<(), StoreError> {
    let contact = vec![format!("mailto:{}@a.test", "x".repeat(200)); 8];
    let change = account.with_contact(world.now, contact.clone());
    match store.apply(change).await? {
        Outcome::Applied => {
            *account = Account {
                version: account.version + 1,
                contact,
                ..account.clone()
            };
            Ok(())
        }
        Outcome::Conflict => panic!("nobody else writes"),
    }
}

/// A file that takes the room.
struct Filler {
    file: File,
    size: u64,
    folder: PathBuf,
}

impl Filler {
    fn new(folder: &Path) -> Self {
        let path = folder.join("filler");
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(path)
            .expect("made");
        Self {
            file,
            size: 0,
            folder: folder.to_owned(),
        }
    }

    /// Leaves this much of the disk free.
    fn leave(&mut self, octets: u64) {
        let facts = rustix::fs::statvfs(&self.folder).expect("the disk answers");
        let free = facts.f_bavail * facts.f_frsize;
        if free < octets {
            self.size = self.size.saturating_sub(octets - free);
            self.file.set_len(self.size).expect("shorter");
            return;
        }
        let page = [7; 4096];
        self.file.seek(SeekFrom::Start(self.size)).expect("a place");
        for _ in 0..(free - octets) / PAGE {
            if self.file.write_all(&page).is_err() {
                break;
            }
            self.size += PAGE;
        }
    }
}
