//! Good bytes taken apart, changed in one place, put together and judged by every rule: each rule must notice its
//! own defect, and only its own.

use crate::certificate::extension::{Extension, write, write_critical};
use crate::certificate::signed::whole_sequence;
use crate::crl::RevocationReason;
use crate::der::{Reader, Writer, tag};
use crate::issuer::IssuerCertificate;
use crate::lint::crl::CrlSubject;
use crate::lint::{
    CA_RULES, CERTIFICATE_RULES, CRL_RULES, Finding, LEAF_RULES, Leaf, Rules, Subject, names,
};
use crate::oid;
use crate::profile::Profile;
use crate::tbs::fixture::{
    P256, TestCa, crl_request, crl_tbs, issuing_request, new_key, revoked, root_request, spki,
};
use crate::tbs::{CaRequest, Tbs};
use crate::time::UnixTime;

/// One extension, ready to be changed.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) oid: Vec<u8>,
    pub(super) critical: bool,
    pub(super) value: Vec<u8>,
}

/// The fields of a TBSCertificate, each whole.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) version: Vec<u8>,
    pub(super) serial: Vec<u8>,
    pub(super) algorithm: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) validity: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) spki: Vec<u8>,
    pub(super) extensions: Vec<Part>,
    /// What follows inside the SEQUENCE.
    pub(super) after: Vec<u8>,
}

impl Parts {
    pub(super) fn read(tbs: &[u8]) -> Self {
        let mut fields = Reader::only(tbs, tag::SEQUENCE).expect("a SEQUENCE");
        let mut next = || fields.read_any().expect("a field").whole.to_vec();
        Self {
            version: next(),
            serial: next(),
            algorithm: next(),
            issuer: next(),
            validity: next(),
            subject: next(),
            spki: next(),
            extensions: parts(&next()),
            after: vec![],
        }
    }

    pub(super) fn tbs(&self) -> Tbs {
        let mut w = Writer::new();
        w.sequence(|w| {
            let fields = [
                &self.version,
                &self.serial,
                &self.algorithm,
                &self.issuer,
                &self.validity,
                &self.subject,
                &self.spki,
            ];
            fields.into_iter().for_each(|field| w.raw(field));
            write_parts(w, 3, &self.extensions);
            w.raw(&self.after);
        });
        Tbs::from_der(w.finish())
    }

    /// The extension with this identifier.
    pub(super) fn extension(&mut self, oid: &[u8]) -> &mut Part {
        self.extensions
            .iter_mut()
            .find(|part| part.oid == oid)
            .expect("there")
    }

    pub(super) fn without(&mut self, oid: &[u8]) {
        self.extensions.retain(|part| part.oid != oid);
    }

    pub(super) fn valid(&mut self, from: UnixTime, to: UnixTime) {
        self.validity = der(|w| {
            w.sequence(|w| {
                w.time(from);
                w.time(to);
            });
        });
    }
}

/// The fields of a TBSCertList, each whole.
#[derive(Clone)]
pub(super) struct CrlParts {
    pub(super) version: Vec<u8>,
    pub(super) algorithm: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) this_update: Vec<u8>,
    pub(super) next_update: Vec<u8>,
    /// The entries, each whole; none where the field is absent.
    pub(super) revoked: Option<Vec<Vec<u8>>>,
    pub(super) extensions: Vec<Part>,
}

impl CrlParts {
    pub(super) fn read(tbs: &[u8]) -> Self {
        let mut fields = Reader::only(tbs, tag::SEQUENCE).expect("a SEQUENCE");
        let mut next = || fields.read_any().expect("a field").whole.to_vec();
        let (version, algorithm, issuer, this_update, next_update) =
            (next(), next(), next(), next(), next());
        let mut field = next();
        let mut revoked = None;
        if field.first() == Some(&tag::SEQUENCE) {
            let mut list = Reader::only(&field, tag::SEQUENCE).expect("entries");
            let mut entries = vec![];
            while !list.is_empty() {
                entries.push(whole_sequence(&mut list).expect("an entry").to_vec());
            }
            revoked = Some(entries);
            field = next();
        }
        let extensions = parts(&field);
        Self {
            version,
            algorithm,
            issuer,
            this_update,
            next_update,
            revoked,
            extensions,
        }
    }

