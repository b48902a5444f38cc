use std::collections::BTreeSet;

use crate::certificate::constraints::BasicConstraints;
use crate::certificate::extension::write_critical;
use crate::certificate::{KeyUsage, alt_names, distinguished_name};
use crate::issuer::IssuerCertificate;
use crate::name::San;
use crate::oid;
use crate::profile::{AskedValidity, KeyClass, Profile};
use crate::serial::Serial;
use crate::spki::Spki;
use crate::tbs::{Head, Tbs, TbsError, check_validity, extensions};
use crate::time::UnixTime;

/// What one leaf certificate is made of.
#[derive(Debug, Clone, Copy)]
pub struct LeafRequest<'a> {
    /// The CA that will sign.
    pub issuer: &'a IssuerCertificate,
    /// What certificates of this kind contain.
    pub profile: &'a Profile,
    /// A serial number that was never used before.
    pub serial: Serial,
    /// The time of issuance; the validity follows from it and the profile.
    pub now: UnixTime,
    /// A narrower validity, if one was asked for.
    pub asked: AskedValidity,
    /// The key, whose possession was proven.
    pub spki: &'a Spki,
    /// The names, each proven.
    pub names: &'a BTreeSet<San>,
    /// Where the CRL is that will list this certificate if it is revoked; the CRL repeats it byte for byte.
    pub crl_url: &'a str,
    /// Where the issuer's certificate is.
    pub ca_issuers_url: &'a str,
}

/// Makes the TBSCertificate of a leaf: an empty subject, the names in a critical subjectAltName, the purposes of
/// the profile, and nothing that a request could have brought in.
///
/// # Errors
/// [`TbsError`] when the profile does not allow the names or the key, when the validity does not lie within the
/// issuer's, or for a URL that cannot stand in a certificate.
pub fn leaf(request: &LeafRequest<'_>) -> Result<Tbs, TbsError> {
    let LeafRequest {
        issuer,
        profile,
        serial,
        now,
        asked,
        spki,
        names,
        crl_url,
        ca_issuers_url,
    } = *request;
    check_names(names, profile)?;
    let class = KeyClass::of(spki.key());
    if !profile.allows_key(spki.key()) {
        return Err(TbsError::KeyClass {
            class: class.name(),
        });
    }
    extensions::check_urls(crl_url, ca_issuers_url)?;
    let (not_before, not_after) = profile.validity_within(now, asked)?;
    check_validity(not_before, not_after, Some(issuer))?;
    let head = Head {
        serial,
        algorithm: issuer.signature_algorithm(),
        issuer: issuer.subject_der(),
        validity: (not_before, not_after),
        subject: distinguished_name::EMPTY,
        spki,
    };
    let variable = names
        .iter()
        .map(octets)
        .fold(crl_url.len(), usize::saturating_add);
    Ok(
        head.write(variable.saturating_add(ca_issuers_url.len()), |w| {
            extensions::key_usage(w, usage(class));
            extensions::ext_key_usage(w, &profile.ext_key_usages);
            write_critical(w, oid::BASIC_CONSTRAINTS, |w| {
                BasicConstraints {
                    ca: false,
                    path_len: None,
                }
                .write(w);
            });
            extensions::key_identifiers(w, &spki.key_identifier(), issuer.key_identifier());
            extensions::pointers(w, crl_url, ca_issuers_url);
            // RFC 5280 §4.2.1.6: critical, because the subject is empty.
            write_critical(w, oid::SUBJECT_ALT_NAME, |w| alt_names::write(w, names));
        }),
    )
}

/// Signatures for every key; the RSA key exchange of TLS 1.2 needs encipherment too, and only RSA can do it.
fn usage(class: KeyClass) -> KeyUsage {
    match class {
        KeyClass::Rsa => KeyUsage::DIGITAL_SIGNATURE | KeyUsage::KEY_ENCIPHERMENT,
        KeyClass::P256 | KeyClass::P384 | KeyClass::P521 | KeyClass::Ed25519 => {
            KeyUsage::DIGITAL_SIGNATURE
        }
    }
}

fn check_names(names: &BTreeSet<San>, profile: &Profile) -> Result<(), TbsError> {
    let count = names.len();
    match count {
        0 => Err(TbsError::NoNames),
        _ if count > usize::from(profile.names_max) => Err(TbsError::TooManyNames {
            count,
            allowed: profile.names_max,
        }),
        _ => Ok(()),
    }
}

/// Octets of one GeneralName, at most.
fn octets(name: &San) -> usize {
    const AROUND: usize = 8;
    name.dns_name()
        .map_or(16, |name| name.as_str().len())
        .saturating_add(AROUND)
}

#[cfg(test)]
mod tests {
    use chancery_crypto::{Curve, KeyKind};
    use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

