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
