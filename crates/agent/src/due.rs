use std::fmt;

use chancery_acme::CertId;
use chancery_pki::{Certificate, UnixTime};
use serde::{Serialize, Serializer};

use crate::schedule;
use crate::state::{CertificateRecord, Window};

/// When a certificate is renewed, and why then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    /// When.
    pub(crate) at: UnixTime,
    /// Why then.
    pub(crate) rule: RenewalRule,
    /// When it would be without advice.
    by_life: UnixTime,
}

/// What sets the time of a renewal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RenewalRule {
    /// Two thirds of its life: the CA has given no advice.
    Life,
    /// A moment drawn in the window that the CA advises (RFC 9773).
    Advice(RenewalWindow),
    /// The beginning of the last tenth of its life, because the CA advises a later time than that.
    LastTenth(RenewalWindow),
}

/// The time in which the CA advises to renew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RenewalWindow {
    /// Its first second.
    #[serde(serialize_with = "rfc3339")]
    pub start: UnixTime,
    /// Its end.
    #[serde(serialize_with = "rfc3339")]
    pub end: UnixTime,
    /// A page for people on why, as the CA wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation_url: Option<String>,
}

impl Due {
    /// When this certificate is to be renewed, by what is known of it.
    pub(crate) fn of(leaf: &Certificate, record: &CertificateRecord) -> Self {
        let (not_before, not_after) = (leaf.not_before(), leaf.not_after());
        // The serial number is what the jitter follows from.
        let by_life = schedule::renew_at(not_before, not_after, &leaf.serial().to_hex());
        let Some(window) = advised(leaf, record) else {
            return Self {
                at: by_life,
                rule: RenewalRule::Life,
                by_life,
            };
        };
        let mut at = UnixTime(window.drawn);
        if let Some(hurried) = record.hurried {
            let again = schedule::hurry_again_at(UnixTime(hurried), not_before, not_after);
            at = at.max(again.min(by_life));
        }
        let safe = schedule::latest_safe(not_before, not_after);
        let (at, rule) = if at > safe {
            (safe, RenewalRule::LastTenth(window.into()))
        } else {
            (at, RenewalRule::Advice(window.into()))
        };
        Self { at, rule, by_life }
    }

    /// Whether it is only for the CA's advice that the time has come by `now`.
    pub(crate) fn is_hurried(&self, now: UnixTime) -> bool {
        self.at <= now && now < self.by_life
    }
}

/// The window that the CA told for this very certificate.
fn advised<'a>(leaf: &Certificate, record: &'a CertificateRecord) -> Option<&'a Window> {
    let advice = record.advice.as_ref()?;
    let is_about_it = CertId::of(leaf)?.to_string() == advice.certificate;
    advice.window.as_ref().filter(|_| is_about_it)
}

impl From<&Window> for RenewalWindow {
    fn from(window: &Window) -> Self {
        Self {
            start: UnixTime(window.start),
            end: UnixTime(window.end),
            explanation_url: window.explanation.clone(),
        }
    }
}

impl fmt::Display for RenewalRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Life => f.write_str("two thirds of its life"),
            Self::Advice(window) => write!(f, "the CA advises {window}"),
            Self::LastTenth(window) => {
                write!(
                    f,
                    "the last tenth of its life begins; the CA advises {window}"
                )
            }
        }
    }
}

/// `2026-01-01T00:00:00Z to 2026-01-03T00:00:00Z, see https://ca.test/why`
impl fmt::Display for RenewalWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (self.start.to_rfc3339(), self.end.to_rfc3339());
        write!(f, "{start} to {end}")?;
        match &self.explanation_url {
            Some(url) => write!(f, ", see {url}"),
            None => Ok(()),
        }
    }
}

fn rfc3339<S: Serializer>(time: &UnixTime, target: S) -> Result<S::Ok, S::Error> {
    target.serialize_str(&time.to_rfc3339())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chancery_crypto::{Curve, KeyKind, PrivateKey};
    use chancery_pki::San;

    use super::*;
    use crate::Request;
    use crate::state::Advice;
    use crate::test_authority::{Authority, NOW};

    const DAY: u64 = 86_400;

    fn leaf() -> Certificate {
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("made");
        let names = BTreeSet::from([San::parse("a.test").expect("a name")]);
        let der = Authority::new().leaf(key.public(), &names, NOW);
        Certificate::parse(&der).expect("a certificate")
    }

    /// A record with advice on the certificate of that name.
    fn record(certificate: &str, drawn: UnixTime, hurried: Option<UnixTime>) -> CertificateRecord {
        let request = Request::new(&["a.test"]).expect("good");
        let mut record = CertificateRecord::of(&request, "https://ca.test/");
        record.hurried = hurried.map(|at| at.0);
        record.advice = Some(Advice {
            window: Some(Window {
                start: drawn.0 - 5,
                end: drawn.0 + 5,
                drawn: drawn.0,
                explanation: None,
            }),
            ..Advice::unasked(certificate.to_owned())
        });
        record
    }

    #[test]
    fn advice_on_another_certificate_counts_as_none() {
        let (leaf, other) = (leaf(), leaf());
        let id = |leaf| CertId::of(leaf).expect("named").to_string();
        let drawn = NOW.plus(DAY);
        let due = Due::of(&leaf, &record(&id(&leaf), drawn, None));
        assert_eq!(due.at, drawn);
        let due = Due::of(&leaf, &record(&id(&other), drawn, None));
        assert_eq!((due.at, due.rule), (due.by_life, RenewalRule::Life));
    }

    #[test]
    fn only_a_hurried_renewal_waits_for_the_pause_and_never_beyond_its_time_by_life() {
        let leaf = leaf();
        let id = CertId::of(&leaf).expect("named").to_string();
        let due = |drawn, hurried| Due::of(&leaf, &record(&id, drawn, Some(hurried)));
        let by_life = due(NOW, NOW).by_life;
        let pause = 3_600;
        assert_eq!(due(NOW, NOW).at, NOW.plus(pause));
        assert_eq!(
            due(NOW.minus(DAY), NOW.minus(DAY)).at,
            NOW.minus(DAY).plus(pause)
        );
        assert_eq!(due(NOW.plus(DAY), NOW).at, NOW.plus(DAY));
        // A clock that was wrong once cannot hold a renewal up.
        assert_eq!(due(NOW, NOW.plus(1_000 * DAY)).at, by_life);

        let due = due(NOW.plus(DAY), NOW);
        assert!(!due.is_hurried(NOW) && due.is_hurried(NOW.plus(DAY)));
        assert!(due.is_hurried(by_life.minus(1)) && !due.is_hurried(by_life));
    }
}
