use crate::certificate::KeyUsage;
use crate::certificate::constraints::BasicConstraints;
use crate::certificate::distinguished_name::{self, is_attribute_text};
use crate::certificate::extension::write_critical;
use crate::der::Writer;
use crate::issuer::IssuerCertificate;
use crate::oid;
use crate::profile::ExtKeyUsage;
use crate::serial::Serial;
use crate::spki::Spki;
use crate::tbs::{Head, Tbs, TbsError, check_validity, extensions};
use crate::time::UnixTime;

/// What one CA certificate is made of.
#[derive(Debug, Clone)]
pub struct CaRequest<'a> {
    /// The CA's common name, 1 to 64 characters.
    pub subject_cn: &'a str,
    /// The CA's organisation, 1 to 64 characters.
    pub organization: Option<&'a str>,
    /// A serial number that was never used before.
    pub serial: Serial,
    /// The first second of validity. Leaf certificates are backdated and must still lie within it.
    pub not_before: UnixTime,
    /// The last second of validity.
    pub not_after: UnixTime,
    /// The CA's key.
    pub spki: &'a Spki,
    /// The CA above; none for a root, which signs itself.
    pub issuer: Option<&'a IssuerCertificate>,
    /// How many CA certificates may stand below it on a path.
    pub path_len: Option<u8>,
    /// Where the CRL and the issuer's certificate are (in this order); none for a root.
    pub urls: Option<(&'a str, &'a str)>,
    /// The purposes that it may certify; `lint` wants at least one for every CA that is not a root.
    pub ext_key_usages: Vec<ExtKeyUsage>,
}

/// Makes the TBSCertificate of a CA: keyCertSign and cRLSign, cA TRUE, names as UTF8String.
///
/// # Errors
/// [`TbsError`] for a name, a validity or a URL that cannot stand in a certificate, or a validity outside the issuer's.
pub fn ca(request: &CaRequest<'_>) -> Result<Tbs, TbsError> {
    check(request)?;
    let mut subject = Writer::new();
    distinguished_name::write(&mut subject, request.organization, request.subject_cn);
    let subject = subject.finish();
    let own_id = request.spki.key_identifier();
    let head = Head {
        serial: request.serial,
        algorithm: request.issuer.map_or_else(
            || request.spki.key().default_algorithm(),
            IssuerCertificate::signature_algorithm,
        ),
        issuer: request
            .issuer
            .map_or(&subject, IssuerCertificate::subject_der),
        validity: (request.not_before, request.not_after),
        subject: &subject,
        spki: request.spki,
    };
    // A root's authorityKeyIdentifier is its own identifier; RFC 5280 §4.2.1.1 would let it be left out.
    let authority = request
        .issuer
        .map_or(&own_id[..], IssuerCertificate::key_identifier);
    let url_octets = request
        .urls
        .map_or(0, |(crl, ca)| crl.len().saturating_add(ca.len()));
    Ok(head.write(url_octets, |w| {
        extensions::key_usage(w, KeyUsage::KEY_CERT_SIGN | KeyUsage::CRL_SIGN);
        extensions::ext_key_usage(w, &request.ext_key_usages);
        write_critical(w, oid::BASIC_CONSTRAINTS, |w| {
            BasicConstraints {
                ca: true,
                path_len: request.path_len,
            }
            .write(w);
        });
        extensions::key_identifiers(w, &own_id, authority);
        if let Some((crl_url, ca_issuers_url)) = request.urls {
            extensions::pointers(w, crl_url, ca_issuers_url);
        }
    }))
}

