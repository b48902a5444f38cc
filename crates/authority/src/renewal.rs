//! When a certificate should be renewed (RFC 9773): early enough for several attempts, and not all at once.

use std::time::Duration;

use chancery_pki::UnixTime;

use crate::certificate::{Certificate, CertificateStatus};

/// Clients ask again after at most this long; less for certificates that live short.
const ASK_AGAIN_MAX: Duration = Duration::from_secs(6 * 3600);
const ASK_AGAIN_MIN: Duration = Duration::from_secs(60);

/// A window that has passed: its length where a certificate must be replaced at once.
const PAST_SECS: i64 = 3600;

/// The time in which clients should renew, and when to ask whether it has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalWindow {
    /// The first second.
    pub start: UnixTime,
    /// The end; after `start`.
    pub end: UnixTime,
    /// When to ask again.
    pub ask_again: Duration,
}

impl RenewalWindow {
    /// The window of a certificate: around two thirds of its life, a twelfth of it long, and moved by its serial so that what
    /// was issued in one hour is not renewed in one hour. What is revoked should have been replaced already.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Self {
        let life = certificate
            .created
            .seconds_until(certificate.not_after)
            .max(12);
        let ask_again = Duration::from_secs(u64::try_from(life / 10).unwrap_or(0))
            .clamp(ASK_AGAIN_MIN, ASK_AGAIN_MAX);
        let (start, end) = match certificate.status {
            CertificateStatus::Good => {
                let length = life / 12;
                let [.., high, low] = certificate.serial.as_bytes();
                let place = i64::from(u16::from_be_bytes([*high, *low]));
                let shift = length * place / i64::from(u16::MAX);
                let start = certificate.created.0 + life * 2 / 3 - length + shift;
                (UnixTime(start), UnixTime(start + length))
            }
            CertificateStatus::Revoked { at, .. } | CertificateStatus::Orphaned { at } => {
                (UnixTime(at.0 - PAST_SECS), at)
            }
        };
        Self {
            start,
            end,
            ask_again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AccountId;
    use crate::world::{World, names};

    const DAY: i64 = 24 * 3600;

    fn certificate(world: &mut World) -> Certificate {
        let wanted = names(&["a.test"]).expect("a name");
        world.issue(AccountId(1), wanted).certificate
    }

    #[test]
    fn the_window_ends_well_before_the_certificate_and_differs_from_one_to_the_next() {
        let mut world = World::new(1);
        let all: Vec<Certificate> = (0..50).map(|_| certificate(&mut world)).collect();
        let windows: Vec<RenewalWindow> = all.iter().map(RenewalWindow::of).collect();
        for (certificate, window) in all.iter().zip(&windows) {
            let life = certificate.created.seconds_until(certificate.not_after);
            assert!(window.start < window.end);
            let begins = certificate.created.seconds_until(window.start);
            assert!(
                begins > life / 2 && begins < life * 2 / 3,
                "{begins} of {life}"
            );
            let left = window.end.seconds_until(certificate.not_after);
            assert!(left > life / 5, "{left} of {life}");
            assert_eq!(window.ask_again, ASK_AGAIN_MAX);
        }
        let (first, last) = (
            windows.iter().map(|it| it.start.0).min(),
            windows.iter().map(|it| it.start.0).max(),
        );
        assert!(last > first.map(|first| first + DAY), "spread over days");
    }

    #[test]
    fn what_lives_short_is_asked_about_often() {
        let mut world = World::new(1);
        let mut short = certificate(&mut world);
        for (life, secs) in [(1, 60), (300, 60), (DAY, 8640), (90 * DAY, 21_600)] {
            short.not_after = UnixTime(short.created.0 + life);
            let window = RenewalWindow::of(&short);
            assert_eq!(window.ask_again.as_secs(), secs, "{life}");
            assert!(window.start < window.end, "{life}");
        }
    }

    #[test]
    fn a_revoked_certificate_should_have_been_replaced_already() {
        let mut world = World::new(1);
        let good = certificate(&mut world);
        let (_, revoked) = world.revocation(&good, world.now);
        let window = RenewalWindow::of(&revoked);
        assert!(window.start < window.end && window.end <= world.now);
    }
}