    use super::*;
    use crate::certificate::Certificate;
    use crate::lint::lint_leaf;
    use crate::profile::ExtKeyUsage;
    use crate::tbs::fixture::{
        CA_URL, CRL_URL, DAY, NOW, P256, TestCa, names, new_key, spki, webpki_verdict,
    };

    /// Makes, lints and reads one certificate.
    fn issue(ca: &TestCa, profile: &Profile, now: UnixTime) -> Certificate {
        let (spki, names) = (spki(&new_key(P256)), names(&["a.test"]));
        let tbs = leaf(&LeafRequest {
            now,
            ..ca.request(profile, &spki, &names)
        })
        .expect("a leaf");
        let linted = lint_leaf(tbs, profile, &ca.certificate).expect("passes the lint");
        Certificate::parse(&ca.sign(linted.tbs().as_der())).expect("a certificate")
    }

    #[test]
    fn a4_every_lifetime_is_exact_with_both_ends_counted() {
        let ca = TestCa::root(P256);
        let time = |text| UnixTime::parse_rfc3339(text).expect("a time");
        let times = [
            NOW,
            time("2028-02-28T23:59:59Z"),
            time("2028-02-29T12:00:00Z"),
            time("2049-12-31T23:59:59Z"),
            time("2050-01-01T00:00:00Z"),
            time("2050-01-01T00:00:59Z"),
        ];
        for lifetime_secs in [3_600, 6 * DAY, 47 * DAY, 90 * DAY, 366 * DAY, 398 * DAY] {
            for backdate_secs in [0, 60, 3_599] {
                let profile = Profile {
                    lifetime_secs,
                    backdate_secs,
                    ..Profile::server("server")
                };
                for now in times {
                    let certificate = issue(&ca, &profile, now);
                    let (from, to) = (certificate.not_before(), certificate.not_after());
                    assert_eq!(from, now.minus(backdate_secs));
                    let seconds = u64::try_from(from.seconds_until(to) + 1).expect("positive");
                    assert_eq!(seconds, lifetime_secs);
                    let (_, oracle) = X509Certificate::from_der(certificate.der()).expect("reads");
                    let validity = oracle.validity();
                    assert_eq!(validity.not_before.timestamp(), from.0);
                    assert_eq!(validity.not_after.timestamp(), to.0);
                    assert_eq!(validity.not_after.is_generalizedtime(), to >= times[4]);
                    assert_eq!(validity.not_before.is_utctime(), from < times[4]);
                }
            }
        }
    }

