//! The last look at whatever is about to be signed: certificates of leaves and CAs, and CRLs.
//!
//! Nothing that made the bytes is trusted: they are read anew, and every rule that the profile, the issuer and
//! RFC 5280 set is checked on what was read. The authority lints before it claims a serial number, the signer lints
//! again before it uses the key. The rules are the four tables below; each stands in the file of its subject.
//!
//! [`lint_leaf`] takes the bytes away and gives them back inside [`Linted`], which cannot be made otherwise.

mod algorithm;
#[cfg(test)]
mod alter;
mod ca;
mod crl;
mod entries;
mod extensions;
mod issuer;
mod key;
mod names;
mod pointers;
mod serial;
mod usage;
mod validity;

use chancery_crypto::Digest32;

use crate::certificate::extension::Extension;
use crate::certificate::view::TbsView;
use crate::crl::CRL_BYTES_MAX;
use crate::issuer::IssuerCertificate;
use crate::name::San;
use crate::profile::Profile;
use crate::serial::Serial;
use crate::spki::{Spki, SpkiError};
use crate::tbs::Tbs;

use self::crl::CrlSubject;

pub use self::crl::CrlFacts;

/// The largest TBSCertificate that is looked at.
const TBS_BYTES_MAX: usize = crate::certificate::CERTIFICATE_BYTES_MAX;

/// Bytes must not be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("lint {rule}: {detail}")]
pub struct LintError {
    /// The name of the rule that is broken.
    pub rule: &'static str,
    /// What was seen and what was expected.
    pub detail: String,
}

/// A leaf TBSCertificate that passed every rule of one profile under one issuer. It cannot be copied, so whoever
/// holds it is the only one who can have it signed.
#[derive(Debug)]
pub struct Linted {
    tbs: Tbs,
    serial: Serial,
    profile_hash: Digest32,
    issuer_key_identifier: Vec<u8>,
}

impl Linted {
    /// The bytes, as they were linted.
    #[must_use]
    pub fn tbs(&self) -> &Tbs {
        &self.tbs
    }

    /// The serial number in them.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// The hash of the profile whose rules they keep.
    #[must_use]
    pub fn profile_hash(&self) -> Digest32 {
        self.profile_hash
    }

    /// The key identifier of the issuer that they are for.
    #[must_use]
    pub fn issuer_key_identifier(&self) -> &[u8] {
        &self.issuer_key_identifier
    }

    /// The bytes, given away: this lint is spent.
    #[must_use]
    pub fn into_tbs(self) -> Tbs {
        self.tbs
    }
}

/// What a rule says: nothing, or what was seen and what was expected.
type Finding = Result<(), String>;

/// A certificate as the rules see it.
struct Subject<'a> {
    view: TbsView<'a>,
    spki: Result<Spki, SpkiError>,
    /// None: it is to sign itself.
    issuer: Option<&'a IssuerCertificate>,
}

/// A leaf as the rules see it.
struct Leaf<'a> {
    subject: Subject<'a>,
    issuer: &'a IssuerCertificate,
    profile: &'a Profile,
    /// The names, or why there are none to be judged.
    names: Result<Vec<San>, String>,
}

type Rules<S> = &'static [(&'static str, S)];

/// Rules of every certificate.
const CERTIFICATE_RULES: Rules<fn(&Subject<'_>) -> Finding> = &[
    ("serial_twenty_octets", serial::twenty_octets),
    ("signature_algorithm", algorithm::is_the_issuers),
    ("issuer_name", issuer::name),
    ("authority_key_id", issuer::authority_key_id),
    ("validity_inside_issuer", validity::inside_issuer),
    ("key_acceptable", key::acceptable),
    ("subject_key_id", key::subject_key_id),
    ("extension_unique", extensions::unique),
];

/// Rules of leaves.
const LEAF_RULES: Rules<fn(&Leaf<'_>) -> Finding> = &[
    ("lifetime_within", validity::lifetime_within),
    ("subject_empty", names::subject_empty),
    ("san_form", names::form),
    ("san_order", names::order),
    ("san_count", names::count),
    ("san_within_constraints", names::within_constraints),
    ("key_class", key::class),
    ("key_usage", usage::key_usage),
    ("ext_key_usage", usage::ext_key_usage),
    ("ext_key_usage_of_issuer", usage::ext_key_usage_of_issuer),
    ("basic_constraints", usage::basic_constraints),
    ("crl_distribution_point", pointers::crl_distribution_point),
    ("ca_issuers", pointers::ca_issuers),
    ("extension_known", extensions::known_in_leaf),
    ("extension_criticality", extensions::criticality_in_leaf),
];

/// Rules of CA certificates.
const CA_RULES: Rules<fn(&Subject<'_>) -> Finding> = &[
    ("ca_validity", validity::ordered),
    ("ca_subject", ca::subject),
    ("ca_key_usage", ca::key_usage),
    ("ca_basic_constraints", ca::basic_constraints),
    ("ca_path_len", ca::path_len),
    ("ca_ext_key_usage", ca::ext_key_usage),
    ("ca_pointers", ca::pointers),
    ("ca_name_constraints", ca::name_constraints),
    ("extension_known", extensions::known_in_ca),
    ("extension_criticality", extensions::criticality_in_ca),
];

