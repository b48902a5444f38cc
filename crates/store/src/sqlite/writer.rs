//! The thread that owns the write connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use chancery_authority::audit::{AuditRecord, Block};
use chancery_authority::store::{DiskSpace, Lane};
use chancery_authority::{Outcome, StoreError};
use rusqlite::{Connection, ErrorCode, OptionalExtension, ffi, params};

use super::disk::DiskWatch;
use super::load::audit_position;
use super::write::{self, Written};
use super::{SqliteOptions, unavailable};
use crate::queue::{BATCH_MAX, Pending, Queue};

/// Pages of log after which it is written back into the file: 16 MiB. Fewer means writing hot pages back more often; more
/// means a longer replay at start.
const CHECKPOINT_PAGES: i64 = 8192;

/// Changes between two looks at the log's length. One touches a handful of pages, so the log grows by about a tenth of the
/// above between two looks.
const CHANGES_PER_LOOK: usize = 256;

/// Ends the process when what is on the disk has become unknown.
#[derive(Debug, Clone, Copy)]
pub struct FatalHandler(pub fn(&str) -> !);

impl FatalHandler {
    /// Says why on standard error and exits with 70 (internal software error); a supervisor starts the program again,
    /// which then reads what is there.
    pub const EXIT: Self = Self(|why| {
        eprintln!(
            "chancery: the store could not commit and stops now: {why}; nothing unconfirmed was promised, start again"
        );
        std::process::exit(70)
    });
}

