//! When something is done: renewal by the life of a certificate, another attempt by the number of failures.
//!
//! Both are spread by a jitter that follows from the certificate itself, so that it is the same however often it is
//! asked for, and differs between certificates.

use std::time::Duration;

use chancery_crypto::sha256;
use chancery_pki::UnixTime;

/// The spread of renewals and the least wait of short-lived certificates, as a part of the lifetime.
const SPREAD_PART: u64 = 20;
/// Waits after the first, second, third failure; after later ones the last. In seconds.
const LADDER_SECS: [u64; 4] = [60, 600, 6_000, 86_400];
/// The longest wish of a CA that is followed.
const CA_WISH_SECS_MAX: u64 = 86_400;

/// When a certificate of this life is to be renewed: at two thirds of it, less up to a twentieth of jitter.
pub(crate) fn renew_at(not_before: UnixTime, not_after: UnixTime, seed: &str) -> UnixTime {
    let life = lifetime(not_before, not_after);
    let jitter = part(seed, (life / SPREAD_PART).saturating_add(1));
    let two_thirds = life.saturating_sub(life / 3);
    not_before.plus(two_thirds.saturating_sub(jitter))
}

/// When to try again after so many failures in a row. `life` is the lifetime of the certificate in seconds, where
/// there is one: a short one shortens the waits. `wish` is what the CA asked for.
pub(crate) fn retry_at(
    now: UnixTime,
    failures: u32,
    life: Option<u64>,
    wish: Option<Duration>,
    seed: &str,
) -> UnixTime {
    let rung = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = LADDER_SECS.get(rung).or(LADDER_SECS.last()).copied();
    let wait = wait.unwrap_or_default();
    // ±50 %, so that what failed together is not tried again together.
    let wait = wait / 2 + part(&format!("{seed} {failures}"), wait.saturating_add(1));
    let cap = life.map_or(u64::MAX, |life| (life / SPREAD_PART).max(1));
    let wish = wish.map_or(0, |wish| wish.as_secs().min(CA_WISH_SECS_MAX));
    now.plus(wait.min(cap).max(wish))
}

/// Seconds of a life; none for one that ends before it begins.
pub(crate) fn lifetime(not_before: UnixTime, not_after: UnixTime) -> u64 {
    u64::try_from(not_before.seconds_until(not_after)).unwrap_or_default()
}

/// A number below `range` that follows from the seed.
fn part(seed: &str, range: u64) -> u64 {
    let first = sha256(seed.as_bytes()).first_chunk::<8>().copied();
    let number = u64::from_be_bytes(first.unwrap_or_default());
    number.checked_rem(range).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600;
    const DAY: u64 = 86_400;

    #[test]
    fn short_and_long_lives_are_renewed_between_three_fifths_and_two_thirds() {
        for life in [HOUR, 6 * DAY, 47 * DAY, 3_650 * DAY] {
            for seed in ["a", "b", "c", "d"] {
                let start = UnixTime(1_700_000_000);
                let at = renew_at(start, start.plus(life), seed);
                let age = lifetime(start, at);
                assert!(
                    age * 5 >= life * 3 && age * 3 <= life * 2 + 3,
                    "{life} {age}"
                );
            }
        }
    }

    #[test]
    fn the_jitter_is_the_same_each_time_and_differs_between_certificates() {
        let (start, end) = (UnixTime(0), UnixTime(0).plus(47 * DAY));
        let times: std::collections::BTreeSet<_> = (0..100)
            .map(|n| renew_at(start, end, &n.to_string()))
            .collect();
        assert!(times.len() > 90);
        assert_eq!(renew_at(start, end, "7"), renew_at(start, end, "7"));
    }

    #[test]
    fn h12_failures_are_tried_again_ever_more_slowly() {
        let now = UnixTime(0);
        let waits: Vec<u64> = (1..8)
            .map(|failures| lifetime(now, retry_at(now, failures, None, None, "x")))
            .collect();
        for (wait, full) in waits.iter().zip([60, 600, 6_000, DAY, DAY, DAY, DAY]) {
            assert!((full / 2..=full + full / 2).contains(wait), "{waits:?}");
        }
        // A day of nothing but failures is a handful of attempts.
        let mut at = now;
        let mut attempts = 0;
        while at < UnixTime(86_400) {
            attempts += 1;
            at = retry_at(at, attempts, None, None, "x");
        }
        assert!(attempts <= 6, "{attempts}");
    }

    #[test]
    fn a_short_life_shortens_the_wait_and_the_ca_lengthens_it() {
        let now = UnixTime(0);
        let hour = retry_at(now, 4, Some(HOUR), None, "x");
        assert_eq!(lifetime(now, hour), HOUR / 20);
        let wished = retry_at(now, 1, Some(HOUR), Some(Duration::from_secs(7_200)), "x");
        assert_eq!(lifetime(now, wished), 7_200);
        let greedy = retry_at(now, 1, None, Some(Duration::from_secs(u64::MAX)), "x");
        assert_eq!(lifetime(now, greedy), DAY);
    }

    proptest! {
        #[test]
        fn renewal_always_lies_inside_the_life(start in -10_000_000_000_i64..10_000_000_000, life in 0_u64..1_000_000_000, seed: String) {
            let (start, end) = (UnixTime(start), UnixTime(start).plus(life));
            let at = renew_at(start, end, &seed);
            prop_assert!(at >= start && at <= end);
        }
    }
}
