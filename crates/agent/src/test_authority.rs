//! A root, an intermediate, and whatever leaf certificates a test needs, good ones and others.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};

use chancery_crypto::{Curve, KeyKind, PrivateKey, PublicKey, SignatureForm};
use chancery_pki::tbs::{assemble, ca, leaf};
use chancery_pki::{
    AskedValidity, CaRequest, Certificate, ExtKeyUsage, IssuerCertificate, LeafRequest, Profile,
    San, Serial, Spki, Tbs, UnixTime, pem,
};

/// 2026-01-01T00:00:00Z
pub(crate) const NOW: UnixTime = UnixTime(1_767_225_600);
const URLS: (&str, &str) = ("http://ca.test/crl", "http://ca.test/issuer");
const TEN_YEARS: u64 = 3_650 * 86_400;

pub(crate) struct Authority {
    root: Vec<u8>,
    intermediate: IssuerCertificate,
    key: PrivateKey,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let (root_key, key) = (key(), key());
        let root = signed(
            ca(&request("Root", &root_key, None)).expect("a CA"),
            &root_key,
        );
        let issuer = IssuerCertificate::parse(&root).expect("a CA");
        let below = signed(
            ca(&request("Issuer", &key, Some(&issuer))).expect("a CA"),
            &root_key,
        );
        Self {
            root,
            intermediate: IssuerCertificate::parse(&below).expect("a CA"),
            key,
        }
    }

    /// A leaf for 47 days from `now` and its issuer, in PEM.
    pub(crate) fn chain(&self, key: &PublicKey, names: &BTreeSet<San>, now: UnixTime) -> String {
        pem::encode("CERTIFICATE", &self.leaf(key, names, now)) + &self.intermediate_pem()
    }

    pub(crate) fn leaf(&self, key: &PublicKey, names: &BTreeSet<San>, now: UnixTime) -> Vec<u8> {
        let tbs = leaf(&LeafRequest {
            issuer: &self.intermediate,
            profile: &Profile::server("server"),
            serial: serial(now),
            now,
            asked: AskedValidity::default(),
            spki: &Spki::of(key),
            names,
            crl_url: URLS.0,
            ca_issuers_url: URLS.1,
        });
        signed(tbs.expect("a leaf"), &self.key)
    }

    pub(crate) fn intermediate_pem(&self) -> String {
        pem::encode("CERTIFICATE", self.intermediate.der())
    }

    pub(crate) fn intermediate_der(&self) -> &[u8] {
        self.intermediate.der()
    }

    pub(crate) fn root_pem(&self) -> String {
        pem::encode("CERTIFICATE", &self.root)
    }

    pub(crate) fn roots(&self) -> Vec<Certificate> {
        vec![Certificate::parse(&self.root).expect("a certificate")]
    }
}

fn key() -> PrivateKey {
    PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("made")
}

fn request<'a>(
    subject_cn: &'a str,
    key: &PrivateKey,
    issuer: Option<&'a IssuerCertificate>,
) -> CaRequest<'a> {
    CaRequest {
        subject_cn,
        organization: None,
        serial: serial(NOW),
        not_before: NOW.minus(TEN_YEARS / 2),
        not_after: NOW.plus(TEN_YEARS),
        // Leaked: a test makes two of them.
        spki: Box::leak(Box::new(Spki::of(key.public()))),
        issuer,
        path_len: issuer.map(|_| 0),
        urls: issuer.map(|_| URLS),
        ext_key_usages: issuer.map_or_else(Vec::new, |_| vec![ExtKeyUsage::ServerAuth]),
    }
}

fn serial(now: UnixTime) -> Serial {
    static COUNT: AtomicU8 = AtomicU8::new(0);
    Serial::new(now, [COUNT.fetch_add(1, Ordering::Relaxed); 16])
}

fn signed(tbs: Tbs, key: &PrivateKey) -> Vec<u8> {
    let signature = key.sign(SignatureForm::Der, tbs.as_der()).expect("signed");
    assemble(tbs.as_der(), key.algorithm(), &signature)
}
