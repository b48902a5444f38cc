use crate::algorithm::to_der;
use crate::certificate::key_id::AuthorityKeyId;
use crate::certificate::pointer;
use crate::crl::read_number;
use crate::crl::view::CrlView;
use crate::der::DerError;
use crate::issuer::IssuerCertificate;
use crate::lint::Finding;
use crate::lint::entries::Survey;
use crate::oid;
use crate::time::UnixTime;

/// Extensions that a list has, and whether each is critical (RFC 5280 §5.2).
const EXTENSIONS: &[(&[u8], bool)] = &[
    (oid::AUTHORITY_KEY_IDENTIFIER, false),
    (oid::CRL_NUMBER, false),
    (oid::ISSUING_DISTRIBUTION_POINT, true),
];

/// What a linted list says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlFacts {
    /// cRLNumber
    pub number: u64,
    /// When it was made.
    pub this_update: UnixTime,
    /// When the next one is out at the latest.
    pub next_update: UnixTime,
    /// The URL of issuingDistributionPoint; none for the whole list of a root.
    pub distribution_point: Option<String>,
    /// How many certificates it revokes.
    pub entry_count: usize,
}

/// A list as the rules see it.
pub(super) struct CrlSubject<'a> {
    view: CrlView<'a>,
    issuer: &'a IssuerCertificate,
    pub(super) entries: Survey,
}

impl<'a> CrlSubject<'a> {
    pub(super) fn read(tbs: &'a [u8], issuer: &'a IssuerCertificate) -> Result<Self, DerError> {
        let view = CrlView::read(tbs)?;
        let entries = Survey::walk(view.revoked.unwrap_or_default())?;
        Ok(Self {
            view,
            issuer,
            entries,
        })
    }

    /// What the list says, once every rule has passed.
    pub(super) fn facts(&self) -> Result<CrlFacts, String> {
        let missing = || "an extension is missing".to_owned();
        Ok(CrlFacts {
            number: self
                .value(oid::CRL_NUMBER, read_number)
                .ok_or_else(missing)?,
            this_update: self.view.this_update,
            next_update: self.view.next_update,
            distribution_point: self.distribution_point().map(str::to_owned),
            entry_count: self.entries.count,
        })
    }

    fn distribution_point(&self) -> Option<&'a str> {
        self.value(oid::ISSUING_DISTRIBUTION_POINT, pointer::read_issuing_url)
    }

    /// The value of an extension, if it is there and well-formed.
    fn value<T>(
        &self,
        oid: &[u8],
        read: impl FnOnce(&'a [u8]) -> Result<T, DerError>,
    ) -> Option<T> {
        self.view
            .extensions
            .find(oid)
            .and_then(|extension| read(extension.value).ok())
    }
}

/// The algorithm is the one with which the issuer's key signs.
pub(super) fn signature_algorithm(subject: &CrlSubject<'_>) -> Finding {
    let expected = subject.issuer.signature_algorithm();
    if subject.view.algorithm == to_der(expected) {
        Ok(())
    } else {
        Err(format!(
            "the signature algorithm is not {expected:?}, with which the issuer's key signs"
        ))
    }
}

/// The issuer field repeats the issuer's subject byte for byte.
pub(super) fn issuer_name(subject: &CrlSubject<'_>) -> Finding {
    if subject.view.issuer == subject.issuer.subject_der() {
        Ok(())
    } else {
        Err("the issuer is not the subject of the issuer's certificate".to_owned())
    }
}

/// The list is good for some time.
pub(super) fn window(subject: &CrlSubject<'_>) -> Finding {
    let (this_update, next_update) = (subject.view.this_update, subject.view.next_update);
    if this_update < next_update {
        return Ok(());
    }
    let (this_update, next_update) = (this_update.to_rfc3339(), next_update.to_rfc3339());
    Err(format!(
        "thisUpdate {this_update} is not before nextUpdate {next_update}"
    ))
}

/// Without entries revokedCertificates is absent (RFC 5280 §5.1.2.6); some readers refuse an empty one.
pub(super) fn revoked_not_empty(subject: &CrlSubject<'_>) -> Finding {
    match subject.view.revoked {
        Some([]) => Err("revokedCertificates is present and empty".to_owned()),
        _ => Ok(()),
    }
}

