//! The embedded store: one SQLite file in WAL mode with `synchronous=FULL`.

mod disk;
mod load;
mod migrate;
mod write;
mod writer;

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use chancery_authority::StoreError;
use rusqlite::{Connection, OpenFlags};

use crate::queue::Queue;
use disk::DiskWatch;

pub use disk::{DiskProbe, Look, Room};
pub use writer::FatalHandler;

/// Connections for point reads, which take microseconds; more would only wait for the same two cores.
const POINT_READERS: usize = 4;

/// Connections for listings. Apart, because a listing may take a second, and no request waits for one.
const LIST_READERS: usize = 2;

/// The embedded store.
///
/// Dropping it drains the queue, so that every change accepted is answered, and writes the log back into the file.
pub struct SqliteStore {
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
    points: Readers,
    lists: Arc<Readers>,
    disk: Arc<DiskWatch>,
}

/// How to open a store.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The database file; made if it is not there.
    pub path: PathBuf,
    /// This node's number.
    pub node: u8,
    /// Issuance stops when less than this share of the disk is free.
    pub disk_free_percent_min: u8,
    /// How the free share is found out.
    pub disk: DiskProbe,
    /// What happens when a commit fails; ends the process.
    pub on_fatal: FatalHandler,
}

impl SqliteOptions {
    /// The usual settings for a file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            node: 1,
            disk_free_percent_min: 5,
            disk: DiskProbe::default(),
            on_fatal: FatalHandler::EXIT,
        }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite said so.
    #[error(
        "cannot open the store {path}: {source}; check that the folder exists and belongs to this user"
    )]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Its words.
        source: rusqlite::Error,
    },
    /// The file cannot be made or opened.
    #[error(
        "cannot open the store {path}: {source}; check that the folder exists and belongs to this user"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The disk is full.
    #[error(
        "the store {path} cannot be opened because the disk is full; make room there and start again"
    )]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// A newer program has been here.
    #[error(
        "the store {path} has schema {found}, and this program knows {known}; start the newer program, or restore a copy from before the upgrade"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The writer's thread could not be started.
    #[error("cannot start the store's writer: {0}")]
    Thread(std::io::Error),
    /// The audit trail's end cannot be read.
    #[error("the end of the audit trail in {path} cannot be read: {source}")]
    Audit {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rusqlite::Error,
    },
}

impl OpenError {
    fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full { path },
            _ => Self::Sqlite { path, source },
        }
    }
}

impl SqliteStore {
    /// Opens the store, making or migrating the file as needed, and starts its writer.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(options: SqliteOptions) -> Result<Self, OpenError> {
        let connection = open_for_writing(&options.path)?;
        let readers = |count| {
            Readers::open(&options.path, count)
                .map_err(|source| OpenError::sqlite(&options.path, source))
        };
        let (points, lists) = (readers(POINT_READERS)?, readers(LIST_READERS)?);
        let queue = Arc::new(Queue::default());
        let disk = Arc::new(DiskWatch::new(
            &options.path,
            options.disk_free_percent_min,
            options.disk.clone(),
        ));
        let writer =
            writer::Writer::new(connection, &options, Arc::clone(&disk)).map_err(|source| {
                OpenError::Audit {
                    path: options.path.clone(),
                    source,
                }
            })?;
        let line = Arc::clone(&queue);
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(&line))
            .map_err(OpenError::Thread)?;
        Ok(Self {
            queue,
            writer: Some(writer),
            points,
            lists: Arc::new(lists),
            disk,
        })
    }
}

/// Keeps a store's files in being, so that a process can name exactly these files to a sandbox before it opens them for
/// work.
#[derive(Debug)]
pub struct HeldFiles {
    _connection: Connection,
    paths: [PathBuf; 3],
}

impl HeldFiles {
    /// Makes the file or brings it to the newest schema, and holds it with its log.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn hold(path: &Path) -> Result<Self, OpenError> {
        let connection = open_for_writing(path)?;
        // The log and its index exist from the first read on.
        connection
            .query_row("select count(*) from setting", [], |row| {
                row.get::<_, i64>(0)
            })
            .map_err(|source| OpenError::sqlite(path, source))?;
        let beside = |end: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        Ok(Self {
            _connection: connection,
            paths: [path.to_owned(), beside("-wal"), beside("-shm")],
        })
    }

    /// The file, its log, and the log's index.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            // A panic of the writer was reported by the panic hook; there is nobody left to tell here.
            let _ = writer.join();
        }
    }
}

