use crate::certificate::view::TbsView;
use crate::certificate::{alt_names, distinguished_name};
use crate::der::Writer;
use crate::lint::{Finding, Leaf};
use crate::name::San;
use crate::oid;

/// The names in subjectAltName: hosts, wildcards and addresses only, each in its one encoding.
pub(super) fn read(view: &TbsView<'_>) -> Result<Vec<San>, String> {
    let extension = view.extensions.find(oid::SUBJECT_ALT_NAME);
    let extension = extension.ok_or_else(|| "subjectAltName is missing".to_owned())?;
    let found = alt_names::read(extension.value).map_err(|error| error.to_string())?;
    let names: Result<Vec<San>, _> = found
        .iter()
        .map(|name| San::from_general_name(name.tag, name.content))
        .collect();
    let names = names.map_err(|error| error.to_string())?;
    // Reading turns upper case to lower; what stands there must be the name itself.
    let mut w = Writer::with_capacity(extension.value.len());
    alt_names::write(&mut w, &names);
    if w.finish() == extension.value {
        Ok(names)
    } else {
        Err("a name in subjectAltName is not in its one encoding".to_owned())
    }
}

/// subjectAltName is there and holds only names that exist here.
pub(super) fn form(leaf: &Leaf<'_>) -> Finding {
    leaf.names.as_ref().map(drop).map_err(Clone::clone)
}

/// The names ascend, so that each is there once and a set of names makes one certificate.
pub(super) fn order(leaf: &Leaf<'_>) -> Finding {
    let Ok(names) = &leaf.names else {
        return Ok(());
    };
    if names
        .iter()
        .zip(names.iter().skip(1))
        .all(|(earlier, later)| earlier < later)
    {
        Ok(())
    } else {
        Err("the names in subjectAltName do not ascend, or one is there twice".to_owned())
    }
}

/// There are no more names than the profile allows.
pub(super) fn count(leaf: &Leaf<'_>) -> Finding {
    let count = leaf.names.as_ref().map_or(0, Vec::len);
    let allowed = leaf.profile.names_max;
    if count <= usize::from(allowed) {
        Ok(())
    } else {
        Err(format!("{count} names, where the profile allows {allowed}"))
    }
}

/// The issuer's name constraints hold each name, a wildcard with everything below its base (failures C5).
pub(super) fn within_constraints(leaf: &Leaf<'_>) -> Finding {
    let Ok(names) = &leaf.names else {
        return Ok(());
    };
    match names.iter().find(|name| !leaf.issuer.permits_name(name)) {
        None => Ok(()),
        Some(name) => Err(format!(
            "{name} is outside the name constraints of the issuer"
        )),
    }
}

/// The subject is empty: names stand in subjectAltName, where readers look for them (RFC 9525 §6.3).
pub(super) fn subject_empty(leaf: &Leaf<'_>) -> Finding {
    if leaf.subject.view.subject == distinguished_name::EMPTY {
        Ok(())
    } else {
        Err("the subject is not empty".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::name_constraints::fixture::{Base, value};
    use crate::der::tag;
    use crate::lint::alter::{constrained_ca, der, leaf_case, leaf_findings};
    use crate::profile::Profile;

    const SAN: &[u8] = oid::SUBJECT_ALT_NAME;

    #[test]
    fn a_subject_with_a_name_in_it_is_found() {
        let case = leaf_case();
        let name = der(|w| distinguished_name::write(w, None, "a.test"));
        case.breaks("subject_empty", |parts| parts.subject = name);
    }

    #[test]
    fn names_that_are_missing_malformed_or_of_another_kind_are_found() {
        let case = leaf_case();
        case.breaks("san_form", |parts| parts.without(SAN));
        case.breaks("san_form", |parts| {
            parts.extension(SAN).value = vec![0x30, 0]
        });
        case.breaks("san_form", |parts| parts.extension(SAN).value.push(0));
        for (kind, name) in [
            (2, &b"A.test"[..]),
            (2, b"a.test."),
            (2, b"a_b.test"),
            (2, b"*.test"),
            (2, b"10.0.0.1"),
            (2, b"a.test\0.evil.test"),
            (2, b""),
            (1, b"root@a.test"),
            (6, b"http://a.test/"),
            (7, &[10, 0, 0]),
        ] {
            let value = der(|w| w.sequence(|w| w.primitive(tag::context(kind), name)));
            case.breaks("san_form", |parts| parts.extension(SAN).value = value);
        }
    }

    #[test]
    fn names_out_of_order_or_twice_are_found() {
        let case = leaf_case();
        for names in [["b.test", "a.test"], ["a.test", "a.test"]] {
            let value =
                der(|w| w.sequence(|w| names.iter().for_each(|name| w.context_ia5(2, name))));
            case.breaks("san_order", |parts| parts.extension(SAN).value = value);
        }
    }

    #[test]
    fn c5_a_name_outside_the_constraints_of_the_issuer_is_found_before_it_is_signed() {
        let ca = constrained_ca(value(
            &[Base::Host("accept.example.test"), Base::Host("open.test")],
            &[Base::Host("SECRET.open.test")],
        ));
        let findings = |name: &str| {
            let tbs = ca.leaf_tbs(&["ok.open.test", name]);
            leaf_findings(&tbs, &Profile::server("server"), &ca.certificate)
        };
        for inside in [
            "accept.example.test",
            "*.accept.example.test",
            "open.test",
            "10.0.0.1",
        ] {
            assert_eq!(findings(inside), [""; 0], "{inside}");
        }
        for outside in [
            "*.example.test",
            "accept.example.test.evil.test",
            "xaccept.example.test",
            "secret.open.test",
            "Secret.Open.Test",
            "a.secret.open.test",
            "*.open.test",
        ] {
            assert_eq!(findings(outside), ["san_within_constraints"], "{outside}");
        }
    }

    #[test]
    fn more_names_than_the_profile_allows_are_found() {
        let case = leaf_case();
        let profile = Profile {
            names_max: 1,
            ..case.profile
        };
        let found = leaf_findings(&case.good.tbs(), &profile, &case.ca.certificate);
        assert_eq!(found, ["san_count"]);
    }
}
