use crate::lint::{Finding, Leaf, Subject};

/// notAfter is the last second of a lifetime that begins with notBefore: both count (RFC 5280 §4.1.2.5). Let's
/// Encrypt's certificates were a second too long for years. Shorter than the profile says is what a request may ask for.
pub(super) fn lifetime_within(leaf: &Leaf<'_>) -> Finding {
    let view = &leaf.subject.view;
    let seconds = view
        .not_before
        .seconds_until(view.not_after)
        .saturating_add(1);
    let allowed = leaf.profile.lifetime_secs;
    match u64::try_from(seconds) {
        Ok(seconds) if (2..=allowed).contains(&seconds) => Ok(()),
        _ => Err(format!(
            "the lifetime is {seconds} s, where the profile allows 2 to {allowed} s"
        )),
    }
}

/// Nothing outlives its issuer, nor begins before it.
pub(super) fn inside_issuer(subject: &Subject<'_>) -> Finding {
    let Some(issuer) = subject.issuer else {
        return Ok(());
    };
    let (not_before, not_after) = (subject.view.not_before, subject.view.not_after);
    if not_before >= issuer.not_before() && not_after <= issuer.not_after() {
        return Ok(());
    }
    Err(format!(
        "the validity {} to {} is not within the issuer's {} to {}",
        not_before.to_rfc3339(),
        not_after.to_rfc3339(),
        issuer.not_before().to_rfc3339(),
        issuer.not_after().to_rfc3339()
    ))
}

/// A CA certificate is valid at some time. (A leaf's lifetime is fixed by its profile.)
pub(super) fn ordered(subject: &Subject<'_>) -> Finding {
    let (not_before, not_after) = (subject.view.not_before, subject.view.not_after);
    if not_before < not_after {
        Ok(())
    } else {
        Err(format!(
            "notBefore {} is not before notAfter {}",
            not_before.to_rfc3339(),
            not_after.to_rfc3339()
        ))
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::alter::{ca_case, leaf_case};
    use crate::tbs::fixture::{DAY, NOW};

    #[test]
    fn a4_a_second_too_many_is_found() {
        let case = leaf_case();
        let (not_before, not_after) = case.profile.validity(NOW);
        case.breaks("lifetime_within", |parts| {
            parts.valid(not_before, not_after.plus(1))
        });
        case.breaks("lifetime_within", |parts| {
            parts.valid(not_after, not_before)
        });
    }

    #[test]
    fn what_outlives_its_issuer_or_begins_before_it_is_found() {
        let (leaf, ca) = (leaf_case(), ca_case());
        let issuer = &leaf.ca.certificate;
        for now in [issuer.not_before(), issuer.not_after()] {
            let (not_before, not_after) = leaf.profile.validity(now);
            leaf.breaks("validity_inside_issuer", |parts| {
                parts.valid(not_before, not_after)
            });
        }
        let end = ca.above.certificate.not_after();
        ca.issuing_breaks("validity_inside_issuer", |parts| {
            parts.valid(NOW, end.plus(1))
        });
    }

    #[test]
    fn a_ca_that_is_never_valid_is_found() {
        let ca = ca_case();
        ca.root_breaks("ca_validity", |parts| parts.valid(NOW, NOW));
        ca.issuing_breaks("ca_validity", |parts| parts.valid(NOW, NOW.minus(DAY)));
    }
}
