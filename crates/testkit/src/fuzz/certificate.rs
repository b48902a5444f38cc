use chancery_pki::issuer::IssuerCertificate;
use chancery_pki::lint::{lint_ca, lint_leaf};
use chancery_pki::{Certificate, San, Tbs, verify_chain};

use super::samples::{NOW, signed_octets, world};
use super::{Form, MEMORY_BASE, Outcome, Target};

pub(super) const TARGET: Target = Target {
    name: "certificate",
    run,
    samples,
    tokens: &[
        b"\x55\x1d\x11",
        b"\x55\x1d\x13",
        b"\x01\x01\xff",
        b"http://",
        b"*.",
        b"991231235959Z",
    ],
    form: Form::Der,
    memory_base: MEMORY_BASE,
};

/// Reads the input as a certificate, judges what is to be signed in it, and follows it to a root: as it is, and
/// signed by the right issuer, which no mutation could do.
fn run(input: &[u8]) -> Outcome {
    let world = world();
    let parsed = Certificate::parse(input);
    let issuer = IssuerCertificate::parse(input);
    let outcome = Outcome::of_result(&parsed).and(Outcome::of_result(&issuer));
    let Ok(certificate) = parsed else {
        return outcome;
    };
    check_accepted(&certificate, input);
    let above = [world.intermediate.clone()];
    let resigned = signed_octets(&world.issuer_key, certificate.tbs_der());
    let chains = [Ok(certificate.clone()), Certificate::parse(&resigned)].map(|leaf| match leaf {
        Ok(leaf) => Outcome::of_result(&verify_chain(&leaf, &above, &world.root, NOW)),
        Err(error) => Outcome::of(error),
    });
    let tbs = || Tbs::from_der(certificate.tbs_der().to_vec());
    let leaf = lint_leaf(tbs(), &world.profile, &world.issuer);
    let ca = lint_ca(&tbs(), issuer.ok().as_ref());
    let lints = Outcome::of_result(&leaf).and(Outcome::of_result(&ca));
    chains.into_iter().fold(outcome.and(lints), Outcome::and)
}

fn check_accepted(certificate: &Certificate, input: &[u8]) {
    assert_eq!(
        certificate.der(),
        input,
        "a certificate is the octets that it was read from"
    );
    assert!(
        certificate
            .serial()
            .as_bytes()
            .iter()
            .any(|octet| *octet != 0),
        "no serial is zero"
    );
    for name in certificate.sans() {
        assert_eq!(
            San::parse(&name.to_string()).as_ref(),
            Ok(name),
            "a name reads as it is shown"
        );
    }
}

fn samples() -> Vec<Vec<u8>> {
    let world = world();
    let names = [
        "a.corp.test",
        "*.b.corp.test",
        "192.0.2.1",
        "2001:db8::1",
        "xn--bcher-kva.test",
    ];
    vec![
        world.leaf(&["www.corp.test"]),
        world.leaf(&names),
        world.intermediate.der().to_vec(),
        world.root.der().to_vec(),
    ]
}
