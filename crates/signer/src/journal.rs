//! The signer's journal: an append-only, hash-chained log that is durable before a key is used (design law 2).
//!
//! It is a folder of segments `00000001.log`, `00000002.log`, …; `frame.rs` says how an entry lies in one and `segment.rs`
//! how one begins. Each segment starts with a [`Snapshot`] of what opening needs, so that start reads the last segment only,
//! however long the journal is. A new segment appears whole under its name, and only after all before it is durable;
//! so a crash can tear nothing but the end of the last one, and [`Journal::open`] cuts exactly that.
//!
//! Writing is in three steps, shared by all requests of a batch: [`Journal::append`] puts an entry into memory,
//! [`Journal::flush`] hands it to the system (it survives `kill -9` from here), [`Journal::sync`] makes it durable.
//! After any error of a write or sync nothing is known of the disk: the journal takes nothing more, and the process has to end.

mod disk;
mod entry;
mod frame;
mod read;
mod recover;
mod segment;
mod serials;
mod state;
mod verify;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chancery_crypto::Digest32;
use chancery_pki::{Serial, UnixTime};

pub use disk::{Disk, Space, SystemDisk};
pub use entry::{
    CaIntent, CrlIntent, CrlState, Entry, Intent, IssuerKeyId, Revocation, Signature, Snapshot,
    Start,
};
pub use read::{Record, Records};
pub use recover::TornTail;
pub(crate) use serials::SerialUse;
pub use verify::{Problem, Report, verify};

use crate::{SignerError, files};
use segment::SegmentHeader;
use state::State;

/// How a journal is kept.
#[derive(Debug, Clone, Copy)]
pub struct JournalOptions {
    /// A segment that has grown to this is the last one's predecessor. Bounds what start has to read.
    pub segment_bytes_max: u64,
    /// How long to wait for another signer on the same folder to end, as one does whose caller has just died.
    pub lock_wait: Duration,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes_max: 16 << 20,
            lock_wait: Duration::from_secs(5),
        }
    }
}

/// The end of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of the last entry.
    pub sequence: u64,
    /// The chain value behind it: it commits to every byte before.
    pub chain: Digest32,
    /// Its time, the latest in the journal.
    pub time: UnixTime,
}

/// The journal, open for writing. There is one per folder, in one process.
pub struct Journal {
    dir: PathBuf,
    /// Holds the lock; also what [`Disk::space`] asks about.
    handle: File,
    options: JournalOptions,
    disk: Box<dyn Disk>,
    file: File,
    number: u32,
    /// Bytes of the segment that were handed to the system.
    written: u64,
    /// Bytes of the segment that are durable.
    synced: u64,
    /// Entries that were appended and not yet flushed.
    buffer: Vec<u8>,
    head: Head,
    state: State,
    torn: Option<TornTail>,
    failed: bool,
}

impl Journal {
    /// Opens the journal in `dir`, or begins one in an empty or absent folder.
    ///
    /// # Errors
    /// [`SignerError`]: an I/O error, another process that holds it, damage, or a missing segment.
    pub fn open(
        dir: &Path,
        options: JournalOptions,
        mut disk: Box<dyn Disk>,
    ) -> Result<Self, SignerError> {
        files::create_dir(dir)?;
        let handle = lock(dir, options.lock_wait)?;
        segment::remove_unfinished(dir)?;
        let number = match segment::last(dir)? {
            0 => {
                let genesis = Head {
                    sequence: 0,
                    chain: [0; 32],
                    time: UnixTime(0),
                };
                begin_segment(dir, 1, &genesis, &State::default())?;
                1
            }
            number => number,
        };
        let last = recover::last_segment(dir, number, disk.as_mut())?;
        let end = last.reader.offset;
        Ok(Self {
            dir: dir.to_owned(),
            handle,
            options,
            disk,
            file: last.file,
            number,
            written: end,
            synced: end,
            buffer: Vec::new(),
            head: Head {
                sequence: last.reader.sequence.saturating_sub(1),
                chain: last.reader.chain,
                time: last.reader.time,
            },
            state: last.state,
            torn: last.torn,
            failed: false,
        })
    }

    /// What opening cut off, if anything.
    #[must_use]
    pub fn torn(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// The end of the journal, appended entries included.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// Whether every appended entry is durable.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.buffer.is_empty() && self.synced == self.written
    }

    /// The newest CRL of each issuer and shard.
    #[must_use]
    pub fn crls(&self) -> Vec<CrlState> {
        self.state.snapshot().crls
    }

    pub(crate) fn crl(&self, issuer: IssuerKeyId, shard: u32) -> Option<&CrlState> {
        self.state.crl(issuer, shard)
    }

    pub(crate) fn serial_use(&self, serial: &Serial) -> SerialUse {
        self.state.serial_use(serial)
    }

    pub(crate) fn has_issued(&self) -> bool {
        self.state.has_issued()
    }

    pub(crate) fn has_ca(&self) -> bool {
        self.state.has_ca()
    }