/// authorityKeyIdentifier repeats the issuer's subjectKeyIdentifier and says nothing else (RFC 5280 §5.2.1).
pub(super) fn authority_key_id(subject: &CrlSubject<'_>) -> Finding {
    let authority = subject.value(oid::AUTHORITY_KEY_IDENTIFIER, AuthorityKeyId::read);
    let expected = Some(subject.issuer.key_identifier());
    match authority {
        None => Err("authorityKeyIdentifier is missing or malformed".to_owned()),
        Some(id) if id.names_certificate || id.key_identifier != expected => {
            Err("authorityKeyIdentifier is not just the issuer's subjectKeyIdentifier".to_owned())
        }
        Some(_) => Ok(()),
    }
}

/// cRLNumber is there (RFC 5280 §5.2.3).
pub(super) fn number(subject: &CrlSubject<'_>) -> Finding {
    match subject.value(oid::CRL_NUMBER, read_number) {
        Some(_) => Ok(()),
        None => Err("cRLNumber is missing, or is not a number from 0 to 2^64-1".to_owned()),
    }
}

/// issuingDistributionPoint is one plain http:// URL: the list is whole for the certificates that carry it. A root's
/// list may be without, for it has no shards; that of another CA would hide what its other shards revoke.
pub(super) fn distribution_point(subject: &CrlSubject<'_>) -> Finding {
    let is_there = subject
        .view
        .extensions
        .find(oid::ISSUING_DISTRIBUTION_POINT)
        .is_some();
    match subject.distribution_point() {
        Some(url) if pointer::is_http_url(url) => Ok(()),
        Some(_) => Err("issuingDistributionPoint is not a plain http:// URL".to_owned()),
        None if is_there => Err("issuingDistributionPoint is not exactly one URI".to_owned()),
        None if subject.issuer.is_self_issued() => Ok(()),
        None => Err("issuingDistributionPoint is missing, and the issuer is no root".to_owned()),
    }
}

/// No extension occurs twice.
pub(super) fn extension_unique(subject: &CrlSubject<'_>) -> Finding {
    match subject.view.extensions.repeated() {
        None => Ok(()),
        Some(extension) => Err(format!("{} occurs more than once", extension.name())),
    }
}

/// No extension but those of the layout.
pub(super) fn extension_known(subject: &CrlSubject<'_>) -> Finding {
    let unknown = |found: &[u8]| EXTENSIONS.iter().all(|(oid, _)| *oid != found);
    match subject
        .view
        .extensions
        .iter()
        .find(|extension| unknown(extension.oid))
    {
        None => Ok(()),
        Some(extension) => Err(format!("{} has no place in a CRL here", extension.name())),
    }
}