    pub(super) fn tbs(&self) -> Vec<u8> {
        der(|w| {
            w.sequence(|w| {
                let fields = [
                    &self.version,
                    &self.algorithm,
                    &self.issuer,
                    &self.this_update,
                    &self.next_update,
                ];
                fields.into_iter().for_each(|field| w.raw(field));
                if let Some(entries) = &self.revoked {
                    w.sequence(|w| entries.iter().for_each(|entry| w.raw(entry)));
                }
                write_parts(w, 0, &self.extensions);
            });
        })
    }

    pub(super) fn extension(&mut self, oid: &[u8]) -> &mut Part {
        self.extensions
            .iter_mut()
            .find(|part| part.oid == oid)
            .expect("there")
    }
}

fn parts(field: &[u8]) -> Vec<Part> {
    let mut explicit = Reader::new(field);
    let mut list = Reader::new(explicit.read_any().expect("a field").content);
    let mut list = list.sequence().expect("a list");
    let mut parts = vec![];
    while !list.is_empty() {
        let Extension {
            oid,
            critical,
            value,
        } = Extension::read(&mut list).expect("an extension");
        parts.push(Part {
            oid: oid.to_vec(),
            critical,
            value: value.to_vec(),
        });
    }
    parts
}

fn write_parts(w: &mut Writer, number: u8, parts: &[Part]) {
    w.tlv(tag::context_constructed(number), |w| {
        w.sequence(|w| {
            for Part {
                oid,
                critical,
                value,
            } in parts
            {
                if *critical {
                    write_critical(w, oid, |w| w.raw(value));
                } else {
                    write(w, oid, |w| w.raw(value));
                }
            }
        });
    });
}

/// What `write` writes.
pub(super) fn der(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::new();
    write(&mut w);
    w.finish()
}

/// A leaf's TBSCertificate for two names, the issuer and the profile that it is for.
pub(super) struct LeafCase {
    pub(super) ca: TestCa,
    pub(super) profile: Profile,
    pub(super) good: Parts,
}

pub(super) fn leaf_case() -> LeafCase {
    let ca = TestCa::root(P256).issuing(P256);
    let good = Parts::read(ca.leaf_tbs(&["a.test", "b.test"]).as_der());
    LeafCase {
        ca,
        profile: Profile::server("server"),
        good,
    }
}

/// A CA that limits neither paths nor purposes, with this value of nameConstraints.
pub(super) fn constrained_ca(value: Vec<u8>) -> TestCa {
    let (root, key) = (TestCa::root(P256), new_key(P256));
    let info = spki(&key);
    let request = CaRequest {
        path_len: None,
        ..issuing_request(&info, &root.certificate)
    };
    let mut parts = Parts::read(crate::tbs::ca(&request).expect("a CA").as_der());
    parts.extensions.push(Part {
        oid: oid::NAME_CONSTRAINTS.to_vec(),
        critical: true,
        value,
    });
    TestCa::signed(&parts.tbs(), &root.key, key)
}

impl LeafCase {
    /// Asserts that exactly this rule speaks when `change` is made.
    pub(super) fn breaks(&self, rule: &str, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.good.clone();
        change(&mut parts);
        assert_eq!(
            leaf_findings(&parts.tbs(), &self.profile, &self.ca.certificate),
            [rule]
        );
    }
}

