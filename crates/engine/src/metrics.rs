//! What the engine counts.

use std::sync::atomic::{AtomicU64, Ordering};

use chancery_acme::ChallengeKind;
use chancery_authority::authorization::Finding;

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    issued: AtomicU64,
    crls_published: AtomicU64,
    crls_failed: AtomicU64,
    validations: [[AtomicU64; 2]; ChallengeKind::ALL.len()],
}

impl Metrics {
    pub(crate) fn issued(&self) {
        self.issued.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn crl_published(&self) {
        self.crls_published.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn crl_failed(&self) {
        self.crls_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn validated(&self, kind: ChallengeKind, finding: &Finding) {
        let result = match finding {
            Finding::Proved(_) => 0,
            Finding::Failed(_) => 1,
        };
        let row = ChallengeKind::ALL.iter().position(|known| *known == kind);
        if let Some(counter) = row.and_then(|row| self.validations.get(row)?.get(result)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counts in the Prometheus text format.
    #[must_use]
    pub fn render(&self) -> String {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut out = format!(
            "# TYPE chancery_issued_total counter\nchancery_issued_total {}\n\
             # TYPE chancery_crl_publish_total counter\n\
             chancery_crl_publish_total{{result=\"ok\"}} {}\n\
             chancery_crl_publish_total{{result=\"failed\"}} {}\n\
             # TYPE chancery_validation_total counter\n",
            read(&self.issued),
            read(&self.crls_published),
            read(&self.crls_failed)
        );
        for (kind, counters) in ChallengeKind::ALL.iter().zip(&self.validations) {
            for (result, counter) in ["valid", "invalid"].iter().zip(counters) {
                out.push_str(&format!(
                    "chancery_validation_total{{challenge=\"{}\",result=\"{result}\"}} {}\n",
                    kind.name(),
                    read(counter)
                ));
            }
        }
        out
    }
}
