use std::io;
use std::path::{Path, PathBuf};

use chancery_crypto::CryptoError;

/// Why the signer could not start or had to end. Each one is final for the process: nothing here is retried inside it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// A file operation failed. For the journal this is fatal, since after a failed write or sync nobody knows what is on the disk.
    #[error(
        "could not {action} {}: {source}; nothing was promised after it, start again once the disk works",
        path.display()
    )]
    Io {
        /// What was tried, as in "could not … the file".
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes of the journal that were once durable are not what was written.
    #[error(
        "journal segment {segment:08}.log is damaged at byte {offset} (entry {sequence}): {what}; \
         keep the file, put DATA/journal back from a backup or copy that passes `chancery journal verify`, then start again"
    )]
    JournalDamaged {
        /// The number in the segment's file name.
        segment: u32,
        /// Byte in that file at which the first unreadable entry begins.
        offset: u64,
        /// The number that entry would have.
        sequence: u64,
        /// What did not hold.
        what: &'static str,
    },
    /// A segment between the first and the last is not there.
    #[error(
        "journal segment {segment:08}.log is missing from {}; put it back from a backup, the journal is only whole with all its segments",
        dir.display()
    )]
    JournalGap {
        /// The journal folder.
        dir: PathBuf,
        /// The number that is missing.
        segment: u32,
    },
    /// The journal was written by a later version of this program.
    #[error(
        "journal segment {segment:08}.log has format version {seen}, this program reads up to {known}; run the version that wrote it"
    )]
    JournalVersion {
        /// The number in the segment's file name.
        segment: u32,
        /// The version in the file.
        seen: u32,
        /// The highest version that this program knows.
        known: u32,
    },
    /// Another process writes this journal.
    #[error("{} is in use by another signer; only one may run on a data folder, stop the other first", dir.display())]
    JournalInUse {
        /// The journal folder.
        dir: PathBuf,
    },
    /// An earlier write or sync failed; the journal takes nothing more in this process.
    #[error(
        "the journal failed earlier in this process; start again to recover from what is on the disk"
    )]
    JournalFailed,
    /// An entry above the limit. Requests are bounded below it, so this is a mistake of ours.
    #[error("a journal entry of {bytes} bytes is above the limit of {max} bytes")]
    EntryTooLarge {
        /// Bytes of the entry's body.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Issuance is in the journal, but its keys are not there.
    #[error(
        "the journal in {} records issuance, but there is no keys folder beside it; put `keys` back from the backup",
        data.display()
    )]
    KeysMissing {
        /// The data folder.
        data: PathBuf,
    },
    /// Keys without the journal that belongs to them: CRL numbers could go back.
    #[error(
        "{} has keys but no record of their making in the journal; put the `journal` folder back that belongs to these keys",
        data.display()
    )]
    JournalMissing {
        /// The data folder.
        data: PathBuf,
    },
    /// A key file, certificate file or salt is absent, unreadable or does not belong to its neighbour.
    #[error("{}: {what}; put the `keys` folder back from the backup", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The secret that opens the key files is absent or unusable.
    #[error("the sealing key {}: {what}", path.display())]
    Secret {
        /// Where it was looked for.
        path: PathBuf,
        /// What is wrong and what to do.
        what: &'static str,
    },
    /// The caller broke the framing of the socket; the stream cannot be read on.
    #[error("the caller sent {what}; the connection cannot go on")]
    Protocol {
        /// What was wrong.
        what: &'static str,
    },
    /// A cryptographic operation failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl SignerError {
    /// An adapter for `map_err`: which action on which path failed.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
