//! The write-ahead log: it does not grow for ever, and nothing is lost when it is written back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chancery_authority::audit::Actor;
use chancery_authority::world::World;
use chancery_authority::{Change, OrderId, Store};
use tokio::task::JoinSet;

use crate::{Ground, applied, assert_sound, note};

/// Twice the length at which it is written back, and an index page.
const LOG_OCTETS_MAX: u64 = 2 * 8192 * (2048 + 24);

const COMMITS: i64 = 600;
const EACH: i64 = 250;

fn long_note(world: &World, number: i64) -> Change {
    let why = "as long as a reason may be, ".repeat(12);
    Change::refused_order(world.now, Actor::NewKey, OrderId(number), why)
}

/// A log that was once long keeps its length; it must not be written back at every commit for that (it was, at the cost of
/// half of all octets written), and must not grow either.
#[tokio::test]
async fn the_log_is_written_back_now_and_then_and_used_again() {
    let (ground, world) = (Ground::new("store-log"), World::new(1));
    let store = ground.open();
    let log = format!("{}-wal", ground.path().display());
    let length = || std::fs::metadata(&log).expect("it is there").len();
    let file = || std::fs::metadata(ground.path()).expect("it is there");
    let (mut number, mut written_back) = (0, 0);
    let mut last = file().modified().expect("a time");
    // Three times the length, in commits of some forty pages.
    while number < COMMITS {
        let batch: Vec<_> = (0..EACH)
            .map(|step| store.apply(long_note(&world, number * EACH + step)))
            .collect();
        for change in batch {
            assert!(change.await.is_ok());
        }
        number += 1;
        let now = file().modified().expect("a time");
        written_back += u32::from(now != last);
        last = now;
    }
    assert!(length() < LOG_OCTETS_MAX, "{} octets", length());
    assert!(
        written_back < 20,
        "written back {written_back} times in {number} commits"
    );
    applied(&*store, note(&world, -1)).await;
    let blocks = crate::trail::blocks(&*store).await;
    let expected = usize::try_from(COMMITS * EACH + 1).expect("positive");
    assert_eq!(crate::trail::records(&blocks).len(), expected);
    drop(store);
    assert_sound(&ground.raw());
}

/// Failures G2: another program checkpoints as hard as it can while many write and read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_writing_beside_a_foreign_checkpointer_stays_sound() {
    const WRITERS: i64 = 8;
    let long = std::env::var_os("CHANCERY_LONG").is_some();
    let each = if long { 100_000 } else { 200 };
    let (ground, world) = (Ground::new("store-checkpoints"), Arc::new(World::new(1)));
    let store = ground.open();
    let done = Arc::new(AtomicBool::new(false));
    let checkpointer = std::thread::spawn({
        let (connection, done) = (ground.raw(), Arc::clone(&done));
        move || {
            let mut times = 0_u64;
            while !done.load(Ordering::SeqCst) {
                for mode in ["passive", "restart", "truncate"] {
                    let sql = format!("pragma wal_checkpoint({mode})");
                    let answered = connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
                    times += u64::from(answered.is_ok());
                }
            }
            times
        }
    });
    let mut running = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, world) = (Arc::clone(&store), Arc::clone(&world));
        running.spawn(async move {
            for number in 0..each {
                applied(&*store, long_note(&world, writer * each + number)).await;
                store.health().await.expect("answers");
            }
        });
    }
    running.join_all().await;
    done.store(true, Ordering::SeqCst);
    assert!(checkpointer.join().expect("it ends") > 0);
    let changes = crate::trail::records(&crate::trail::blocks(&*store).await).len();
    assert_eq!(changes, usize::try_from(WRITERS * each).expect("positive"));
    drop(store);
    assert_sound(&ground.raw());
}
