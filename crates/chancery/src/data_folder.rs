//! The data folder: one server at a time, whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

/// Present while the first run is under way; what is there beside it is not whole.
const UNFINISHED: &str = "first-run.unfinished";

/// How long the lock may be held by the remains of a killed process.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Pause between two tries.
const LOCK_AGAIN: Duration = Duration::from_millis(20);

/// A data folder that this process alone has.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    database: PathBuf,
    _lock: File,
}

/// What a data folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Nothing: the first run makes everything.
    Nothing,
    /// A whole authority.
    Authority,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataError {
    #[error("the data folder {path} cannot be used: {source}; it must be writable for this user")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("another chancery runs on {path}; stop it first, or give this one a --data of its own")]
    Taken { path: PathBuf },
    #[error(
        "the first run in {path} was interrupted before it was done; nothing was issued from it: remove {path} and {path}.sealing-key, and start again"
    )]
    Unfinished { path: PathBuf },
    #[error(
        "{path} has {has} but not {lacks}; put back what is missing from a backup, or, if nothing was ever issued from it, remove {path} and start again"
    )]
    Half {
        path: PathBuf,
        has: String,
        lacks: String,
    },
}

impl DataFolder {
    /// Makes the folder if need be, and takes it for this process.
    pub(crate) fn take(path: &Path, database: &str) -> Result<Self, DataError> {
        let io = |source| DataError::Io {
            path: path.to_owned(),
            source,
        };
        if !path.is_dir() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(io)?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(io)?;
        lock_soon(&lock).map_err(|_| DataError::Taken {
            path: path.to_owned(),
        })?;
        let path = path.canonicalize().map_err(io)?;
        Ok(Self {
            database: path.join(database),
            path,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn database(&self) -> &Path {
        &self.database
    }

    /// Looks at what is there; whatever is neither nothing nor everything is refused.
    pub(crate) fn contents(&self) -> Result<Contents, DataError> {
        if self.path.join(UNFINISHED).exists() {
            return Err(DataError::Unfinished {
                path: self.path.clone(),
            });
        }
        let parts = [
            ("the store", self.database.exists()),
            ("the keys", self.path.join("keys").exists()),
            ("the signer's journal", self.path.join("journal").exists()),
        ];
        let names = |wanted: bool| {
            let found = parts.iter().filter(|(_, there)| *there == wanted);
            found
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(" and ")
        };
        match parts.iter().filter(|(_, there)| *there).count() {
            0 => Ok(Contents::Nothing),
            3 => Ok(Contents::Authority),
            _ => Err(DataError::Half {
                path: self.path.clone(),
                has: names(true),
                lacks: names(false),
            }),
        }
    }

    /// Marks the folder as not whole until [`DataFolder::finish`].
    pub(crate) fn begin(&self) -> Result<(), DataError> {
        self.write_private(UNFINISHED, b"the first run has not ended\n")
    }

    /// Everything is there.
    pub(crate) fn finish(&self) -> Result<(), DataError> {
        let io = |source| DataError::Io {
            path: self.path.clone(),
            source,
        };
        fs::remove_file(self.path.join(UNFINISHED)).map_err(io)?;
        File::open(&self.path)
            .and_then(|folder| folder.sync_all())
            .map_err(io)
    }

    /// The folder of the server's own certificate, made if it is not there.
    pub(crate) fn tls_folder(&self) -> Result<PathBuf, DataError> {
        let path = self.path.join("tls");
        let io = |source| DataError::Io {
            path: path.clone(),
            source,
        };
        if !path.is_dir() {
            fs::DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map_err(io)?;
        }
        Ok(path)
    }

    /// Writes a small file whole: beside, synced, renamed.
    pub(crate) fn write_private(&self, name: &str, bytes: &[u8]) -> Result<(), DataError> {
        let io = |source| DataError::Io {
            path: self.path.join(name),
            source,
        };
        let target = self.path.join(name);
        let beside = target.with_extension("new");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&beside)
            .map_err(io)?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(io)?;
        fs::rename(&beside, &target).map_err(io)?;
        let parent = target.parent().unwrap_or(&self.path);
        File::open(parent)
            .and_then(|folder| folder.sync_all())
            .map_err(io)
    }

    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path.join(name)).ok()
    }
}

/// Takes the lock. A process that was killed while it started its signer leaves a copy of the lock in the child until that
/// has become another program, a moment later.
fn lock_soon(lock: &File) -> rustix::io::Result<()> {
    let until = Instant::now() + LOCK_WAIT;
    loop {
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                std::thread::sleep(LOCK_AGAIN);
            }
            taken => return taken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (chancery_testkit::TempDir, DataFolder) {
        let temp = chancery_testkit::TempDir::new("data-folder").expect("a folder");
        let folder = DataFolder::take(&temp.path().join("data"), "chancery.db").expect("taken");
        (temp, folder)
    }

    #[test]
    fn a_second_process_on_one_folder_is_refused() {
        let (temp, _folder) = folder();
        let second = DataFolder::take(&temp.path().join("data"), "chancery.db");
        assert!(matches!(second, Err(DataError::Taken { .. })));
    }

    #[test]
    fn a_lock_that_goes_in_a_moment_is_waited_for() {
        let (temp, folder) = folder();
        let path = temp.path().join("data");
        let second = std::thread::spawn(move || DataFolder::take(&path, "chancery.db").is_ok());
        std::thread::sleep(LOCK_AGAIN * 5);
        drop(folder);
        assert!(second.join().expect("no panic"));
    }

    #[test]
    fn a_folder_is_empty_whole_or_refused() {
        let (_temp, folder) = folder();
        assert_eq!(folder.contents().expect("readable"), Contents::Nothing);
        folder.begin().expect("marked");
        assert!(matches!(
            folder.contents(),
            Err(DataError::Unfinished { .. })
        ));
        folder.finish().expect("unmarked");
        fs::create_dir(folder.path().join("keys")).expect("made");
        let half = folder.contents().expect_err("refused").to_string();
        assert!(
            half.contains("the keys") && half.contains("the store"),
            "{half}"
        );
        fs::create_dir(folder.path().join("journal")).expect("made");
        fs::write(folder.database(), b"").expect("written");
        assert_eq!(folder.contents().expect("readable"), Contents::Authority);
    }
}
