use crate::certificate::key_id;
use crate::lint::{Finding, Leaf, Subject};
use crate::oid;
use crate::profile::KeyClass;

/// The key passes the key policy, in its one encoding.
pub(super) fn acceptable(subject: &Subject<'_>) -> Finding {
    subject.spki.as_ref().map(drop).map_err(ToString::to_string)
}

/// The kind of key is one that the profile allows.
pub(super) fn class(leaf: &Leaf<'_>) -> Finding {
    let Ok(spki) = &leaf.subject.spki else {
        return Ok(());
    };
    let class = KeyClass::of(spki.key());
    if leaf.profile.keys.contains(&class) {
        Ok(())
    } else {
        Err(format!(
            "the key is of kind {}, which the profile does not allow",
            class.name()
        ))
    }
}

/// subjectKeyIdentifier is the one name that the key has here (RFC 7093 §2 method 1).
pub(super) fn subject_key_id(subject: &Subject<'_>) -> Finding {
    let extension = subject.required(oid::SUBJECT_KEY_IDENTIFIER, "subjectKeyIdentifier")?;
    let found = key_id::read_subject(extension.value).map_err(|error| error.to_string())?;
    match &subject.spki {
        Ok(spki) if found != spki.key_identifier() => {
            Err("subjectKeyIdentifier is not derived from the key by RFC 7093 method 1".to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use chancery_crypto::{Curve, KeyKind};

    use crate::lint::alter::{ca_case, leaf_case, leaf_findings};
    use crate::oid;
    use crate::profile::{KeyClass, Profile};
    use crate::tbs::fixture::{new_key, spki};

    #[test]
    fn a_key_that_is_no_point_of_its_curve_is_found() {
        let (leaf, ca) = (leaf_case(), ca_case());
        let spoil = |spki: &mut Vec<u8>| *spki.last_mut().expect("not empty") ^= 1;
        leaf.breaks("key_acceptable", |parts| spoil(&mut parts.spki));
        ca.root_breaks("key_acceptable", |parts| spoil(&mut parts.spki));
        leaf.breaks("key_acceptable", |parts| parts.spki = vec![0x30, 0]);
    }

    #[test]
    fn a_kind_of_key_that_the_profile_does_not_allow_is_found() {
        let case = leaf_case();
        let profile = Profile {
            keys: vec![KeyClass::P384, KeyClass::Rsa],
            ..case.profile
        };
        let found = leaf_findings(&case.good.tbs(), &profile, &case.ca.certificate);
        assert_eq!(found, ["key_class"]);
    }

    #[test]
    fn a_subject_key_identifier_of_another_key_or_none_is_found() {
        let (leaf, ca) = (leaf_case(), ca_case());
        let ski = oid::SUBJECT_KEY_IDENTIFIER;
        leaf.breaks("subject_key_id", |parts| parts.without(ski));
        ca.root_breaks("subject_key_id", |parts| parts.without(ski));
        leaf.breaks("subject_key_id", |parts| {
            parts.extension(ski).value = vec![4, 1, 7]
        });
        leaf.breaks("subject_key_id", |parts| {
            parts.extension(ski).value = vec![4, 0]
        });
        let other = spki(&new_key(KeyKind::Ec(Curve::P256)));
        leaf.breaks("subject_key_id", |parts| {
            parts.spki = other.as_der().to_vec()
        });
    }
}
