//! CAs, requests and oracles that the tests of certificates, chains, CRLs and lints share.

use std::collections::BTreeSet;

use chancery_crypto::{Curve, KeyKind, PrivateKey, SignatureForm};
use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::{
    CertRevocationList, EndEntityCert, RevocationOptionsBuilder, aws_lc_rs as algorithms,
};

use crate::crl::{CrlRequest, CrlWriter, RevocationReason, RevokedEntry};
use crate::issuer::IssuerCertificate;
use crate::lint::lint_crl;
use crate::name::San;
use crate::profile::{AskedValidity, ExtKeyUsage, Profile};
use crate::serial::Serial;
use crate::spki::Spki;
use crate::tbs::{CaRequest, LeafRequest, Tbs, assemble, ca, leaf};
use crate::time::UnixTime;

pub(crate) const NOW: UnixTime = UnixTime(1_790_000_000);
pub(crate) const DAY: u64 = 86_400;
pub(crate) const CRL_URL: &str = "http://ca.test/crl/1/0.crl";
pub(crate) const CA_URL: &str = "http://ca.test/issuer/1.cer";
pub(crate) const P256: KeyKind = KeyKind::Ec(Curve::P256);

/// A CA with its key.
pub(crate) struct TestCa {
    pub(crate) key: PrivateKey,
    pub(crate) certificate: IssuerCertificate,
}

pub(crate) fn spki(key: &PrivateKey) -> Spki {
    Spki::of(key.public())
}

pub(crate) fn new_key(kind: KeyKind) -> PrivateKey {
    PrivateKey::generate(kind).expect("generates")
}

pub(crate) fn serial(number: u8) -> Serial {
    Serial::new(NOW, [number; 16])
}

pub(crate) fn names(texts: &[&str]) -> BTreeSet<San> {
    texts
        .iter()
        .map(|text| San::parse(text).expect("a name"))
        .collect()
}

/// A root's request; twenty years around [`NOW`].
pub(crate) fn root_request(spki: &Spki) -> CaRequest<'_> {
    CaRequest {
        subject_cn: "Test Root",
        organization: Some("Test"),
        serial: serial(1),
        not_before: NOW.minus(3_650 * DAY),
        not_after: NOW.plus(14_600 * DAY),
        spki,
        issuer: None,
        path_len: None,
        urls: None,
        ext_key_usages: vec![],
    }
}

/// The request of an issuing CA below `issuer`.
pub(crate) fn issuing_request<'a>(spki: &'a Spki, issuer: &'a IssuerCertificate) -> CaRequest<'a> {
    CaRequest {
        subject_cn: "Test Issuing CA",
        serial: serial(2),
        issuer: Some(issuer),
        path_len: Some(0),
        urls: Some(("http://ca.test/crl/0/0.crl", "http://ca.test/issuer/0.cer")),
        ext_key_usages: ExtKeyUsage::ALL.to_vec(),
        ..root_request(spki)
    }
}

impl TestCa {
    pub(crate) fn root(kind: KeyKind) -> Self {
        let key = new_key(kind);
        let tbs = ca(&root_request(&spki(&key))).expect("a root");
        Self::signed(&tbs, &key, new_copy(&key))
    }

    /// A CA below this one.
    pub(crate) fn issuing(&self, kind: KeyKind) -> Self {
        let key = new_key(kind);
        let tbs = ca(&issuing_request(&spki(&key), &self.certificate)).expect("a CA");
        Self::signed(&tbs, &self.key, key)
    }

    /// The CA with this certificate, signed by `signer`.
    pub(crate) fn signed(tbs: &Tbs, signer: &PrivateKey, key: PrivateKey) -> Self {
        let der = sign(tbs.as_der(), signer);
        Self {
            key,
            certificate: IssuerCertificate::parse(&der).expect("an issuer"),
        }
    }

