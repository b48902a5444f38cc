//! Files that appear whole: written beside their place, synced, renamed, and the folder synced.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::AgentError;

/// A private key or what belongs to one.
pub(crate) const PRIVATE: u32 = 0o600;
/// What every client of a server sees anyway.
pub(crate) const PUBLIC: u32 = 0o644;
/// The largest file of the state: an order with a chain of eight large certificates is half of it.
const FILE_BYTES_MAX: usize = 1 << 20;

pub(crate) fn failed(doing: &'static str, path: &Path, source: io::Error) -> AgentError {
    AgentError::File {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// Puts `bytes` at `path`, in the place of what was there: a reader sees the old file or the new one, also after a
/// power failure.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), AgentError> {
    let beside = beside(path);
    remove(&beside)?;
    write_new(&beside, bytes, mode)?;
    fs::rename(&beside, path).map_err(|error| failed("put in place", path, error))?;
    sync_parent(path)
}

/// Writes a file that is not there yet, and syncs it.
pub(crate) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), AgentError> {
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        // The umask of the caller is not a statement about this file.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| failed("write", path, error))
}

/// Reads a file; `None` if it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, AgentError> {
    let mut bytes = Vec::new();
    // One more than may be there tells a file that is too large from one that is not.
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    let read = File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes));
    match read {
        Ok(octets) if octets > FILE_BYTES_MAX => Err(super::broken(path, "it is too large")),
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, error)),
    }
}

/// Removes a file if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), AgentError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path, error)),
    }
}

/// Makes a folder with those above it.
pub(crate) fn make_folder(path: &Path, mode: u32) -> Result<(), AgentError> {
    if path.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|error| failed("make the folder", path, error))?;
    sync_parent(path)
}

/// Makes sure that a folder's entries survive a power failure.
pub(crate) fn sync_folder(path: &Path) -> Result<(), AgentError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|error| failed("sync", path, error))
}

/// The same for the folder in which `path` stands.
pub(crate) fn sync_parent(path: &Path) -> Result<(), AgentError> {
    // The parent of a plain name is an empty path, which stands for the folder we are in.
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    sync_folder(parent.unwrap_or_else(|| Path::new(".")))
}

/// Whether `path` is a folder in which files can be made.
pub(crate) fn check_folder(path: &Path) -> Result<(), AgentError> {
    let probe = path.join(format!(".chancery-agent-{}", std::process::id()));
    remove(&probe)?;
    write_new(&probe, b"", PRIVATE)?;
    remove(&probe)
}

/// The names in a folder that are text; none if it is not there.
pub(crate) fn names(path: &Path) -> Result<Vec<String>, AgentError> {
    let list = || {
        fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name().into_string().ok()))
            .collect::<io::Result<Vec<_>>>()
    };
    match list() {
        Ok(names) => Ok(names.into_iter().flatten().collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed("list", path, error)),
    }
}

/// `orders/.a.test.json.new` for `orders/a.test.json`. One agent at a time works here, so one name is enough, and a
/// file that a killed agent left is in nobody's way.
pub(crate) fn beside(path: &Path) -> std::path::PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

#[cfg(test)]
mod tests {
    use chancery_testkit::TempDir;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_mode_and_nothing_beside_it() {
        let folder = TempDir::new("agent-file").expect("made");
        let path = folder.join("key");
        // What a killed agent left.
        fs::write(beside(&path), "half").expect("written");
        replace(&path, b"one", PRIVATE).expect("written");
        assert_eq!(
            (read(&path).expect("readable"), mode(&path)),
            (Some(b"one".to_vec()), PRIVATE)
        );
        replace(&path, b"two", PUBLIC).expect("written");
        assert_eq!(
            (read(&path).expect("readable"), mode(&path)),
            (Some(b"two".to_vec()), PUBLIC)
        );
        assert_eq!(names(folder.path()).expect("listed"), ["key"]);
    }

    #[test]
    fn what_is_not_there_is_none_and_no_error() {
        let folder = TempDir::new("agent-file").expect("made");
        assert_eq!(read(&folder.join("x")).expect("none"), None);
        remove(&folder.join("x")).expect("nothing to do");
        assert!(names(&folder.join("x")).expect("none").is_empty());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let folder = TempDir::new("agent-file").expect("made");
        let missing = folder.join("missing");
        let error = check_folder(&missing).expect_err("refused").to_string();
        assert!(error.contains("missing"), "{error}");
        check_folder(folder.path()).expect("writable");
        assert!(names(folder.path()).expect("listed").is_empty());
    }

    #[test]
    fn a_file_too_large_for_a_state_is_not_read_whole() {
        let folder = TempDir::new("agent-file").expect("made");
        let path = folder.join("large");
        File::create(&path)
            .and_then(|file| file.set_len(1 << 40))
            .expect("a sparse file");
        assert!(
            read(&path)
                .expect_err("refused")
                .to_string()
                .contains("too large")
        );
    }
}
