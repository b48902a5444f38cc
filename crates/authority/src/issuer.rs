//! Issuers: records from the first day on, so that a second one is no special case.

use chancery_pki::{IssuerCertificate, San, UnixTime};
use minicbor::{Decode, Encode};

use crate::change::Record;
use crate::id::IssuerId;
use crate::refusal::{NameRefusal, Refusal};

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

impl LiveIssuer {
    /// Says which of the names its certificate does not let it certify (failures C5). The linter looks again before
    /// anything is signed; a client shall hear of it before it proves anything.
    ///
    /// # Errors
    /// [`Refusal::RejectedNames`].
    pub fn check_names<'a>(&self, names: impl IntoIterator<Item = &'a San>) -> Result<(), Refusal> {
        let outside = |name: &&San| !self.certificate.permits_name(name);
        let rejected = names.into_iter().filter(outside);
        let rejected: Vec<_> = rejected
            .map(|name| (name.clone(), NameRefusal::OutsideIssuer))
            .collect();
        if rejected.is_empty() {
            return Ok(());
        }
        Err(Refusal::RejectedNames(rejected))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose,
        NameConstraints,
    };

    use super::*;
    use crate::id::AccountId;
    use crate::world::{World, names};

    /// A world whose issuer may certify `accept.example.test`, and below it nothing secret.
    fn constrained() -> World {
        let mut world = World::new(1);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let host = |name: &str| GeneralSubtree::DnsName(name.to_owned());
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![host("accept.example.test")],
            excluded_subtrees: vec![host("SECRET.accept.example.test")],
        });
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("a certificate");
        let parsed = IssuerCertificate::parse(made.der());
        world.issuer.certificate = parsed.expect("an issuer");
        world
    }

    #[test]
    fn c5_a_name_outside_the_issuers_constraints_is_refused_when_it_is_ordered() {
        let mut world = constrained();
        for inside in [
            "accept.example.test",
            "www.accept.example.test",
            "*.www.accept.example.test",
        ] {
            let wanted = names(&[inside]).expect("a name");
            assert!(world.order(AccountId(1), wanted).is_ok(), "{inside}");
        }
        for outside in [
            "*.example.test",
            "accept.example.test.evil.test",
            "xaccept.example.test",
            "secret.accept.example.test",
            "x.Secret.accept.example.test",
            "*.secret.accept.example.test",
            "*.accept.example.test",
        ] {
            let wanted = names(&["accept.example.test", outside]).expect("names");
            let name = names(&[outside]).expect("a name").pop_first().expect("one");
            let refused = world.order(AccountId(1), wanted).map(drop);
            let why = vec![(name, NameRefusal::OutsideIssuer)];
            assert_eq!(refused, Err(Refusal::RejectedNames(why)), "{outside}");
        }
    }
}