fn check(request: &CaRequest<'_>) -> Result<(), TbsError> {
    if !is_attribute_text(request.subject_cn) {
        return Err(TbsError::Subject {
            what: "common name",
        });
    }
    if !request.organization.is_none_or(is_attribute_text) {
        return Err(TbsError::Subject {
            what: "organisation",
        });
    }
    if let Some((crl_url, ca_issuers_url)) = request.urls {
        extensions::check_urls(crl_url, ca_issuers_url)?;
    }
    check_validity(request.not_before, request.not_after, request.issuer)
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;
    use crate::certificate::Certificate;
    use crate::lint::lint_ca;
    use crate::tbs::fixture::{
        DAY, NOW, P256, TestCa, issuing_request, new_key, root_request, sign, spki,
    };

    #[test]
    fn a_root_signs_itself_and_says_nothing_that_limits_it() {
        let key = new_key(P256);
        let spki = spki(&key);
        let tbs = ca(&root_request(&spki)).expect("a root");
        assert_eq!(lint_ca(&tbs, None), Ok(()));
        let root = Certificate::parse(&sign(tbs.as_der(), &key)).expect("reads");
        assert_eq!(root.verify_signed_by(key.public()), Ok(()));
        assert!(root.is_self_issued() && root.is_ca());
        assert_eq!(root.subject_key_id(), root.authority_key_id());
        assert_eq!(root.subject_key_id(), Some(&spki.key_identifier()[..]));
        assert_eq!((root.path_len(), root.ext_key_usages()), (None, None));
        let (_, oracle) = X509Certificate::from_der(root.der()).expect("reads");
        assert_eq!(oracle.subject().to_string(), "O=Test, CN=Test Root");
        assert_eq!(oracle.extensions().len(), 4);
        oracle.extensions_map().expect("no extension twice");
    }

    #[test]
    fn an_issuing_ca_is_limited_and_points_to_its_issuer() {
        let root = TestCa::root(P256);
        let spki = spki(&new_key(P256));
        let tbs = ca(&issuing_request(&spki, &root.certificate)).expect("a CA");
        assert_eq!(lint_ca(&tbs, Some(&root.certificate)), Ok(()));
        let issuing = Certificate::parse(&root.sign(tbs.as_der())).expect("reads");
        assert_eq!(issuing.verify_signed_by(root.key.public()), Ok(()));
        assert_eq!(issuing.path_len(), Some(0));
        assert_eq!(issuing.ext_key_usages(), Some(&ExtKeyUsage::ALL[..]));
        assert_eq!(issuing.crl_urls(), ["http://ca.test/crl/0/0.crl"]);
        assert_eq!(issuing.ca_issuers_urls(), ["http://ca.test/issuer/0.cer"]);
    }

    #[test]
    fn names_validities_and_urls_that_cannot_be_written_are_refused() {
        let root = TestCa::root(P256);
        let spki = spki(&new_key(P256));
        let good = issuing_request(&spki, &root.certificate);
        let refused = |request: CaRequest<'_>| ca(&request).expect_err("refused");
        let long = "x".repeat(65);
        for name in ["", " x", "a\nb", &long] {
            let cn = CaRequest {
                subject_cn: name,
                ..good.clone()
            };
            assert_eq!(
                refused(cn),
                TbsError::Subject {
                    what: "common name"
                }
            );
            let organization = CaRequest {
                organization: Some(name),
                ..good.clone()
            };
            assert_eq!(
                refused(organization),
                TbsError::Subject {
                    what: "organisation"
                }
            );
        }
        let urls = Some(("http://ca.test/0.crl", "ftp://ca.test/"));
        let url = refused(CaRequest {
            urls,
            ..good.clone()
        });
        assert_eq!(
            url,
            TbsError::Url {
                what: "issuer certificate"
            }
        );
        let too_long = CaRequest {
            not_after: NOW.plus(14_601 * DAY),
            ..good.clone()
        };
        assert!(matches!(refused(too_long), TbsError::OutsideIssuer { .. }));
        let backwards = CaRequest {
            not_before: NOW,
            not_after: NOW.minus(1),
            ..good.clone()
        };
        assert_eq!(refused(backwards), TbsError::Validity);
        let too_early = CaRequest {
            not_before: UnixTime(-631_152_001),
            issuer: None,
            ..good
        };
        assert_eq!(refused(too_early), TbsError::Validity);
    }

    #[test]
    fn a_ca_without_end_is_written_as_rfc_5280_wants_it() {
        let key = new_key(P256);
        let spki = spki(&key);
        let forever = UnixTime::parse_rfc3339("9999-12-31T23:59:59Z").expect("a time");
        let request = CaRequest {
            not_after: forever,
            ..root_request(&spki)
        };
        let tbs = ca(&request).expect("a root");
        assert!(tbs.as_der().windows(15).any(|at| at == b"99991231235959Z"));
        assert_eq!(lint_ca(&tbs, None), Ok(()));
    }
}
