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
        replaced_by: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{ChangeKind, Expect, Record};
    use crate::order::Claim;
    use crate::world::{Issued, World, names, order_in};

    struct Case {
        world: World,
        issued: Issued,
        spare: CertificateId,
    }

    impl Case {
        fn new() -> Self {
            let mut world = World::new(1);
            let issued = world.issue(AccountId(1), names(&["a.test"]).expect("a name"));
            let spare = world.spare();
            Self {
                world,
                issued,
                spare,
            }
        }

        /// The order as an older copy of the store may have it.
        fn order(&self, state: &str) -> Option<Order> {
            let OrderState::Processing { claim } = &self.issued.claimed.state else {
                panic!("it claims")
            };
            let serial = Serial::new(self.world.now, [9; 16]);
            let state = match state {
                "no order" => return None,
                "pending" => OrderState::Pending,
                "ready" => OrderState::Ready,
                "its claim" => OrderState::Processing {
                    claim: claim.clone(),
                },
                "another claim" => OrderState::Processing {
                    claim: Claim {
                        serial,
                        ..claim.clone()
                    },
                },
                "valid" => OrderState::Valid {
                    csr_digest: [1; 32],
                },
                _ => OrderState::Cancelled,
            };
            Some(Order {
                state,
                ..self.issued.claimed.clone()
            })
        }

        fn reconcile(&self, signature: Option<Vec<u8>>, state: &str) -> Change {
            let intent = JournalledIntent {
                signature,
                ..self.issued.intent.clone()
            };
            let order = self.order(state);
            reconcile(
                self.world.now,
                &intent,
                order.as_ref(),
                &self.world.issuer,
                self.spare,
            )
        }

        fn certificate(change: &Change) -> Certificate {
            let write = change.writes().first().expect("a certificate is written");
            assert_eq!(write.expect, Expect::Absent);
            match &write.record {
                Record::Certificate(certificate) => certificate.clone(),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a9_what_was_signed_comes_back_under_its_order_unless_that_has_another() {
        let case = Case::new();
        let signature = case.issued.intent.signature.clone();
        for (state, moved_to, own_number) in [
            ("no order", None, true),
            ("pending", Some("valid"), true),
            ("ready", Some("valid"), true),
            ("its claim", Some("valid"), true),
            ("another claim", Some("valid"), true),
            ("valid", None, false),
            ("cancelled", Some("valid"), true),
        ] {
            let change = case.reconcile(signature.clone(), state);
            assert_eq!(change.kind(), ChangeKind::CertificateRestored);
            let moved = order_in(&change).map(|order| order.state.name());
            assert_eq!(moved, moved_to, "{state}");
            let certificate = Case::certificate(&change);
            let own = certificate.id == CertificateId::of(certificate.order);
            assert_eq!(own, own_number, "{state}");
            assert_eq!(
                certificate.der, case.issued.certificate.der,
                "byte for byte"
            );
            let as_recorded = Certificate {
                id: case.issued.certificate.id,
                ..certificate
            };
            assert_eq!(as_recorded, case.issued.certificate, "{state}");
        }
    }

    #[test]
    fn a9_what_may_have_been_signed_is_an_orphan_and_only_its_own_claim_is_void() {
        let case = Case::new();
        for (state, moved_to) in [
            ("no order", None),
            ("pending", None),
            ("ready", None),
            ("its claim", Some("ready")),
            ("another claim", None),
            ("valid", None),
            ("cancelled", None),
        ] {
            let change = case.reconcile(None, state);
            assert_eq!(change.kind(), ChangeKind::CertificateOrphaned);
            assert_eq!(
                order_in(&change).map(|order| order.state.name()),
                moved_to,
                "{state}"
            );
            let orphan = Case::certificate(&change);
            assert_eq!(
                orphan.id, case.spare,
                "the order keeps its number for its certificate"
            );
            assert_eq!(
                orphan.status,
                CertificateStatus::Orphaned { at: case.world.now }
            );
            let entry = orphan.crl_entry().expect("it is on the CRL");
            assert_eq!(entry.serial, case.issued.intent.serial);
            let parsed = Parsed::parse(&orphan.der).expect("it reads like any certificate");
            let key = case.world.issuer.certificate.spki().key();
            assert!(
                parsed.verify_signed_by(key).is_err(),
                "and verifies for nobody"
            );
            assert_eq!(orphan.not_after, case.issued.certificate.not_after);
            assert_eq!(orphan.shard, case.issued.certificate.shard);
        }
    }

    /// Bytes that are no certificate are listed for ever rather than forgotten.
    #[test]
    fn an_unreadable_intent_never_leaves_the_crl() {
        let case = Case::new();
        let intent = JournalledIntent {
            tbs: vec![0],
            signature: None,
            ..case.issued.intent.clone()
        };
        let change = reconcile(
            case.world.now,
            &intent,
            None,
            &case.world.issuer,
            case.spare,
        );
        let orphan = Case::certificate(&change);
        assert!(orphan.not_after > UnixTime(case.world.now.0 + 1_000_000_000));
    }
}
