//! When something is done: renewal by the life of a certificate or at a moment drawn in the window that its CA advises,
//! another attempt by the number of failures, a question about renewal when the CA says.
//!
//! All but the draw is spread by a jitter that follows from the certificate itself, so that it is the same however often
//! it is asked for, and differs between certificates.

use std::time::Duration;

use chancery_crypto::{Entropy, sha256};
use chancery_pki::UnixTime;

/// The spread of renewals and the least wait of short-lived certificates, as a part of the lifetime.
const SPREAD_PART: u64 = 20;
/// Waits after the first, second, third failure; after later ones the last. In seconds.
const LADDER_SECS: [u64; 4] = [60, 600, 6_000, 86_400];
/// The longest wish of a CA that is followed.
const CA_WISH_SECS_MAX: u64 = 86_400;
/// The part of a life that is left when renewal is not put off any more, whatever the CA advises. Of 47 days it is
/// nearly five, in which several attempts find a CA that is down for a weekend; of six days it is a night.
const SAFE_PART: u64 = 10;
/// Bounds of the wait between two questions about renewal (RFC 9773 §4.3.2), and the wait where the CA names none or has
/// no answer that can be used (§4.3.3).
const ASK_SECS_MIN: u64 = 60;
const ASK_SECS_MAX: u64 = 86_400;
const ASK_SECS: u64 = 6 * 3_600;
/// The least time between two renewals that the CA hurries, unless the life is short.
const HURRY_SECS: u64 = 3_600;

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

/// The last moment to which a CA's advice can put a renewal off.
pub(crate) fn latest_safe(not_before: UnixTime, not_after: UnixTime) -> UnixTime {
    not_after.minus(lifetime(not_before, not_after) / SAFE_PART)
}

/// The first moment at which a CA can hurry another renewal. One whose windows are always over would have every new
/// certificate replaced at once, for ever.
pub(crate) fn hurry_again_at(
    hurried: UnixTime,
    not_before: UnixTime,
    not_after: UnixTime,
) -> UnixTime {
    let part = lifetime(not_before, not_after) / SPREAD_PART;
    hurried.plus(part.min(HURRY_SECS))
}

/// A moment in a window, each as likely as any other (RFC 9773 §4.2).
pub(crate) fn draw(start: UnixTime, end: UnixTime, entropy: &dyn Entropy) -> UnixTime {
    let mut random = [0; 8];
    entropy.fill(&mut random);
    let range = u128::from(lifetime(start, end));
    // Seconds weigh equally to one part in 2^64 divided by their number.
    let secs = (u128::from(u64::from_be_bytes(random)) * range) >> 64_u32;
    start.plus(u64::try_from(secs).unwrap_or_default())
}

/// When to ask again after an answer about renewal.
pub(crate) fn ask_at(now: UnixTime, wish: Option<Duration>) -> UnixTime {
    let secs = wish.map_or(ASK_SECS, |wish| {
        wish.as_secs().clamp(ASK_SECS_MIN, ASK_SECS_MAX)
    });
    now.plus(secs)
}

/// When to ask again after so many questions in a row that met no answer.
pub(crate) fn ask_again_at(
    now: UnixTime,
    failures: u32,
    life: u64,
    wish: Option<Duration>,
    seed: &str,
) -> UnixTime {
    let wait = retry_at(now, failures, Some(life), None, seed)
        .clamp(now.plus(ASK_SECS_MIN), now.plus(ASK_SECS));
    wish.map_or(wait, |wish| wait.max(ask_at(now, Some(wish))))
}

