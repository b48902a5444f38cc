use crate::certificate::constraints::BasicConstraints;
use crate::certificate::{KeyUsage, purposes};
use crate::lint::{Finding, Leaf};
use crate::oid;
use crate::profile::KeyClass;

/// keyUsage is digitalSignature, and for RSA keys keyEncipherment too; nothing else.
pub(super) fn key_usage(leaf: &Leaf<'_>) -> Finding {
    let extension = leaf.subject.required(oid::KEY_USAGE, "keyUsage")?;
    let found = KeyUsage::read(extension.value).map_err(|error| error.to_string())?;
    let Ok(spki) = &leaf.subject.spki else {
        return Ok(());
    };
    let expected = if KeyClass::of(spki.key()) == KeyClass::Rsa {
        KeyUsage::DIGITAL_SIGNATURE | KeyUsage::KEY_ENCIPHERMENT
    } else {
        KeyUsage::DIGITAL_SIGNATURE
    };
    if found == expected {
        Ok(())
    } else {
        Err(format!(
            "keyUsage is {found:?}, where {expected:?} is expected"
        ))
    }
}

/// extKeyUsage is exactly the profile's set, each purpose once, in one order.
pub(super) fn ext_key_usage(leaf: &Leaf<'_>) -> Finding {
    let extension = leaf.subject.required(oid::EXT_KEY_USAGE, "extKeyUsage")?;
    let found = purposes::read(extension.value).map_err(|error| error.to_string())?;
    let expected = purposes::in_order(&leaf.profile.ext_key_usages).map(purposes::oid_of);
    if found.into_iter().eq(expected) {
        Ok(())
    } else {
        Err("extKeyUsage is not the profile's".to_owned())
    }
}

/// The issuer's own extKeyUsage allows what the profile certifies; readers refuse the chain otherwise.
pub(super) fn ext_key_usage_of_issuer(leaf: &Leaf<'_>) -> Finding {
    match leaf
        .profile
        .ext_key_usages
        .iter()
        .find(|purpose| !leaf.issuer.permits(**purpose))
    {
        None => Ok(()),
        Some(purpose) => Err(format!(
            "the issuer's extKeyUsage does not include {}",
            purpose.name()
        )),
    }
}

/// basicConstraints is there and says that this is no CA.
pub(super) fn basic_constraints(leaf: &Leaf<'_>) -> Finding {
    let extension = leaf
        .subject
        .required(oid::BASIC_CONSTRAINTS, "basicConstraints")?;
    match BasicConstraints::read(extension.value) {
        Ok(BasicConstraints {
            ca: false,
            path_len: None,
        }) => Ok(()),
        Ok(_) => Err("basicConstraints makes a leaf a CA".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use chancery_crypto::KeyKind;

    use super::*;
    use crate::lint::alter::{Parts, der, leaf_case, leaf_findings};
    use crate::profile::{ExtKeyUsage, Profile};
    use crate::tbs::fixture::{P256, TestCa, issuing_request, names, new_key, spki};
    use crate::tbs::{CaRequest, ca, leaf};

    #[test]
    fn a_key_usage_that_is_missing_or_not_the_keys_is_found() {
        let case = leaf_case();
        case.breaks("key_usage", |parts| parts.without(oid::KEY_USAGE));
        for usage in [
            KeyUsage::DIGITAL_SIGNATURE | KeyUsage::KEY_ENCIPHERMENT,
            KeyUsage::DIGITAL_SIGNATURE | KeyUsage::KEY_CERT_SIGN,
            KeyUsage::CRL_SIGN,
        ] {
            let value = der(|w| usage.write(w));
            case.breaks("key_usage", |parts| {
                parts.extension(oid::KEY_USAGE).value = value
            });
        }
        let padded = vec![3, 2, 0, 0x80];
        case.breaks("key_usage", |parts| {
            parts.extension(oid::KEY_USAGE).value = padded
        });
    }

    #[test]
    fn an_rsa_key_without_key_encipherment_is_found() {
        let case = leaf_case();
        let (rsa, names) = (spki(&new_key(KeyKind::Rsa2048)), names(&["a.test"]));
        let tbs = leaf(&case.ca.request(&case.profile, &rsa, &names)).expect("a leaf");
        let mut parts = Parts::read(tbs.as_der());
        parts.extension(oid::KEY_USAGE).value = der(|w| KeyUsage::DIGITAL_SIGNATURE.write(w));
        let found = leaf_findings(&parts.tbs(), &case.profile, &case.ca.certificate);
        assert_eq!(found, ["key_usage"]);
    }

    #[test]
    fn purposes_that_are_not_exactly_the_profiles_are_found() {
        let case = leaf_case();
        let both = [oid::KP_SERVER_AUTH, oid::KP_CLIENT_AUTH];
        let twice = [oid::KP_SERVER_AUTH, oid::KP_SERVER_AUTH];
        let any: &[u8] = &[0x55, 0x1d, 0x25, 0];
        for purposes in [&both[..], &twice, &[oid::KP_CLIENT_AUTH], &[any], &[]] {
            let value = der(|w| w.sequence(|w| purposes.iter().for_each(|oid| w.oid(oid))));
            case.breaks("ext_key_usage", |parts| {
                parts.extension(oid::EXT_KEY_USAGE).value = value
            });
        }
        case.breaks("ext_key_usage", |parts| parts.without(oid::EXT_KEY_USAGE));
    }

    /// The same mistake one floor down: a leaf for a purpose that its issuing CA may not certify.
    #[test]
    fn a6_a_purpose_that_the_issuer_may_not_certify_is_found() {
        let root = TestCa::root(P256);
        let key = new_key(P256);
        let key_info = spki(&key);
        let request = issuing_request(&key_info, &root.certificate);
        let clients_only = CaRequest {
            ext_key_usages: vec![ExtKeyUsage::ClientAuth],
            ..request
        };
        let tbs = ca(&clients_only).expect("a CA");
        let issuer = TestCa::signed(&tbs, &root.key, key);
        let tbs = issuer.leaf_tbs(&["a.test"]);
        let found = leaf_findings(&tbs, &Profile::server("server"), &issuer.certificate);
        assert_eq!(found, ["ext_key_usage_of_issuer"]);
    }

    #[test]
    fn basic_constraints_that_are_missing_or_a_cas_are_found() {
        let case = leaf_case();
        case.breaks("basic_constraints", |parts| {
            parts.without(oid::BASIC_CONSTRAINTS)
        });
        for value in [
            vec![0x30, 3, 1, 1, 0xff],
            vec![0x30, 6, 1, 1, 0xff, 2, 1, 0],
            vec![0x30, 3, 1, 1, 0],
            vec![0x30, 3, 2, 1, 0],
            vec![],
        ] {
            case.breaks("basic_constraints", |parts| {
                parts.extension(oid::BASIC_CONSTRAINTS).value = value;
            });
        }
    }

    #[test]
    fn the_value_is_looked_at_and_not_the_place_of_an_extension() {
        let case = leaf_case();
        let mut parts = case.good.clone();
        parts.extensions.reverse();
        assert_eq!(
            leaf_findings(&parts.tbs(), &case.profile, &case.ca.certificate),
            [""; 0]
        );
    }
}