pub(super) struct Writer {
    connection: Connection,
    path: PathBuf,
    node: u8,
    head: (i64, [u8; 32]),
    disk: Arc<DiskWatch>,
    on_fatal: FatalHandler,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        options: &SqliteOptions,
        disk: Arc<DiskWatch>,
    ) -> rusqlite::Result<Self> {
        let head = last_block(&connection, options.node)?
            .map_or((0, [0; 32]), |block| (block.sequence, block.digest()));
        Ok(Self {
            connection,
            path: options.path.clone(),
            node: options.node,
            head,
            disk,
            on_fatal: options.on_fatal,
        })
    }

    /// Works until the queue is closed and drained. A fault of ours on the way ends the process as a failed commit does:
    /// without a writer nothing can be promised any more.
    pub(super) fn run(self, queue: &Queue) {
        let on_fatal = self.on_fatal;
        if catch_unwind(AssertUnwindSafe(move || self.work(queue))).is_err() {
            queue.abandon();
            (on_fatal.0)("its writer met a fault of its own");
        }
    }

    fn work(mut self, queue: &Queue) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut changes = 0;
        loop {
            queue.take(&mut batch);
            if batch.is_empty() {
                break;
            }
            changes += batch.len();
            self.commit(&mut batch);
            // To ask for the log's length costs as much as a change: a pragma is compiled anew for each run.
            if changes >= CHANGES_PER_LOOK {
                changes = 0;
                self.checkpoint_if_long();
            }
        }
        // Leaves one whole file and an empty log behind; a full log would do as well, so a failure costs nothing.
        let emptied = self.checkpoint("truncate");
        if let Err(error) = emptied {
            tracing::warn!(reason = %unavailable(&error), "the store's log was left as it is");
        }
    }

    fn commit(&mut self, batch: &mut Vec<Pending>) {
        let low = self.disk.look() == DiskSpace::Low;
        let mut outcomes = Vec::with_capacity(batch.len());
        match self.execute(batch, low, &mut outcomes) {
            Ok(head) => {
                self.head = head;
                for (pending, outcome) in batch.drain(..).zip(outcomes) {
                    // Whoever asked may have gone; the change stands all the same.
                    let _ = pending.answer.send(outcome);
                }
            }
            Err(error) => {
                let refused = self.undo(&error);
                for pending in batch.drain(..) {
                    let _ = pending.answer.send(Err(refused.clone()));
                }
            }
        }
    }

    fn execute(
        &self,
        batch: &[Pending],
        low: bool,
        outcomes: &mut Vec<Result<Outcome, StoreError>>,
    ) -> rusqlite::Result<(i64, [u8; 32])> {
        self.connection
            .prepare_cached("begin immediate")?
            .execute([])?;
        let mut audit: Vec<AuditRecord> = Vec::with_capacity(batch.len());
        for pending in batch {
            let change = &pending.change;
            if low && change.kind().lane() == Lane::Ordinary {
                outcomes.push(Err(StoreError::DiskLow {
                    percent: self.disk.percent_min(),
                }));
                continue;
            }
            match write::change(&self.connection, self.node, change)? {
                Written::All => {
                    audit.push(change.audit().clone());
                    outcomes.push(Ok(Outcome::Applied));
                }
                Written::Conflict => outcomes.push(Ok(Outcome::Conflict)),
            }
        }
        let mut head = self.head;
        if !audit.is_empty() {
            let block = Block::seal(self.node, head.0 + 1, head.1, &audit);
            let position = audit_position(self.node, block.sequence);
            self.connection
                .prepare_cached(
                    "insert into audit (position, node, sequence, epoch, previous, body) values (?1, ?2, ?3, 0, ?4, ?5)",
                )?
                .execute(params![position, self.node, block.sequence, block.previous, block.body])?;
            head = (block.sequence, block.digest());
        }
        self.connection.prepare_cached("commit")?.execute([])?;
        Ok(head)
    }

    /// A full disk is survivable: SQLite has undone the transaction and says so. So is a transaction that could not begin,
    /// because another program has the file. Anything else may have left the log in a state that nobody knows, and only a
    /// fresh start can tell (failures G3).
    fn undo(&self, error: &rusqlite::Error) -> StoreError {
        let (code, extended) = match error {
            rusqlite::Error::SqliteFailure(failure, _) => (failure.code, failure.extended_code),
            _ => (ErrorCode::Unknown, 0),
        };
        // The log's index grows too, and says in its own way that there is no room.
        let full = code == ErrorCode::DiskFull || extended == ffi::SQLITE_IOERR_SHMSIZE;
        if code == ErrorCode::DatabaseBusy && self.connection.is_autocommit() {
            tracing::warn!("another program holds the store's write lock");
            return StoreError::Busy;
        }
        if !full {
            (self.on_fatal.0)(&format!("{}: {error}", self.path.display()));
        }
        if !self.connection.is_autocommit()
            && let Err(second) = self.connection.execute_batch("rollback")
        {
            (self.on_fatal.0)(&format!("{}: {error}, then {second}", self.path.display()));
        }
        StoreError::DiskLow {
            percent: self.disk.percent_min(),
        }
    }

    /// Counts what is not written back yet. The length of the log's file says nothing: it stays what it once was.
    fn checkpoint_if_long(&self) {
        match self.checkpoint("noop") {
            Ok((log, written_back)) if log - written_back < CHECKPOINT_PAGES => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(reason = %unavailable(&error), "the length of the store's log is not known");
            }
        }
        if let Err(error) = self.checkpoint("passive") {
            tracing::warn!(reason = %unavailable(&error), "the store's log could not be written back yet");
        }
    }

    /// Pages in the log, and how many of them are in the file too.
    fn checkpoint(&self, mode: &str) -> rusqlite::Result<(i64, i64)> {
        self.connection
            .prepare_cached(&format!("pragma wal_checkpoint({mode})"))?
            .query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
    }
}

fn last_block(connection: &Connection, node: u8) -> rusqlite::Result<Option<Block>> {
    connection
        .query_row(
            "select sequence, previous, body from audit where position between ?1 and ?2 order by position desc limit 1",
            params![audit_position(node, 0), audit_position(node, i64::MAX)],
            |row| Ok(Block { node, sequence: row.get(0)?, previous: row.get(1)?, body: row.get(2)? }),
        )
        .optional()
}