/// Each extension is critical or not as the layout says.
pub(super) fn extension_criticality(subject: &CrlSubject<'_>) -> Finding {
    for (oid, critical) in EXTENSIONS {
        match subject.view.extensions.find(oid) {
            Some(extension) if extension.critical != *critical => {
                let seen = if *critical {
                    "not critical"
                } else {
                    "critical"
                };
                return Err(format!("{} is {seen}", extension.name()));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chancery_crypto::SignatureAlgorithm;

    use super::*;
    use crate::certificate::{distinguished_name, key_id};
    use crate::crl::CrlRequest;
    use crate::der::tag;
    use crate::lint::alter::{CrlCase, Part, crl_case, crl_findings, der};
    use crate::lint::lint_crl;
    use crate::tbs::fixture::{CRL_URL, DAY, NOW, P256, TestCa, crl_request, crl_tbs};

    #[test]
    fn a_good_list_breaks_no_rule_and_its_facts_are_told() {
        let CrlCase { ca, good } = crl_case();
        let mut expected = CrlFacts {
            number: 12,
            this_update: NOW,
            next_update: NOW.plus(DAY),
            distribution_point: Some(CRL_URL.to_owned()),
            entry_count: 2,
        };
        assert_eq!(lint_crl(&good.tbs(), &ca.certificate), Ok(expected.clone()));
        let root = TestCa::root(P256);
        let whole = CrlRequest {
            distribution_point: None,
            ..crl_request(&root)
        };
        (expected.distribution_point, expected.entry_count) = (None, 0);
        assert_eq!(
            lint_crl(&crl_tbs(&whole, &[]), &root.certificate),
            Ok(expected)
        );
    }

    #[test]
    fn bytes_that_are_no_version_2_list_are_found() {
        let case = crl_case();
        case.breaks("crl_form", |parts| parts.version = vec![2, 1, 0]);
        case.breaks("crl_form", |parts| parts.version.clear());
        case.breaks("crl_form", |parts| parts.next_update.clear());
        let early = der(|w| w.primitive(tag::GENERALIZED_TIME, b"20260101000000Z"));
        case.breaks("crl_form", |parts| parts.this_update = early);
        case.with_entry("crl_form", vec![0x30, 0]);
        assert_eq!(crl_findings(&[], &case.ca.certificate), ["crl_form"]);
        let error = lint_crl(&[0; 9], &case.ca.certificate).expect_err("refused");
        assert_eq!(error.rule, "crl_form");
    }

    #[test]
    fn another_algorithm_issuer_or_key_identifier_is_found() {
        let case = crl_case();
        let algorithm = to_der(SignatureAlgorithm::EcdsaSha384);
        case.breaks("crl_signature_algorithm", |parts| {
            parts.algorithm = algorithm
        });
        let name = der(|w| distinguished_name::write(w, None, "Other CA"));
        case.breaks("crl_issuer_name", |parts| parts.issuer = name);
        let oid = oid::AUTHORITY_KEY_IDENTIFIER;
        let other = der(|w| key_id::write_authority(w, &[7; 20]));
        case.breaks("crl_authority_key_id", |parts| {
            parts.extension(oid).value = other
        });
        case.breaks("crl_authority_key_id", |parts| {
            parts.extension(oid).value = vec![0x30, 0]
        });
        case.breaks("crl_authority_key_id", |parts| {
            parts.extensions.retain(|part| part.oid != oid)
        });
    }

    #[test]
    fn a_list_that_is_never_current_is_found() {
        let case = crl_case();
        case.breaks("crl_window", |parts| {
            parts.next_update.clone_from(&parts.this_update)
        });
        case.breaks("crl_window", |parts| {
            parts.next_update = der(|w| w.time(NOW.minus(1)))
        });
    }

    #[test]
    fn d6_an_empty_revoked_certificates_is_found() {
        let case = crl_case();
        case.breaks("crl_revoked_not_empty", |parts| {
            parts.revoked = Some(vec![])
        });
        let mut without = case.good.clone();
        without.revoked = None;
        assert_eq!(crl_findings(&without.tbs(), &case.ca.certificate), [""; 0]);
    }

    #[test]
    fn a_number_that_is_missing_or_none_is_found() {
        let case = crl_case();
        let oid = oid::CRL_NUMBER;
        case.breaks("crl_number", |parts| {
            parts.extensions.retain(|part| part.oid != oid)
        });
        for value in [
            &[2, 1, 0xff][..],
            &[2, 0],
            &[4, 1, 1],
            &[2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            case.breaks("crl_number", |parts| {
                parts.extension(oid).value = value.to_vec()
            });
        }
    }

    #[test]
    fn d7_a_distribution_point_that_is_not_one_http_url_or_limits_the_list_is_found() {
        let case = crl_case();
        let oid = oid::ISSUING_DISTRIBUTION_POINT;
        let rule = "crl_distribution_point";
        case.breaks(rule, |parts| {
            parts.extensions.retain(|part| part.oid != oid)
        });
        case.breaks(rule, |parts| parts.extension(oid).value = vec![0x30, 0]);
        let https = der(|w| pointer::write_issuing_point(w, "https://ca.test/0.crl"));
        case.breaks(rule, |parts| parts.extension(oid).value = https);
        // onlyContainsUserCerts, onlyContainsCACerts, onlySomeReasons (one, and none), indirectCRL,
        // onlyContainsAttributeCerts; true, and a default spelt out.
        for flag in [
            &[0x81, 1, 0xff][..],
            &[0x82, 1, 0xff],
            &[0x83, 2, 6, 0x40],
            &[0x83, 0],
            &[0x84, 1, 0xff],
            &[0x85, 1, 0xff],
            &[0x81, 1, 0],
        ] {
            case.breaks(rule, |parts| {
                let value = &mut parts.extension(oid).value;
                value.extend(flag);
                value[1] += u8::try_from(flag.len()).expect("short");
            });
        }
    }

    #[test]
    fn extensions_twice_unknown_or_of_turned_criticality_are_found() {
        let case = crl_case();
        for (oid, _) in EXTENSIONS {
            case.breaks("crl_extension_unique", |parts| {
                let copy = parts.extension(oid).clone();
                parts.extensions.push(copy);
            });
            case.breaks("crl_extension_criticality", |parts| {
                let part = parts.extension(oid);
                part.critical = !part.critical;
            });
        }
        // deltaCRLIndicator
        let oid = vec![0x55, 0x1d, 0x1b];
        let delta = Part {
            oid,
            critical: true,
            value: vec![2, 1, 4],
        };
        case.breaks("crl_extension_known", |parts| parts.extensions.push(delta));
    }
}
