//! The time, injected (law 12).

use std::time::{SystemTime, UNIX_EPOCH};

use chancery_pki::UnixTime;

/// Where the engine and everything below it learn the time.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970.
    fn now_millis(&self) -> i64;

    /// Seconds since 1970.
    fn now(&self) -> UnixTime {
        UnixTime(self.now_millis().div_euclid(1000))
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_millis(&self) -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}