    /// Puts an entry behind the last one, in memory, and gives its number. A time before the last entry's counts as that one's.
    ///
    /// # Errors
    /// [`SignerError::EntryTooLarge`], which changes nothing, or [`SignerError::JournalFailed`].
    pub fn append(&mut self, now: UnixTime, entry: &Entry) -> Result<u64, SignerError> {
        if self.failed {
            return Err(SignerError::JournalFailed);
        }
        let time = now.max(self.head.time);
        let synced = u32::try_from(self.synced).unwrap_or(u32::MAX);
        let chain = frame::write(&mut self.buffer, entry, time, synced, &self.head.chain)?;
        self.head = Head {
            sequence: self.head.sequence.saturating_add(1),
            chain,
            time,
        };
        self.state.apply(entry);
        Ok(self.head.sequence)
    }

    /// Hands what was appended to the system: it now survives the end of this process, not yet a power failure.
    ///
    /// # Errors
    /// An I/O error, after which the journal takes nothing more.
    pub fn flush(&mut self) -> Result<(), SignerError> {
        if self.failed {
            return Err(SignerError::JournalFailed);
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.disk.write(&self.file, self.written, &self.buffer);
        self.or_fail("write", written)?;
        self.written = self
            .written
            .saturating_add(u64::try_from(self.buffer.len()).unwrap_or(0));
        self.buffer.clear();
        // One batch with a large CRL must not keep its memory for ever.
        self.buffer.shrink_to(BUFFER_KEPT_BYTES);
        Ok(())
    }

    /// Makes everything appended durable; costs one sync, or none if there is nothing new. Begins a new segment when this one is full.
    ///
    /// # Errors
    /// An I/O error, after which the journal takes nothing more.
    pub fn sync(&mut self) -> Result<(), SignerError> {
        self.flush()?;
        if self.synced == self.written {
            return Ok(());
        }
        let synced = self.disk.sync(&self.file);
        self.or_fail("make durable", synced)?;
        self.synced = self.written;
        if self.written >= self.options.segment_bytes_max {
            self.rotate()?;
        }
        Ok(())
    }

    /// The room left on the journal's disk.
    ///
    /// # Errors
    /// An I/O error.
    pub fn space(&mut self) -> Result<Space, SignerError> {
        self.disk
            .space(&self.handle)
            .map_err(SignerError::io("ask for the free space of", &self.dir))
    }

    /// The records from number `from` on that were flushed.
    ///
    /// # Errors
    /// An I/O error or damage in a segment's header.
    pub fn read_from(&self, from: u64) -> Result<Records, SignerError> {
        Records::open(&self.dir, from)
    }

    fn rotate(&mut self) -> Result<(), SignerError> {
        let number = self.number.saturating_add(1);
        let begun = begin_segment(&self.dir, number, &self.head, &self.state);
        self.failed = begun.is_err();
        let (file, head, length) = begun?;
        (self.file, self.head, self.number) = (file, head, number);
        (self.written, self.synced) = (length, length);
        Ok(())
    }

    fn or_fail(
        &mut self,
        action: &'static str,
        result: std::io::Result<()>,
    ) -> Result<(), SignerError> {
        self.failed = result.is_err();
        result.map_err(SignerError::io(
            action,
            &segment::path(&self.dir, self.number),
        ))
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Journal({}, {:?})", self.dir.display(), self.head)
    }
}

/// A common batch is below this; only CRLs with thousands of new revocations are above.
const BUFFER_KEPT_BYTES: usize = 1 << 20;

/// Creates a segment whose first entry is the snapshot of `state`; gives the file, the new head and the file's length.
fn begin_segment(
    dir: &Path,
    number: u32,
    head: &Head,
    state: &State,
) -> Result<(File, Head, u64), SignerError> {
    let header = SegmentHeader {
        number,
        first_sequence: head.sequence.saturating_add(1),
        chain: head.chain,
        time: head.time,
    };
    let mut entry = Vec::new();
    let snapshot = Entry::Snapshot(state.snapshot());
    let chain = frame::write(&mut entry, &snapshot, head.time, 0, &head.chain)?;
    let file = segment::create(dir, &header, &entry)?;
    let length = u64::try_from(segment::SEGMENT_HEADER_LEN + entry.len()).unwrap_or(u64::MAX);
    Ok((
        file,
        Head {
            sequence: header.first_sequence,
            chain,
            time: head.time,
        },
        length,
    ))
}

const LOCK_RETRY: Duration = Duration::from_millis(10);

fn lock(dir: &Path, wait: Duration) -> Result<File, SignerError> {
    let handle = File::open(dir).map_err(SignerError::io("open", dir))?;
    let until = Instant::now() + wait;
    loop {
        match handle.try_lock() {
            Ok(()) => return Ok(handle),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(LOCK_RETRY);
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(SignerError::JournalInUse {
                    dir: dir.to_owned(),
                });
            }
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(SignerError::io("lock", dir)(error));
            }
        }
    }
}

#[cfg(test)]
mod tests;
