//! The embedded store on real disks: batches, lanes, kills, full and failing disks, damage.
//!
//! Tests that need a process of their own start this program again with one test chosen and a variable set ([`child`]).

mod child;
mod damage;
mod failing_sync;
mod full_disk;
mod kills;
mod lanes;
mod log;
mod trail;
mod watermark;

use std::sync::Arc;

use chancery_authority::audit::Actor;
use chancery_authority::world::World;
use chancery_authority::{Change, OrderId, Outcome, Store};
use chancery_store::sqlite::{SqliteOptions, SqliteStore};
use chancery_testkit::TempDir;
use rusqlite::Connection;

/// A store in a folder of its own.
struct Ground {
    folder: TempDir,
}

impl Ground {
    fn new(label: &str) -> Self {
        let folder = TempDir::new(label).expect("a folder");
        Self { folder }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.join("chancery.db")
    }

    fn options(&self) -> SqliteOptions {
        SqliteOptions::new(self.path())
    }

    fn open(&self) -> Arc<SqliteStore> {
        Arc::new(SqliteStore::open(self.options()).expect("opens"))
    }

    /// The file, past the store.
    fn raw(&self) -> Connection {
        Connection::open(self.path()).expect("opens")
    }
}

/// A change that conflicts with nothing: number `number` of them.
fn note(world: &World, number: i64) -> Change {
    let why = "it was not for you".to_owned();
    Change::refused_order(world.now, Actor::NewKey, OrderId(number), why)
}

async fn applied(store: &dyn Store, change: Change) {
    let kind = change.kind();
    assert_eq!(store.apply(change).await, Ok(Outcome::Applied), "{kind:?}");
}

/// SQLite's own look at the whole file.
fn assert_sound(connection: &Connection) {
    let found: String = connection
        .query_row("pragma integrity_check", [], |row| row.get(0))
        .expect("it is readable");
    assert_eq!(found, "ok");
}
