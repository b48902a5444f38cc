use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names tried before giving up: earlier processes with the same id may have left theirs behind.
const TRIES: u64 = 1000;

/// A folder of one test, readable by its user only, removed with all it holds when this is dropped.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes a folder in the system's place for temporary ones; `label` becomes part of its name.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(label: &str) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        for _ in 0..TRIES {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("chancery-{label}-{}-{count}", process::id());
            let path = std::env::temp_dir().join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path inside the folder.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A child that still writes there may win this race; the next start of the machine cleans up.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_private_unique_and_gone_afterwards() {
        use std::os::unix::fs::PermissionsExt;

        let (one, two) = (
            TempDir::new("test").expect("made"),
            TempDir::new("test").expect("made"),
        );
        assert_ne!(one.path(), two.path());
        let mode = one.path().metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        std::fs::create_dir(one.join("deep")).expect("made");
        std::fs::write(one.join("deep/file"), "x").expect("written");
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && two.path().exists());
    }
}
