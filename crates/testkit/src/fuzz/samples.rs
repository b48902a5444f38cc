use std::collections::BTreeSet;
use std::sync::OnceLock;

use chancery_crypto::{PrivateKey, SignatureForm};
use chancery_pki::crl::{CrlRequest, CrlWriter, RevocationReason, RevokedEntry};
use chancery_pki::issuer::IssuerCertificate;
use chancery_pki::tbs::{self, CaRequest, LeafRequest, Tbs};
use chancery_pki::{AskedValidity, Certificate, ExtKeyUsage, Profile, San, Serial, Spki, UnixTime};

/// 2026-01-01T00:00:00Z
pub(super) const NOW: UnixTime = UnixTime(1_767_225_600);
pub(super) const CRL_URL: &str = "http://ca.corp.test/crl/1/0.crl";
const CA_URL: &str = "http://ca.corp.test/issuer/1.cer";
const YEAR_SECS: u64 = 365 * 86_400;

/// An authority that is the same in every run: its keys are fixed, and Ed25519 signatures have no randomness.
pub(super) struct World {
    pub(super) root_key: PrivateKey,
    pub(super) issuer_key: PrivateKey,
    pub(super) subject_key: PrivateKey,
    pub(super) root: Certificate,
    pub(super) intermediate: Certificate,
    pub(super) root_issuer: IssuerCertificate,
    pub(super) issuer: IssuerCertificate,
    pub(super) profile: Profile,
}

/// The one authority of all targets.
pub(super) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::new)
}

impl World {
    fn new() -> Self {
        let (root_key, issuer_key) = (key(1), key(2));
        let root = signed(&root_key, &ca(&root_key, None));
        let above = IssuerCertificate::parse(&root).expect("our own root");
        let intermediate = signed(&root_key, &ca(&issuer_key, Some(&above)));
        let parse = |der: &[u8]| Certificate::parse(der).expect("our own certificate");
        Self {
            root_key,
            root_issuer: above,
            issuer_key,
            subject_key: key(3),
            root: parse(&root),
            intermediate: parse(&intermediate),
            issuer: IssuerCertificate::parse(&intermediate).expect("our own CA"),
            profile: Profile::server("server"),
        }
    }

    /// A leaf certificate for these names.
    pub(super) fn leaf(&self, names: &[&str]) -> Vec<u8> {
        let request = LeafRequest {
            issuer: &self.issuer,
            profile: &self.profile,
            serial: serial(9),
            now: NOW,
            asked: AskedValidity::default(),
            spki: &Spki::of(self.subject_key.public()),
            names: &sans(names).into_iter().collect::<BTreeSet<_>>(),
            crl_url: CRL_URL,
            ca_issuers_url: CA_URL,
        };
        signed(
            &self.issuer_key,
            &tbs::leaf(&request).expect("a good request"),
        )
    }

    /// A revocation list of the issuer with so many entries.
    pub(super) fn crl(&self, entries: u8) -> Vec<u8> {
        let list = list(&self.issuer, Some(CRL_URL), entries);
        signed(&self.issuer_key, &list)
    }

    /// A revocation list of the root, which has no distribution point.
    pub(super) fn root_crl(&self, entries: u8) -> Vec<u8> {
        let list = list(&self.root_issuer, None, entries);
        signed(&self.root_key, &list)
    }
}

/// Signs what has the shape of a certificate: body, algorithm, signature.
pub(super) fn signed(key: &PrivateKey, tbs: &Tbs) -> Vec<u8> {
    signed_octets(key, tbs.as_der())
}

/// The same over any octets.
pub(super) fn signed_octets(key: &PrivateKey, body: &[u8]) -> Vec<u8> {
    let signature = key
        .sign(SignatureForm::Der, body)
        .expect("Ed25519 signs everything");
    tbs::assemble(body, key.algorithm(), &signature)
}

/// The names, each a host name, a wildcard or an address.
pub(super) fn sans(names: &[&str]) -> Vec<San> {
    names
        .iter()
        .map(|name| San::parse(name).expect("a good name"))
        .collect()
}

fn list(issuer: &IssuerCertificate, distribution_point: Option<&str>, entries: u8) -> Tbs {
    let request = CrlRequest {
        issuer,
        number: 7,
        this_update: NOW,
        next_update: NOW.plus(86_400),
        distribution_point,
    };
    let mut list = CrlWriter::new(&request).expect("a good request");
    for index in 0..entries {
        let reason = (index % 2 == 0).then_some(RevocationReason::KeyCompromise);
        let serial = serial(index);
        list.push(&RevokedEntry {
            serial,
            at: NOW,
            reason,
        })
        .expect("ascending serials");
    }
    Tbs::from_der(list.finish())
}

fn ca(key: &PrivateKey, issuer: Option<&IssuerCertificate>) -> Tbs {
    let is_root = issuer.is_none();
    let request = CaRequest {
        subject_cn: if is_root { "Fuzz Root" } else { "Fuzz Issuer" },
        organization: Some("Corp"),
        serial: serial(if is_root { 1 } else { 2 }),
        not_before: NOW.minus(YEAR_SECS),
        not_after: NOW.plus(YEAR_SECS * if is_root { 10 } else { 5 }),
        spki: &Spki::of(key.public()),
        issuer,
        path_len: (!is_root).then_some(0),
        urls: (!is_root).then_some((CRL_URL, CA_URL)),
        ext_key_usages: if is_root {
            Vec::new()
        } else {
            vec![ExtKeyUsage::ServerAuth]
        },
    };
    tbs::ca(&request).expect("a good request")
}

fn serial(last: u8) -> Serial {
    let mut random = [0; 16];
    random[15] = last;
    Serial::new(NOW, random)
}

/// An Ed25519 key whose secret is this octet, 32 times (RFC 8410 §7).
fn key(secret: u8) -> PrivateKey {
    let mut pkcs8 = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    pkcs8.extend([secret; 32]);
    PrivateKey::from_pkcs8(&pkcs8).expect("an Ed25519 key")
}
