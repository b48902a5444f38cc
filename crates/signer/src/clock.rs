use std::time::{SystemTime, UNIX_EPOCH};

use chancery_pki::UnixTime;

/// Where the time comes from.
pub trait Clock: Send {
    /// The time now.
    fn now(&self) -> UnixTime;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        // Before 1970 counts as 1970: far behind any journal, so nothing is signed.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        UnixTime(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }
}

impl<F: Fn() -> UnixTime + Send> Clock for F {
    fn now(&self) -> UnixTime {
        self()
    }
}
