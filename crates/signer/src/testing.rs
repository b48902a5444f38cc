//! What several test modules need: a folder that goes away, and a disk that counts and fails.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};

use crate::journal::{Disk, Space, SystemDisk};

/// A folder under the system's temporary one, removed with the value.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "chancery-signer-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, SeqCst)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a test sees of a [`TestDisk`] and sets on it.
#[derive(Debug, Default)]
pub(crate) struct DiskWatch {
    pub(crate) syncs: AtomicUsize,
    pub(crate) writes: AtomicUsize,
    /// The how-manieth call of `write` or `sync` fails; 0 for none.
    pub(crate) fail_at: AtomicUsize,
    /// Free space in per cent; 0 stands for what the system says.
    pub(crate) free_percent: AtomicU8,
    calls: AtomicUsize,
}

impl DiskWatch {
    /// Lets the `calls`th call from now on fail.
    pub(crate) fn fail_in(&self, calls: usize) {
        self.fail_at.store(self.calls.load(SeqCst) + calls, SeqCst);
    }

    fn call(&self) -> io::Result<()> {
        let call = self.calls.fetch_add(1, SeqCst) + 1;
        if call == self.fail_at.load(SeqCst) {
            return Err(io::Error::other("injected"));
        }
        Ok(())
    }
}

/// The system's disk, watched.
pub(crate) struct TestDisk(pub(crate) Arc<DiskWatch>);

impl Disk for TestDisk {
    fn write(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.call()?;
        self.0.writes.fetch_add(1, SeqCst);
        SystemDisk.write(file, offset, bytes)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        self.0.call()?;
        self.0.syncs.fetch_add(1, SeqCst);
        SystemDisk.sync(file)
    }

    fn space(&mut self, dir: &File) -> io::Result<Space> {
        match self.0.free_percent.load(SeqCst) {
            0 => SystemDisk.space(dir),
            percent => Ok(Space {
                available_bytes: u64::from(percent) << 30,
                total_bytes: 100 << 30,
            }),
        }
    }
}