/// Rules of CRLs.
const CRL_RULES: Rules<fn(&CrlSubject<'_>) -> Finding> = &[
    ("crl_signature_algorithm", crl::signature_algorithm),
    ("crl_issuer_name", crl::issuer_name),
    ("crl_window", crl::window),
    ("crl_revoked_not_empty", crl::revoked_not_empty),
    ("crl_entry_serial", entries::serial),
    ("crl_entry_order", entries::order),
    ("crl_entry_reason", entries::reason),
    ("crl_entry_extensions", entries::extensions),
    ("crl_authority_key_id", crl::authority_key_id),
    ("crl_number", crl::number),
    ("crl_distribution_point", crl::distribution_point),
    ("crl_extension_unique", crl::extension_unique),
    ("crl_extension_known", crl::extension_known),
    ("crl_extension_criticality", crl::extension_criticality),
];

/// Judges a leaf's TBSCertificate against the profile and the issuer that it is for.
///
/// # Errors
/// [`LintError`] with the first rule that is broken; `form` when the bytes are no TBSCertificate at all.
pub fn lint_leaf(
    tbs: Tbs,
    profile: &Profile,
    issuer: &IssuerCertificate,
) -> Result<Linted, LintError> {
    let subject = Subject::read(&tbs, Some(issuer))?;
    let names = names::read(&subject.view);
    let leaf = Leaf {
        subject,
        issuer,
        profile,
        names,
    };
    first(CERTIFICATE_RULES, |check| check(&leaf.subject))?;
    first(LEAF_RULES, |check| check(&leaf))?;
    let serial = Serial::from_bytes(leaf.subject.view.serial).map_err(|error| LintError {
        rule: "serial_twenty_octets",
        detail: error.to_string(),
    })?;
    Ok(Linted {
        serial,
        profile_hash: profile.hash(),
        issuer_key_identifier: issuer.key_identifier().to_vec(),
        tbs,
    })
}

/// Judges a CA's TBSCertificate; without an issuer it is a root, which signs itself.
///
/// # Errors
/// [`LintError`], as [`lint_leaf`].
pub fn lint_ca(tbs: &Tbs, issuer: Option<&IssuerCertificate>) -> Result<(), LintError> {
    let subject = Subject::read(tbs, issuer)?;
    first(CERTIFICATE_RULES, |check| check(&subject))?;
    first(CA_RULES, |check| check(&subject))
}

/// Judges a TBSCertList and says what it holds.
///
/// # Errors
/// [`LintError`], as [`lint_leaf`]; `crl_form` when the bytes are no TBSCertList at all.
pub fn lint_crl(tbs: &[u8], issuer: &IssuerCertificate) -> Result<CrlFacts, LintError> {
    if tbs.len() > CRL_BYTES_MAX {
        return Err(too_large("crl_form", tbs.len(), CRL_BYTES_MAX));
    }
    let subject = CrlSubject::read(tbs, issuer).map_err(|error| LintError {
        rule: "crl_form",
        detail: error.to_string(),
    })?;
    first(CRL_RULES, |check| check(&subject))?;
    subject.facts().map_err(|detail| LintError {
        rule: "crl_form",
        detail,
    })
}

/// Runs the rules in order until one finds something.
fn first<C>(rules: Rules<C>, run: impl Fn(&C) -> Finding) -> Result<(), LintError> {
    rules
        .iter()
        .try_for_each(|(rule, check)| run(check).map_err(|detail| LintError { rule, detail }))
}

fn too_large(rule: &'static str, octets: usize, allowed: usize) -> LintError {
    LintError {
        rule,
        detail: format!("{octets} octets, where {allowed} are allowed"),
    }
}

impl<'a> Subject<'a> {
    fn read(tbs: &'a Tbs, issuer: Option<&'a IssuerCertificate>) -> Result<Self, LintError> {
        let der = tbs.as_der();
        if der.len() > TBS_BYTES_MAX {
            return Err(too_large("form", der.len(), TBS_BYTES_MAX));
        }
        let view = TbsView::read(der).map_err(|error| LintError {
            rule: "form",
            detail: error.to_string(),
        })?;
        Ok(Self {
            spki: Spki::parse(view.spki),
            view,
            issuer,
        })
    }

