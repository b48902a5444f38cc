use crate::certificate::constraints::BasicConstraints;
use crate::certificate::distinguished_name::{self, is_attribute_text};
use crate::certificate::{KeyUsage, purposes};
use crate::der::tag;
use crate::lint::pointers::{check_ca_issuers, check_crl};
use crate::lint::{Finding, Subject};
use crate::oid;

/// The subject is a common name, with an organisation or without, as UTF8Strings of at most 64 characters.
pub(super) fn subject(subject: &Subject<'_>) -> Finding {
    let attributes =
        distinguished_name::read(subject.view.subject).map_err(|error| error.to_string())?;
    let types: Vec<_> = attributes.iter().map(|attribute| attribute.oid).collect();
    if types != [oid::COMMON_NAME] && types != [oid::ORGANIZATION, oid::COMMON_NAME] {
        return Err("the subject is not a common name with at most an organisation".to_owned());
    }
    let text_is_good = |value| std::str::from_utf8(value).is_ok_and(is_attribute_text);
    let good = attributes.iter().all(|attribute| {
        !attribute.joined && attribute.tag == tag::UTF8_STRING && text_is_good(attribute.value)
    });
    if good {
        Ok(())
    } else {
        Err("a part of the subject is not a UTF8String of 1 to 64 printable characters".to_owned())
    }
}

/// keyUsage is keyCertSign and cRLSign; a CA key signs nothing else.
pub(super) fn key_usage(subject: &Subject<'_>) -> Finding {
    let extension = subject.required(oid::KEY_USAGE, "keyUsage")?;
    let found = KeyUsage::read(extension.value).map_err(|error| error.to_string())?;
    let expected = KeyUsage::KEY_CERT_SIGN | KeyUsage::CRL_SIGN;
    if found == expected {
        Ok(())
    } else {
        Err(format!(
            "keyUsage is {found:?}, where {expected:?} is expected"
        ))
    }
}

