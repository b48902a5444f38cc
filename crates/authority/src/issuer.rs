//! Issuers: records from the first day on, so that a second one is no special case.

use chancery_pki::{IssuerCertificate, UnixTime};
use minicbor::{Decode, Encode};

use crate::change::Record;
use crate::id::IssuerId;

/// Shards of an issuer's CRL, fixed when it is made. A million live revocations make 64 files of about 600 KiB.
pub const CRL_SHARDS: u16 = 64;

/// A CA key with its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Issuer {
    /// Its number, part of its URLs.
    #[n(0)]
    pub id: IssuerId,
    /// Counts its writes.
    #[n(1)]
    pub version: u32,
    /// Its certificate.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub certificate: Vec<u8>,
    /// The certificates above it that a server should send too; without the root.
    #[n(3)]
    pub chain: Vec<minicbor::bytes::ByteVec>,
    /// The trust anchor.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub root: Vec<u8>,
    /// Number of CRL shards, fixed.
    #[n(5)]
    pub crl_shards: u16,
    /// Base of CRL and issuer URLs, frozen into certificates.
    #[n(6)]
    pub status_url: String,
    /// When it was made.
    #[n(7)]
    pub created: UnixTime,
}

impl Issuer {
    /// Where a shard's CRL is served; byte for byte what certificates and CRLs carry (failures D7).
    #[must_use]
    pub fn crl_url(&self, shard: u16) -> String {
        format!("{}/crl/{}/{shard}.crl", self.status_url, self.id)
    }

    /// Where the issuer's certificate is served.
    #[must_use]
    pub fn certificate_url(&self) -> String {
        format!("{}/issuer/{}.cer", self.status_url, self.id)
    }
}

impl From<Issuer> for Record {
    fn from(issuer: Issuer) -> Self {
        Self::Issuer(issuer)
    }
}

/// An issuer with its certificate parsed once.
#[derive(Debug, Clone)]
pub struct LiveIssuer {
    /// The record.
    pub record: Issuer,
    /// The view that composing and linting need.
    pub certificate: IssuerCertificate,
}