    pub(crate) fn request<'a>(
        &'a self,
        profile: &'a Profile,
        spki: &'a Spki,
        names: &'a BTreeSet<San>,
    ) -> LeafRequest<'a> {
        LeafRequest {
            issuer: &self.certificate,
            profile,
            serial: serial(7),
            now: NOW,
            asked: AskedValidity::default(),
            spki,
            names,
            crl_url: CRL_URL,
            ca_issuers_url: CA_URL,
        }
    }

    /// A leaf for `texts` with a new key, not signed.
    pub(crate) fn leaf_tbs(&self, texts: &[&str]) -> Tbs {
        let (profile, names) = (Profile::server("server"), names(texts));
        let spki = spki(&new_key(P256));
        leaf(&self.request(&profile, &spki, &names)).expect("a leaf")
    }

    pub(crate) fn sign(&self, tbs: &[u8]) -> Vec<u8> {
        sign(tbs, &self.key)
    }
}

pub(crate) fn new_copy(key: &PrivateKey) -> PrivateKey {
    PrivateKey::from_pkcs8(&key.to_pkcs8().expect("writes")).expect("reads")
}

pub(crate) fn sign(tbs: &[u8], key: &PrivateKey) -> Vec<u8> {
    let signature = key.sign(SignatureForm::Der, tbs).expect("signs");
    assemble(tbs, key.algorithm(), &signature)
}

/// What webpki says of a server certificate, with these CRLs for the whole chain if there are any.
pub(crate) fn webpki_verdict(
    leaf: &[u8],
    intermediates: &[&[u8]],
    root: &[u8],
    crls: &[Vec<u8>],
) -> Result<(), webpki::Error> {
    let root = CertificateDer::from(root);
    let anchors: [TrustAnchor<'_>; 1] = [webpki::anchor_from_trusted_cert(&root)?];
    let between: Vec<_> = intermediates
        .iter()
        .map(|der| CertificateDer::from(*der))
        .collect();
    let crls: Vec<CertRevocationList<'_>> = crls
        .iter()
        .map(|der| webpki::BorrowedCertRevocationList::from_der(der).map(Into::into))
        .collect::<Result<_, _>>()?;
    let crls: Vec<&CertRevocationList<'_>> = crls.iter().collect();
    // Without CRLs there are no options, and nothing is asked.
    let revocation = RevocationOptionsBuilder::new(&crls)
        .ok()
        .map(|options| options.build());
    let seconds = u64::try_from(NOW.0).expect("after 1970");
    let at = rustls_pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let leaf = CertificateDer::from(leaf);
    EndEntityCert::try_from(&leaf)?
        .verify_for_usage(
            &[
                algorithms::ECDSA_P256_SHA256,
                algorithms::ECDSA_P384_SHA384,
                algorithms::ECDSA_P521_SHA512,
                algorithms::ED25519,
                algorithms::RSA_PKCS1_2048_8192_SHA256,
            ],
            &anchors,
            &between,
            at,
            webpki::KeyUsage::server_auth(),
            revocation,
            None,
        )
        .map(drop)
}

/// The request of a list of the shard at [`CRL_URL`].
pub(crate) fn crl_request(ca: &TestCa) -> CrlRequest<'_> {
    CrlRequest {
        issuer: &ca.certificate,
        number: 12,
        this_update: NOW,
        next_update: NOW.plus(DAY),
        distribution_point: Some(CRL_URL),
    }
}

/// A list that passed the lint.
pub(crate) fn crl_tbs(request: &CrlRequest<'_>, entries: &[RevokedEntry]) -> Vec<u8> {
    let mut writer = CrlWriter::new(request).expect("a writer");
    entries
        .iter()
        .for_each(|entry| writer.push(entry).expect("ascends"));
    let tbs = writer.finish();
    let facts = lint_crl(&tbs, request.issuer).expect("passes the lint");
    assert_eq!(
        (facts.number, facts.entry_count),
        (request.number, entries.len())
    );
    tbs
}

pub(crate) fn signed_crl(ca: &TestCa, entries: &[RevokedEntry]) -> Vec<u8> {
    ca.sign(&crl_tbs(&crl_request(ca), entries))
}

pub(crate) fn revoked(number: u8, reason: Option<RevocationReason>) -> RevokedEntry {
    RevokedEntry {
        serial: serial(number),
        at: NOW.minus(u64::from(number)),
        reason,
    }
}
