use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The three things that the journal asks of a disk, so that a test can count them and make them fail.
pub trait Disk: Send {
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// What the system says; the journal is not used again after one.
    fn write(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the file's bytes and length durable.
    ///
    /// # Errors
    /// What the system says; the journal is not used again after one.
    fn sync(&mut self, file: &File) -> io::Result<()>;

    /// How much room is left where `dir` lies.
    ///
    /// # Errors
    /// What the system says.
    fn space(&mut self, dir: &File) -> io::Result<Space>;
}

/// Room on a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What an unprivileged process may still use.
    pub available_bytes: u64,
    /// The whole size.
    pub total_bytes: u64,
}

impl Space {
    /// The share that is still available, in whole per cent, rounded down.
    #[must_use]
    pub fn available_percent(self) -> u8 {
        let percent = self
            .available_bytes
            .saturating_mul(100)
            .checked_div(self.total_bytes)
            .map_or(0, |percent| percent.min(100));
        u8::try_from(percent).unwrap_or(100)
    }
}

/// The operating system's disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn write(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn space(&mut self, dir: &File) -> io::Result<Space> {
        let stat = rustix::fs::fstatvfs(dir)?;
        Ok(Space {
            available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}
