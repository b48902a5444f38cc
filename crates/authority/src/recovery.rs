//! What the signer's journal knows and the store does not (design §2, failures A7, A9, D8).
//!
//! After a crash, or after an older copy of the store was put back, the engine walks the journal from the stored mark and
//! asks here what to do about each intent.

use chancery_pki::tbs::assemble;
use chancery_pki::{Certificate as Parsed, Serial, UnixTime};

use crate::certificate::{Certificate, CertificateStatus};
use crate::change::Change;
use crate::id::{AccountId, CertificateId, OrderId};
use crate::issuance::shard_of;
use crate::issuer::LiveIssuer;
use crate::order::{Order, OrderEvent, OrderState};

/// Stands where an orphan's signature would be, so that it can be read like any certificate and verifies for nobody.
const NO_SIGNATURE: [u8; 1] = [0];

/// An intent as the journal tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalledIntent {
    /// Its sequence.
    pub sequence: u64,
    /// The serial.
    pub serial: Serial,
    /// The order it was for.
    pub order: OrderId,
    /// The account that asked.
    pub account: AccountId,
    /// The profile's name.
    pub profile: String,
    /// The profile's content.
    pub profile_hash: [u8; 32],
    /// What was to be signed.
    pub tbs: Vec<u8>,
    /// The signature, if it reached the journal.
    pub signature: Option<Vec<u8>>,
}

/// Decides about an intent that the store has no certificate for. `order` is the order as stored, if it is;
/// `spare` is a fresh number for a certificate that its order cannot take.
#[must_use]
pub fn reconcile(
    now: UnixTime,
    intent: &JournalledIntent,
    order: Option<&Order>,
    issuer: &LiveIssuer,
    spare: CertificateId,
) -> Change {
    let own_claim = order.is_some_and(|order| match &order.state {
        OrderState::Processing { claim } => claim.serial == intent.serial,
        OrderState::Pending
        | OrderState::Ready
        | OrderState::Valid { .. }
        | OrderState::Invalid { .. }
        | OrderState::Cancelled => false,
    });
    let moved =
        |event| order.and_then(|order| order.step(now, &event).map(|next| (order.version, next)));
    match &intent.signature {
        // Someone may have the certificate: it is real, and it belongs to the inventory.
        Some(signature) => {
            let algorithm = issuer.certificate.signature_algorithm();
            let der = assemble(&intent.tbs, algorithm, signature);
            let moved = moved(if own_claim {
                OrderEvent::Signed
            } else {
                OrderEvent::Restored
            });
            // An order that has another certificate, or is about to, keeps its number for that one.
            let id = if order.is_none() || moved.is_some() {
                CertificateId::of(intent.order)
            } else {
                spare
            };
            let certificate = from_intent(now, intent, issuer, id, der, CertificateStatus::Good);
            Change::certificate_restored(now, certificate, moved)
        }
        // Nobody can have it, but that cannot be proven: its serial is revoked, and the order may try again.
        None => {
            let status = CertificateStatus::Orphaned { at: now };
            let algorithm = issuer.certificate.signature_algorithm();
            let der = assemble(&intent.tbs, algorithm, &NO_SIGNATURE);
            let certificate = from_intent(now, intent, issuer, spare, der, status);
            let moved = if own_claim {
                moved(OrderEvent::ClaimLost)
            } else {
                None
            };
            Change::certificate_orphaned(now, certificate, moved)
        }
    }
}

fn from_intent(
    now: UnixTime,
    intent: &JournalledIntent,
    issuer: &LiveIssuer,
    id: CertificateId,
    der: Vec<u8>,
    status: CertificateStatus,
) -> Certificate {
    // The signer linted these bytes before it journalled them; a certificate without an end would be listed for ever.
    let not_after = Parsed::parse(&der).map_or(UnixTime(i64::MAX / 2), |parsed| parsed.not_after());
    Certificate {
        id,
        version: 1,
        issuer: issuer.record.id,
        serial: intent.serial,
        order: intent.order,
        account: intent.account,
        profile: intent.profile.clone(),
        profile_hash: intent.profile_hash,
        not_after,
        shard: shard_of(&intent.serial, issuer.record.crl_shards),
        der,
        status,
        journal_sequence: intent.sequence,
        created: now,
    }
}