/// Whether it is time to ask. A time further away than any wait was written while the clock was wrong.
pub(crate) fn is_time_to_ask(now: UnixTime, ask_at: UnixTime) -> bool {
    ask_at <= now || ask_at > now.plus(ASK_SECS_MAX)
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
    use chancery_testkit::SeededEntropy;
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
    fn a_ca_is_asked_again_when_it_says_within_a_minute_and_a_day() {
        let now = UnixTime(0);
        let wait = |wish: Option<u64>| lifetime(now, ask_at(now, wish.map(Duration::from_secs)));
        assert_eq!(wait(None), 6 * HOUR);
        for (wish, expected) in [
            (0, 60),
            (59, 60),
            (60, 60),
            (7_200, 7_200),
            (DAY, DAY),
            (DAY + 1, DAY),
            (u64::MAX, DAY),
        ] {
            assert_eq!(wait(Some(wish)), expected, "{wish}");
        }
        for (at, expected) in [
            (-1, true),
            (0, true),
            (1, false),
            (86_400, false),
            (86_401, true),
        ] {
            assert_eq!(is_time_to_ask(now, UnixTime(at)), expected, "{at}");
        }
        // What was never asked, and a record from the end of time.
        assert!(is_time_to_ask(now, UnixTime(i64::MIN)) && is_time_to_ask(now, UnixTime(i64::MAX)));
    }

    #[test]
    fn questions_without_an_answer_come_ever_more_slowly_up_to_six_hours() {
        let now = UnixTime(0);
        let wait = |failures, life, wish: Option<u64>| {
            let wish = wish.map(Duration::from_secs);
            lifetime(now, ask_again_at(now, failures, life, wish, "x"))
        };
        for (failures, full) in [(1, 60), (2, 600), (3, 6_000)] {
            let wait = wait(failures, 47 * DAY, None);
            assert!(
                (full / 2..=full + full / 2).contains(&wait) && wait >= 60,
                "{wait}"
            );
        }
        assert_eq!(wait(4, 47 * DAY, None), 6 * HOUR);
        assert_eq!(wait(u32::MAX, 47 * DAY, None), 6 * HOUR);
        // A life of ten minutes does not make it less than a minute, and the CA may make it more.
        assert_eq!(wait(4, 600, None), 60);
        assert_eq!(wait(1, 47 * DAY, Some(7 * HOUR)), 7 * HOUR);
        assert_eq!(wait(4, 47 * DAY, Some(1)), 6 * HOUR);
        assert_eq!(wait(1, 47 * DAY, Some(u64::MAX)), DAY);
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

    #[test]
    fn the_moment_is_drawn_evenly_from_the_whole_window() {
        let entropy = SeededEntropy::new(1);
        let (start, end) = (UnixTime(-50), UnixTime(50));
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let at = draw(start, end, &entropy);
            assert!(at >= start && at < end);
            tenths[usize::try_from(at.0 + 50).expect("inside") / 10] += 1;
        }
        assert!(
            tenths.iter().all(|count| (900..1_100).contains(count)),
            "{tenths:?}"
        );
        assert_eq!(draw(start, start.plus(1), &entropy), start);
    }

    #[test]
    fn the_last_tenth_of_a_life_is_nobodys_to_give_away_and_hurry_has_its_pause() {
        let start = UnixTime(1_000);
        let safe = latest_safe(start, start.plus(47 * DAY));
        assert_eq!(lifetime(start, safe), 47 * DAY - 406_080);
        let pause = |life| lifetime(start, hurry_again_at(start, start, start.plus(life)));
        assert_eq!((pause(47 * DAY), pause(HOUR)), (HOUR, 180));
    }

    proptest! {
        #[test]
        fn no_window_is_too_strange_to_draw_from(start: i64, end: i64, seed: u64) {
            let (start, end) = (UnixTime(start.min(end)), UnixTime(start.max(end)));
            let at = draw(start, end, &SeededEntropy::new(seed));
            prop_assert!(at >= start && at <= end);
        }

        #[test]
        fn renewal_always_lies_inside_the_life(start in -10_000_000_000_i64..10_000_000_000, life in 0_u64..1_000_000_000, seed: String) {
            let (start, end) = (UnixTime(start), UnixTime(start).plus(life));
            let at = renew_at(start, end, &seed);
            prop_assert!(at >= start && at <= end);
        }
    }
}
