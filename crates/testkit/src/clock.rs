use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chancery_pki::time::UnixTime;

/// A clock that stands still until it is told otherwise. Clones show the same time.
#[derive(Debug, Clone)]
pub struct FakeClock(Arc<AtomicI64>);

impl FakeClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: UnixTime) -> Self {
        Self(Arc::new(AtomicI64::new(now.0)))
    }

    /// The time shown.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        UnixTime(self.0.load(Ordering::SeqCst))
    }

    /// Shows another time, earlier or later.
    pub fn set(&self, now: UnixTime) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Moves on by `seconds`, or back when they are negative, and gives the new time.
    pub fn advance(&self, seconds: i64) -> UnixTime {
        UnixTime(self.0.fetch_add(seconds, Ordering::SeqCst) + seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_clones_show_the_time_that_was_set() {
        let clock = FakeClock::new(UnixTime(1_000));
        let other = clock.clone();
        assert_eq!(clock.advance(60), UnixTime(1_060));
        assert_eq!(other.now(), UnixTime(1_060));
        other.set(UnixTime(5));
        assert_eq!(clock.advance(-6), UnixTime(-1));
    }
}
