use chancery_pki::Crl;
use chancery_pki::lint::lint_crl;

use super::samples::{signed_octets, world};
use super::{Form, MEMORY_BASE, Outcome, Target};

pub(super) const TARGET: Target = Target {
    name: "crl",
    run,
    samples,
    tokens: &[
        b"\x55\x1d\x14",
        b"\x55\x1d\x15",
        b"\x55\x1d\x1c",
        b"\x0a\x01\x08",
        b"991231235959Z",
    ],
    form: Form::Der,
    memory_base: MEMORY_BASE,
};

/// Reads the input as a revocation list, walks its entries, checks its signature (its own, and a right one), and
/// judges its body.
fn run(input: &[u8]) -> Outcome {
    let world = world();
    let parsed = Crl::parse(input);
    let outcome = Outcome::of_result(&parsed);
    let Ok(crl) = parsed else { return outcome };
    assert_eq!(
        crl.der(),
        input,
        "a list is the octets that it was read from"
    );
    assert_eq!(
        crl.entries().count(),
        crl.entry_count(),
        "an entry that was accepted is shown"
    );
    if let Some(last) = crl.entries().last() {
        assert!(crl.contains(&last.serial), "what is on the list is found");
    }
    let key = world.issuer_key.public();
    let resigned = Crl::parse(signed_octets(&world.issuer_key, crl.tbs_der()));
    let resigned = resigned.map(|crl| crl.verify_signed_by(key).is_ok());
    let of_root = crl.issuer_der() == world.root_issuer.subject_der();
    let issuer = if of_root {
        &world.root_issuer
    } else {
        &world.issuer
    };
    let facts = lint_crl(crl.tbs_der(), issuer);
    if let Ok(facts) = &facts {
        assert_eq!(
            facts.entry_count,
            crl.entry_count(),
            "lint and reader see the same list"
        );
        assert_eq!(
            facts.number,
            crl.number(),
            "lint and reader see the same list"
        );
    }
    outcome
        .and(Outcome::of_result(&crl.verify_signed_by(key)))
        .and(Outcome::of(resigned.unwrap_or_default()))
        .and(Outcome::of_result(&facts))
}

fn samples() -> Vec<Vec<u8>> {
    let world = world();
    vec![
        world.crl(0),
        world.crl(1),
        world.crl(2),
        world.crl(20),
        world.root_crl(0),
        world.root_crl(2),
    ]
}
