use std::time::Duration;

/// Each power of two of microseconds is divided into this many buckets, so that a quantile is at most 1.6 % off.
const STEPS: usize = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// What is longer (134 s, beyond every deadline here) counts as this long.
const MICROS_MAX: u64 = (1 << 27) - 1;
const BUCKETS: usize = (27 - STEP_BITS as usize + 1) * STEPS;

/// Counts of durations in fixed buckets: recording is one addition, whatever the number of values.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    buckets: Box<[u64; BUCKETS]>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: Box::new([0; BUCKETS]),
            count: 0,
        }
    }
}

impl Histogram {
    /// Counts one duration.
    pub(crate) fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(MICROS_MAX);
        self.buckets[bucket(micros.min(MICROS_MAX))] += 1;
        self.count += 1;
    }

    /// Adds what another one counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (own, more) in self.buckets.iter_mut().zip(other.buckets.iter()) {
            *own += more;
        }
        self.count += other.count;
    }

    /// How many durations were counted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The duration that `share` of all (0 to 1) do not exceed, in milliseconds, rounded up to its bucket's end;
    /// 0 without any.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper_micros(index) as f64 / 1000.0;
            }
        }
        0.0
    }
}

fn bucket(micros: u64) -> usize {
    let highest_bit = u64::BITS - 1 - micros.max(1).leading_zeros();
    let shift = highest_bit.saturating_sub(STEP_BITS);
    // Below 128 the bucket is the value; above, `micros >> shift` is between 64 and 127.
    shift as usize * STEPS + (micros >> shift) as usize
}

fn upper_micros(bucket: usize) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let steps = bucket - shift * STEPS;
    ((steps as u64 + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        micros
            .into_iter()
            .for_each(|value| histogram.record(Duration::from_micros(value)));
        histogram
    }

    #[test]
    fn every_value_lies_in_a_bucket_that_ends_at_most_two_percent_above_it() {
        let mut values: Vec<u64> = (0..2000)
            .chain((11..27).map(|bit| (1 << bit) - 1))
            .collect();
        values.extend((11..27).map(|bit| 1 << bit));
        values.push(MICROS_MAX);
        for value in values {
            let upper = upper_micros(bucket(value));
            assert!(upper >= value, "{value} above its bucket's end {upper}");
            assert!(
                upper - value <= value / 50,
                "{value} in a bucket up to {upper}"
            );
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for index in 1..BUCKETS {
            assert_eq!(bucket(upper_micros(index - 1) + 1), index);
        }
        assert_eq!(upper_micros(BUCKETS - 1), MICROS_MAX);
    }

    #[test]
    fn quantiles_of_a_thousand_even_values() {
        let histogram = of((1..=1000).map(|value| value * 100));
        assert_eq!(histogram.count(), 1000);
        let near = |share: f64, expected: f64| {
            let seen = histogram.quantile_ms(share);
            assert!(
                (seen / expected - 1.0).abs() < 0.02,
                "{share}: {seen}, not {expected}"
            );
        };
        near(0.5, 50.0);
        near(0.99, 99.0);
        near(1.0, 100.0);
        near(0.0, 0.1);
    }

    #[test]
    fn one_slow_value_in_a_hundred_and_one_is_the_p99_of_none_but_the_maximum() {
        let histogram = of(std::iter::repeat_n(1000, 100).chain([9_000_000]));
        assert!(histogram.quantile_ms(0.99) < 1.1);
        assert!(histogram.quantile_ms(1.0) > 8_999.0);
    }

    #[test]
    fn nothing_recorded_is_zero_and_what_is_too_long_is_the_longest() {
        assert_eq!(of([]).quantile_ms(0.5), 0.0);
        let mut histogram = of([]);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.quantile_ms(0.5), MICROS_MAX as f64 / 1000.0);
    }

    #[test]
    fn merging_is_the_same_as_recording_into_one() {
        let mut merged = of(1..500);
        merged.merge(&of(500..1000));
        let whole = of(1..1000);
        assert_eq!(merged.count(), whole.count());
        assert_eq!(merged.buckets, whole.buckets);
    }
}
