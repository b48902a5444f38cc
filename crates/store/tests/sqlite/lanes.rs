//! The queue, with the writer held still: what is batched, what goes first, what is refused.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use chancery_authority::world::{World, names};
use chancery_authority::{AccountId, ChangeKind, Outcome, Store, StoreError};
use chancery_store::sqlite::{DiskProbe, FatalHandler, Room, SqliteOptions, SqliteStore};
use tokio::task::JoinSet;

use crate::trail::{blocks, records};
use crate::{Ground, applied, note};

/// As in the store.
const ORDINARY_MAX: usize = 4096;
const BATCH_MAX: usize = 256;

/// Holds the writer where it looks at the disk, before it begins a commit.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<Held>, Condvar)>);

#[derive(Default)]
struct Held {
    closed: bool,
    waiting: bool,
}

impl Gate {
    fn options(&self, ground: &Ground) -> SqliteOptions {
        let gate = self.clone();
        let look = move |_: &std::path::Path| {
            gate.pass();
            Some(Room { free: 1, total: 1 })
        };
        let disk = DiskProbe {
            every: Duration::ZERO,
            look: Arc::new(look),
        };
        SqliteOptions {
            disk,
            ..ground.options()
        }
    }

    fn pass(&self) {
        let (held, changed) = &*self.0;
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        while held.closed {
            held.waiting = true;
            changed.notify_all();
            held = changed.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        held.waiting = false;
    }

    fn close(&self) {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed = true;
    }

    fn open(&self) {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed = false;
        self.0.1.notify_all();
    }

    /// Until the writer has taken a batch and stands at the gate.
    fn reached(&self) {
        let (held, changed) = &*self.0;
        let held = held.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_while(held, |held| !held.waiting));
    }
}

/// Law 8: the queue is bounded and says so, revocation has a lane of its own and goes before everything else that waits,
/// and whatever was accepted is done in as few commits as batches.
#[tokio::test]
async fn law8_a_full_queue_is_busy_and_a_revocation_goes_before_all_of_it() {
    let (ground, gate) = (Ground::new("store-lanes"), Gate::default());
    let store = SqliteStore::open(gate.options(&ground)).expect("opens");
    let mut world = World::new(1);
    let issued = world.issue(AccountId(1), names(&["a.test"]).expect("a name"));
    for change in issued.changes {
        applied(&store, change).await;
    }
    let before = blocks(&store).await.len();

    gate.close();
    let first = store.apply(note(&world, 0));
    gate.reached();
    let fill = (1..).take(ORDINARY_MAX);
    let waiting: Vec<_> = fill
        .map(|number| store.apply(note(&world, number)))
        .collect();
    assert_eq!(store.apply(note(&world, -1)).await, Err(StoreError::Busy));
    let (revocation, _) = world.revocation(&issued.certificate, world.now);
    let urgent = store.apply(revocation);
    gate.open();

    assert_eq!(first.await, Ok(Outcome::Applied));
    assert_eq!(urgent.await, Ok(Outcome::Applied));
    for ordinary in waiting {
        assert_eq!(ordinary.await, Ok(Outcome::Applied));
    }
    let all = blocks(&store).await;
    let [alone, next, ..] = &all[before..] else {
        panic!("{} blocks", all.len())
    };
    assert_eq!(records(std::slice::from_ref(alone)).len(), 1);
    let batch = records(std::slice::from_ref(next));
    assert_eq!(
        batch.first().map(|record| record.kind),
        Some(ChangeKind::CertificateRevoked)
    );
    assert_eq!(batch.len(), BATCH_MAX);
    assert_eq!(
        all.len() - before,
        1 + (ORDINARY_MAX + 1).div_ceil(BATCH_MAX)
    );
    // What was refused left no trace, the rest is there in the order in which it came.
    let objects: Vec<i64> = records(&all[before..])
        .iter()
        .filter(|record| record.kind == ChangeKind::Refused)
        .map(|record| record.object)
        .collect();
    let expected: Vec<i64> = (0..).take(ORDINARY_MAX + 1).collect();
    assert_eq!(objects, expected);
}

/// Dropping the store drains its queue.
#[tokio::test]
async fn changes_that_wait_when_the_store_is_dropped_are_done() {
    let (ground, gate) = (Ground::new("store-drop"), Gate::default());
    let store = SqliteStore::open(gate.options(&ground)).expect("opens");
    let world = World::new(1);
    gate.close();
    for number in 0..10 {
        // Whoever asked goes away at once.
        drop(store.apply(note(&world, number)));
    }
    let opener = std::thread::spawn(move || {
        gate.reached();
        gate.open();
    });
    drop(store);
    opener.join().expect("it ends");
    assert_eq!(records(&blocks(&*ground.open()).await).len(), 10);
}

/// Group commit on a real disk: sixty-four who wait share syncs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_at_a_time_need_far_fewer_commits_than_changes() {
    const APPLIERS: i64 = 64;
    const EACH: i64 = 32;
    let ground = Ground::new("store-batches");
    let (store, world) = (ground.open(), Arc::new(World::new(1)));
    let mut running = JoinSet::new();
    for applier in 0..APPLIERS {
        let (store, world) = (Arc::clone(&store), Arc::clone(&world));
        running.spawn(async move {
            for number in 0..EACH {
                applied(&*store, note(&world, applier * EACH + number)).await;
            }
        });
    }
    running.join_all().await;
    let blocks = blocks(&*store).await;
    let changes = records(&blocks).len();
    assert_eq!(changes, usize::try_from(APPLIERS * EACH).expect("positive"));
    assert!(
        blocks.len() * 4 <= changes,
        "{} commits for {changes} changes",
        blocks.len()
    );
}

/// A writer that is gone leaves nobody waiting: the process ends as after a failed commit. (Here the end is a panic.)
#[tokio::test]
async fn a_fault_of_the_writer_is_fatal_and_nobody_waits_for_it() {
    let (ground, world) = (Ground::new("store-fault"), World::new(1));
    let look = |_: &std::path::Path| -> Option<Room> { panic!("a fault of ours") };
    let disk = DiskProbe {
        every: Duration::ZERO,
        look: Arc::new(look),
    };
    let on_fatal = FatalHandler(|why| panic!("the end: {why}"));
    let options = SqliteOptions {
        disk,
        on_fatal,
        ..ground.options()
    };
    let store = SqliteStore::open(options).expect("opens");
    for number in 0..3 {
        let answer = store.apply(note(&world, number)).await;
        assert!(
            matches!(answer, Err(StoreError::Unavailable(_))),
            "{answer:?}"
        );
    }
    drop(store);
    assert!(blocks(&*ground.open()).await.is_empty());
}
