use chancery_crypto::sha256;
use chancery_pki::UnixTime;
use chancery_pki::lint::{self, CrlFacts};

use super::Service;
use super::batch::Permitted;
use crate::journal::{CrlIntent, CrlState, Entry};
use crate::protocol::{Refusal, SignCrl};

/// A CRL older than this was made before an outage; it is made anew, as its revocations may be old too.
const AGE_SECS_MAX: u64 = 3_600;
/// Room that a CRL's entries leave on the disk for everybody else's last words; with less the journal could not be written.
const DISK_BYTES_KEPT: u64 = 64 << 10;

/// Octets of one revocation in the journal, generously.
const REVOCATION_BYTES: u64 = 64;

impl Service {
    /// Judges a CRL by itself: the signer's own lint, and numbers and times that only go up (RFC 5280 §5.2.3).
    pub(crate) fn check_crl<'a>(
        &self,
        now: UnixTime,
        request: SignCrl<'a>,
    ) -> Result<Permitted<'a>, Refusal> {
        self.check_clock(now)?;
        let keys = self.keys.as_ref().ok_or(Refusal::NotMade)?;
        let issuer = keys
            .by_key_id(&request.issuer)
            .ok_or(Refusal::UnknownIssuer)?;
        let facts = lint::lint_crl(request.tbs, &issuer.certificate)
            .map_err(|error| Refusal::lint(&error))?;
        if facts.number != request.number || request.added.len() > facts.entry_count {
            return Err(Refusal::NumberMismatch);
        }
        if facts.this_update > now || facts.this_update < now.minus(AGE_SECS_MAX) {
            return Err(Refusal::NotNow {
                begins: facts.this_update,
                now,
            });
        }
        self.check_crl_goes_up(&request, &facts)?;
        // The journal takes the revocations that are new, not the list.
        let room = u64::try_from(request.added.len())
            .unwrap_or(u64::MAX)
            .saturating_mul(REVOCATION_BYTES)
            .saturating_add(DISK_BYTES_KEPT);
        if self.space.available_bytes < room {
            return Err(Refusal::JournalDiskLow {
                available_percent: self.space.available_percent(),
            });
        }
        let state = CrlState {
            issuer: request.issuer,
            shard: request.shard,
            number: facts.number,
            this_update: facts.this_update,
            next_update: facts.next_update,
        };
        let intent = CrlIntent {
            state,
            tbs_digest: sha256(request.tbs),
            added: request.added,
        };
        Ok(Permitted {
            issuer: request.issuer,
            intent: Entry::CrlIntent(intent),
            crl_tbs: Some(request.tbs),
        })
    }

    fn check_crl_goes_up(&self, request: &SignCrl<'_>, facts: &CrlFacts) -> Result<(), Refusal> {
        let Some(last) = self.journal.crl(request.issuer, request.shard) else {
            return Ok(());
        };
        if facts.number <= last.number {
            return Err(Refusal::NumberNotIncreasing {
                shard: request.shard,
                last: last.number,
                asked: facts.number,
            });
        }
        if facts.this_update <= last.this_update {
            return Err(Refusal::TimeNotIncreasing {
                shard: request.shard,
                last: last.this_update,
                asked: facts.this_update,
            });
        }
        Ok(())
    }
}
