//! Private files and folders that appear whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::SignerError;

/// Ends the name of a file that is not finished; start removes what a crash left.
pub(crate) const UNFINISHED: &str = "tmp";

/// Makes a folder that only its owner may enter. One that exists already is left as it is.
pub(crate) fn create_dir(path: &Path) -> Result<(), SignerError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(SignerError::io("create", path)),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), SignerError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(SignerError::io("make durable the names in", path))
}

/// Writes `dir/name` with mode 0600 so that after a crash it is either whole or absent: written beside, synced, renamed.
pub(crate) fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, SignerError> {
    let beside = dir.join(format!("{name}.{UNFINISHED}"));
    let path = dir.join(name);
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    };
    written().map_err(SignerError::io("write", &path))?;
    sync_dir(dir)?;
    Ok(path)
}

/// Reads a small file whole; `None` if it is not there.
///
/// # Errors
/// An I/O error, also for a file above `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, SignerError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(SignerError::io("open", path))?,
    };
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(SignerError::io("read", path))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= bytes_max) {
        Ok(Some(bytes))
    } else {
        Err(SignerError::io("read", path)(io::Error::other(
            "the file is larger than it may be",
        )))
    }
}
