use chancery_pki::csr::{self, Csr};
use chancery_pki::{San, Spki};

use super::samples::{sans, signed_octets, world};
use super::{Form, MEMORY_BASE, Outcome, Target, der_tree};

pub(super) const TARGET: Target = Target {
    name: "csr",
    run,
    samples,
    tokens: &[
        b"\x55\x1d\x11",
        b"\x55\x04\x03",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e",
        b"*.",
        b"xn--",
        b"\x82\x00",
        b"\x87\x04\x7f\x00\x00\x01",
    ],
    form: Form::Der,
    memory_base: MEMORY_BASE,
};

/// Reads the input as a certification request, as it is and with its body signed by the key that the samples
/// carry, so that mutated bodies come past the signature too.
fn run(input: &[u8]) -> Outcome {
    let first = Csr::parse(input);
    let body = der_tree::first_inside(input).unwrap_or_default();
    let second = Csr::parse(&signed_octets(&world().subject_key, body));
    let outcome = Outcome::of_result(&first).and(Outcome::of_result(&second));
    for csr in [first, second].into_iter().flatten() {
        check_accepted(&csr);
    }
    outcome
}

fn check_accepted(csr: &Csr) {
    let spki = csr.spki();
    assert_eq!(
        Spki::parse(spki.as_der()).as_ref(),
        Ok(spki),
        "a key reads as it was read"
    );
    for name in csr.names() {
        assert_eq!(
            San::parse(&name.to_string()).as_ref(),
            Ok(name),
            "a name reads as it is shown"
        );
    }
}

fn samples() -> Vec<Vec<u8>> {
    let many: Vec<String> = (0..50).map(|n| format!("n{n}.corp.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let all = [
        "*.b.corp.test",
        "192.0.2.1",
        "2001:db8::1",
        "xn--bcher-kva.test",
    ];
    let sets: [&[&str]; 4] = [&[], &["www.corp.test"], &all, &many];
    let build = |names: &[&str]| csr::build(&world().subject_key, &sans(names));
    sets.map(|names| build(names).expect("a good request"))
        .into()
}