    #[test]
    fn the_layout_is_the_one_that_is_documented() {
        let ca = TestCa::root(P256);
        let texts = ["10.0.0.1", "b.test", "*.a.test", "a.test", "2001:db8::1"];
        let der = ca.sign(ca.leaf_tbs(&texts).as_der());
        let (_, oracle) = X509Certificate::from_der(&der).expect("reads");
        assert_eq!(oracle.version().0, 2, "version 3");
        assert_eq!(oracle.subject().iter().count(), 0);
        assert_eq!(oracle.issuer().to_string(), "O=Test, CN=Test Root");
        let seen: Vec<_> = oracle
            .extensions()
            .iter()
            .map(|extension| (extension.oid.to_id_string(), extension.critical))
            .collect();
        let expected = [
            ("2.5.29.15", true),
            ("2.5.29.37", false),
            ("2.5.29.19", true),
            ("2.5.29.14", false),
            ("2.5.29.35", false),
            ("1.3.6.1.5.5.7.1.1", false),
            ("2.5.29.31", false),
            ("2.5.29.17", true),
        ];
        assert_eq!(
            seen,
            expected.map(|(oid, critical)| (oid.to_owned(), critical))
        );
        let names = oracle
            .subject_alternative_name()
            .expect("once")
            .expect("there")
            .value;
        let expected = [
            GeneralName::DNSName("a.test"),
            GeneralName::DNSName("b.test"),
            GeneralName::DNSName("*.a.test"),
            GeneralName::IPAddress(&[10, 0, 0, 1]),
            GeneralName::IPAddress(&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ];
        assert_eq!(names.general_names, expected);
        let text = oracle
            .extensions()
            .iter()
            .map(|e| format!("{:?}", e.parsed_extension()));
        let text: String = text.collect();
        assert!(text.contains(CRL_URL) && text.contains(CA_URL));
        let unparsed = |e: &ParsedExtension<'_>| matches!(e, ParsedExtension::ParseError { .. });
        assert!(
            !oracle
                .extensions()
                .iter()
                .any(|e| unparsed(e.parsed_extension()))
        );
    }

    #[test]
    fn every_kind_of_key_is_certified_by_every_kind_of_ca_and_webpki_agrees() {
        let kinds = [
            P256,
            KeyKind::Ec(Curve::P384),
            KeyKind::Ec(Curve::P521),
            KeyKind::Ed25519,
            KeyKind::Rsa2048,
        ];
        let profile = Profile::server("server");
        let names = names(&["a.test"]);
        let keys: Vec<_> = kinds.iter().map(|kind| spki(&new_key(*kind))).collect();
        for ca_kind in kinds {
            let root = TestCa::root(ca_kind);
            let ca = root.issuing(ca_kind);
            for spki in &keys {
                let tbs = leaf(&ca.request(&profile, spki, &names)).expect("a leaf");
                let linted = lint_leaf(tbs, &profile, &ca.certificate).expect("passes the lint");
                let der = ca.sign(linted.tbs().as_der());
                let (intermediate, anchor) = (ca.certificate.der(), root.certificate.der());
                assert_eq!(webpki_verdict(&der, &[intermediate], anchor, &[]), Ok(()));
                let usage = Certificate::parse(&der)
                    .expect("reads")
                    .key_usage()
                    .expect("there");
                let rsa = KeyClass::of(spki.key()) == KeyClass::Rsa;
                assert_eq!(usage.contains(KeyUsage::KEY_ENCIPHERMENT), rsa);
            }
        }
    }

    #[test]
    fn what_the_profile_or_the_issuer_does_not_allow_is_refused_with_the_reason() {
        let ca = TestCa::root(P256);
        let (spki, one) = (spki(&new_key(P256)), names(&["a.test"]));
        let server = Profile::server("server");
        let request = ca.request(&server, &spki, &one);
        let refused = |request: &LeafRequest<'_>| leaf(request).expect_err("refused");

        let none = names(&[]);
        assert_eq!(
            refused(&LeafRequest {
                names: &none,
                ..request
            }),
            TbsError::NoNames
        );
        let narrow = Profile {
            names_max: 1,
            ..server.clone()
        };
        let two = names(&["a.test", "b.test"]);
        assert_eq!(
            refused(&LeafRequest {
                names: &two,
                profile: &narrow,
                ..request
            }),
            TbsError::TooManyNames {
                count: 2,
                allowed: 1
            }
        );
        let rsa_only = Profile {
            keys: vec![KeyClass::Rsa],
            ..server.clone()
        };
        assert_eq!(
            refused(&LeafRequest {
                profile: &rsa_only,
                ..request
            }),
            TbsError::KeyClass { class: "P-256" }
        );
        for url in ["https://ca.test/1.crl", "http://ca.test/a b", ""] {
            let crl = LeafRequest {
                crl_url: url,
                ..request
            };
            assert_eq!(refused(&crl), TbsError::Url { what: "CRL" });
            let issuer = LeafRequest {
                ca_issuers_url: url,
                ..request
            };
            assert_eq!(
                refused(&issuer),
                TbsError::Url {
                    what: "issuer certificate"
                }
            );
        }
        for now in [ca.certificate.not_after(), ca.certificate.not_before()] {
            let outside = refused(&LeafRequest { now, ..request });
            assert!(
                matches!(outside, TbsError::OutsideIssuer { .. }),
                "{outside}"
            );
        }
        let never = LeafRequest {
            now: UnixTime(i64::MAX),
            ..request
        };
        assert_eq!(refused(&never), TbsError::Validity);
    }

    #[test]
    fn a_set_of_purposes_is_written_in_one_order() {
        let ca = TestCa::root(P256);
        let purposes = vec![
            ExtKeyUsage::ClientAuth,
            ExtKeyUsage::ServerAuth,
            ExtKeyUsage::ClientAuth,
        ];
        let profile = Profile {
            ext_key_usages: purposes,
            ..Profile::server("mtls")
        };
        let certificate = issue(&ca, &profile, NOW);
        assert_eq!(certificate.ext_key_usages(), Some(&ExtKeyUsage::ALL[..]));
    }

    #[test]
    fn a_certificate_with_the_most_names_there_can_be_fits_one_allocation_and_every_reader() {
        let ca = TestCa::root(P256);
        let profile = Profile {
            names_max: 1000,
            ..Profile::server("server")
        };
        let long = ["a".repeat(60), "b".repeat(60), "c".repeat(60)].join(".");
        let texts: Vec<String> = (0..250).map(|n| format!("n{n}.{long}.test")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (names, spki) = (names(&texts), spki(&new_key(P256)));
        let tbs = leaf(&ca.request(&profile, &spki, &names)).expect("a leaf");
        let linted = lint_leaf(tbs, &profile, &ca.certificate).expect("passes the lint");
        let certificate = Certificate::parse(&ca.sign(linted.tbs().as_der())).expect("reads");
        assert!(certificate.sans().iter().eq(&names));
    }
}
