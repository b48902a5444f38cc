use std::collections::BTreeMap;
use std::time::Duration;

use crate::flow::Step;
use crate::histogram::Histogram;

/// Different labels that failures are counted by; what comes after goes under one.
const LABELS_MAX: usize = 40;

/// What one worker saw, or all of them together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Orders that ended well within the measured window.
    pub(crate) orders: u64,
    /// Orders that ended well at any time.
    pub(crate) orders_ever: u64,
    /// From the first request to the last answer, of the orders measured.
    pub(crate) order: Histogram,
    /// Each request of the orders measured, by step.
    pub(crate) steps: [Histogram; Step::ALL.len()],
    /// Orders that failed at any time, by reason.
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) bad_nonces: u64,
    pub(crate) reconnections: u64,
}

impl Tally {
    /// Counts an order that ended within the window.
    pub(crate) fn measured(&mut self, took: Duration, requests: &[(Step, Duration)]) {
        self.orders += 1;
        self.order.record(took);
        for (step, took) in requests {
            self.steps[*step as usize].record(*took);
        }
    }

    /// Counts an order that brought nothing.
    pub(crate) fn failed(&mut self, reason: String) {
        let known = self.failures.len() < LABELS_MAX || self.failures.contains_key(&reason);
        let label = if known {
            reason
        } else {
            "something else".to_owned()
        };
        *self.failures.entry(label).or_default() += 1;
    }

    /// Adds what another worker saw.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.orders += other.orders;
        self.orders_ever += other.orders_ever;
        self.order.merge(&other.order);
        for (own, more) in self.steps.iter_mut().zip(&other.steps) {
            own.merge(more);
        }
        for (reason, count) in &other.failures {
            *self.failures.entry(reason.clone()).or_default() += count;
        }
        self.bad_nonces += other.bad_nonces;
        self.reconnections += other.reconnections;
    }

    /// Orders that failed, of all that ended (0 to 1).
    pub(crate) fn failed_share(&self) -> f64 {
        let failed: u64 = self.failures.values().sum();
        let all = failed + self.orders_ever;
        if all == 0 {
            0.0
        } else {
            failed as f64 / all as f64
        }
    }

    /// Signed requests for each order measured, polls that found nothing included.
    pub(crate) fn requests_per_order(&self) -> f64 {
        let requests: u64 = self.steps.iter().map(Histogram::count).sum();
        requests as f64 / self.orders.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn workers_add_up() {
        let mut all = Tally::default();
        for _ in 0..3 {
            let mut one = Tally {
                orders_ever: 2,
                ..Tally::default()
            };
            one.measured(7 * MS, &Step::ALL.map(|step| (step, MS)));
            one.failed("finalize: 400 badCSR".to_owned());
            all.merge(&one);
        }
        assert_eq!((all.orders, all.orders_ever, all.order.count()), (3, 6, 3));
        assert_eq!(all.requests_per_order(), 7.0);
        assert_eq!(all.failures["finalize: 400 badCSR"], 3);
        assert!((all.failed_share() - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_thousand_different_failures_are_few_labels() {
        let mut tally = Tally::default();
        (0..1000).for_each(|number| tally.failed(format!("{number}")));
        assert_eq!(tally.failures.len(), LABELS_MAX + 1);
        assert_eq!(tally.failures["something else"], 1000 - LABELS_MAX as u64);
        assert_eq!(tally.failed_share(), 1.0);
    }

    #[test]
    fn nothing_done_is_no_failure() {
        assert_eq!(Tally::default().failed_share(), 0.0);
        assert_eq!(Tally::default().requests_per_order(), 0.0);
    }
}
