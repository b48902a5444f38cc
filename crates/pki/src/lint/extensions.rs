use crate::lint::{Finding, Leaf, Subject};
use crate::oid;

/// Extensions that a certificate may have, and whether each is critical.
type Table = &'static [(&'static [u8], bool)];

/// subjectAltName is critical because the subject is empty (RFC 5280 §4.2.1.6).
const LEAF: Table = &[
    (oid::KEY_USAGE, true),
    (oid::EXT_KEY_USAGE, false),
    (oid::BASIC_CONSTRAINTS, true),
    (oid::SUBJECT_KEY_IDENTIFIER, false),
    (oid::AUTHORITY_KEY_IDENTIFIER, false),
    (oid::AUTHORITY_INFO_ACCESS, false),
    (oid::CRL_DISTRIBUTION_POINTS, false),
    (oid::SUBJECT_ALT_NAME, true),
];

const CA: Table = &[
    (oid::KEY_USAGE, true),
    (oid::EXT_KEY_USAGE, false),
    (oid::BASIC_CONSTRAINTS, true),
    (oid::SUBJECT_KEY_IDENTIFIER, false),
    (oid::AUTHORITY_KEY_IDENTIFIER, false),
    (oid::AUTHORITY_INFO_ACCESS, false),
    (oid::CRL_DISTRIBUTION_POINTS, false),
];

/// No extension occurs twice (RFC 5280 §4.2).
pub(super) fn unique(subject: &Subject<'_>) -> Finding {
    match subject.view.extensions.repeated() {
        None => Ok(()),
        Some(extension) => Err(format!("{} occurs more than once", extension.name())),
    }
}

/// A leaf has no extension but those of its layout.
pub(super) fn known_in_leaf(leaf: &Leaf<'_>) -> Finding {
    known(&leaf.subject, LEAF)
}

/// A CA certificate has no extension but those of its layout.
pub(super) fn known_in_ca(subject: &Subject<'_>) -> Finding {
    known(subject, CA)
}

/// Each extension of a leaf is critical or not as its layout says.
pub(super) fn criticality_in_leaf(leaf: &Leaf<'_>) -> Finding {
    criticality(&leaf.subject, LEAF)
}

/// Each extension of a CA certificate is critical or not as its layout says.
pub(super) fn criticality_in_ca(subject: &Subject<'_>) -> Finding {
    criticality(subject, CA)
}

fn known(subject: &Subject<'_>, table: Table) -> Finding {
    let unknown = |found: &[u8]| table.iter().all(|(oid, _)| *oid != found);
    match subject
        .view
        .extensions
        .iter()
        .find(|extension| unknown(extension.oid))
    {
        None => Ok(()),
        Some(extension) => Err(format!(
            "{} has no place in this kind of certificate",
            extension.name()
        )),
    }
}

fn criticality(subject: &Subject<'_>, table: Table) -> Finding {
    for (oid, critical) in table {
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
    use super::*;
    use crate::lint::alter::{Part, ca_case, leaf_case};

    #[test]
    fn an_extension_that_is_there_twice_is_found() {
        let (leaf, ca) = (leaf_case(), ca_case());
        for (oid, _) in LEAF {
            leaf.breaks("extension_unique", |parts| {
                let copy = parts.extension(oid).clone();
                parts.extensions.push(copy);
            });
        }
        ca.root_breaks("extension_unique", |parts| {
            let copy = parts.extension(oid::KEY_USAGE).clone();
            parts.extensions.insert(0, copy);
        });
    }

    #[test]
    fn an_extension_that_has_no_place_is_found_critical_or_not() {
        let (leaf, ca) = (leaf_case(), ca_case());
        for critical in [true, false] {
            // OCSP must-staple, and a name that only a leaf may have.
            let oid = vec![0x2b, 6, 1, 5, 5, 7, 1, 24];
            let stray = Part {
                oid,
                critical,
                value: vec![0x30, 3, 2, 1, 5],
            };
            leaf.breaks("extension_known", |parts| parts.extensions.push(stray));
            let oid = oid::SUBJECT_ALT_NAME.to_vec();
            let names = Part {
                oid,
                critical,
                value: vec![0x30, 3, 0x82, 1, b'a'],
            };
            ca.root_breaks("extension_known", |parts| parts.extensions.push(names));
        }
    }

    #[test]
    fn a_criticality_that_is_turned_round_is_found() {
        let (leaf, ca) = (leaf_case(), ca_case());
        let turn = |part: &mut Part| part.critical = !part.critical;
        for (oid, _) in LEAF {
            leaf.breaks("extension_criticality", |parts| turn(parts.extension(oid)));
        }
        for (oid, _) in CA {
            ca.issuing_breaks("extension_criticality", |parts| turn(parts.extension(oid)));
        }
    }
}
