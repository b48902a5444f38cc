//! The disk watermark: below it nothing new is accepted (law 8, failures G1).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chancery_authority::store::DiskSpace;

/// How often the free space is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks at the free space of the store's disk now and then.
#[derive(Debug)]
pub(super) struct DiskWatch {
    folder: PathBuf,
    percent_min: u8,
    last: Mutex<Option<(Instant, DiskSpace)>>,
}

impl DiskWatch {
    pub(super) fn new(path: &Path, percent_min: u8) -> Self {
        let folder = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        Self {
            folder: folder.unwrap_or_else(|| Path::new(".")).to_path_buf(),
            percent_min,
            last: Mutex::new(None),
        }
    }

    pub(super) fn percent_min(&self) -> u8 {
        self.percent_min
    }

    /// Whether there is room, as seen within the last second.
    pub(super) fn look(&self) -> DiskSpace {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, space)) = *last
            && at.elapsed() < LOOK_EVERY
        {
            return space;
        }
        let space = self.measure();
        if last.is_some_and(|(_, before)| before != space) {
            let percent_min = self.percent_min;
            tracing::warn!(?space, percent_min, "free disk space crossed the watermark");
        }
        *last = Some((Instant::now(), space));
        space
    }

    fn measure(&self) -> DiskSpace {
        // A disk that tells nothing is not taken for a full one: the commit itself would say so.
        let Ok(facts) = rustix::fs::statvfs(&self.folder) else {
            return DiskSpace::Enough;
        };
        let low = facts.f_bavail.saturating_mul(100)
            < facts.f_blocks.saturating_mul(u64::from(self.percent_min));
        if low {
            DiskSpace::Low
        } else {
            DiskSpace::Enough
        }
    }
}