/// basicConstraints is there and makes it a CA.
pub(super) fn basic_constraints(subject: &Subject<'_>) -> Finding {
    let extension = subject.required(oid::BASIC_CONSTRAINTS, "basicConstraints")?;
    match BasicConstraints::read(extension.value) {
        Ok(constraints) if constraints.ca => Ok(()),
        Ok(_) => Err("basicConstraints does not say cA TRUE".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A CA below one that limits the path is limited more strictly (RFC 5280 §4.2.1.9).
pub(super) fn path_len(subject: &Subject<'_>) -> Finding {
    let Some(above) = subject.issuer.and_then(|issuer| issuer.path_len()) else {
        return Ok(());
    };
    let own = subject.view.extensions.find(oid::BASIC_CONSTRAINTS);
    // Other rules speak about basicConstraints that are missing, malformed or not a CA's.
    match own.map(|extension| BasicConstraints::read(extension.value)) {
        Some(Ok(BasicConstraints { ca: true, path_len }))
            if path_len.is_none_or(|own| own >= above) =>
        {
            Err(format!(
                "the issuer allows {above} CA certificates below it; the path length must be less"
            ))
        }
        _ => Ok(()),
    }
}

/// A CA that is not a root says for which purposes it certifies: readers have come to require it, and a cross-signed
/// CA without it stopped Let's Encrypt for hours. A root says nothing, its trust is set by who trusts it.
pub(super) fn ext_key_usage(subject: &Subject<'_>) -> Finding {
    let Some(issuer) = subject.issuer else {
        return match subject.view.extensions.find(oid::EXT_KEY_USAGE) {
            None => Ok(()),
            Some(_) => Err("a root must not have extKeyUsage".to_owned()),
        };
    };
    let extension =
        subject.required(oid::EXT_KEY_USAGE, "extKeyUsage of a CA that is not a root")?;
    let found = purposes::read(extension.value).map_err(|error| error.to_string())?;
    let known: Option<Vec<_>> = found.iter().map(|oid| purposes::from_oid(oid)).collect();
    let known =
        known.ok_or_else(|| "extKeyUsage holds a purpose that is not known here".to_owned())?;
    if !known.iter().copied().eq(purposes::in_order(&known)) {
        return Err("extKeyUsage repeats a purpose, or is not in order".to_owned());
    }
    match known.into_iter().find(|purpose| !issuer.permits(*purpose)) {
        None => Ok(()),
        Some(purpose) => Err(format!(
            "the issuer's extKeyUsage does not include {}",
            purpose.name()
        )),
    }
}

/// A root points nowhere. Another CA has both pointers, in the form of a leaf's, or neither.
pub(super) fn pointers(subject: &Subject<'_>) -> Finding {
    let has = |oid| subject.view.extensions.find(oid).is_some();
    let pointers = (
        has(oid::CRL_DISTRIBUTION_POINTS),
        has(oid::AUTHORITY_INFO_ACCESS),
    );
    match (pointers, subject.issuer) {
        ((false, false), _) => Ok(()),
        (_, None) => {
            Err("a root must not have cRLDistributionPoints or authorityInfoAccess".to_owned())
        }
        (_, Some(_)) => check_crl(subject).and_then(|()| check_ca_issuers(subject)),
    }
}

/// A CA below one whose names are limited would have to be limited alike, which is not written here: whoever lints what
/// it signs sees its certificate only.
pub(super) fn name_constraints(subject: &Subject<'_>) -> Finding {
    match subject.issuer {
        Some(issuer) if issuer.limits_names() => {
            Err("the issuer has name constraints, and signs no CA certificates here".to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::name_constraints::fixture::{Base, value};
    use crate::der::Writer;
    use crate::lint::alter::{CaCase, ca_case, ca_findings, constrained_ca, der};
    use crate::tbs::fixture::{P256, TestCa, issuing_request, new_key, root_request, spki};
    use crate::tbs::{CaRequest, ca as make_ca};

    fn attribute(w: &mut Writer, oid: &[u8], kind: u8, text: &[u8]) {
        w.sequence(|w| {
            w.oid(oid);
            w.primitive(kind, text);
        });
    }

    #[test]
    fn a_subject_that_is_not_a_common_name_with_an_organisation_is_found() {
        let case = ca_case();
        let utf8 = tag::UTF8_STRING;
        let one = |oid: &'static [u8], kind, text: &'static [u8]| {
            der(|w| w.sequence(|w| w.tlv(tag::SET, |w| attribute(w, oid, kind, text))))
        };
        let joined = der(|w| {
            w.sequence(|w| {
                w.tlv(tag::SET, |w| {
                    attribute(w, oid::ORGANIZATION, utf8, b"O");
                    attribute(w, oid::COMMON_NAME, utf8, b"CN");
                });
            });
        });
        for name in [
            distinguished_name::EMPTY.to_vec(),
            one(oid::ORGANIZATION, utf8, b"Only an organisation"),
            one(oid::COMMON_NAME, tag::PRINTABLE_STRING, b"Root"),
            one(oid::COMMON_NAME, utf8, b""),
            one(oid::COMMON_NAME, utf8, b"a\nb"),
            one(oid::COMMON_NAME, utf8, b"\xff"),
            one(oid::COMMON_NAME, utf8, &[b'x'; 65]),
            joined,
        ] {
            case.issuing_breaks("ca_subject", |parts| parts.subject.clone_from(&name));
            case.root_breaks("ca_subject", |parts| {
                parts.subject.clone_from(&name);
                parts.issuer = name;
            });
        }
    }

    #[test]
    fn a_key_usage_other_than_signing_certificates_and_crls_is_found() {
        let case = ca_case();
        case.root_breaks("ca_key_usage", |parts| parts.without(oid::KEY_USAGE));
        let all = KeyUsage::KEY_CERT_SIGN | KeyUsage::CRL_SIGN | KeyUsage::DIGITAL_SIGNATURE;
        for usage in [KeyUsage::KEY_CERT_SIGN, all] {
            let value = der(|w| usage.write(w));
            case.issuing_breaks("ca_key_usage", |parts| {
                parts.extension(oid::KEY_USAGE).value = value
            });
        }
    }

    #[test]
    fn basic_constraints_that_are_missing_or_a_leafs_are_found() {
        let case = ca_case();
        let oid = oid::BASIC_CONSTRAINTS;
        case.root_breaks("ca_basic_constraints", |parts| parts.without(oid));
        case.issuing_breaks("ca_basic_constraints", |parts| {
            parts.extension(oid).value = vec![0x30, 0]
        });
        let spelt_out = vec![0x30, 6, 1, 1, 0, 2, 1, 0];
        case.issuing_breaks("ca_basic_constraints", |parts| {
            parts.extension(oid).value = spelt_out
        });
    }

    #[test]
    fn a_path_length_that_the_issuer_does_not_allow_is_found() {
        let root = TestCa::root(P256);
        let (above, below) = (new_key(P256), spki(&new_key(P256)));
        let above_info = spki(&above);
        let request = issuing_request(&above_info, &root.certificate);
        let above_tbs = make_ca(&CaRequest {
            path_len: Some(1),
            ..request
        })
        .expect("a CA");
        let above = TestCa::signed(&above_tbs, &root.key, above);
        let check = |path_len, expected: &[&str]| {
            let request = issuing_request(&below, &above.certificate);
            let tbs = make_ca(&CaRequest {
                path_len,
                ..request
            })
            .expect("a CA");
            assert_eq!(ca_findings(&tbs, Some(&above.certificate)), expected);
        };
        check(Some(0), &[]);
        check(Some(1), &["ca_path_len"]);
        check(Some(255), &["ca_path_len"]);
        check(None, &["ca_path_len"]);
    }

    #[test]
    fn a6_a_ca_below_the_root_without_its_purposes_is_found_before_it_is_signed() {
        let case = ca_case();
        let oid = oid::EXT_KEY_USAGE;
        case.issuing_breaks("ca_ext_key_usage", |parts| parts.without(oid));
        let both = [oid::KP_SERVER_AUTH, oid::KP_CLIENT_AUTH];
        let disordered = [oid::KP_CLIENT_AUTH, oid::KP_SERVER_AUTH];
        let twice = [oid::KP_SERVER_AUTH; 2];
        let unknown: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 9];
        for purposes in [&[][..], &disordered, &twice, &[both[0], unknown]] {
            let value = der(|w| w.sequence(|w| purposes.iter().for_each(|oid| w.oid(oid))));
            case.issuing_breaks("ca_ext_key_usage", |parts| {
                parts.extension(oid).value = value
            });
        }
        let stray = case
            .issuing
            .extensions
            .iter()
            .find(|part| part.oid == oid)
            .expect("there");
        case.root_breaks("ca_ext_key_usage", |parts| {
            parts.extensions.push(stray.clone())
        });
    }

    #[test]
    fn a6_a_cross_signed_ca_may_not_certify_more_than_the_ca_that_signs_it() {
        let root = TestCa::root(P256);
        let key = new_key(P256);
        let (info, below) = (spki(&key), spki(&new_key(P256)));
        let servers = vec![crate::profile::ExtKeyUsage::ServerAuth];
        let request = issuing_request(&info, &root.certificate);
        let request = CaRequest {
            ext_key_usages: servers.clone(),
            path_len: None,
            ..request
        };
        let above = TestCa::signed(&make_ca(&request).expect("a CA"), &root.key, key);
        let request = issuing_request(&below, &above.certificate);
        let wider = make_ca(&request).expect("a CA");
        assert_eq!(
            ca_findings(&wider, Some(&above.certificate)),
            ["ca_ext_key_usage"]
        );
        let same = make_ca(&CaRequest {
            ext_key_usages: servers,
            ..request
        })
        .expect("a CA");
        assert_eq!(ca_findings(&same, Some(&above.certificate)), [""; 0]);
    }

    #[test]
    fn c5_a_ca_below_one_with_name_constraints_is_found() {
        let above = constrained_ca(value(&[Base::Host("a.test")], &[]));
        let key = spki(&new_key(P256));
        let tbs = make_ca(&issuing_request(&key, &above.certificate)).expect("a CA");
        let found = ca_findings(&tbs, Some(&above.certificate));
        assert_eq!(found, ["ca_name_constraints"]);
    }

    #[test]
    fn pointers_of_a_root_and_a_single_or_bad_one_of_another_ca_are_found() {
        let CaCase { above, .. } = ca_case();
        let case = ca_case();
        for oid in [oid::CRL_DISTRIBUTION_POINTS, oid::AUTHORITY_INFO_ACCESS] {
            let pointer = case.issuing.extensions.iter().find(|part| part.oid == oid);
            let pointer = pointer.expect("there").clone();
            case.root_breaks("ca_pointers", |parts| parts.extensions.push(pointer));
            case.issuing_breaks("ca_pointers", |parts| parts.without(oid));
            case.issuing_breaks("ca_pointers", |parts| {
                parts.extension(oid).value = vec![0x30, 0]
            });
        }
        let key = spki(&new_key(P256));
        let request = issuing_request(&key, &above.certificate);
        let none = make_ca(&CaRequest {
            urls: None,
            ..request
        })
        .expect("a CA");
        assert_eq!(ca_findings(&none, Some(&above.certificate)), [""; 0]);
        assert_eq!(
            ca_findings(&make_ca(&root_request(&key)).expect("a root"), None),
            [""; 0]
        );
    }
}