/// The names of the rules that a leaf breaks.
pub(super) fn leaf_findings(
    tbs: &Tbs,
    profile: &Profile,
    issuer: &IssuerCertificate,
) -> Vec<&'static str> {
    let Ok(subject) = Subject::read(tbs, Some(issuer)) else {
        return vec!["form"];
    };
    let names = names::read(&subject.view);
    let leaf = Leaf {
        subject,
        issuer,
        profile,
        names,
    };
    let mut found = findings(CERTIFICATE_RULES, |check| check(&leaf.subject));
    found.extend(findings(LEAF_RULES, |check| check(&leaf)));
    found
}

/// A root's TBSCertificate and that of a CA below it.
pub(super) struct CaCase {
    pub(super) above: TestCa,
    pub(super) root: Parts,
    pub(super) issuing: Parts,
}

pub(super) fn ca_case() -> CaCase {
    let above = TestCa::root(P256);
    let key = spki(&new_key(P256));
    let root = crate::tbs::ca(&root_request(&key)).expect("a root");
    let issuing = crate::tbs::ca(&issuing_request(&key, &above.certificate)).expect("a CA");
    let (root, issuing) = (Parts::read(root.as_der()), Parts::read(issuing.as_der()));
    CaCase {
        above,
        root,
        issuing,
    }
}

impl CaCase {
    /// Asserts that exactly this rule speaks when `change` is made to the root.
    pub(super) fn root_breaks(&self, rule: &str, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.root.clone();
        change(&mut parts);
        assert_eq!(ca_findings(&parts.tbs(), None), [rule]);
    }

    /// Asserts that exactly this rule speaks when `change` is made to the CA below.
    pub(super) fn issuing_breaks(&self, rule: &str, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.issuing.clone();
        change(&mut parts);
        assert_eq!(
            ca_findings(&parts.tbs(), Some(&self.above.certificate)),
            [rule]
        );
    }
}

/// The names of the rules that a CA certificate breaks.
pub(super) fn ca_findings(tbs: &Tbs, issuer: Option<&IssuerCertificate>) -> Vec<&'static str> {
    let Ok(subject) = Subject::read(tbs, issuer) else {
        return vec!["form"];
    };
    let mut found = findings(CERTIFICATE_RULES, |check| check(&subject));
    found.extend(findings(CA_RULES, |check| check(&subject)));
    found
}

/// A list of one shard with two entries, and the issuer that it is for.
pub(super) struct CrlCase {
    pub(super) ca: TestCa,
    pub(super) good: CrlParts,
}

pub(super) fn crl_case() -> CrlCase {
    let ca = TestCa::root(P256).issuing(P256);
    let entries = [
        revoked(1, Some(RevocationReason::KeyCompromise)),
        revoked(2, None),
    ];
    let good = CrlParts::read(&crl_tbs(&crl_request(&ca), &entries));
    CrlCase { ca, good }
}

impl CrlCase {
    /// Asserts that exactly this rule speaks when `change` is made.
    pub(super) fn breaks(&self, rule: &str, change: impl FnOnce(&mut CrlParts)) {
        let mut parts = self.good.clone();
        change(&mut parts);
        assert_eq!(crl_findings(&parts.tbs(), &self.ca.certificate), [rule]);
    }

    /// Asserts that exactly this rule speaks when `entry` comes behind the others.
    pub(super) fn with_entry(&self, rule: &str, entry: Vec<u8>) {
        self.breaks(rule, |parts| {
            parts.revoked.as_mut().expect("there").push(entry)
        });
    }
}

/// The names of the rules that a CRL breaks.
pub(super) fn crl_findings(tbs: &[u8], issuer: &IssuerCertificate) -> Vec<&'static str> {
    match CrlSubject::read(tbs, issuer) {
        Ok(subject) => findings(CRL_RULES, |check| check(&subject)),
        Err(_) => vec!["crl_form"],
    }
}

fn findings<C>(rules: Rules<C>, run: impl Fn(&C) -> Finding) -> Vec<&'static str> {
    rules
        .iter()
        .filter(|(_, check)| run(check).is_err())
        .map(|(rule, _)| *rule)
        .collect()
}
