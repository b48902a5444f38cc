//! The disk watermark: below it nothing new is accepted (law 8, failures G1).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chancery_authority::store::DiskSpace;

/// How often the free space is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The room on a disk, in one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What this user may still fill.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// How the room on the store's disk is found out; tests put another disk in its place.
#[derive(Clone)]
pub struct DiskProbe {
    /// How long an answer counts.
    pub every: Duration,
    /// The room where this folder is. `None` when the disk tells nothing: it is not taken for a full one then, the commit
    /// itself would say so.
    pub look: Look,
}

/// Looks at the disk where a folder is.
pub type Look = Arc<dyn Fn(&Path) -> Option<Room> + Send + Sync>;

impl Default for DiskProbe {
    /// Asks the system, once a second.
    fn default() -> Self {
        let look = |folder: &Path| {
            let facts = rustix::fs::statvfs(folder).ok()?;
            Some(Room {
                free: facts.f_bavail,
                total: facts.f_blocks,
            })
        };
        Self {
            every: LOOK_EVERY,
            look: Arc::new(look),
        }
    }
}

impl fmt::Debug for DiskProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiskProbe(every {:?})", self.every)
    }
}

/// Looks at the free space of the store's disk now and then.
#[derive(Debug)]
pub(super) struct DiskWatch {
    folder: PathBuf,
    percent_min: u8,
    probe: DiskProbe,
    last: Mutex<Option<(Instant, DiskSpace)>>,
}

impl DiskWatch {
    pub(super) fn new(path: &Path, percent_min: u8, probe: DiskProbe) -> Self {
        let folder = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        Self {
            folder: folder.unwrap_or_else(|| Path::new(".")).to_path_buf(),
            percent_min,
            probe,
            last: Mutex::new(None),
        }
    }

    pub(super) fn percent_min(&self) -> u8 {
        self.percent_min
    }

    /// Whether there is room, as seen not long ago.
    pub(super) fn look(&self) -> DiskSpace {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, space)) = *last
            && at.elapsed() < self.probe.every
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
        let Some(room) = (self.probe.look)(&self.folder) else {
            return DiskSpace::Enough;
        };
        let low =
            room.free.saturating_mul(100) < room.total.saturating_mul(u64::from(self.percent_min));
        if low {
            DiskSpace::Low
        } else {
            DiskSpace::Enough
        }
    }
}
