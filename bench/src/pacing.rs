use std::time::Duration;

/// How long the workers wait, so that a server is asked when there is something to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pacing {
    /// Before the first look at an authorization whose challenge was answered, or an order that was finalized.
    pub(crate) first: Duration,
    /// Before each further look.
    pub(crate) next: Duration,
    /// For a server that must not be crowded: both pauses are at least this long for each worker, and the workers
    /// begin one after the other, spread evenly over the time that the two pauses of an order then take.
    pub(crate) per_worker: Duration,
}

impl Pacing {
    /// The pauses of each of so many workers.
    pub(crate) fn among(self, workers: u16) -> Self {
        let least = self.per_worker * u32::from(workers);
        Self {
            first: self.first.max(least),
            next: self.next.max(least),
            ..self
        }
    }

    /// When a worker begins, counted from the first one.
    pub(crate) fn start_of(self, worker: u32) -> Duration {
        self.per_worker * 2 * worker
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_waits_longer_and_begins_spread_over_two_pauses() {
        let ms = Duration::from_millis;
        let pacing = Pacing {
            first: ms(10),
            next: ms(50),
            per_worker: ms(4),
        };
        assert_eq!(pacing.among(1), pacing);
        let crowd = pacing.among(64);
        assert_eq!((crowd.first, crowd.next), (ms(256), ms(256)));
        assert_eq!(crowd.start_of(0), ms(0));
        assert_eq!(crowd.start_of(64), 2 * crowd.first);
    }
}
