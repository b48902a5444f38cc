//! Certificates as the inventory knows them, and their revocation (RFC 8555 §7.6).

use chancery_pki::{RevocationReason, RevokedEntry, Serial, UnixTime};
use minicbor::{Decode, Encode};

use crate::audit::Actor;
use crate::change::{Change, Record};
use crate::crl::CRL_RETENTION_SECS;
use crate::id::{AccountId, CertificateId, IssuerId, OrderId};
use crate::refusal::Refusal;

/// A stored certificate.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Certificate {
    /// Its number: that of its order, or one of its own if the order got another certificate.
    #[n(0)]
    pub id: CertificateId,
    /// Counts its writes.
    #[n(1)]
    pub version: u32,
    /// Who signed it.
    #[n(2)]
    pub issuer: IssuerId,
    /// Its serial, unique per issuer for ever.
    #[n(3)]
    pub serial: Serial,
    /// The order that asked for it.
    #[n(4)]
    pub order: OrderId,
    /// The account that asked for it.
    #[n(5)]
    pub account: AccountId,
    /// The profile it was made by.
    #[n(6)]
    pub profile: String,
    /// The profile's content at that time.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub profile_hash: [u8; 32],
    /// notAfter
    #[n(8)]
    pub not_after: UnixTime,
    /// The CRL shard that its distribution point names.
    #[n(9)]
    pub shard: u16,
    /// The certificate; an orphan's without a signature.
    #[cbor(n(10), with = "minicbor::bytes")]
    pub der: Vec<u8>,
    /// Whether it may be trusted.
    #[n(11)]
    pub status: CertificateStatus,
    /// The intent in the signer's journal.
    #[n(12)]
    pub journal_sequence: u64,
    /// When it was recorded.
    #[n(13)]
    pub created: UnixTime,
    /// The last order that was placed to take its place (RFC 9773 §5).
    #[n(14)]
    pub replaced_by: Option<OrderId>,
}

/// Whether a certificate may be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum CertificateStatus {
    /// Unless it has expired.
    #[n(0)]
    Good,
    /// It was revoked.
    #[n(1)]
    Revoked {
        /// When.
        #[n(0)]
        at: UnixTime,
        /// Why, if a reason was given.
        #[n(1)]
        reason: Option<RevocationReason>,
    },
    /// An intent whose signature was lost: nobody should have it, and it is on the CRL all the same.
    #[n(2)]
    Orphaned {
        /// When that was found.
        #[n(0)]
        at: UnixTime,
    },
}

impl CertificateStatus {
    /// The word used in listings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked { .. } => "revoked",
            Self::Orphaned { .. } => "orphaned",
        }
    }
}

/// Whether a revocation needs doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// This change does it.
    Change(Box<Change>),
    /// It is done already, at this time.
    Already(UnixTime),
}

impl Certificate {
    /// Revokes it. The first revocation counts; its date and reason never change (failures D2).
    ///
    /// # Errors
    /// None today; the signature leaves room for holds by policy.
    pub fn revoke(
        &self,
        now: UnixTime,
        actor: Actor,
        reason: Option<RevocationReason>,
    ) -> Result<Revocation, Refusal> {
        match self.status {
            CertificateStatus::Revoked { at, .. } | CertificateStatus::Orphaned { at } => {
                Ok(Revocation::Already(at))
            }
            CertificateStatus::Good => {
                let status = CertificateStatus::Revoked { at: now, reason };
                let next = Self {
                    version: self.version + 1,
                    status,
                    ..self.clone()
                };
                let change = Change::certificate_revoked(now, actor, self.version, next);
                Ok(Revocation::Change(Box::new(change)))
            }
        }
    }

    /// The same, with the order that takes its place, and the version that this is meant to replace.
    pub(crate) fn replaced_by(self, order: OrderId) -> (u32, Self) {
        let from = self.version;
        let next = Self {
            version: from + 1,
            replaced_by: Some(order),
            ..self
        };
        (from, next)
    }

    /// Its line on the CRL, if it has one.
    #[must_use]
    pub fn crl_entry(&self) -> Option<RevokedEntry> {
        match self.status {
            CertificateStatus::Good => None,
            CertificateStatus::Revoked { at, reason } => Some(RevokedEntry {
                serial: self.serial,
                at,
                reason,
            }),
            CertificateStatus::Orphaned { at } => Some(RevokedEntry {
                serial: self.serial,
                at,
                reason: Some(RevocationReason::CessationOfOperation),
            }),
        }
    }

