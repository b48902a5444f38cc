use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// The moment by which a whole undertaking must be over, however many steps it takes.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    total: Duration,
}

/// A deadline passed; it shows how long the time was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed(pub Duration);

impl Deadline {
    /// The moment `total` from now.
    #[must_use]
    pub fn after(total: Duration) -> Self {
        Self {
            at: Instant::now() + total,
            total,
        }
    }

    /// This deadline, or `limit` from now where that is sooner.
    #[must_use]
    pub fn or_after(self, limit: Duration) -> Self {
        let limited = Self::after(limit);
        if limited.at < self.at { limited } else { self }
    }

    /// Time left, zero when it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Runs a step, and drops it at the deadline.
    ///
    /// # Errors
    /// [`Elapsed`] where the step was not done in time.
    pub async fn bound<T>(self, step: impl Future<Output = T>) -> Result<T, Elapsed> {
        timeout_at(self.at, step)
            .await
            .map_err(|_| Elapsed(self.total))
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.subsec_millis() == 0 {
            write!(f, "{} s", self.0.as_secs())
        } else {
            write!(f, "{} ms", self.0.as_millis())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_sooner_of_two_deadlines_counts_and_tells_its_length() {
        let deadline = Deadline::after(Duration::from_secs(10)).or_after(Duration::from_millis(5));
        let elapsed = deadline
            .bound(std::future::pending::<()>())
            .await
            .expect_err("never done");
        assert_eq!(elapsed.to_string(), "5 ms");
        assert_eq!(deadline.remaining(), Duration::ZERO);
        assert_eq!(Elapsed(Duration::from_secs(10)).to_string(), "10 s");
        assert_eq!(
            deadline.or_after(Duration::from_secs(1)).total,
            Duration::from_millis(5)
        );
    }
}
