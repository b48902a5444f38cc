use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::fs::statfs;

use crate::error::BenchError;

/// A server that was killed a moment ago may still hold or write files.
const REMOVAL_TRIES: u32 = 20;
const REMOVAL_PAUSE: Duration = Duration::from_millis(50);
/// `TMPFS_MAGIC` of statfs(2).
const TMPFS: i128 = 0x0102_1994;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A folder of our own that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a folder below `parent`.
    ///
    /// # Errors
    /// [`BenchError::File`]
    pub(crate) fn new(parent: &Path) -> Result<Self, BenchError> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("chancery-bench-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).map_err(BenchError::file("make the folder", &path))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into the folder.
    ///
    /// # Errors
    /// [`BenchError::File`]
    pub(crate) fn write(
        &self,
        name: &str,
        content: impl AsRef<[u8]>,
    ) -> Result<PathBuf, BenchError> {
        let path = self.0.join(name);
        std::fs::write(&path, content).map_err(BenchError::file("write", &path))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for _ in 0..REMOVAL_TRIES {
            if std::fs::remove_dir_all(&self.0).is_ok() || !self.0.exists() {
                return;
            }
            std::thread::sleep(REMOVAL_PAUSE);
        }
        eprintln!("chancery-bench: {} could not be removed", self.0.display());
    }
}

/// Whether files below `path` live in memory, where durability costs nothing.
pub(crate) fn is_memory(path: &Path) -> bool {
    statfs(path).is_ok_and(|facts| i128::from(facts.f_type) == TMPFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_everything_in_it() {
        let scratch = Scratch::new(&std::env::temp_dir()).expect("made");
        let file = scratch.write("a", "b").expect("written");
        assert!(file.exists());
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
    }
}