    /// The notAfter below which a revoked certificate need not be listed any more.
    #[must_use]
    pub fn listed_from(now: UnixTime) -> UnixTime {
        UnixTime(now.0 - CRL_RETENTION_SECS)
    }
}

/// Reads a reason code from a request (RFC 5280 §5.3.1); only the closed set of failures D3 is offered.
///
/// # Errors
/// [`Refusal::RevocationReason`].
pub fn revocation_reason(code: Option<i64>) -> Result<Option<RevocationReason>, Refusal> {
    match code {
        None => Ok(None),
        Some(code) => match RevocationReason::from_code(code) {
            // "Unspecified" is the same as no reason, and must not be written out (RFC 5280 §5.3.1).
            Some(RevocationReason::Unspecified) => Ok(None),
            Some(reason) => Ok(Some(reason)),
            None => Err(Refusal::RevocationReason { code }),
        },
    }
}

impl From<Certificate> for Record {
    fn from(certificate: Certificate) -> Self {
        Self::Certificate(certificate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Expect, Write};
    use crate::world::{World, names};

    fn issued(world: &mut World) -> Certificate {
        world
            .issue(AccountId(1), names(&["a.test"]).expect("a name"))
            .certificate
    }

    /// Failures D2.
    #[test]
    fn d2_the_first_revocation_stays_whoever_comes_after() {
        let mut world = World::new(1);
        let good = issued(&mut world);
        assert_eq!(good.crl_entry(), None);
        let reason = Some(RevocationReason::KeyCompromise);
        let first = good
            .revoke(world.now, Actor::CertificateKey, reason)
            .expect("no holds");
        let Revocation::Change(change) = first else {
            panic!("{first:?}")
        };
        let [
            Write {
                record: Record::Certificate(revoked),
                expect,
            },
        ] = change.writes()
        else {
            panic!("{change:?}")
        };
        assert_eq!((*expect, revoked.version), (Expect::Version(1), 2));
        let (at, serial) = (world.now, good.serial);
        assert_eq!(
            revoked.crl_entry(),
            Some(RevokedEntry { serial, at, reason })
        );
        for actor in [
            Actor::Account(good.account),
            Actor::Operator(0),
            Actor::CertificateKey,
        ] {
            let later = world.now.plus(60);
            let again = revoked.revoke(later, actor, Some(RevocationReason::Superseded));
            assert_eq!(again, Ok(Revocation::Already(at)));
        }
    }

    #[test]
    fn an_orphan_is_on_the_crl_and_cannot_be_revoked_again() {
        let mut world = World::new(1);
        let at = world.now;
        let status = CertificateStatus::Orphaned { at };
        let orphan = Certificate {
            status,
            ..issued(&mut world)
        };
        assert_eq!(
            orphan.crl_entry().map(|entry| (entry.serial, entry.at)),
            Some((orphan.serial, at))
        );
        let again = orphan.revoke(at.plus(9), Actor::Operator(0), None);
        assert_eq!(again, Ok(Revocation::Already(at)));
    }

    /// Failures D3, RFC 5280 §5.3.1.
    #[test]
    fn d3_reasons_are_a_closed_set_and_unspecified_is_none() {
        assert_eq!(revocation_reason(None), Ok(None));
        assert_eq!(revocation_reason(Some(0)), Ok(None));
        for code in [1, 3, 4, 5, 9] {
            let reason = revocation_reason(Some(code))
                .expect("offered")
                .expect("a reason");
            assert_eq!(i64::from(reason.code()), code);
        }
        for code in [-1, 2, 6, 7, 8, 10, i64::MIN, i64::MAX] {
            assert_eq!(
                revocation_reason(Some(code)),
                Err(Refusal::RevocationReason { code })
            );
        }
    }

    /// Failures D4: a period longer than any CRL that was published while it was valid.
    #[test]
    fn d4_a_revocation_is_listed_for_one_crl_lifetime_after_the_end() {
        let now = UnixTime(1_790_000_000);
        let secs = now.0 - Certificate::listed_from(now).0;
        assert!(secs >= crate::crl::CRL_LIFETIME_SECS);
    }
}