    /// An extension, or that it is missing.
    fn required(&self, oid: &[u8], name: &'static str) -> Result<&Extension<'a>, String> {
        self.view
            .extensions
            .find(oid)
            .ok_or_else(|| format!("{name} is missing"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::der::{Writer, tag};
    use crate::lint::alter::{ca_case, ca_findings, leaf_case, leaf_findings};
    use crate::time::UnixTime;

    /// Every rule is named in a test of the file that it stands in.
    #[test]
    fn every_rule_has_a_test_that_breaks_it() {
        let sources = [
            include_str!("lint/algorithm.rs"),
            include_str!("lint/ca.rs"),
            include_str!("lint/crl.rs"),
            include_str!("lint/entries.rs"),
            include_str!("lint/extensions.rs"),
            include_str!("lint/issuer.rs"),
            include_str!("lint/key.rs"),
            include_str!("lint/names.rs"),
            include_str!("lint/pointers.rs"),
            include_str!("lint/serial.rs"),
            include_str!("lint/usage.rs"),
            include_str!("lint/validity.rs"),
        ];
        let names = CERTIFICATE_RULES.iter().map(|(rule, _)| rule);
        let names = names.chain(LEAF_RULES.iter().map(|(rule, _)| rule));
        let names = names.chain(CA_RULES.iter().map(|(rule, _)| rule));
        for rule in names.chain(CRL_RULES.iter().map(|(rule, _)| rule)) {
            let quoted = format!("\"{rule}\"");
            assert!(
                sources.iter().any(|source| source.contains(&quoted)),
                "{rule} has no test"
            );
        }
    }

    #[test]
    fn good_bytes_break_no_rule() {
        let (leaf, ca) = (leaf_case(), ca_case());
        let tbs = leaf.good.tbs();
        assert_eq!(
            leaf_findings(&tbs, &leaf.profile, &leaf.ca.certificate),
            [""; 0]
        );
        assert_eq!(ca_findings(&ca.root.tbs(), None), [""; 0]);
        assert_eq!(
            ca_findings(&ca.issuing.tbs(), Some(&ca.above.certificate)),
            [""; 0]
        );
    }

    #[test]
    fn a_linted_leaf_says_what_it_was_linted_for() {
        let case = leaf_case();
        let tbs = case.good.tbs();
        let issuer = &case.ca.certificate;
        let linted = lint_leaf(tbs.clone(), &case.profile, issuer).expect("passes");
        assert_eq!(linted.profile_hash(), case.profile.hash());
        assert_eq!(linted.issuer_key_identifier(), issuer.key_identifier());
        assert_eq!(linted.serial(), crate::tbs::fixture::serial(7));
        assert_eq!(linted.into_tbs(), tbs);
    }

    #[test]
    fn bytes_that_are_no_version_3_certificate_are_found() {
        let case = leaf_case();
        case.breaks("form", |parts| parts.version.clear());
        case.breaks("form", |parts| parts.version = vec![0xa0, 3, 2, 1, 1]);
        case.breaks("form", |parts| parts.version = vec![0xa0, 3, 2, 1, 3]);
        case.breaks("form", |parts| parts.after = vec![5, 0]);
        case.breaks("form", |parts| parts.extensions.clear());
        case.breaks("form", |parts| parts.spki.extend([0x81, 1, 0]));
        let issuer = &case.ca.certificate;
        let mut trailing = case.good.tbs().into_der();
        trailing.push(0);
        for bad in [
            vec![],
            vec![0x30, 0],
            trailing,
            vec![0x30; TBS_BYTES_MAX + 1],
        ] {
            let error = lint_leaf(Tbs::from_der(bad), &case.profile, issuer).expect_err("refused");
            assert_eq!(error.rule, "form");
        }
    }

    /// RFC 5280 §4.1.2.5: UTCTime to 2049, GeneralizedTime from 2050 on, both with seconds and in Zulu time.
    #[test]
    fn a4_times_in_another_form_are_found() {
        let case = leaf_case();
        let good = b"260921121412Z";
        for (tag, text) in [
            (tag::GENERALIZED_TIME, &b"20260921121412Z"[..]),
            (tag::UTC_TIME, b"2609211214Z"),
            (tag::UTC_TIME, b"260921121412+0000"),
            (tag::GENERALIZED_TIME, b"20510921121412.5Z"),
            (tag::UTC_TIME, b"260230000000Z"),
        ] {
            case.breaks("form", |parts| {
                let mut w = Writer::new();
                w.sequence(|w| {
                    w.primitive(tag::UTC_TIME, good);
                    w.primitive(tag, text);
                });
                parts.validity = w.finish();
            });
        }
        let never = UnixTime(crate::tbs::fixture::NOW.0 - 1);
        case.breaks("lifetime_within", |parts| parts.valid(never, never));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_bytes_and_any_changed_bit_get_a_verdict(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            at in any::<prop::sample::Index>(),
            bit in 0..8,
        ) {
            let case = leaf_case();
            let issuer = &case.ca.certificate;
            let bytes = Tbs::from_der(bytes);
            prop_assert!(lint_ca(&bytes, None).is_err());
            prop_assert!(lint_leaf(bytes, &case.profile, issuer).is_err());
            let mut changed = case.good.tbs().into_der();
            let at = at.index(changed.len());
            changed[at] ^= 1_u8 << bit;
            let changed = Tbs::from_der(changed);
            prop_assert!(lint_ca(&changed, Some(issuer)).is_err(), "a leaf is no CA");
            if let Ok(linted) = lint_leaf(changed.clone(), &case.profile, issuer) {
                prop_assert_eq!(linted.tbs(), &changed);
            }
        }
    }
}