/// Opens the file for writing; a new one belongs to this user alone, and so do its log and index, which take its mode.
fn open_for_writing(path: &Path) -> Result<Connection, OpenError> {
    let unusable = |error: std::io::Error| OpenError::File {
        path: path.to_owned(),
        source: error,
    };
    std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(unusable)?;
    let failed = |source| OpenError::sqlite(path, source);
    let mut connection = Connection::open(path).map_err(failed)?;
    prepare_for_writing(&connection).map_err(failed)?;
    migrate::to_newest(&mut connection, path)?;
    Ok(connection)
}

fn prepare_for_writing(connection: &Connection) -> rusqlite::Result<()> {
    // Small pages: a commit writes each page that it touched, and most changes touch a few hundred octets of several.
    connection.pragma_update(None, "page_size", 2048)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "fullfsync", true)?;
    // Only the writer checkpoints, and when it chooses to (failures G2).
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // What is hot is the end of each table and index. More would not be hit, and SQLite walks all of it at each commit.
    connection.pragma_update(None, "cache_size", -4_096)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// A few read-only connections, each used by one caller at a time.
struct Readers {
    connections: Vec<Mutex<Connection>>,
    next: AtomicUsize,
}

impl Readers {
    fn open(path: &Path, count: usize) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = || {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.pragma_update(None, "cache_size", -8_192)?;
            connection.pragma_update(None, "query_only", true)?;
            connection.set_prepared_statement_cache_capacity(32);
            Ok(Mutex::new(connection))
        };
        let connections = (0..count)
            .map(|_| connection())
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self {
            connections,
            next: AtomicUsize::new(0),
        })
    }

    /// A free connection, or the next one in turn.
    fn borrow(&self) -> MutexGuard<'_, Connection> {
        let count = self.connections.len();
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        for offset in 0..count {
            if let Ok(free) = self.connections[(start + offset) % count].try_lock() {
                return free;
            }
        }
        self.connections[start % count]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(error: &rusqlite::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::keeps_every_rule;
    use chancery_authority::Store;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn it_keeps_every_rule_of_the_contract() {
        keeps_every_rule(|| {
            let folder = chancery_testkit::TempDir::new("store-contract").expect("a folder");
            move || -> Arc<dyn Store> {
                let options = SqliteOptions::new(folder.join("chancery.db"));
                Arc::new(SqliteStore::open(options).expect("opens"))
            }
        })
        .await;
    }

    #[test]
    fn g2_the_library_is_fixed_and_commits_are_durable() {
        assert!(
            rusqlite::version_number() >= 3_051_003,
            "{}",
            rusqlite::version()
        );
        let folder = chancery_testkit::TempDir::new("store-pragmas").expect("a folder");
        let connection = open_for_writing(&folder.join("chancery.db")).expect("opens");
        let read = |name: &str| -> String {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
                .map(|value| format!("{value:?}"))
                .expect("readable")
        };
        assert_eq!(read("journal_mode"), "Text(\"wal\")");
        assert_eq!(read("synchronous"), "Integer(2)");
        assert_eq!(read("wal_autocheckpoint"), "Integer(0)");
    }

    #[tokio::test]
    async fn a_closed_store_is_one_whole_file() {
        let folder = chancery_testkit::TempDir::new("store-closed").expect("a folder");
        let path = folder.join("chancery.db");
        let store = SqliteStore::open(SqliteOptions::new(&path)).expect("opens");
        let mark =
            chancery_authority::setting::Setting::journal_mark(chancery_pki::UnixTime(1), None, 1);
        assert_eq!(
            store.apply(mark).await,
            Ok(chancery_authority::Outcome::Applied)
        );
        drop(store);
        let log = std::fs::metadata(folder.join("chancery.db-wal"));
        assert!(log.is_err() || log.is_ok_and(|log| log.len() == 0));
        let alone = folder.join("copy.db");
        std::fs::copy(&path, &alone).expect("copies");
        let copy = SqliteStore::open(SqliteOptions::new(&alone)).expect("opens");
        let name = chancery_authority::setting::SettingName::JournalMark;
        assert!(copy.setting(name).await.expect("answers").is_some());
    }

    #[tokio::test]
    async fn g4_a_flipped_bit_is_damage_that_names_its_record() {
        let folder = chancery_testkit::TempDir::new("store-damage").expect("a folder");
        let path = folder.join("chancery.db");
        let store = SqliteStore::open(SqliteOptions::new(&path)).expect("opens");
        let connection = Connection::open(&path).expect("opens");
        connection
            .execute(
                "insert into setting (name, version, node, epoch, body) values (1, 1, 1, 0, x'02ff')",
                [],
            )
            .expect("writes");
        let found = store
            .setting(chancery_authority::setting::SettingName::UrlKey)
            .await;
        assert_eq!(
            found,
            Err(StoreError::Damaged {
                what: "setting 1".to_owned()
            })
        );
    }
}
